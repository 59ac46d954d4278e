"""Holds residua against ONNX Runtime on networks at full size, as PyTorch exports them. Run by hand; needs torch, torchvision, timm and time.

    python tests/peers/onnx_zoo_peer.py --residua target/release/residua [--filter TEXT] [--keep FOLDER] [--again]

All ResNets, ResNeXts and wide ResNets of torchvision, DenseNet-121, and ResNets of timm, with seeded weights, exported by both exporters, run on one
image: the f32 engine within 1e-5 of ONNX Runtime, relative to the largest value. `--again` also converts each to ONNX, holds that file against the
checker, and converts it once more, which has to give the same bytes. Times of loading are those of `inspect` and of making a session. Exits 1 when
anything fails.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import timm
import torch
import torchvision

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
TOLERANCE = 1e-5
TORCHVISION = """resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2
    densenet121""".split()
TIMM = "resnet50d seresnet50 resnetv2_50 resnetv2_50x1_bit".split()


def network(name):
    """The network with statistics that are not trivial, and activations that stay of one size.

    Blocks add little to what they are given, as those of trained networks do: with factors of one, a hundred layers of random
    weights make of any rounding a difference that says nothing.
    """
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)() if name in TORCHVISION else timm.create_model(name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
            norms = [norm for norm in module.children() if isinstance(norm, torch.nn.BatchNorm2d)]
            if len(norms) > 1 and hasattr(module, "downsample"):
                norms[-1].weight.fill_(0.2)
        model.train()
        model(torch.randn(2, 3, 224, 224, generator=generator))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.mul_(0.8 + 0.4 * torch.rand(module.running_var.shape, generator=generator)).add_(0.01)
    return model.eval()


def export(model, x, path, dynamo):
    if dynamo:
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False, dynamic_shapes=({0: torch.export.Dim("batch", max=64)},))
    else:
        axes = {"x": {0: "batch"}, "y": {0: "batch"}}
        torch.onnx.export(model, (x,), path, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes=axes)


def runtime(path, x):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    seconds = time.perf_counter() - started
    return session.run(None, {session.get_inputs()[0].name: x})[0], seconds


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")


def fastest(count, *command):
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        run(*command)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def attempt(residua, path, x, again):
    expected, session = runtime(path, x)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        folder = Path(folder)
        np.save(folder / "x.npy", x)
        run(residua, "run", path, "--input", folder / "x.npy", "--output", folder / "y.npy", "--quiet")
        gap = float(np.abs(np.load(folder / "y.npy") - expected).max() / np.abs(expected).max())
        inspect = fastest(5, residua, "inspect", path)
        line = f"{gap:.1e} from ONNX Runtime, inspect {1e3 * inspect:.1f} ms, session {1e3 * session:.0f} ms"
        if again:
            run(residua, "convert", path, folder / "once.onnx", "--quiet")
            onnx.checker.check_model(str(folder / "once.onnx"), full_check=True)
            run(residua, "convert", folder / "once.onnx", folder / "twice.onnx", "--quiet", "--no-verify")
            if (folder / "once.onnx").read_bytes() != (folder / "twice.onnx").read_bytes():
                return "written twice, it is not the same bytes"
            gap = max(gap, float(np.abs(runtime(folder / "once.onnx", x)[0] - expected).max() / np.abs(expected).max()))
            line += f", written again {gap:.1e}"
    print(line, flush=True)
    return None if gap <= TOLERANCE else f"differs by {gap:.1e}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True, type=Path)
    parser.add_argument("--filter", default="")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--again", action="store_true")
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for name in TORCHVISION + TIMM:
            if args.filter not in name:
                continue
            x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
            model = None
            for exporter in ("torchscript", "dynamo"):
                path = folder / f"{name}.{exporter}.onnx"
                if not path.exists():
                    model = model or network(name)
                    export(model, x, str(path), exporter == "dynamo")
                print(f"{path.name}: ", end="", flush=True)
                try:
                    wrong = attempt(args.residua.resolve(), path, x.numpy(), args.again)
                except Exception as error:
                    wrong = f"{type(error).__name__}: {str(error)[:300]}"
                if wrong:
                    failed += 1
                    print(f"FAILED {wrong}", flush=True)
                if not args.keep:
                    for file in folder.glob(f"{path.name}*"):
                        file.unlink()
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
