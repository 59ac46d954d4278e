"""Measures how time and memory grow with the depth of a network, and prints rows for docs/figures.md.

    python tests/figures/depth.py --residua target/release/residua --torch PYTHON [--runs 5]

Builds the CIFAR ResNets of 20, 56, 110 and 1202 layers with torch (option A, 6n+2), writes each as checkpoint, as
safetensors and as an ONNX export with its batch norms, and runs inspect, check and convert on them. PYTHON is an
interpreter that has torch and safetensors installed; the export of the deepest takes about a minute. How times are taken
is said in measure.py.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from measure import in_turn, ms, row

DEPTHS = (20, 56, 110, 1202)
ENDINGS = ("pth", "safetensors", "onnx")

# In a process of its own: what a child is said to have used at most counts what its parent had.
WRITE = """
import sys
import warnings

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.more = outputs - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.more:
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return functional.relu(y + x)


class Network(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        inputs = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = []
            for _ in range((depth - 2) // 6):
                blocks.append(Block(inputs, width, width // inputs))
                inputs = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(functional.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def write(depth, stem):
    torch.manual_seed(depth)
    network = Network(depth)
    # Sums of hundreds of blocks grow where each adds as much as there is.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, depth**-0.5)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 32, 32))
    network.eval()
    torch.save(network.state_dict(), f"{stem}.pth")
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, f"{stem}.safetensors")
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(network, (torch.randn(1, 3, 32, 32),), f"{stem}.onnx", dynamo=False, opset_version=17, **keep)

write(int(sys.argv[1]), sys.argv[2])
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", default="target/release/residua")
    parser.add_argument("--torch", required=True)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stems = {depth: str(Path(folder) / f"resnet{depth}") for depth in DEPTHS}
        for depth, stem in stems.items():
            subprocess.run([args.torch, "-c", WRITE, str(depth), stem], check=True, capture_output=True)
        print("| what | " + " | ".join(f"{depth} layers" for depth in DEPTHS) + " |\n| --- |" + " ---: |" * len(DEPTHS))
        for ending in ENDINGS:
            for command in ("inspect", "check", "convert"):
                out = [str(Path(folder) / "out.onnx")] if command == "convert" else []
                files = {depth: f"{stem}.{ending}" for depth, stem in stems.items()}
                found = in_turn(args.runs, {d: [args.residua, command, f, *out, "--quiet"] for d, f in files.items()})
                row(f"`{command}` of `.{ending}`", *(f"{ms(found[d][0])}, {found[d][1] / 1e6:,.0f} MB" for d in DEPTHS))


if __name__ == "__main__":
    main()
