"""Plants faults in files that frameworks wrote, and asks `residua check` for each by code and node.

    python tests/peers/planted_peer.py --residua target/debug/residua [--onnx EXPORT.onnx ...]

Two generators: one edits graphs as torch.onnx exports them (of the fixtures, and any torchvision ResNet given with
--onnx that was exported with its batch norms), one edits the configuration in `.keras` archives of ResNet50 and
ResNet50V2 of Keras Applications. Each fault is one edit of a sound file. What must hold: the sound file passes; the fault
is told with its code at its node, at its level or above; exit status 1 where it is an error and 0 where not; and nothing
else is called an error. Needs onnx alone. Exits 1 when anything fails.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

FIXTURES = Path(__file__).parents[2] / "fixtures"
# Fewer faults than this mean that a generator found no place for them.
LEAST = 55


class Graph:
    """An exported graph by the names of its nodes."""

    def __init__(self, model):
        self.model = copy.deepcopy(model)
        self.nodes = {node.name: node for node in self.model.graph.node}
        self.tensors = {tensor.name: tensor for tensor in self.model.graph.initializer}

    def out(self, name):
        return self.nodes[name].output[0]

    def redirect(self, old, new):
        for node in self.model.graph.node:
            for at, value in enumerate(node.input):
                if value == old:
                    node.input[at] = new

    def remove(self, name):
        self.model.graph.node.remove(self.nodes.pop(name))

    def bypass(self, name):
        self.redirect(self.out(name), self.nodes[name].input[0])
        self.remove(name)

    def insert(self, before, op, name, inputs, **attributes):
        node = onnx.helper.make_node(op, inputs, [f"{name}_out"], name=name, **attributes)
        at = list(self.model.graph.node).index(self.nodes[before])
        self.model.graph.node.insert(at, node)
        self.nodes[name] = node
        return f"{name}_out"

    def attribute(self, node, name, value):
        kept = [a for a in self.nodes[node].attribute if a.name != name]
        del self.nodes[node].attribute[:]
        self.nodes[node].attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    def change(self, tensor, edit):
        values = numpy_helper.to_array(self.tensors[tensor]).copy()
        values = edit(values)
        self.tensors[tensor].CopyFrom(numpy_helper.from_array(values, tensor))

    def save(self, path):
        # What was declared of values inside the graph is not true of them any more.
        del self.model.graph.value_info[:]
        onnx.save(self.model, path)


def filled(value, at=slice(None)):
    def edit(values):
        values.reshape(-1)[at] = value
        return values

    return edit


def torch_faults(model):
    """(what, code, level, node, edit) for a torchvision ResNet; the block is the last of its second stage."""
    names = {node.name for node in model.graph.node}
    stage = 2
    last = max(b for b in range(100) if f"/layer{stage}/layer{stage}.{b}/Add" in names)
    block, before = (f"/layer{stage}/layer{stage}.{b}" for b in (last, last - 1))
    tensors = f"layer{stage}.{last}"
    first = "/layer3/layer3.0"
    convs = sum(f"{block}/conv{i}/Conv" in names for i in (1, 2, 3))
    add, end = f"{block}/Add", f"{block}/bn{convs}/BatchNormalization"
    conv1, bn1 = f"{block}/conv1/Conv", f"{block}/bn1/BatchNormalization"
    wide = f"{block}/conv{2 if convs == 3 else 1}/Conv"
    relu_behind = f"{block}/relu_{convs - 1}/Relu"
    entry = f"{before}/relu_{convs - 1}/Relu"

    def lose_sum(g):
        g.redirect(g.out(add), g.out(end))
        g.remove(add)

    def operand(g, node, old, new):
        inputs = g.nodes[node].input
        inputs[list(inputs).index(old)] = new

    def project(g):
        channels = numpy_helper.to_array(g.tensors[f"{tensors}.bn{convs}.weight"]).size
        kernel = np.random.default_rng(0).normal(size=(channels, channels, 1, 1)).astype("float32")
        g.model.graph.initializer.append(numpy_helper.from_array(kernel, "needless.weight"))
        out = g.insert(add, "Conv", "needless", [g.out(entry), "needless.weight"], kernel_shape=[1, 1])
        operand(g, add, g.out(entry), out)

    def lose_projection(g):
        side = f"{first}/downsample/downsample.1/BatchNormalization"
        source = g.nodes[f"{first}/downsample/downsample.0/Conv"].input[0]
        operand(g, f"{first}/Add", g.out(side), source)
        g.remove(side)
        g.remove(f"{first}/downsample/downsample.0/Conv")

    def narrow(g):
        g.change("layer3.0.downsample.0.weight", lambda v: v[:1])
        for part in ("weight", "bias", "running_mean", "running_var"):
            g.change(f"layer3.0.downsample.1.{part}", lambda v: v[:1])

    def relu_on_identity(g):
        operand(g, add, g.out(entry), g.insert(add, "Relu", "on_identity", [g.out(entry)]))

    def move_stride(g):
        from_, to = ("conv2", "conv1") if convs == 3 else ("conv1", "conv2")
        g.attribute(f"{first}/{from_}/Conv", "strides", [1, 1])
        g.attribute(f"{first}/{to}/Conv", "strides", [2, 2])

    def five(g):
        name = g.nodes[wide].input[1]
        g.change(name, lambda v: np.pad(v, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="linear_ramp", end_values=0.01))
        g.attribute(wide, "kernel_shape", [5, 5])
        g.attribute(wide, "pads", [2, 2, 2, 2])

    def keep_size(g):
        for node in (f"{first}/conv{2 if convs == 3 else 1}/Conv", f"{first}/downsample/downsample.0/Conv"):
            g.attribute(node, "strides", [1, 1])

    def dangle(g):
        g.insert(relu_behind, "Tanh", "nowhere", [g.out(add)])

    def copy(g):
        other = numpy_helper.to_array(g.tensors[f"layer{stage}.{last - 1}.conv2.weight"]).copy()
        g.change(f"{tensors}.conv2.weight", lambda _: other)

    def plain(g):
        for name in [n for n in g.nodes if n.endswith("/Add")]:
            g.redirect(g.out(name), g.nodes[name].input[0])
            g.remove(name)

    moved = f"{first}/{'conv1' if convs == 3 else 'conv2'}/Conv"
    yield "a block without its sum", "R202", "error", conv1, lose_sum
    yield "a sum of the main path and itself", "R202", "error", add, lambda g: operand(g, add, g.out(entry), g.out(end))
    yield "a product for a sum", "R202", "error", add, lambda g: setattr(g.nodes[add], "op_type", "Mul")
    yield "a shortcut before the activation", "R205", "error", add, lambda g: operand(g, add, g.out(entry), g.out(f"{before}/Add"))
    yield "a main path around a sum", "R206", "error", conv1, lambda g: operand(g, conv1, g.out(entry), g.out(f"{before}/bn{convs}/BatchNormalization"))
    yield "an identity where the shape changes", "R207", "error", f"{first}/Add", lose_projection
    yield "a needless projection", "R208", "warning", "needless", project
    yield "no ReLU behind a sum", "R209", "error", add, lambda g: g.bypass(relu_behind)
    yield "no ReLU between convolutions", "R209", "error", bn1, lambda g: g.bypass(f"{block}/relu/Relu")
    yield "no norm", "R209", "error", conv1, lambda g: g.bypass(bn1)
    yield "a ReLU on the identity", "R210", "error", "on_identity", relu_on_identity
    yield "a moved stride", "R211", "error", moved, move_stride
    yield "a stage that keeps its size", "R212", "note", f"{first}/downsample/downsample.0/Conv", keep_size
    yield "an epsilon", "R203", "warning", bn1, lambda g: g.attribute(bn1, "epsilon", 1e-3)
    yield "a padding", "R214", "warning", wide, lambda g: g.attribute(wide, "pads", [0, 0, 2, 2])
    yield "a kernel", "R201", "error", wide, five
    yield "a branch of one channel", "R217", "error", f"{first}/Add", narrow
    yield "channels", "R101", "error", wide, lambda g: g.change(g.nodes[wide].input[1], lambda v: v[:, 1:])
    yield "groups", "R101", "error", wide, lambda g: g.attribute(wide, "group", 2)
    yield "a node that leads nowhere", "R104", "warning", "nowhere", dangle
    yield "no sum at all", "R216", "note", None, plain
    yield "NaN", "R301", "error", conv1, lambda g: g.change(g.nodes[conv1].input[1], filled(np.nan, 5))
    yield "infinity", "R301", "error", bn1, lambda g: g.change(f"{tensors}.bn1.bias", filled(np.inf, 1))
    yield "a negative variance", "R302", "error", bn1, lambda g: g.change(f"{tensors}.bn1.running_var", filled(-0.5, 1))
    yield "a zero kernel", "R303", "warning", conv1, lambda g: g.change(g.nodes[conv1].input[1], filled(0))
    yield "no scale", "R305", "warning", bn1, lambda g: g.change(f"{tensors}.bn1.weight", filled(0))
    yield "a copied kernel", "R306", "warning", f"{block}/conv2/Conv", copy
    yield "no variance", "R308", "warning", bn1, lambda g: g.change(f"{tensors}.bn1.running_var", filled(0))

    def untouched(g):
        g.change(f"{tensors}.bn1.running_mean", filled(0))
        g.change(f"{tensors}.bn1.running_var", filled(1))

    yield "statistics as created", "R307", "warning", bn1, untouched


class Config:
    """The configuration of a functional Keras model by the names of its layers."""

    def __init__(self, config):
        self.config = copy.deepcopy(config)
        self.layers = {layer["config"]["name"]: layer for layer in self.config["config"]["layers"]}

    def histories(self, name):
        """The places in which a layer says what it reads."""
        found = []

        def walk(item):
            if isinstance(item, dict):
                if item.get("class_name") == "__keras_tensor__":
                    found.append(item["config"]["keras_history"])
                for value in item.values():
                    walk(value)
            elif isinstance(item, list):
                for value in item:
                    walk(value)

        walk(self.layers[name]["inbound_nodes"])
        return found

    def reads(self, name):
        return [history[0] for history in self.histories(name)]

    def rewire(self, name, old, new):
        history = next(h for h in self.histories(name) if h[0] == old)
        history[0] = new

    def redirect(self, old, new):
        for name in self.layers:
            for history in self.histories(name):
                if history[0] == old:
                    history[0] = new

    def remove(self, name):
        self.config["config"]["layers"].remove(self.layers.pop(name))

    def bypass(self, name):
        self.redirect(name, self.reads(name)[0])
        self.remove(name)

    def set(self, name, key, value):
        self.layers[name]["config"][key] = value

    def insert(self, like, name, reads, **settings):
        layer = copy.deepcopy(self.layers[like])
        layer["name"] = layer["config"]["name"] = name
        layer["config"].update(settings)
        self.layers[name] = layer
        for history in self.histories(name):
            history[0] = reads
        place = self.config["config"]["layers"].index(self.layers[reads])
        self.config["config"]["layers"].insert(place + 1, layer)


def keras_faults(config):
    """(what, code, level, node, edit) for ResNet50 or ResNet50V2; the block is the second of stage 4."""
    v2 = any("preact" in layer["config"]["name"] for layer in config["config"]["layers"])
    block, before = "conv4_block2", "conv4_block1"
    add = f"{block}_out" if v2 else f"{block}_add"
    sum_before = f"{before}_out" if v2 else f"{before}_add"
    entry = f"{before}_out"
    end = f"{block}_3_conv" if v2 else f"{block}_3_bn"
    conv1 = f"{block}_1_conv"

    def lose_sum(c):
        c.redirect(add, end)
        c.remove(add)

    def relu_on_identity(c):
        c.insert(f"{block}_1_relu", "on_identity", entry)
        c.rewire(add, entry, "on_identity")

    def move_stride(c):
        strided, to = ("conv4_block6_2_conv", "conv4_block6_1_conv") if v2 else ("conv4_block1_1_conv", "conv4_block1_2_conv")
        c.set(strided, "strides", [1, 1])
        c.set(to, "strides", [2, 2])

    def plain(c):
        for name in [n for n in c.layers if c.layers[n]["class_name"] == "Add"]:
            main = next(r for r in c.reads(name) if "_3_" in r)
            c.redirect(name, main)
            c.remove(name)

    yield "a block without its sum", "R202", "error", conv1, lose_sum
    yield "a sum of the main path and itself", "R202", "error", add, lambda c: c.rewire(add, entry, end)
    yield "a product for a sum", "R202", "error", add, lambda c: c.layers[add].update(class_name="Multiply")
    yield "a shortcut from the block before", "R204", "error", "conv4_block3_out" if v2 else "conv4_block3_add", lambda c: c.rewire("conv4_block3_out" if v2 else "conv4_block3_add", f"{block}_out", entry)
    yield "a moved stride", "R211", "error", "conv4_block6_1_conv" if v2 else "conv4_block1_2_conv", move_stride
    yield "an epsilon", "R203", "warning", f"{block}_1_bn", lambda c: c.set(f"{block}_1_bn", "epsilon", 1e-3)
    yield "no ReLU between convolutions", "R209", "error", f"{block}_1_bn", lambda c: c.bypass(f"{block}_1_relu")
    yield "another activation", "R209", "error", f"{block}_2_relu", lambda c: c.set(f"{block}_2_relu", "activation", "tanh")
    yield "a ReLU on the identity", "R210", "error", "on_identity", relu_on_identity
    yield "a node that leads nowhere", "R104", "warning", "nowhere", lambda c: c.insert(f"{block}_1_relu", "nowhere", add, activation="tanh")
    yield "no sum at all", "R216", "warning", None, plain
    if v2:
        yield "a padding", "R214", "warning", f"{block}_2_conv", lambda c: c.set(f"{block}_2_pad", "padding", [[0, 2], [0, 2]])
        yield "an identity behind the activation", "R210", "error", f"{block}_preact_relu", lambda c: c.rewire(add, entry, f"{block}_preact_relu")
        pool = next(n for n in config["config"]["layers"] if n["class_name"] == "MaxPooling2D" and n["config"]["name"] != "pool1_pool")["config"]["name"]
        yield "another pool", "R215", "warning", pool, lambda c: c.layers[pool].update(class_name="AveragePooling2D")
    else:
        yield "a shortcut before the activation", "R205", "error", add, lambda c: c.rewire(add, entry, sum_before)
        yield "a main path around a sum", "R206", "error", conv1, lambda c: c.rewire(conv1, entry, f"{before}_3_bn")
        yield "no ReLU behind a sum", "R209", "error", add, lambda c: c.bypass(f"{block}_out")


def onnx_cases(folder, exports):
    zipfile.ZipFile(FIXTURES / "onnx" / "torch.zip").extract("resnet18.legacy17-preserve.onnx", folder)
    for path in [folder / "resnet18.legacy17-preserve.onnx", *exports]:
        model = onnx.load(path)
        label = path.name.removesuffix(".onnx")
        yield f"{label}: sound", "", "", None, path
        for at, (what, code, level, node, edit) in enumerate(torch_faults(model)):
            graph = Graph(model)
            edit(graph)
            target = folder / f"{label}-{at}.onnx"
            graph.save(target)
            yield f"{label}: {what}", code, level, node, target


def keras_cases(folder):
    for name in ("thin50v2.k3.keras", "thin50.k3.keras"):
        zipfile.ZipFile(FIXTURES / "thin" / "more.zip").extract(name, folder)
        source = zipfile.ZipFile(folder / name)
        members = {info.filename: source.read(info) for info in source.infolist()}
        config = json.loads(members["config.json"])
        yield f"{name}: sound", "", "", None, folder / name
        for at, (what, code, level, node, edit) in enumerate(keras_faults(config)):
            changed = Config(config)
            edit(changed)
            target = folder / f"{name.removesuffix('.keras')}-{at}.keras"
            with zipfile.ZipFile(target, "w") as archive:
                for member, data in members.items():
                    archive.writestr(member, json.dumps(changed.config) if member == "config.json" else data)
            yield f"{name}: {what}", code, level, node, target


def attempt(residua, what, code, level, node, path):
    """What is wrong, or None."""
    done = subprocess.run([residua, "check", path, "--format", "json", "--quiet"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return f"exit {done.returncode}: {done.stderr.strip()}"
    findings = json.loads(done.stdout)["findings"]
    listed = "".join(f"\n    {f['level']} {f['code']} {f['node']}: {f['message']}" for f in findings)
    errors = [f for f in findings if f["level"] == "error"]
    if not code:
        worse = [f for f in findings if f["level"] != "note"]
        return f"is sound, and is told:{listed}" if worse or done.returncode != 0 else None
    levels = ["note", "warning", "error"]
    told = [f for f in findings if f["code"] == code and (node is None or f["node"] == node) and levels.index(f["level"]) >= levels.index(level)]
    if not told:
        return f"{code} is not told at {node}:{listed}"
    if done.returncode != (level == "error") or len(errors) != (level == "error"):
        return f"exit {done.returncode}, {len(errors)} errors:{listed}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--onnx", nargs="*", default=[], type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [*onnx_cases(Path(folder), args.onnx), *keras_cases(Path(folder))]
        with ThreadPoolExecutor(2) as pool:
            wrong = list(pool.map(lambda case: attempt(args.residua, *case), cases))
    failed = [(case[0], why) for case, why in zip(cases, wrong) if why]
    for what, why in failed:
        print(f"FAILED {what}: {why}")
    print(f"{len(cases) - len(failed)} of {len(cases)} files are told as they should be")
    return 1 if failed or len(cases) < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
