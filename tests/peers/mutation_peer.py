"""Changes exported ONNX models at random and asks residua, onnx's strict shape inference and ONNX Runtime what they make of each.

    python tests/peers/mutation_peer.py --residua target/release/residua [--count 400] [--seed 1] [--filter TEXT]

One attribute, one operand or one tensor's shape of a node is changed. What strict inference refuses, or ONNX Runtime when it loads
the model, `residua check` must refuse or find an error in; what ONNX Runtime computes, `residua run` must compute too, or say that it does not know
it. Run by hand: some differences are of opinion, and each is printed with what every side says. Exits 1 when there is any.
"""

import argparse
import collections
import json
import random
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

FIXTURES = Path(__file__).parents[2] / "fixtures" / "onnx"
TOLERANCE = 1e-4


def networks(folder, text):
    for group in ["keras", "torch"]:
        zipfile.ZipFile(FIXTURES / f"{group}.zip").extractall(folder / group)
        for path in sorted((folder / group).glob("*.onnx")):
            if text in path.name and not any(part in path.name for part in ["external", "half", "double"]):
                yield path, np.load(path.parent / f"{path.name.split('.')[0]}.golden.npz")


def change_attribute(rng, model, node):
    attributes = [a for a in node.attribute if a.type in (onnx.AttributeProto.INT, onnx.AttributeProto.INTS, onnx.AttributeProto.FLOAT)]
    if not attributes:
        return None
    attribute = rng.choice(attributes)
    step = rng.choice([-2, -1, 1, 2, 3])
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i += step
        return f"{attribute.name} = {attribute.i}"
    if attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = attribute.f * 2 + 0.125
        return f"{attribute.name} = {attribute.f}"
    if len(attribute.ints) and rng.random() < 0.8:
        at = rng.randrange(len(attribute.ints))
        attribute.ints[at] += step
    elif len(attribute.ints) and rng.random() < 0.5:
        del attribute.ints[-1]
    else:
        attribute.ints.append(1)
    return f"{attribute.name} = {list(attribute.ints)}"


def drop_attribute(rng, model, node):
    if not node.attribute:
        return None
    attribute = rng.choice(list(node.attribute))
    node.attribute.remove(attribute)
    return f"no {attribute.name}"


def change_operand(rng, model, node):
    names = [o for n in model.graph.node for o in n.output if o] + [i.name for i in model.graph.initializer]
    if not node.input:
        return None
    at = rng.randrange(len(node.input))
    order = {o: index for index, n in enumerate(model.graph.node) for o in n.output}
    here = order.get(node.output[0], 0)
    names = [name for name in names if order.get(name, -1) < here and name != node.input[at]]
    if not names:
        return None
    node.input[at] = rng.choice(names)
    return f"operand {at} = {node.input[at]}"


def drop_operand(rng, model, node):
    if len(node.input) < 2:
        return None
    if rng.random() < 0.5:
        del node.input[-1]
        return "last operand left out"
    at = rng.randrange(len(node.input))
    node.input[at] = ""
    return f"operand {at} empty"


def change_tensor(rng, model, node):
    mine = [i for i in model.graph.initializer if i.name in node.input and np.prod(i.dims) > 0]
    if not mine:
        return None
    tensor = rng.choice(mine)
    array = numpy_helper.to_array(tensor)
    kind = rng.choice(["cut", "turn", "flat", "more"])
    axis = rng.randrange(max(array.ndim, 1))
    if kind == "cut" and array.ndim and array.shape[axis] > 1:
        array = np.delete(array, -1, axis)
    elif kind == "turn" and array.ndim > 1:
        array = np.moveaxis(array, 0, 1)
    elif kind == "more" and array.ndim:
        array = np.concatenate([array, np.take(array, [0], axis)], axis)
    else:
        array = array.reshape(-1)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
    return f"tensor {tensor.name} is {list(array.shape)}"


def change_operator(rng, model, node):
    like = [["Add", "Mul", "Sub", "Div", "Max"], ["Relu", "Sigmoid", "Tanh", "Identity", "HardSigmoid", "Softmax"],
            ["MaxPool", "AveragePool", "LpPool"], ["GlobalAveragePool", "GlobalMaxPool"], ["ReduceMean", "ReduceMax"]]
    for group in like:
        if node.op_type in group:
            node.op_type = rng.choice([op for op in group if op != node.op_type])
            return f"operator = {node.op_type}"
    return None


