"""Quantised networks and Microsoft's operators: what residua computes is held against ONNX Runtime. Not part of CI, since torch weighs gigabytes.

    python -m venv venv && venv/bin/pip install -r tests/peers/requirements-torch.txt
    venv/bin/python tests/peers/quantised_peer.py --residua target/release/residua [--keep FOLDER] [--inputs 100] [operators] [NAME ...]

Operators: one node each, with random scales and zero points over the whole range of its integers. Networks: made by torchvision at full size with
seeded weights and statistics of their own activations, quantised by ONNX Runtime in every form of `FORMS`, and run on the same images by both. With 8
bits, every output must be the same integer and every first class the same, in both engines; with 16, where a step is about what f32 rounds, the largest
difference is printed in steps of the output.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

warnings.filterwarnings("ignore")
EXACT = ["qdq-u8", "qdq-u8-channels", "qdq-u8-reduced", "qdq-s8", "qdq-s8-channels", "qdq-s8-symmetric", "qop-u8u8", "qop-u8s8-channels", "dynamic"]
ROUNDED = ["qdq-s16"]
NETWORKS = ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small"]


def residua(binary, model, feeds, folder, precision="f32"):
    """Outputs in the model's order, or what it says where it refuses."""
    np.savez(os.path.join(folder, "inputs.npz"), **feeds)
    command = [binary, "run", model, "--input", os.path.join(folder, "inputs.npz"), "--output", os.path.join(folder, "outputs.npz"), "--precision", precision, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
    outputs = np.load(os.path.join(folder, "outputs.npz"))
    return [outputs[name] for name in outputs.files]


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


# Operators


class Node:
    """A model of one node of Microsoft's domain; operands are inputs where they are arrays named so, and tensors of the model otherwise."""

    def __init__(self, name, op, inputs, constants, outputs, domain="com.microsoft", tolerance=0, **attributes):
        self.name, self.feeds, self.tolerance = name, inputs, tolerance
        operands = list(attributes.pop("order"))
        node = helper.make_node(op, operands, outputs, domain=domain, **attributes)
        info = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in inputs.items()]
        given = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
        zero = next((v for k, v in constants.items() if k in ("y_zero", "c_zero")), None)
        kind = zero.dtype if zero is not None else inputs["x"].dtype if op == "NhwcMaxPool" else np.dtype("f4")
        results = [helper.make_tensor_value_info(o, helper.np_dtype_to_tensor_dtype(kind), None) for o in outputs if o]
        graph = helper.make_graph([node], name, info, results, given)
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)


