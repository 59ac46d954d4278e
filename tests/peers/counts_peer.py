"""What `inspect --count` says of files, against torchinfo and fvcore on the models that wrote them. Not part of CI, since torch weighs gigabytes.

    python -m venv venv && venv/bin/pip install -r tests/peers/requirements-torch.txt torchinfo==1.8.0 fvcore==0.1.5.post20221221
    venv/bin/python tests/peers/counts_peer.py --residua target/debug/residua [NAME ...]

Each network of torchvision, and a few of timm, is made at full size and saved as a state dict and as ONNX by torch.onnx. Totals must be equal, but for the two differences that
docs/costs.md names: norms that torchinfo does not see in timm's pre-activated networks, and means that fvcore does not know.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import fvcore.nn
import timm
import torch
import torchinfo
import torchvision

TORCHVISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]
TIMM = ["timm/resnet26", "timm/resnet50d", "timm/seresnet50", "timm/resnetv2_50", "timm/resnet50_gn"]
# torch.onnx writes a group norm as an instance norm with a scale of ones and an offset of zeros, 32 each, and then scales.
GROUP_NORMS = {"timm/resnet50_gn": 53}


def make(name):
    """A network, no two of whose tensors are equal: the exporter makes one of equal ones."""
    torch.manual_seed(7)
    timms = name.startswith("timm/")
    model = timm.create_model(name.removeprefix("timm/")) if timms else torchvision.models.get_model(name, weights=None)
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return model.eval()


def expected(model, image):
    summary = torchinfo.summary(model, input_data=image, verbose=0)
    flops = fvcore.nn.FlopCountAnalysis(model, image).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    means = []
    hooks = [module.register_forward_hook(lambda m, args, _: means.append(args[0].numel())) for module in model.modules() if type(module).__name__ == "SEModule"]
    model(image)
    for hook in hooks:
        hook.remove()
    with_children = (module for module in model.modules() if "BatchNormAct" in type(module).__name__)
    return {
        "parameters": (summary.total_params, summary.trainable_params),
        "torchinfo": summary.total_mult_adds + sum(p.numel() for module in with_children for p in module.parameters()),
        "fvcore": flops.total(),
        "means": sum(means),
    }


def inspect(residua, path, count):
    command = [residua, "inspect", path, "--count", count, "--format", "json", "--input-shape", "1,3,224,224"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    found = json.loads(done.stdout)
    return found["parameters"]["total"], found["parameters"]["trainable"], found["macs"]


def compare(residua, path, expected, name):
    """What is wrong."""
    onnx = path.suffix == ".onnx"
    exported = 64 * GROUP_NORMS.get(name, 0) if onnx else 0
    total, trainable = (count + exported for count in expected["parameters"])
    # From weights alone a gate's mean is a pool; a graph says which it is.
    flops = expected["fvcore"] + (0 if onnx else expected["means"])
    wrong = []
    for tool, macs in (("torchinfo", expected["torchinfo"] + exported), ("fvcore", flops)):
        found = inspect(residua, path, tool)
        if found != (total, trainable, macs):
            wrong.append(f"{tool} counts {total, trainable, macs}, residua {found}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("names", nargs="*", default=TORCHVISION + TIMM)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    failed = compared = 0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        image = torch.zeros(1, 3, 224, 224)
        for name in args.names:
            model = make(name)
            numbers = expected(model, image)
            # Training mode keeps batch norms as they are.
            export = lambda path: torch.onnx.export(model, (image,), path, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
            for ending, write in {".pth": lambda path: torch.save(model.state_dict(), path), ".onnx": export}.items():
                path = Path(folder) / f"model{ending}"
                write(path)
                wrong = compare(args.residua, path, numbers, name)
                compared += 1
                failed += bool(wrong)
                print(f"{name} {path.suffix[1:]}: {'; '.join(wrong) or 'equal'}", flush=True)
                path.unlink()
    print(f"{compared} compared, {failed} differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
