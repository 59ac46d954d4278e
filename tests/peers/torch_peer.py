"""What residua writes, loaded by the model code it is for: torchvision, timm, transformers. Not part of CI, since torch weighs gigabytes.

    python -m venv venv && venv/bin/pip install -r tests/peers/requirements-torch.txt
    venv/bin/python tests/peers/torch_peer.py --residua target/release/residua [--keep FOLDER] [--keras FILE.h5 GOLDEN.npz] [NAME ...]

Each network is made by its own library at full size, with seeded weights and statistics of its own activations, saved by it, and converted, with proof, to every
layout that `residua layouts` says can hold it; each of the files is then converted to every layout that has a library here and can hold it. What a library
is given it loads strictly, without missing or unexpected tensors, and runs in f32 on the same image: outputs must agree to 1e-5 of the largest value.
timm and transformers are given nothing but the folder, so that what is beside the weights has to say what to build.
A Keras file with its golden outputs is held against transformers alike.
"""

import argparse
import json
import os
import shutil
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
TIMM = [
    *["timm_resnet10t", "timm_resnet14t", "timm_resnet26", "timm_resnet26d", "timm_resnet26t", "timm_resnet34d", "timm_resnet50c", "timm_resnet50d", "timm_resnet101d"],
    *["timm_seresnet18", "timm_seresnet50", "timm_seresnet152d", "timm_seresnext50_32x4d", "timm_seresnext26d_32x4d", "timm_resnext50d_32x4d", "timm_resnet50_gn"],
    *["timm_resnetv2_18", "timm_resnetv2_34d", "timm_resnetv2_50", "timm_resnetv2_50d", "timm_resnetv2_50d_gn", "timm_resnetv2_101"],
    *["timm_resnetv2_50x1_bit", "timm_resnetv2_101x1_bit"],
]
BASIC, BOTTLENECK = {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}, {"layer_type": "bottleneck"}
HUGGINGFACE = {
    "hf_resnet18": {**BASIC, "depths": [2, 2, 2, 2]},
    "hf_resnet34": {**BASIC, "depths": [3, 4, 6, 3]},
    "hf_resnet26": {**BOTTLENECK, "depths": [2, 2, 2, 2]},
    "hf_resnet50": {**BOTTLENECK},
    "hf_resnet50_v1": {**BOTTLENECK, "downsample_in_bottleneck": True},
    "hf_resnet101": {**BOTTLENECK, "depths": [3, 4, 23, 3]},
    "hf_resnet50_strided": {**BOTTLENECK, "downsample_in_first_stage": True},
    "hf_resnet50_gelu": {**BOTTLENECK, "hidden_act": "gelu"},
    "hf_bit50": {},
}
# What else a library's model code builds of these.
OPTIONS = {"_gray": {"channels": 1}, "_four": {"channels": 4}, "_two": {"classes": 2}, "_headless": {"classes": 0}}
VARIED = ["resnet18_gray", "resnet50_headless", "timm_resnet26d_four", "timm_seresnet18_two", "timm_resnetv2_18_headless", "hf_resnet18_gray", "hf_resnet50_headless"]


def options(name):
    """The name without what it asks for, and that."""
    for suffix, option in OPTIONS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix), {"channels": 3, "classes": 1000} | option
    return name, {"channels": 3, "classes": 1000}


def settle(model, channels):
    """Weights as they are made, statistics of the model's own activations."""
    torch.manual_seed(7)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
        model.train()
        for _ in range(3):
            model(torch.rand(4, channels, 96, 96) * 2 - 1)
    return model.eval()


def home(name):
    return "huggingface" if name.startswith("hf_") else "timm" if name.startswith("timm_") else "torchvision"


def build(layout, name):
    """The model code of a library for a network; None where it has none."""
    kind, sizes = options(name)
    channels, classes = sizes["channels"], sizes["classes"]
    kind = {"hf_resnet50_v1": "", "hf_resnet50_strided": "", "hf_resnet50_gelu": ""}.get(kind, kind)
    plain = kind.removeprefix("hf_").removeprefix("timm_")
    if layout == "torchvision" and plain in TORCHVISION:
        model = torchvision.models.get_model(plain, weights=None, num_classes=max(classes, 1))
        if channels != 3:
            model.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        if not classes:
            model.fc = torch.nn.Identity()
        return model
    if layout == "timm" and plain in timm.list_models():
        return timm.create_model(plain, in_chans=channels, num_classes=classes)
    return None


def make(name):
    kind, sizes = options(name)
    torch.manual_seed(1)
    if kind in HUGGINGFACE:
        config, model = (transformers.BitConfig, transformers.BitForImageClassification) if "bit" in kind else (transformers.ResNetConfig, transformers.ResNetForImageClassification)
        made = model(config(num_labels=sizes["classes"], num_channels=sizes["channels"], **HUGGINGFACE[kind]))
    else:
        made = build(home(name), name)
    return settle(made, sizes["channels"])


def run(model, x):
    with torch.no_grad():
        y = model(x)
    return getattr(y, "logits", y)


