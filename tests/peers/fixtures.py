"""Converts every fixture with residua and runs the result in ONNX Runtime, against what its own framework computed.

    python tests/peers/fixtures.py --residua target/debug/residua [--filter TEXT]

For each Keras model with a golden file: convert to ONNX in the source's axis order at several operator sets, have the onnx
checker look at it (shape inference strict), run it in ONNX Runtime on Keras's inputs, and compare with Keras's outputs. For
each exported ONNX model the same at its own operator set, at the portable and at the newest one, against what ONNX Runtime
computed of the export. Small networks of PyTorch, safetensors, ONNX and Keras are written in each axis order, float type and
operator set, folded and not, with their proof. Exits 1 when anything fails, and when fewer models were tried than there should be.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

FIXTURES = Path(__file__).parents[2] / "fixtures"
OPSETS = ["13", "17", "28"]
# None is the operator set of the source.
ONNX_OPSETS = [None, "17", "28"]
# Keras computed in f32 and so does ONNX Runtime: both round, each in its own order.
TOLERANCE = 1e-5
# Files that residua must refuse, or that hold less than the model their golden is of, and why.
REFUSED = {
    "storage/resnet8.k3-lzf.h5": "LZF is h5py's own compression",
    "storage/resnet8.k3-sharded_00000.weights.h5": "one shard of several",
}
UNCOMPARABLE = {"digits/digits.k3.weights.h5": "the factor of its Rescaling layer is in no weights file"}
# Sets whose weights-only files are of networks that are known; other networks cannot be told from weights.
KNOWN = {"thin", "cifar", "digits", "full"}
# As many must be found, so that a moved folder does not pass as success.
LEAST = 650


def models(folder):
    """Every model file that has a golden file; archives of further encodings are unpacked into `folder`."""
    for set_ in sorted(path for path in FIXTURES.iterdir() if path.is_dir() and path.name != "precision"):
        files = list(set_.iterdir())
        for archive in set_.glob("*.zip"):
            zipfile.ZipFile(archive).extractall(folder / set_.name)
            files += (folder / set_.name).rglob("*")
        goldens = {p.name.removesuffix(".golden.npz"): p for p in files if p.name.endswith(".golden.npz")}
        for path in sorted(set(files)):
            golden = goldens.get(path.name.split(".")[0])
            if path.suffix in (".h5", ".keras") and golden:
                yield path, golden


def exported(folder):
    """Every exported ONNX model, with its golden file."""
    for group in ["keras", "torch"]:
        zipfile.ZipFile(FIXTURES / "onnx" / f"{group}.zip").extractall(folder / f"onnx-{group}")
        for path in sorted((folder / f"onnx-{group}").glob("*.onnx")):
            yield path, path.parent / f"{path.name.split('.')[0]}.golden.npz"


def arrays_of(path, golden):
    """What goes into the model that is written of this one, and what has to come out."""
    arrays = np.load(golden)
    inputs = [arrays[key] for key in arrays.files if key.startswith("input/")]
    if path.suffix != ".onnx":
        return inputs, [arrays[key] for key in arrays.files if key.startswith("output/")]
    # Goldens of Keras's networks have images as Keras does, and so have most files that were exported from there.
    if path.parent.name == "onnx-keras" and "nchw" in path.name:
        inputs = [np.moveaxis(x, -1, 1) if x.ndim == 4 else x for x in inputs]
    encoding = path.name.split(".", 1)[1].removesuffix(".onnx")
    return inputs, [arrays[key] for key in arrays.files if key.startswith(f"ort/{encoding}/")]


def relative(expected, found):
    if expected.shape != found.shape:
        return np.inf
    difference = np.abs(expected.astype("float64") - found.astype("float64")).max(initial=0)
    return difference / max(np.abs(expected).max(initial=0), 1e-30)


def runner(path):
    """What runs a model, and the types of its inputs: ONNX Runtime, or onnx itself for types of which it has no convolution."""
    model = onnx.load(str(path))
    tensors = {tensor.name for tensor in model.graph.initializer}
    numpy = onnx.helper.tensor_dtype_to_np_dtype
    given = [(i.name, numpy(i.type.tensor_type.elem_type)) for i in model.graph.input if i.name not in tensors]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]), given
    except Exception as error:
        if "Could not find an implementation" not in str(error):
            raise
    return ReferenceEvaluator(model), given


def attempt(residua, path, golden, opset, folder):
    """What is wrong, or None; and the largest relative difference."""
    out = folder / f"{path.parent.name}-{path.name}-{opset}.onnx"
    command = [residua, "convert", path, out, "--no-verify", "--quiet", "--input-layout", "source"]
    command += ["--opset", opset] if opset else []
    done = subprocess.run(command, capture_output=True, text=True)
    label = f"{path.parent.name}/{path.name}"
    unknown = "weights" in path.name and path.parent.name not in KNOWN
    if done.returncode == 2 and (label in REFUSED or (unknown and "cannot be told from its weights alone" in done.stderr)):
        return "refused", 0
    if label in REFUSED:
        return "was not refused", 0
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()}", 0
    try:
        onnx.checker.check_model(str(out), full_check=True)
        session, given = runner(out)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}", 0
    inputs, outputs = arrays_of(path, golden)
    feeds = {name: x.astype(kind) for (name, kind), x in zip(given, inputs, strict=True)}
    try:
        found = session.run(None, feeds)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}", 0
    finally:
        out.unlink()
    if len(found) != len(outputs):
        return f"{len(found)} outputs, its golden has {len(outputs)}", 0
    if label in UNCOMPARABLE:
        return None, 0
    worst = max(relative(expected, ours) for expected, ours in zip(outputs, found))
    half = any(kind == np.float16 for _, kind in given)
    tolerance = 2e-2 if half else TOLERANCE
    return (None if worst <= tolerance else f"differs by {worst:.1e}"), (0 if half else worst)


# Small networks, and whether their images have channels last.
SOURCES = {"plain.pth": False, "plain.safetensors": False, "plain.onnx": False, "small.keras": True}
# What computing in f16 does to these, and what rounding folded weights to the eight bits of bf16 does. As they were made, their weights
# have no more bits than that; the exporter of the ONNX model folded its norms.
TYPES = {None: TOLERANCE, "f16": 1e-2, "bf16": 0.3}


def grid():
    """Every way to write the small networks."""
    for source, layout, dtype, ends, opset, fold in itertools.product(
        SOURCES, ["nchw", "nhwc", "source"], TYPES, [False, True], [None, "9", "13", "17", "28"], [False, True]
    ):
        # Convolutions take bf16 from operator set 22 on.
        if (dtype or not ends) and not (dtype == "bf16" and opset and int(opset) < 22):
            yield source, layout, dtype, ends, opset, fold


def attempt_grid(residua, case, folder):
    """As `attempt`, of one way."""
    source, layout, dtype, ends, opset, fold = case
    out = folder / f"{'-'.join(map(str, case))}.onnx"
    options = ["--input-layout", layout] + (["--dtype", dtype] if dtype else []) + (["--opset", opset] if opset else [])
    options += ["--keep-io-types"] * ends + ["--fold-bn"] * fold
    done = subprocess.run([residua, "convert", folder / "precision" / source, out, "--quiet", *options], capture_output=True, text=True)
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()}", 0
    arrays = np.load(folder / "precision" / f"{source.split('.')[0]}.golden.npz")
    [x] = [arrays[key] for key in arrays.files if key.startswith("input/")]
    [expected] = [arrays[key] for key in arrays.files if key.startswith("output/")]
    last = {"nchw": False, "nhwc": True, "source": SOURCES[source]}[layout]
    x = x if last == SOURCES[source] else np.moveaxis(x, 1, -1) if last else np.moveaxis(x, -1, 1)
    try:
        onnx.checker.check_model(str(out), full_check=True)
        if dtype == "bf16":
            # ONNX Runtime has no convolution of it, and onnx itself rounds within sums; so the numbers of the file in f32.
            if ends != all(v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT for v in onnx.load(str(out)).graph.input):
                return "its input is of another type", 0
            wide = out.with_suffix(".wide.onnx")
            subprocess.run([residua, "convert", out, wide, "--quiet", "--dtype", "f32", "--input-layout", "source"], check=True)
            out.unlink()
            out = wide
        session, [(name, kind)] = runner(out)
        [found] = session.run(None, {name: x.astype(kind)})
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}", 0
    finally:
        out.unlink()
    if ends and (kind, found.dtype) != (np.float32, np.float32):
        return f"takes {kind} and gives {found.dtype}", 0
    worst = relative(expected, found)
    exact = dtype == "bf16" and not fold and source != "plain.onnx"
    return (None if worst <= (TOLERANCE if exact else TYPES[dtype]) else f"differs by {worst:.1e}"), (0 if dtype else worst)


# Models of f16 that say more of their types than that, which stay as they are.
HALVES = ["keep_io.onnx", "f64_ends.onnx", "all_f16.onnx", "decisions.onnx"]


def attempt_half(residua, name, folder):
    """As `attempt`: the types of inputs and outputs are the source's, and so is what it computes."""
    out = folder / name
    done = subprocess.run([residua, "convert", folder / "precision" / name, out, "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        return f"exit {done.returncode}: {done.stderr.strip()}", 0
    arrays = np.load(folder / "precision" / f"{name.split('.')[0]}.golden.npz")
    try:
        onnx.checker.check_model(str(out), full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
        found = session.run(None, {i.name: arrays[f"input/{i.name}"] for i in session.get_inputs()})
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}", 0
    for output, ours in zip(session.get_outputs(), found, strict=True):
        expected = arrays[f"output/{output.name}"]
        if ours.dtype != expected.dtype:
            return f"`{output.name}` is {ours.dtype}, was {expected.dtype}", 0
        # ONNX Runtime may round f16 in other places of the same graph.
        within = 0 if not np.issubdtype(ours.dtype, np.floating) else 1e-3
        if relative(expected, ours) > within:
            return f"`{output.name}` differs by {relative(expected, ours):.1e}", 0
    return None, 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--filter", default="")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        cases = [(p, g, o) for p, g in models(folder) if args.filter in str(p) for o in OPSETS]
        cases += [(p, g, o) for p, g in exported(folder) if args.filter in str(p) for o in ONNX_OPSETS]
        for archive in ["keras.zip", "torch.zip"]:
            zipfile.ZipFile(FIXTURES / "precision" / archive).extractall(folder / "precision")
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda case: attempt(args.residua, *case, folder), cases))
            ways = [case for case in grid() if args.filter in " ".join(map(str, case))]
            written = list(pool.map(lambda case: attempt_grid(args.residua, case, folder), ways))
            halves = [name for name in HALVES if args.filter in name]
            written += list(pool.map(lambda name: attempt_half(args.residua, name, folder), halves))
    failed = [(case, wrong) for case, (wrong, _) in zip(cases, results) if wrong not in (None, "refused")]
    unlike = [(case, wrong) for case, (wrong, _) in zip(ways + halves, written) if wrong]
    refused = sum(wrong == "refused" for wrong, _ in results)
    for (path, _, opset), wrong in failed:
        print(f"FAILED {path.parent.name}/{path.name} at opset {opset}: {wrong}")
    for case, wrong in unlike:
        print(f"FAILED {case}: {wrong}")
    worst = max((difference for wrong, difference in results + written if not wrong), default=0)
    print(f"largest difference, relative to the output's largest value: {worst:.1e}")
    if not args.filter and len(cases) - refused < LEAST:
        print(f"only {len(cases) - refused} cases were tried")
        return 1
    print(f"{refused} refused, as they should be: weights of networks that are not known, and what cannot be decoded")
    print(f"{len(cases) - len(failed) - refused} passed, {len(failed)} failed")
    print(f"{len(written) - len(unlike)} of {len(written)} ways to write small networks passed")
    return 1 if failed or unlike else 0


if __name__ == "__main__":
    sys.exit(main())