def operators():
    random = np.random.default_rng(7)
    f = lambda *shape: random.standard_normal(shape).astype("f4")

    def integers(kind, *shape):
        info = np.iinfo(kind)
        return random.integers(info.min, info.max + 1, shape).astype(kind)

    def grid(name, kind, low=0.002, high=0.05):
        info = np.iinfo(kind)
        return {f"{name}_scale": np.float32(random.uniform(low, high)), f"{name}_zero": np.array(random.integers(info.min, info.max + 1), kind)}

    for kind in ("u1", "i1"):
        grids = lambda *names, **kw: {k: v for name in names for k, v in grid(name, kind, **kw).items()}
        x, y = integers(kind, 2, 6, 9, 10), integers(kind, 2, 6, 9, 10)
        pair = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "c_scale", "c_zero"]
        for op in ("QLinearAdd", "QLinearMul"):
            # Adding signed integers is done in one way alone and in another between QuantizeLinear and DequantizeLinear.
            near = 1 if kind == "i1" else 0
            yield Node(f"{op} {kind}", op, {"a": x, "b": y}, grids("a", "b", "c"), ["y"], order=pair, tolerance=near)
            yield Node(f"{op} {kind} stretched", op, {"a": x, "b": integers(kind, 2, 6, 1, 1)}, grids("a", "b", "c"), ["y"], order=pair, tolerance=near)
            yield Node(f"{op} {kind} stretched left", op, {"a": integers(kind, 1, 6, 1, 1), "b": y}, grids("a", "b", "c"), ["y"], order=pair, tolerance=near)
        unary = ["x", "x_scale", "x_zero", "y_scale", "y_zero"]
        yield Node(f"QLinearSigmoid {kind}", "QLinearSigmoid", {"x": x}, grids("x", "y"), ["y"], order=unary, tolerance=1)
        yield Node(f"QLinearLeakyRelu {kind}", "QLinearLeakyRelu", {"x": x}, grids("x", "y"), ["y"], order=unary, alpha=0.1, tolerance=1)
        yield Node(f"QLinearSoftmax {kind}", "QLinearSoftmax", {"x": x}, {**grids("x"), "y_scale": np.float32(1 / 256), "y_zero": np.array(np.iinfo(kind).min, kind)}, ["y"], order=unary, axis=1, opset=13, tolerance=1)
        for last in (0, 1):
            yield Node(f"QLinearGlobalAveragePool {kind} {last}", "QLinearGlobalAveragePool", {"x": x}, grids("x", "y"), ["y"], order=unary, channels_last=last, tolerance=1 if kind == "i1" else 0)
            yield Node(f"QLinearAveragePool {kind} {last}", "QLinearAveragePool", {"x": x}, grids("x", "y"), ["y"], order=unary, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], channels_last=last, tolerance=1)
        yield Node(f"QLinearReduceMean {kind}", "QLinearReduceMean", {"x": x}, grids("x", "y"), ["y"], order=unary, axes=[2, 3], keepdims=1, tolerance=1)
        join = ["y_scale", "y_zero", "a", "a_scale", "a_zero", "b", "b_scale", "b_zero"]
        yield Node(f"QLinearConcat {kind}", "QLinearConcat", {"a": x, "b": y}, grids("a", "b", "y"), ["y"], order=join, axis=1, tolerance=1)
        where = ["condition", "a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
        yield Node(f"QLinearWhere {kind}", "QLinearWhere", {"condition": random.random(x.shape) > 0.5, "a": x, "b": y}, grids("a", "b", "y"), ["y"], order=where, tolerance=1)
        yield Node(f"NhwcMaxPool {kind}", "NhwcMaxPool", {"x": x}, {}, ["y"], order=["x"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
        conv = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero", "bias"]
        for last in (0, 1):
            given = {**grids("x"), "w": integers("i1", 8, 10 if last else 6, 3, 3), "w_scale": random.uniform(0.002, 0.01, 8).astype("f4"), "w_zero": np.zeros(8, "i1"), **grids("y", low=0.3, high=0.6), "bias": random.integers(-5000, 5000, 8).astype("i4")}
            yield Node(f"QLinearConv {kind} {last}", "QLinearConv", {"x": x}, given, ["y"], order=conv, pads=[1, 1, 1, 1], channels_last=last)
        gemm = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "c", "y_scale", "y_zero"]
        for turned in (0, 1):
            given = {**grids("a"), "b": integers("i1", 7, 40) if turned else integers("i1", 40, 7), "b_scale": random.uniform(0.002, 0.01, 7).astype("f4"), "b_zero": np.zeros(7, "i1"), "c": random.integers(-5000, 5000, 7).astype("i4")}
            yield Node(f"QGemm {kind} {turned}", "QGemm", {"a": integers(kind, 5, 40)}, {**given, **grids("y", low=0.3, high=0.6)}, ["y"], order=gemm, transB=turned, alpha=1.0)
            yield Node(f"QGemm {kind} {turned} real", "QGemm", {"a": integers(kind, 5, 40)}, given, ["y"], order=gemm[:7], transB=turned, alpha=0.5, tolerance=1e-5)
        product = ["a", "b", "a_scale", "b_scale", "a_zero", "b_zero", "c"]
        given = {"b": integers("i1", 40, 7), "a_scale": np.float32(0.02), "a_zero": np.array(3, kind), "b_scale": random.uniform(0.002, 0.01, 7).astype("f4"), "b_zero": np.zeros(7, "i1"), "c": f(7)}
        yield Node(f"MatMulIntegerToFloat {kind}", "MatMulIntegerToFloat", {"a": integers(kind, 2, 5, 40)}, given, ["y"], order=product, tolerance=1e-5)
    dynamic = {"b": integers("i1", 40, 7), "b_scale": random.uniform(0.002, 0.01, 7).astype("f4"), "b_zero": np.zeros(7, "i1"), "c": f(7)}
    yield Node("DynamicQuantizeMatMul", "DynamicQuantizeMatMul", {"a": f(5, 40)}, dynamic, ["y"], order=["a", "b", "b_scale", "b_zero", "c"], tolerance=1e-5)
    x = f(2, 4, 8, 7)
    for function, listed in (("Relu", None), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.7]), ("HardSigmoid", [0.3, 0.4]), ("Sigmoid", None), ("Tanh", None)):
        more = {"activation_params": listed} if listed else {}
        yield Node(f"FusedConv {function}", "FusedConv", {"x": x}, {"w": f(6, 4, 3, 3), "b": f(6)}, ["y"], order=["x", "w", "b"], activation=function, pads=[1, 1, 1, 1], tolerance=1e-5, **more)
    yield Node("FusedConv and a sum", "FusedConv", {"x": x, "z": f(2, 6, 8, 7)}, {"w": f(6, 4, 3, 3), "b": f(6)}, ["y"], order=["x", "w", "b", "z"], activation="Relu", pads=[1, 1, 1, 1], tolerance=1e-5)
    yield Node("FusedGemm", "FusedGemm", {"x": f(3, 5)}, {"w": f(4, 5), "b": f(4)}, ["y"], order=["x", "w", "b"], activation="Relu", transB=1, tolerance=1e-5)
    yield Node("FusedGemm leaky", "FusedGemm", {"x": f(3, 5)}, {"w": f(5, 4), "b": f(4)}, ["y"], order=["x", "w", "b"], activation="LeakyRelu", activation_alpha=0.2, alpha=0.5, beta=2.0, tolerance=1e-5)
    yield Node("FusedMatMul", "FusedMatMul", {"a": f(2, 5, 3), "b": f(2, 4, 5)}, {}, ["y"], order=["a", "b"], alpha=0.25, transA=1, transB=1, tolerance=1e-5)
    row = f(2, 3, 8)
    yield Node("Gelu", "Gelu", {"x": row}, {}, ["y"], order=["x"], tolerance=1e-5)
    yield Node("BiasGelu", "BiasGelu", {"x": row}, {"b": f(8)}, ["y"], order=["x", "b"], tolerance=1e-5)
    yield Node("FastGelu", "FastGelu", {"x": row}, {}, ["y"], order=["x"], tolerance=1e-5)
    yield Node("FastGelu and a bias", "FastGelu", {"x": row}, {"b": f(8)}, ["y"], order=["x", "b"], tolerance=1e-5)
    yield Node("QuickGelu", "QuickGelu", {"x": row}, {}, ["y"], order=["x"], alpha=1.5, tolerance=1e-5)
    norm = {"scale": f(8), "offset": f(8), "bias": f(8)}
    for given, outputs in ((["scale"], ["y"]), (["scale", "offset"], ["y", "", "", "sum"]), (["scale", "offset", "bias"], ["y", "", "", "sum"])):
        yield Node(f"SkipLayerNormalization of {len(given)}", "SkipLayerNormalization", {"x": row, "skip": f(2, 3, 8)}, {k: norm[k] for k in given}, outputs, order=["x", "skip", *given], epsilon=1e-5, tolerance=1e-5)
    yield Node("SkipSimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", {"x": row, "skip": f(2, 3, 8)}, {k: norm[k] for k in ("scale", "bias")}, ["y", "", "", "sum"], order=["x", "skip", "scale", "bias"], epsilon=1e-5, tolerance=1e-5)
    yield Node("SimplifiedLayerNormalization", "SimplifiedLayerNormalization", {"x": row}, {"scale": f(8)}, ["y"], order=["x", "scale"], domain="", epsilon=1e-5, tolerance=1e-5)


