"""Builds sound networks with the frameworks that are installed, and asks `residua check` for anything wrong with them.

    python tests/peers/sound_peer.py --residua target/debug/residua [--filter TEXT] [--keep FOLDER]

With torch, torchvision and timm: checkpoints and ONNX exports. With Keras: `.keras` and `.h5` files of all Keras
Applications ResNets, of heads put on top of them, of dense and plain networks. Statistics are gathered on noise first, as
in networks that were trained. No finding may be an error, and none a warning but those listed here with their reason.
Exits 1 when one is.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

# Warnings that are true of what is built here, by code and a part of the label: kernels that training begins
# with at 0, and layers of classes that are no part of Keras itself.
TRUE = {("R303", "nf_resnet"), ("R303", "gcresnet"), ("R105", "InceptionResNetV2"), ("R105", "ConvNeXt")}

TORCHVISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"]
# Graphs are exported of these; what they are made of is not in their checkpoints.
EXPORTED = [
    "resnet18", "resnet50", "densenet121", "vgg11_bn", "googlenet", "mobilenet_v2", "shufflenet_v2_x1_0", "regnet_y_400mf",
]
TIMM = [
    "resnet26", "resnet34d", "resnet50d", "resnet26t", "resnet50_gn", "resnetaa50d", "resnetblur50", "seresnet50",
    "seresnext50_32x4d", "resnext50d_32x4d", "ecaresnet50d", "ecaresnet26t", "skresnet34", "resnest14d", "res2net50_26w_4s",
    "gcresnet50t", "resnet33ts", "resnetrs50", "resnetv2_50", "resnetv2_50d_gn", "resnetv2_50x1_bit", "nf_resnet26",
    "bat_resnext26ts", "botnet26t_256", "cspresnet50", "darknet53", "dla34", "hrnet_w18_small", "dpn68", "densenet121",
    "vgg13_bn", "efficientnet_b0", "mobilenetv3_large_100", "convnext_atto", "regnetx_004", "ese_vovnet19b_dw", "selecsls42b",
    "repvgg_a0", "xception41", "inception_resnet_v2",
]


def torch_models():
    """(label, a function that writes it into a folder and gives the file)."""
    import timm
    import torch
    import torchvision
    from torch import nn

    def settled(network, size):
        torch.manual_seed(0)
        with torch.no_grad():
            # Trained networks have no scales of exactly 1, nor of 0 as blocks begin with.
            for module in network.modules():
                if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)) and module.affine:
                    module.weight += 0.1 * torch.randn_like(module.weight)
            network.train()
            network(torch.randn(4, 3, size, size))
        return network.eval()

    def checkpoint(name, build):
        def write(folder):
            path = folder / f"{name}.pth"
            torch.save(settled(build(), 64).state_dict(), path)
            return path

        return f"{name}.pth", write

    def export(name, build, size=128):
        def write(folder):
            path = folder / f"{name}.onnx"
            x = torch.randn(1, 3, size, size)
            torch.onnx.export(settled(build(), size), (x,), path, dynamo=False, opset_version=17)
            return path

        return f"{name}.onnx", write

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.shortcut = nn.Sequential()
            if stride != 1 or inputs != outputs:
                self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + self.shortcut(x))

    def cifar(n):
        layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        inputs = 16
        for stage, width in enumerate((16, 32, 64)):
            for block in range(n):
                layers.append(Block(inputs, width, 2 if stage and not block else 1))
                inputs = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))

    def headed(**settings):
        network = torchvision.models.resnet18(**settings)
        head = [nn.Dropout(0.2), nn.Linear(512, 128), nn.ReLU(), nn.BatchNorm1d(128), nn.Linear(128, 2)]
        network.fc = nn.Sequential(*head)
        return network

    for name in TORCHVISION:
        yield checkpoint(name, getattr(torchvision.models, name))
    for name in EXPORTED:
        settings = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
        build = lambda name=name, s=settings: getattr(torchvision.models, name)(weights=None, **s)
        yield export(f"torchvision-{name}", build, 224)
    dilated = [False, True, True]
    yield export("dilated-resnet50", lambda: torchvision.models.resnet50(replace_stride_with_dilation=dilated))
    yield export("headed-resnet18", headed)
    for n in (3, 9, 18):
        yield export(f"cifar{6 * n + 2}", lambda n=n: cifar(n), 32)
    known = set(timm.list_models())
    for name in TIMM:
        if name in known:
            size = 256 if name.endswith("256") else 128
            yield export(f"timm-{name}", lambda name=name: timm.create_model(name, num_classes=10, exportable=True), size)
        else:
            print(f"timm has no {name}")


def keras_models():
    """(label, a function that writes it into a folder and gives the file)."""
    import keras
    import numpy as np

    def settled(network):
        random = np.random.default_rng(0)
        layers = [network]
        while layers:
            layer = layers.pop()
            layers += getattr(layer, "layers", [])
            if isinstance(layer, keras.layers.BatchNormalization):
                created = [np.asarray(weight) for weight in layer.get_weights()]
                # Scale and offset may be left out; the variance is last.
                changed = [weight + random.normal(0, 0.1, weight.shape) for weight in created[:-1]]
                layer.set_weights([*changed, created[-1] * random.uniform(0.5, 1.5, created[-1].shape)])
        return network

    def save(name, build, ending="keras"):
        def write(folder):
            keras.backend.clear_session()
            path = folder / f"{name}.{ending}"
            settled(build()).save(path)
            return path

        return f"{name}.{ending}", write

    def application(name, **settings):
        settings = {"weights": None, "input_shape": (96, 96, 3), "classes": 10, **settings}
        return lambda: getattr(keras.applications, name)(**settings)

    def headed(name):
        def build():
            base = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(96, 96, 3))
            base.trainable = False
            x = keras.Input((96, 96, 3))
            y = base(keras.layers.RandomFlip()(x))
            y = keras.layers.GlobalAveragePooling2D()(y)
            y = keras.layers.Dense(64, activation="relu")(keras.layers.Dropout(0.3)(y))
            return keras.Model(x, keras.layers.Dense(3, activation="softmax")(keras.layers.BatchNormalization()(y)))

        return build

    for name in ("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"):
        yield save(name, application(name))
    yield save("ResNet50", application("ResNet50"), "h5")
    yield save("ResNet50V2-notop", application("ResNet50V2", include_top=False, pooling="avg"))
    yield save("headed-ResNet50", headed("ResNet50"))
    yield save("headed-ResNet101V2", headed("ResNet101V2"), "h5")
    for name in ("DenseNet121", "MobileNetV2", "EfficientNetB0", "MobileNetV3Small", "RegNetY002", "ResNetRS50", "NASNetMobile"):
        if hasattr(keras.applications, name):
            yield save(name, application(name))
    yield save("VGG16-notop", application("VGG16", include_top=False))
    yield save("Xception", application("Xception"))
    yield save("InceptionResNetV2", application("InceptionResNetV2"))
    yield save("ConvNeXtTiny", application("ConvNeXtTiny", include_top=False))


def attempt(residua, label, write, folder):
    """What is said of a model and not true of it; None where its framework could not write it."""
    try:
        path = write(folder)
    except Exception as error:
        # A framework that cannot write its own model is not what is tested here.
        print(f"{label}: left out, {type(error).__name__}: {str(error)[-200:]!r}", flush=True)
        return None
    done = subprocess.run([residua, "check", path, "--format", "json", "--quiet"], capture_output=True, text=True)
    size = path.stat().st_size
    path.unlink()
    if done.returncode == 2:
        return [f"exit 2: {done.stderr.strip()[:300]}"]
    document = json.loads(done.stdout)
    architecture = (document.get("architecture") or {})
    name = architecture.get("name") if isinstance(architecture, dict) else architecture
    notes = [f["code"] for f in document["findings"] if f["level"] == "note"]
    print(f"{label}: {name}, {size >> 20} MiB, {len(document['findings'])} findings {' '.join(notes)}", flush=True)
    said = [f for f in document["findings"] if f["level"] != "note"]
    expected = lambda f: any(f["code"] == code and part in label for code, part in TRUE)
    return [f"{f['level']} {f['code']} {f['node']}: {f['message']}" for f in said if not expected(f)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--filter", default="")
    args = parser.parse_args()
    checked, failed = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for models in (torch_models, keras_models):
            try:
                for label, write in models():
                    if args.filter not in label:
                        continue
                    wrong = attempt(args.residua, label, write, Path(folder))
                    checked += wrong is not None
                    failed += [f"{label}: {what}" for what in wrong or []]
            except ImportError as error:
                print(f"left out: {error}")
    for wrong in failed:
        print(f"FAILED {wrong}")
    print(f"{checked} networks were checked, {len(failed)} findings are not true of them")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
