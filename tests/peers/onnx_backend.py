"""Runs the backend tests of the onnx package with residua: every operator that is claimed, and the real networks.

    python tests/peers/onnx_backend.py --residua target/debug/residua [--filter TEXT]

A node test is one of `onnx.backend.test` whose operators are all claimed. What residua refuses (exit 2, saying why) is
counted and may not be more than there was; what it computes must be right. Operands that most models have as constants
(axes, shapes, bounds) are inputs in these tests; where that is refused, they are tried as constants. The networks are the
`light_*` models with onnx's own input and output. Exits 1 when a result is wrong, or when fewer pass than did.
"""

import argparse
import subprocess
import sys
import tempfile
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

CLAIMED = set("""Conv MaxPool AveragePool GlobalAveragePool GlobalMaxPool Pad BatchNormalization GroupNormalization
    InstanceNormalization LayerNormalization Relu Sigmoid Tanh Softplus Softsign Mish HardSwish Exp Log Sqrt Reciprocal Abs
    Neg Erf LeakyRelu ThresholdedRelu Elu Selu Gelu HardSigmoid Swish Clip PRelu Add Sub Mul Div Pow Sum Max Min Mean Gemm
    MatMul ReduceMean ReduceSum ReduceMax ReduceMin Concat Flatten Reshape Transpose Squeeze Unsqueeze Slice Softmax
    LogSoftmax Cast Identity Dropout""".split())
# Local response normalisation is not claimed.
NETWORKS = ["densenet121", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19"]
# Passed when this was written.
LEAST = 315


def run(residua, model, feeds, folder):
    """Exit status, outputs or message."""
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **feeds)
    command = [residua, "run", folder / "model.onnx", "--input", folder / "inputs.npz", "--quiet"]
    command += ["--output", folder / "outputs.npz", "--precision", "f64"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return done.returncode, done.stderr.strip()
    outputs = np.load(folder / "outputs.npz")
    return 0, [outputs[name] for name in outputs.files]


def with_constants(model, feeds):
    """The same model with all inputs but the first as initializers."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    first, *others = feeds
    changed.graph.initializer.extend(numpy_helper.from_array(feeds[name], name) for name in others)
    kept = [value for value in changed.graph.input if value.name == first]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    return changed, {first: feeds[first]}


def verdict(expected, status, found, rtol, atol):
    if status in (1, 2):
        return "refused", found
    if status != 0:
        return "wrong", f"exit {status}: {found[-300:]}"
    if len(found) != len(expected):
        return "wrong", f"{len(found)} outputs, expected {len(expected)}"
    for e, f in zip(expected, found):
        if e.shape != f.shape:
            return "wrong", f"shape {f.shape}, expected {e.shape}"
        if not np.allclose(e.astype("f8"), f.astype("f8"), rtol=rtol, atol=atol, equal_nan=True):
            return "wrong", f"differs by {np.abs(e.astype('f8') - f.astype('f8')).max():.1e}"
    return "passed", ""


def attempt_node(residua, case):
    results = []
    for inputs, outputs in case.data_sets:
        if not all(isinstance(x, np.ndarray) and x.dtype.kind in "fiub" for x in [*inputs, *outputs]):
            continue
        feeds = {value.name: x for value, x in zip(case.model.graph.input, inputs)}
        with tempfile.TemporaryDirectory() as folder:
            status, found = run(residua, case.model, feeds, Path(folder))
            if status != 0 and len(feeds) > 1:
                status, found = run(residua, *with_constants(case.model, feeds), Path(folder))
        # Halves are rounded once more than they are here.
        half = any(x.dtype == np.float16 for x in [*inputs, *outputs])
        results.append((case.name, *verdict(outputs, status, found, 5e-3 if half else case.rtol, max(case.atol, 1e-6))))
    return results


def attempt_network(residua, name):
    data = Path(onnx.__file__).parent / "backend/test/data/light"
    model = onnx.load(data / f"light_{name}.onnx")
    expected = numpy_helper.to_array(onnx.load_tensor(str(data / f"light_{name}_output_0.pb")))
    stored = {tensor.name for tensor in model.graph.initializer} | {o for n in model.graph.node for o in n.output}
    inputs = [value for value in model.graph.input if value.name not in stored]
    feeds = {value.name: Runner.generate_dummy_data(value, seed=0, name=name, random=False) for value in inputs}
    with tempfile.TemporaryDirectory() as folder:
        return [(name, *verdict([expected], *run(residua, model, feeds, Path(folder)), 1e-3, 1e-5))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--filter", default="")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    cases = [case for case in collect_testcases(None) if case.model is not None and args.filter in case.name]
    claimed = [case for case in cases if {node.op_type for node in case.model.graph.node} <= CLAIMED]
    networks = [name for name in NETWORKS if args.filter in name]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: attempt_node(args.residua, case), claimed))
        results += list(pool.map(lambda name: attempt_network(args.residua, name), networks))
    results = [result for group in results for result in group]
    count = Counter(outcome for _, outcome, _ in results)
    for name, outcome, message in results:
        if outcome == "wrong" or args.verbose and outcome == "refused":
            print(f"{outcome.upper()} {name}: {message}")
    refused_networks = [name for name, outcome, _ in results if name in NETWORKS and outcome != "passed"]
    print(f"{count['passed']} passed, {count['refused']} refused, {count['wrong']} wrong")
    if refused_networks:
        print(f"networks that do not run: {', '.join(refused_networks)}")
        return 1
    if not args.filter and count["passed"] < LEAST:
        print(f"expected at least {LEAST} to pass")
        return 1
    return 1 if count["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