def check_operators(binary, folder, failures):
    count = 0
    for node in operators():
        path = os.path.join(folder, "operator.onnx")
        onnx.save(node.model, path)
        try:
            expected = session(path).run(None, node.feeds)
        except Exception as error:
            print(f"{node.name:36} ONNX Runtime does not run it: {str(error)[:120]}")
            continue
        count += 1
        for precision in ("f32", "f64"):
            found = residua(binary, path, node.feeds, folder, precision)
            if isinstance(found, str):
                failures.append(f"{node.name}: {found}")
                break
            for e, o in zip(expected, found):
                off = np.abs(e.astype("f8") - o.astype("f8"))
                # Integers may be one off where that is said, and then only few of them.
                whole = e.dtype.kind in "iu"
                wrong = e.shape != o.shape or off.max() > node.tolerance * (1 if whole else max(1, np.abs(e).max())) or (whole and node.tolerance and np.mean(off > 0) > 0.02)
                if wrong:
                    failures.append(f"{node.name} in {precision}: shape {o.shape} for {e.shape}, off by {off.max() if e.shape == o.shape else '?'}, {np.mean(off > 0):.2%} of them")
    print(f"{count} operators, {len(failures)} wrong")
    if count < 60:
        failures.append("ONNX Runtime runs fewer of them than it did")