def residua(binary, *command):
    done = subprocess.run([binary, *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"residua {' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def holders(binary, path):
    """The layouts that hold a model."""
    layouts = json.loads(residua(binary, "layouts", path, "--format", "json"))["layouts"]
    return [layout["name"] for layout in layouts if layout["holds"] and layout["name"] not in ("residua", "source", "keras")]


def load(layout, name, path):
    """The network of a library with what was written, or None where there is no library for the layout here."""
    if layout == "huggingface":
        folder = os.path.dirname(path)
        with open(os.path.join(folder, "config.json")) as file:
            kind = getattr(transformers, json.load(file)["architectures"][0])
        model, info = kind.from_pretrained(folder, output_loading_info=True)
        if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
            raise RuntimeError(f"transformers reports {info}")
        return model.eval()
    if layout == "timm":
        # By the configuration that lies beside the weights alone.
        model = timm.create_model(f"local-dir:{os.path.dirname(path)}", pretrained=True)
        stored, taken = safetensors.torch.load_file(path), model.state_dict()
        if stored.keys() != taken.keys() or any(not torch.equal(stored[key], taken[key]) for key in stored):
            raise RuntimeError("timm did not take the weights as they are")
        return model.eval()
    model = build(layout, name)
    if model is None:
        return None
    model.load_state_dict(safetensors.torch.load_file(path), strict=True)
    return model.eval()


def difference(expected, found):
    if expected.shape != found.shape:
        raise RuntimeError(f"shape {tuple(found.shape)} instead of {tuple(expected.shape)}")
    return float((expected.double() - found.double()).abs().max() / expected.double().abs().max())


class Check:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.loaded, self.conversions, self.worst, self.failures = 0, 0, 0.0, []

    def target(self, *parts):
        path = os.path.join(self.folder, "-".join(parts), "model.safetensors")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def accepts(self, layout, name, path, x, expected):
        """What a library makes of a file: how far its outputs are off, or that there is none."""
        self.conversions += 1
        model = load(layout, name, path)
        if model is None:
            return "–"
        found = difference(expected, run(model, x))
        self.loaded, self.worst = self.loaded + 1, max(self.worst, found)
        if not found <= TOLERANCE:
            self.failures.append(f"{path}: {found:.2e}")
        return f"{found:.1e}"

    def network(self, name):
        model = make(name)
        x = torch.rand(1, options(name)[1]["channels"], 160, 160) * 2 - 1
        expected = run(model, x)
        source = os.path.join(self.folder, f"{name}.pth")
        if home(name) == "huggingface":
            source = os.path.join(self.folder, name)
            model.save_pretrained(source)
        else:
            torch.save(model.state_dict(), source)
        for layout in holders(self.binary, source):
            through = self.target(name, layout)
            try:
                residua(self.binary, "convert", source, through, "--layout", layout, "--quiet")
                cells = [self.accepts(layout, name, through, x, expected)]
                given = os.path.dirname(through) if layout == "huggingface" else through
                for other in holders(self.binary, given):
                    if other == layout or other not in ("torchvision", "timm", "huggingface"):
                        continue
                    target = self.target(name, layout, other)
                    residua(self.binary, "convert", given, target, "--layout", other, "--no-verify", "--quiet")
                    cells.append(f"{other} {self.accepts(other, name, target, x, expected)}")
                    shutil.rmtree(os.path.dirname(target))
                print(f"{name:28} {layout:20} {', '.join(cells)}", flush=True)
            except Exception as error:
                self.failures.append(f"{name} by {layout}: {error}")
                print(f"{name:28} {layout:20} FAILS: {error}", flush=True)
            shutil.rmtree(os.path.dirname(through))
        shutil.rmtree(source) if os.path.isdir(source) else os.remove(source)

    def keras(self, path, golden):
        arrays = np.load(golden)
        key = lambda kind: next(arrays[name] for name in arrays.files if name.startswith(kind))
        x = torch.from_numpy(np.ascontiguousarray(key("input/").transpose(0, 3, 1, 2)))
        for layout in holders(self.binary, path):
            through = self.target("keras", layout)
            residua(self.binary, "convert", path, through, "--layout", layout, "--quiet")
            target = through
            if layout != "huggingface":
                target = self.target("keras", layout, "huggingface")
                residua(self.binary, "convert", through, target, "--layout", "huggingface", "--no-verify", "--quiet")
            self.conversions += 1
            model = load("huggingface", "keras", target)
            found = difference(torch.from_numpy(key("output/")), torch.softmax(run(model, x), 1))
            self.loaded, self.worst = self.loaded + 1, max(self.worst, found)
            print(f"{'keras':28} {layout:20} huggingface {found:.1e}, downsample_in_bottleneck={model.config.downsample_in_bottleneck}", flush=True)
            if not found <= TOLERANCE:
                self.failures.append(f"keras by {layout}: {found:.2e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--keep")
    parser.add_argument("--keras", nargs=2, metavar=("FILE.h5", "GOLDEN.npz"))
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.keep) as folder:
        check = Check(args.residua, folder)
        named = args.names or ([] if args.keras else [*TORCHVISION, *TIMM, *HUGGINGFACE, *VARIED])
        for name in named:
            check.network(name)
        if args.keras:
            check.keras(*args.keras)
    print(f"{check.conversions} conversions, {check.loaded} loaded strictly by a library, the worst {check.worst:.1e} off, {len(check.failures)} failures")
    print(*check.failures, sep="\n")
    sys.exit(1 if check.failures or not check.loaded else 0)


if __name__ == "__main__":
    main()
