"""Holds every operator that residua reads against the node tests of the onnx package, and runs its real networks.

    python tests/peers/onnx_backend.py --residua target/debug/residua --operators target/debug/examples/operators [--update]

A test counts where its operators are all among those that `--operators` prints. What is skipped is listed below with the
reason, and has to fail: a skipped test that passes is a failure like one that does not. Operands that models have as constants
(axes, shapes, bounds) are inputs in these tests; where that is refused, they are tried as constants. The networks are the
`light_*` models with onnx's own input, output and tolerance.

The result is docs/operators.md: the file must be as it would be written, and `--update` writes it.
"""

import argparse
import fnmatch
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.runner import Runner

warnings.filterwarnings("ignore")

DOCUMENT = Path(__file__).parents[2] / "docs/operators.md"
NETWORKS = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512"]

# Tests that must not pass, by pattern, and why.
SKIPPED = {
    "test_cast*FLOAT8*": "floats of 8 bits are not read",
    "test_cast*FLOAT4*": "floats of 4 bits are not read",
    "test_cast*INT4*": "integers of less than 8 bits are not read",
    "test_cast*INT2*": "integers of less than 8 bits are not read",
    "test_*quantizelinear_e?m?*": "floats of 8 bits are not read",
    "test_*quantizelinear_float4*": "floats of 4 bits are not read",
    "test_*quantizelinear_*int[24]": "integers of less than 8 bits are not read",
    "test_equal_string*": "text is not read",
    "test_identity_[so]*": "sequences and optional values are not read",
    "test_averagepool_3d_*": "three spatial axes are not known",
    "test_convtranspose_3d": "three spatial axes are not known",
    "test_lppool_3d_*": "three spatial axes are not known",
    "test_maxpool_3d_*": "three spatial axes are not known",
    "test_maxpool_with_argmax_*": "positions of the largest elements are not computed",
    "test_scatternd_*": "elements are replaced, not combined",
    "test_batchnorm_*_training_mode": "training is refused: a network that is exported for it is no classifier",
    "test_training_dropout_default*": "training is refused: what is dropped is random",
    "test_training_dropout": "training is refused: what is dropped is random",
    "test_training_dropout_mask": "training is refused: what is dropped is random",
}
# What is rounded to steps falls on the other side of a half in f64: only the engine that rounds as the test does is held to it.
F32_ONLY = ["test_dynamicquantizelinear*"]


def claimed(program):
    """Operators: name to oldest set, newest set, note."""
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = (line.split("\t") for line in lines)
    return {name: (int(since), int(until), note) for name, since, until, note in rows}