# Networks


def settle(torch, model):
    """Weights as they are made, statistics of the model's own activations."""
    torch.manual_seed(7)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
        model.train()
        for _ in range(3):
            model(torch.rand(4, 3, 96, 96) * 2 - 1)
    return model.eval()


def quantised(name, folder, size, forms):
    """(form, path) of one network."""
    import torch
    import torchvision
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(0)
            self.left = iter([{"x": random.random((1, 3, size, size), dtype="f4") * 2 - 1} for _ in range(4)])

        def get_next(self):
            return next(self.left, None)

    torch.manual_seed(1)
    plain, prepared = os.path.join(folder, f"{name}.onnx"), os.path.join(folder, f"{name}.prepared.onnx")
    model = settle(torch, torchvision.models.get_model(name, weights=None))
    torch.onnx.export(model, (torch.rand(1, 3, size, size),), plain, input_names=["x"], output_names=["y"], opset_version=17, dynamo=False, dynamic_axes={"x": {0: "N"}, "y": {0: "N"}})
    quant_pre_process(plain, prepared)
    q, o = QuantFormat.QDQ, QuantFormat.QOperator
    u8, s8, s16 = QuantType.QUInt8, QuantType.QInt8, QuantType.QInt16
    options = {
        "qdq-u8": (q, u8, s8, {}),
        "qdq-u8-channels": (q, u8, s8, {"per_channel": True}),
        "qdq-u8-reduced": (q, u8, s8, {"per_channel": True, "reduce_range": True}),
        "qop-u8u8": (o, u8, u8, {}),
        "qop-u8s8-channels": (o, u8, s8, {"per_channel": True}),
        # What quantize_static does where nothing is said.
        "qdq-s8": (q, s8, s8, {}),
        "qdq-s8-channels": (q, s8, s8, {"per_channel": True}),
        "qdq-s8-symmetric": (q, s8, s8, {"per_channel": True, "extra_options": {"ActivationSymmetric": True}}),
        "qdq-s16": (q, s16, s8, {"per_channel": True}),
    }
    for form in forms:
        path = os.path.join(folder, f"{name}.{form}.onnx")
        if form == "dynamic":
            quantize_dynamic(prepared, path, weight_type=u8)
        else:
            kind, activations, weights, more = options[form]
            quantize_static(prepared, path, Images(), quant_format=kind, activation_type=activations, weight_type=weights, **more)
        yield form, path


def output_step(path):
    """The scale of the output, where it is quantised."""
    graph = onnx.load(path).graph
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    return float(numpy_helper.to_array(tensors[last.input[1]])) if last.op_type == "DequantizeLinear" else None


def check_network(binary, name, folder, size, count, forms, failures):
    random = np.random.default_rng(5)
    x = (random.random((count, 3, size, size), dtype="f4") * 2 - 1) * np.linspace(0.2, 1, count, dtype="f4")[:, None, None, None]
    for form, path in quantised(name, folder, size, forms):
        expected = session(path).run(None, {"x": x})[0]
        step = output_step(path) or float(np.abs(expected).max()) * 1e-5
        for precision in ("f32", "f64"):
            found = residua(binary, path, {"x": x}, folder, precision)
            if isinstance(found, str):
                failures.append(f"{name} {form}: {found}")
                continue
            steps = float(np.abs(expected.astype("f8") - found[0]).max() / step)
            same = int((expected.argmax(1) == found[0].argmax(1)).sum())
            print(f"{name:20} {form:20} {precision}  off by {steps:8.3f} steps  same first class {same} of {count}", flush=True)
            if form in EXACT and not (steps <= 0.05 and same == count):
                failures.append(f"{name} {form}: off by {steps} steps, {same} of {count} first classes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--keep")
    parser.add_argument("--inputs", type=int, default=100)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--forms", nargs="*", default=[*EXACT, *ROUNDED])
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    names, failures = args.names or ["operators", *NETWORKS], []
    with tempfile.TemporaryDirectory(dir=args.keep) as folder:
        for name in names:
            if name == "operators":
                check_operators(args.residua, folder, failures)
            else:
                check_network(args.residua, name, folder, args.size, args.inputs, args.forms, failures)
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
