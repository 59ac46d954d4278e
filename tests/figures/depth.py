"""Measures how time and memory grow with the depth of a network, and prints rows for docs/figures.md.

    python tests/figures/depth.py --residua target/release/residua [--runs 5]

Builds the CIFAR ResNets of 20, 56, 110 and 1202 layers with torch (option A, 6n+2), writes each as checkpoint, as
safetensors and as an ONNX export with its batch norms, and runs inspect, check and convert on them. Needs torch and
safetensors; the export of the deepest takes about a minute. How times are taken is said in measure.py.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import torch
from measure import in_turn, ms, row
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

DEPTHS = (20, 56, 110, 1202)


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


def write(depth, folder):
    """The files of one network, by their endings."""
    torch.manual_seed(depth)
    network = Network(depth)
    # Sums of hundreds of blocks grow where each adds as much as there is.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, depth**-0.5)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 32, 32))
    network.eval()
    files = {ending: folder / f"resnet{depth}.{ending}" for ending in ("pth", "safetensors", "onnx")}
    torch.save(network.state_dict(), files["pth"])
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, files["safetensors"])
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(network, (torch.randn(1, 3, 32, 32),), files["onnx"], dynamo=False, opset_version=17, **keep)
    return files


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", default="target/release/residua")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = {depth: write(depth, Path(folder)) for depth in DEPTHS}
        print("| what | " + " | ".join(f"{depth} layers" for depth in DEPTHS) + " |\n| --- |" + " ---: |" * len(DEPTHS))
        for ending in files[DEPTHS[0]]:
            for command in ("inspect", "check", "convert"):
                out = [str(Path(folder) / "out.onnx")] if command == "convert" else []
                runs = {depth: [args.residua, command, str(files[depth][ending]), *out, "--quiet"] for depth in DEPTHS}
                found = in_turn(args.runs, runs)
                row(f"`{command}` of `.{ending}`", *(f"{ms(found[d][0])}, {found[d][1] / 1e6:,.0f} MB" for d in DEPTHS))


if __name__ == "__main__":
    main()