def run(residua, model, feeds, folder, precision):
    """Exit status, outputs or message."""
    onnx.save(model, folder / "model.onnx")
    command = [residua, "run", folder / "model.onnx", "--quiet", "--output", folder / "outputs.npz", "--precision", precision]
    if feeds:
        np.savez(folder / "inputs.npz", **feeds)
    command += ["--input", folder / "inputs.npz"] if feeds else ["--random", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return done.returncode, done.stderr.strip()
    outputs = np.load(folder / "outputs.npz")
    return 0, [outputs[name] for name in outputs.files]


def with_constants(model, feeds, free):
    """The same model with inputs as initializers, all but those named."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    fixed = [name for name in feeds if name not in free]
    changed.graph.initializer.extend(numpy_helper.from_array(feeds[name], name) for name in fixed)
    kept = [value for value in changed.graph.input if value.name in free]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    return changed, {name: feeds[name] for name in free}


def verdict(expected, status, found, rtol, atol):
    """What is wrong; nothing where the outputs are those expected."""
    if status != 0:
        return f"exit {status}: {found[-300:]}"
    if len(found) != len(expected):
        return f"{len(found)} outputs, expected {len(expected)}"
    for e, f in zip(expected, found):
        if e.shape != f.shape:
            return f"shape {f.shape}, expected {e.shape}"
        e, f = e.astype("f8"), f.astype("f8")
        if not np.allclose(e, f, rtol=rtol, atol=atol, equal_nan=True):
            return f"differs by {np.abs(e - f).max():.1e}"
    return None


def arrays(values):
    """As arrays of numbers; None where they are something else: text, a sequence, nothing."""
    if not all(isinstance(x, (onnx.TensorProto, np.ndarray, np.generic)) for x in values):
        return None
    found = [numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else np.asarray(x) for x in values]
    return found if all(x.dtype.kind in "fiubV" for x in found) else None


def attempt_data(residua, case, inputs, outputs, precision):
    """What is wrong with one data set."""
    inputs, outputs = arrays(inputs), arrays(outputs)
    if inputs is None or outputs is None:
        return "takes or gives what is no array of numbers"
    feeds = {value.name: x for value, x in zip(case.model.graph.input, inputs)}
    plain = [name for name, x in feeds.items() if x.dtype.kind in "fiub"]
    # Halves are rounded once more than they are here.
    narrow = any(x.dtype.itemsize < 4 and x.dtype.kind in "fV" for x in [*inputs, *outputs])
    rtol, atol = (1e-2 if narrow else case.rtol), max(case.atol, 1e-6)
    for free in dict.fromkeys([tuple(plain), tuple(plain[:1]), ()]):
        with tempfile.TemporaryDirectory() as folder:
            model, given = with_constants(case.model, feeds, free)
            wrong = verdict(outputs, *run(residua, model, given, Path(folder), precision), rtol, atol)
        if wrong is None or not wrong.startswith("exit 2"):
            return wrong
    return wrong


def attempt_node(residua, case):
    """What is wrong with the first data set that fails, in either engine."""
    f32_only = any(fnmatch.fnmatch(case.name, pattern) for pattern in F32_ONLY)
    for inputs, outputs in case.data_sets:
        for precision in ["f32"] if f32_only else ["f64", "f32"]:
            wrong = attempt_data(residua, case, inputs, outputs, precision)
            # Integers that f32 does not hold are refused, with this advice.
            if wrong and not (precision == "f32" and "--precision f64" in wrong):
                return f"{precision}: {wrong}"
    return None


def attempt_network(residua, name):
    data = Path(onnx.__file__).parent / "backend/test/data/light"
    model = onnx.load(data / f"light_{name}.onnx")
    expected = numpy_helper.to_array(onnx.load_tensor(str(data / f"light_{name}_output_0.pb")))
    stored = {tensor.name for tensor in model.graph.initializer} | {o for n in model.graph.node for o in n.output}
    inputs = [value for value in model.graph.input if value.name not in stored]
    feeds = {value.name: Runner.generate_dummy_data(value, seed=0, name=name, random=False) for value in inputs}
    with tempfile.TemporaryDirectory() as folder:
        wrong = [verdict([expected], *run(residua, model, feeds, Path(folder), precision), 1e-3, 1e-5) for precision in ("f64", "f32")]
        return next((wrong for wrong in wrong if wrong), None)


def reason(name):
    return next((reason for pattern, reason in SKIPPED.items() if fnmatch.fnmatch(name, pattern)), None)


def operators_of(case):
    return {node.op_type for node in case.model.graph.node}


def document(operators, passed, skipped):
    """The text of docs/operators.md."""
    own, within = Counter(), Counter()
    for case in passed:
        for name in operators_of(case):
            (own if len(case.model.graph.node) == 1 else within)[name] += 1
    left = Counter(name for case in skipped for name in operators_of(case) if len(case.model.graph.node) == 1)
    lines = [
        "# Operators of ONNX",
        "",
        *textwrap.wrap(
            "Written by `tests/peers/onnx_backend.py --update`, which runs every node test of the onnx package whose operators are all in "
            f"this table: {len(passed)} pass, {len(skipped)} are skipped for the reasons below, none fails. Its networks run as well, at "
            f"the tolerance of their own test: {', '.join(NETWORKS)}.",
            width=120,
        ),
        "",
        "The first count is of tests of the operator alone, the second of tests in which it is one of several: functions written",
        "out.",
        "",
        "| operator | operator sets | alone | within | skipped | what is not read, or only where it is known |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for name, (since, until, note) in operators.items():
        lines.append(f"| {name} | {since}–{until} | {own[name]} | {within[name]} | {left[name] or ''} | {note} |")
    lines += ["", "## Tests that are skipped", "", "| tests | how many | reason |", "| --- | ---: | --- |"]
    matched = Counter(next(p for p in SKIPPED if fnmatch.fnmatch(case.name, p)) for case in skipped)
    lines += [f"| `{pattern}` | {matched[pattern]} | {why} |" for pattern, why in SKIPPED.items() if matched[pattern]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--operators", required=True)
    parser.add_argument("--filter", default="")
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    operators = claimed(args.operators)
    cases = [case for case in collect_testcases(None) if case.model is not None and args.filter in case.name]
    cases = [case for case in cases if operators_of(case) <= operators.keys()]
    networks = [name for name in NETWORKS if args.filter in name]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda case: attempt_node(args.residua, case), cases))
        of_networks = list(pool.map(lambda name: attempt_network(args.residua, name), networks))
    failures = [f"light_{name}: {wrong}" for name, wrong in zip(networks, of_networks) if wrong]
    passed = [case for case, wrong in zip(cases, found) if wrong is None]
    skipped = [case for case, wrong in zip(cases, found) if wrong is not None and reason(case.name)]
    for case, wrong in zip(cases, found):
        if wrong is None and reason(case.name):
            failures.append(f"{case.name}: passes, and is listed to be skipped: {reason(case.name)}")
        elif wrong is not None and not reason(case.name):
            failures.append(f"{case.name}: {wrong}")
    if not args.filter:
        used = {pattern for pattern in SKIPPED for case in skipped if fnmatch.fnmatch(case.name, pattern)}
        failures += [f"no test is skipped for `{pattern}`" for pattern in SKIPPED if pattern not in used]
        text = document(operators, passed, skipped)
        if args.update:
            DOCUMENT.write_text(text)
        elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
            failures.append(f"{DOCUMENT.name} is not as it would be written; run this with --update")
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{len(passed)} node tests and {len(networks) - sum(wrong is not None for wrong in of_networks)} networks pass, {len(skipped)} are skipped, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
