"""Measures how the work of `convert` grows with the number of nodes, for graphs of several shapes, and prints rows for docs/figures.md.

    python tests/figures/scaling.py --residua target/release/residua [--nodes 10000]

Each graph is built twice, with so many nodes and with twice as many; needs the package `onnx`, and valgrind: what is counted are instructions
of the conversion with its proof, which no other load of the machine changes. A pass that is quadratic takes four times as many for the second.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import onnx
from onnx import TensorProto, helper

OPERATORS = ("Relu", "Abs", "Neg", "Sigmoid")


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])


def model(nodes, inputs=("x",), outputs=("y",), functions=()):
    graph = helper.make_graph(nodes, "g", [value(name) for name in inputs], [value(name) for name in outputs])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def names(count):
    return ["x", *(f"v{i}" for i in range(1, count)), "y"]


def chain(count):
    at = names(count)
    return model([helper.make_node(OPERATORS[i % 4], [at[i]], [at[i + 1]]) for i in range(count)])


def wide(count):
    middle = [f"v{i}" for i in range(count)]
    nodes = [helper.make_node("Relu", ["x"], [name]) for name in middle]
    return model([*nodes, helper.make_node("Sum", middle, ["y"])])


def dense(count):
    """As many operands as the others have nodes: each node reads all before it."""
    nodes = round((2 * count) ** 0.5)
    at = names(nodes)
    return model([helper.make_node("Sum", at[: i + 1], [at[i + 1]]) for i in range(nodes)])


def residual(count):
    """Blocks of two nodes and a sum with what they began with."""
    nodes, last = [], "x"
    for i in range(count // 3):
        nodes.append(helper.make_node("Relu", [last], [f"a{i}"]))
        nodes.append(helper.make_node("Neg", [f"a{i}"], [f"b{i}"]))
        nodes.append(helper.make_node("Add", [f"b{i}", last], [f"c{i}"]))
        last = f"c{i}"
    return model([*nodes, helper.make_node("Identity", [last], ["y"])])


def ends(count):
    nodes = [helper.make_node("Relu", [f"x{i}"], [f"y{i}"]) for i in range(count)]
    return model(nodes, [f"x{i}" for i in range(count)], [f"y{i}" for i in range(count)])


def constants(count):
    nodes, last = [], "x"
    for i in range(count // 2):
        nodes.append(helper.make_node("Constant", [], [f"k{i}"], value_float=float(i % 7)))
        nodes.append(helper.make_node("Add", [last, f"k{i}"], [f"v{i}"]))
        last = f"v{i}"
    return model([*nodes, helper.make_node("Identity", [last], ["y"])])


def functions(count):
    at = names(count)
    nodes = [helper.make_node(f"f{i}", [at[i]], [at[i + 1]], domain="local") for i in range(count)]
    body = [helper.make_node("Relu", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    return model(nodes, functions=[helper.make_function("local", f"f{i}", ["a"], ["b"], body, opsets) for i in range(count)])


SHAPES = {
    "a chain": chain,
    "many that read one": wide,
    "each reads all before it": dense,
    "residual blocks": residual,
    "many inputs and outputs": ends,
    "many constants": constants,
    "a function for each call": functions,
}


def instructions(residua, path, out):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", residua]
    command += ["convert", path, out, "--quiet", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{path}: exit {done.returncode}\n{done.stderr}")
    return int(found[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--residua", required=True)
    parser.add_argument("--nodes", type=int, default=10_000)
    options = parser.parse_args()
    print(f"| shape, billions of instructions | {options.nodes:,} | {2 * options.nodes:,} | ratio |\n| --- | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name, build in SHAPES.items():
            counts = []
            for count in (options.nodes, 2 * options.nodes):
                path, out = Path(folder) / "model.onnx", Path(folder) / "out.onnx"
                onnx.save(build(count), path)
                counts.append(instructions(options.residua, path, out))
            few, many = counts
            print(f"| {name} | {few / 1e9:.2f} | {many / 1e9:.2f} | {many / few:.2f} |", flush=True)


if __name__ == "__main__":
    main()