CHANGES = [change_attribute] * 4 + [drop_attribute, change_operand, change_operand, drop_operand, change_tensor, change_tensor, change_operator]


def strict(model):
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    try:
        onnx.checker.check_model(bare, full_check=True)
        onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        return str(error).strip().replace("\n", " ")[:200]
    return None


def runtime(path, arrays):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feeds = {i.name: x for i, x in zip(session.get_inputs(), arrays)}
        return session.run(None, feeds), None
    except Exception as error:
        return None, str(error).strip().replace("\n", " ")[:200]


def residua(program, *words):
    done = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.strip().replace("\n", " ")[:200]


def verdict(program, path, model, arrays, folder):
    """What is wrong, or None, and a word for what happened."""
    checker = strict(model)
    wanted, refusal = runtime(path, arrays)
    code, out, error = residua(program, "check", path, "--format", "json")
    if code not in (0, 1, 2):
        return f"check ends with {code}: {error}", "crash"
    errors = [f for f in json.loads(out)["findings"] if f["level"] == "error"] if code == 1 else []
    # What reads another tensor than before may be a sound network with a strange topology.
    about_shapes = code == 2 or any(f["code"].startswith("R1") for f in errors)
    np.save(folder / "x.npy", arrays[0])
    ran, _, problem = residua(program, "run", path, "--input", folder / "x.npy", "--output", folder / "y.npy", "--quiet")
    if ran == 0:
        if wanted is None and checker is None:
            return f"runs here, ONNX Runtime: {refusal}", "runs"
        if wanted is None:
            return None if about_shapes else f"runs here and is sound, ONNX Runtime: {refusal}; onnx: {checker}", "runs"
        found = np.load(folder / "y.npy")
        if found.shape != wanted[0].shape:
            return f"gives {found.shape}, ONNX Runtime {wanted[0].shape}", "shape"
        both = np.isfinite(wanted[0])
        if not (np.isfinite(found) == both).all():
            return None, "infinite"
        scale = max(np.abs(wanted[0][both]).max(initial=0), 1e-30)
        gap = np.abs(found[both].astype("float64") - wanted[0][both]).max(initial=0) / scale
        if not gap <= TOLERANCE:
            return f"differs by {gap:.1e} from ONNX Runtime", "numbers"
        if checker and not about_shapes:
            return f"sound and runs alike, onnx says {checker}", "stricter"
        return None, "same"
    if wanted is not None:
        unknown = "is not known" in problem or "not known" in problem
        return (None if unknown else f"is refused ({problem}), ONNX Runtime runs it"), "unknown" if unknown else "refused"
    # What fails for some sizes only is found when these are given.
    at_once = checker or "Load model" in (refusal or "")
    if not about_shapes and code == 0 and at_once:
        return f"check finds nothing, run says {problem}; ONNX Runtime: {refusal}", "unfound"
    return None, "both refuse"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True, type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--filter", default="")
    parser.add_argument("--keep", type=Path, help="where to keep what is different")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    tally = collections.Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sources = list(networks(folder, args.filter))
        for index in range(args.count):
            path, golden = rng.choice(sources)
            arrays = [golden[key] for key in golden.files if key.startswith("input/")]
            if "nchw" in path.name and path.parent.name == "keras":
                arrays = [np.moveaxis(x, -1, 1) for x in arrays]
            model = onnx.load(str(path))
            node = rng.choice([n for n in model.graph.node if n.op_type not in ("Constant", "Identity")])
            said = rng.choice(CHANGES)(rng, model, node)
            if not said:
                continue
            changed = folder / "changed.onnx"
            onnx.save(model, str(changed))
            problem, word = verdict(args.residua.resolve(), changed, model, arrays, folder)
            tally[word] += 1
            if problem:
                wrong += 1
                print(f"{index} {path.name} {node.op_type} `{node.name or node.output[0]}`, {said}: {problem}", flush=True)
                if args.keep:
                    args.keep.mkdir(exist_ok=True)
                    changed.rename(args.keep / f"{args.seed}-{index}.onnx")
    print(", ".join(f"{count} {word}" for word, count in sorted(tally.items())), f"; {wrong} to look at")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
