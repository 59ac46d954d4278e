"""Holds ONNX models against the onnx checker and ONNX Runtime.

    python tests/peers/onnx_peer.py FOLDER [--least N] [--filter TEXT]

FOLDER has, for each `<model>.onnx`, `<model>.input.<i>.npy` and `<model>.output.<i>.npy`: what goes in and what the f64
reference engine computed; `cargo test -p residua-emit` leaves one in target/tmp/operators. Each model is checked (shape
inference strict), run, and compared. Operator sets that this ONNX Runtime does not know yet are checked and run with onnx's
own reference evaluator, and counted. Exits 1 when anything fails, or when fewer than N models were there.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

# Results are f32 and weights up to 2 in size; sums are of a few hundred terms.
TOLERANCE = 2e-6
# As half precision itself.
HALF_TOLERANCE = 5e-3
KINDS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


def arrays(path, kind):
    found = {int(p.name.split(".")[-2]): np.load(p) for p in path.parent.glob(f"{path.stem}.{kind}.*.npy")}
    return [found[index] for index in sorted(found)]


def difference(expected, found):
    if expected.shape != found.shape:
        return f"shape {found.shape}, expected {expected.shape}", np.inf
    gap = np.abs(expected - found.astype("float64")).max(initial=0)
    return None, gap / max(np.abs(expected).max(initial=0), 1e-30)


def runner(path, model):
    """What runs the model, and the types of its inputs."""
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Further levels compute with fewer bits than the model says: restored weights of 8 bits are multiplied as integers.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return session, [(i.name, KINDS[i.type]) for i in session.get_inputs()], "runtime"
    except Exception as error:
        unknown = ["is till opset", "Unsupported model IR version", "Could not find an implementation"]
        if not any(text in str(error) for text in unknown):
            raise
    numpy = onnx.helper.tensor_dtype_to_np_dtype
    inputs = [(i.name, numpy(i.type.tensor_type.elem_type)) for i in model.graph.input]
    return ReferenceEvaluator(model), inputs, "reference"


def attempt(path):
    """What is wrong, or None; the largest difference; and what ran it."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    given, expected = arrays(path, "input"), arrays(path, "output")
    if not expected:
        return None, 0, "checker"
    session, inputs, engine = runner(path, model)
    feeds = {name: array.astype(kind) for (name, kind), array in zip(inputs, given, strict=True)}
    found = session.run(None, feeds)
    if len(found) != len(expected):
        return f"{len(found)} outputs, expected {len(expected)}", np.inf, engine
    half = any(kind in ("float16", np.float16) for _, kind in inputs)
    results = [difference(e, np.asarray(f)) for e, f in zip(expected, found)]
    worst = max(gap for _, gap in results)
    wrong = next((wrong for wrong, _ in results if wrong), None)
    if wrong is None and not worst <= (HALF_TOLERANCE if half else TOLERANCE):
        wrong = f"differs by {worst:.1e}"
    return wrong, (0 if half else worst), engine


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--least", type=int, default=1)
    parser.add_argument("--filter", default="")
    args = parser.parse_args()
    paths = [path for path in sorted(args.folder.glob("*.onnx")) if args.filter in path.name]
    failed, worst, engines = 0, 0, {}
    for path in paths:
        try:
            wrong, gap, engine = attempt(path)
        except Exception as error:
            wrong, gap, engine = f"{type(error).__name__}: {str(error)[:300]}", 0, "none"
        engines[engine] = engines.get(engine, 0) + 1
        if wrong:
            failed += 1
            print(f"FAILED {path.name}: {wrong}")
        else:
            worst = max(worst, gap)
    ran = ", ".join(f"{count} by {engine}" for engine, count in sorted(engines.items()))
    print(f"{len(paths) - failed} passed, {failed} failed ({ran}); largest difference {worst:.1e}")
    if len(paths) < args.least:
        print(f"expected at least {args.least} models")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
