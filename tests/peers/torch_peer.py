"""What residua writes, loaded by the model code it is for: torchvision, timm, transformers. Not part of CI, since torch weighs gigabytes.

    python -m venv venv && venv/bin/pip install -r tests/peers/requirements-torch.txt
    venv/bin/python tests/peers/torch_peer.py --residua target/release/residua [--keep FOLDER] [NAME ...]

Each network is made by its own library at full size, with seeded weights and statistics of its own activations, saved by it, and converted to every layout that
`residua layouts` says can hold it. What has a library here is loaded strictly, without missing or unexpected tensors, and run in f32 on
the same picture: outputs must agree to 1e-5 of the largest value. Every layout is also converted back, and must then be the network again. With
`--keras FILE.h5 GOLDEN.npz`, a Keras ResNet with its golden outputs is held against transformers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import timm
import torch
import torchvision
import transformers

TOLERANCE = 1e-5
TORCHVISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]
TIMM = ["resnet26", "resnet50d", "seresnet50", "resnet50_gn", "resnetv2_50", "resnetv2_50d", "resnetv2_50x1_bit"]
HUGGINGFACE = {"hf_resnet50": {}, "hf_resnet50_v1": {"downsample_in_bottleneck": True}}


def settle(model):
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


def make(name):
    if name in HUGGINGFACE:
        return settle(transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=1000, **HUGGINGFACE[name])))
    if name in TIMM:
        return settle(timm.create_model(name))
    return settle(torchvision.models.get_model(name, weights=None))


def run(model, x):
    with torch.no_grad():
        y = model(x)
    return getattr(y, "logits", y)


def residua(binary, *command):
    done = subprocess.run([binary, *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"residua {' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def load(layout, name, path):
    """The network of a library with what was written, or None where there is no library for the layout here."""
    if layout == "huggingface":
        folder = os.path.dirname(path)
        kind = transformers.BitForImageClassification if "bit" in name else transformers.ResNetForImageClassification
        model, info = kind.from_pretrained(folder, output_loading_info=True)
        if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
            raise RuntimeError(f"transformers reports {info}")
        return model.eval()
    state = safetensors.torch.load_file(path)
    if layout == "torchvision" and (name in TORCHVISION or name in HUGGINGFACE):
        model = torchvision.models.get_model("resnet50" if name in HUGGINGFACE else name, weights=None)
    elif layout == "timm":
        model = timm.create_model("resnet50" if name in HUGGINGFACE else name)
    else:
        return None
    model.load_state_dict(state, strict=True)
    return model.eval()


def difference(expected, found):
    return float((expected.double() - found.double()).abs().max() / expected.double().abs().max())


def check(binary, name, folder, failures):
    model = make(name)
    x = torch.rand(1, 3, 160, 160) * 2 - 1
    expected = run(model, x)
    source = os.path.join(folder, f"{name}.pth")
    if name in HUGGINGFACE:
        source = os.path.join(folder, name)
        model.save_pretrained(source)
    else:
        torch.save(model.state_dict(), source)
    layouts = json.loads(residua(binary, "layouts", source, "--format", "json"))["layouts"]
    checked = 0
    for layout in [layout["name"] for layout in layouts if layout["holds"] and layout["name"] not in ("residua", "source", "keras")]:
        target = os.path.join(folder, f"{name}-{layout}", "model.safetensors")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            residua(binary, "convert", source, target, "--layout", layout, "--quiet")
            peer = load(layout, name, target)
            found = None if peer is None else difference(expected, run(peer, x))
            back = os.path.join(folder, f"{name}-{layout}-back", "model.safetensors")
            os.makedirs(os.path.dirname(back), exist_ok=True)
            home = "huggingface" if name in HUGGINGFACE else "timm" if name in TIMM else "torchvision"
            residua(binary, "convert", target, back, "--layout", home, "--quiet")
            again = difference(expected, run(load(home, name, back), x))
        except Exception as error:
            failures.append(f"{name} to {layout}: {error}")
            print(f"{name:20} {layout:20} FAILS", flush=True)
            continue
        peer_text = "no library" if found is None else f"{found:.1e}"
        print(f"{name:20} {layout:20} {peer_text:>12} back {again:.1e}", flush=True)
        for what, value in (("", found), (" and back", again)):
            if value is not None and not value <= TOLERANCE:
                failures.append(f"{name} to {layout}{what}: {value:.2e}")
        checked += 1
        os.remove(target)
        os.remove(back)
    return checked


def check_keras(binary, path, golden, folder, failures):
    target = os.path.join(folder, "keras", "model.safetensors")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    residua(binary, "convert", path, target, "--layout", "huggingface", "--quiet")
    arrays = np.load(golden)
    key = lambda kind: next(arrays[name] for name in arrays.files if name.startswith(kind))
    x = torch.from_numpy(np.ascontiguousarray(key("input/").transpose(0, 3, 1, 2)))
    model = load("huggingface", "keras", target)
    found = difference(torch.from_numpy(key("output/")), torch.softmax(run(model, x), 1))
    print(f"{'keras':20} {'huggingface':20} {found:12.1e}, downsample_in_bottleneck={model.config.downsample_in_bottleneck}", flush=True)
    if not found <= TOLERANCE:
        failures.append(f"keras to huggingface: {found:.2e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--keep")
    parser.add_argument("--keras", nargs=2, metavar=("FILE.h5", "GOLDEN.npz"))
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    failures, checked = [], 0
    with tempfile.TemporaryDirectory(dir=args.keep) as folder:
        for name in args.names or [*TORCHVISION, *TIMM, *HUGGINGFACE]:
            checked += check(args.residua, name, folder, failures)
        if args.keras:
            check_keras(args.residua, *args.keras, folder, failures)
    print(f"{checked} conversions, {len(failures)} failures", *failures, sep="\n")
    sys.exit(1 if failures or not checked else 0)


if __name__ == "__main__":
    main()
