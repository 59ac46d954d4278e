"""Builds sound networks with the frameworks that are installed, and asks `residua check` for anything wrong with them.

    python tests/peers/sound_peer.py --residua target/debug/residua [--only torchvision,timm,torch,keras,tf_keras]
        [--filter TEXT] [--exporter old,dynamo] [--keep FOLDER] [--largest MB]

With torch: all classification networks of torchvision, those of timm that are built of convolutions (a few of each
family, the smallest among them), and networks of our own, as checkpoints and as ONNX exports. With Keras and tf_keras: all
of Keras Applications, as `.keras` and `.h5`, in several widths, and heads put on top of them. Weights are random, statistics
are gathered on noise first, as in networks that were trained. No finding may be an error, and none a warning but
those listed here with their reason; and no network may be called by the name of a family that it is not of. Exits 1 when
one is. `--keep` leaves the files there, and takes those that it finds.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Warnings that are true of what is built here, by code and a part of the label: kernels that training begins
# with at 0.
TRUE = {("R303", "vit_"), ("R303", "nf_resnet"), ("R303", "nf_regnet"), ("R303", "gcresnet")}

# Which names a network may have, by a pattern that its label matches; `{0}` is what the pattern's group holds, and the first
# pattern counts. What matches none has no name of a known form.
NO_FORM = r"None|residual\d+"
NAMES = [
    (r"dilated-resnet50", r"resnet50-custom"),
    (r"headed-resnet(\d+)", r"resnet{0}"),
    (r"^cifar(\d+)", r"resnet{0}_cifar"),
    (r"torchvision-(resnet\d+|resnext\d+_\d+x\d+d|wide_resnet\d+_2)\b", r"{0}"),
    (r"keras-ResNet(\d+)V2|headed-ResNet(\d+)V2", r"resnet{0}v2"),
    (r"keras-(?:headed-)?ResNet(\d+)\b", r"resnet{0}v1"),
    (r"densenet(?:blur|264)|rdnet", NO_FORM + r"|densenet\d+-custom"),
    (r"(?i)densenet(\d+)", r"densenet{0}"),
    # A standard name, or one of other sizes with its own depth; those that do more than a ResNet have none.
    (r"timm-(?:wide_)?(?:legacy_)?(?:se)?resne[xt]t?(?:v2_|aa|blur|rs)?(\d+)", NO_FORM + r"|\w*resne[xt]t?\w*{0}\w*(-custom)?"),
    (r"timm-senet154", NO_FORM + r"|\w*resne[xt]t?\w*(-custom)?"),
    (r"(?i)vgg|alexnet|repvgg|mobileone|googlenet|squeezenet", NO_FORM + r"|plain\d+"),
]

# Of timm: a few of each family that is built of convolutions.
TIMM = """
test_byobnet test_convnext test_convnext2 test_convnext3 test_efficientnet test_efficientnet_gn test_efficientnet_ln
test_mambaout test_nfnet test_resnet
bat_resnext26ts eca_resnet33ts eca_resnext26ts gcresnet33ts gcresnet50t gcresnext26ts gernet_s gernet_m mobileone_s0
mobileone_s1 regnetz_b16 regnetz_c16 regnetz_d8 repvgg_a0 repvgg_b1g4 resnet32ts resnet33ts resnet50_clip_gap resnet50_clip
resnet50_mlp resnet51q resnet61q resnext26ts seresnet33ts seresnext26ts
botnet26t_256 eca_botnext26ts_256 halonet26t lambda_resnet26t sebotnet33ts_256
cs3darknet_focus_s cs3darknet_s cs3edgenet_x cs3se_edgenet_x cs3sedarknet_l cspdarknet53 cspresnet50 cspresnet50d cspresnext50
darknet17 darknet21 darknet53 darknetaa53 sedarknet21 cspnext_tiny cspnext_s
convnext_atto convnext_femto convnext_tiny_hnf convnextv2_atto convnextv2_femto convnext_zepto_rms inception_next_atto
densenet121 densenet161 densenet169 densenet201 densenet264d densenetblur121d rdnet_tiny
dla34 dla46_c dla46x_c dla60 dla60_res2net dla60_res2next dla60x dpn48b dpn68 dpn68b dpn92
efficientnet_b0 efficientnet_b0_gn efficientnet_b1 efficientnet_b1_pruned efficientnet_b2 efficientnet_b3 efficientnet_b4
efficientnet_blur_b0 efficientnet_el efficientnet_em efficientnet_es efficientnet_es_pruned efficientnet_lite0
efficientnet_lite2 efficientnetv2_rw_s efficientnetv2_rw_t efficientnetv2_s gc_efficientnetv2_rw_t fbnetc_100 mixnet_s mixnet_m
mixnet_l mnasnet_050 mnasnet_100 mnasnet_140 mnasnet_small mobilenet_edgetpu_100 mobilenet_edgetpu_v2_s mobilenet_edgetpu_v2_m
mobilenetv1_100 mobilenetv1_100h mobilenetv2_035 mobilenetv2_050 mobilenetv2_100 mobilenetv2_110d mobilenetv2_120d
semnasnet_050 semnasnet_100 spnasnet_100 tf_efficientnet_b0 tf_efficientnet_b3 tf_efficientnet_el tf_efficientnet_es
tf_efficientnet_lite0 tf_efficientnetv2_b0 tf_efficientnetv2_b1 tf_efficientnetv2_b2 tf_efficientnetv2_b3 tf_efficientnetv2_s
tf_mixnet_s tinynet_a tinynet_b tinynet_c tinynet_d tinynet_e hardcorenas_a hardcorenas_f
fasternet_t0 fasternet_s focalnet_tiny_srf ghostnet_050 ghostnet_100 ghostnetv2_100 ghostnetv3_050
hgnet_tiny hgnetv2_b0 hgnetv2_b2 hrnet_w18_small hrnet_w18_small_v2 hrnet_w18 inception_v3 inception_v4 inception_resnet_v2
fbnetv3_b lcnet_035 lcnet_050 lcnet_100 lcnetv2_small mobilenetv3_large_075 mobilenetv3_large_100 mobilenetv3_rw
mobilenetv3_small_050 mobilenetv3_small_075 mobilenetv3_small_100 mobilenetv4_conv_small mobilenetv4_conv_small_035
mobilenetv4_conv_medium mobilenetv4_conv_aa_medium mobilenetv4_conv_blur_medium mobilenetv4_hybrid_medium_075
tf_mobilenetv3_large_minimal_100 tf_mobilenetv3_small_minimal_100 tf_mobilenetv3_small_100 mambaout_femto
nasnetalarge pnasnet5large
dm_nfnet_f0 eca_nfnet_l0 nf_ecaresnet26 nf_regnet_b0 nf_regnet_b1 nf_resnet26 nf_resnet50 nf_seresnet26 nfnet_f0 nfnet_l0
regnetv_040 regnetx_002 regnetx_004 regnetx_004_tv regnetx_006 regnetx_008 regnetx_016 regnetx_032 regnety_002 regnety_004
regnety_006 regnety_008 regnety_008_tv regnety_016 regnety_032 regnety_040_sgn regnetz_005
repghostnet_050 repghostnet_100 repvit_m1 repvit_m0_9
res2net50_14w_8s res2net50_26w_4s res2net50_26w_8s res2net50_48w_2s res2net50d res2net101_26w_4s res2next50
resnest14d resnest26d resnest50d resnest50d_1s4x24d
ecaresnet26t ecaresnet50d ecaresnet50d_pruned ecaresnetlight ecaresnext26t_32x4d resnet10t resnet14t resnet18 resnet18d
resnet26 resnet26d resnet26t resnet34 resnet34d resnet50 resnet50_gn resnet50c resnet50d resnet50s resnet50t resnet101
resnet101d resnetaa34d resnetaa50 resnetaa50d resnetblur18 resnetblur50 resnetblur50d resnetrs50 resnetrs101 resnext50_32x4d
resnext50d_32x4d resnext101_32x4d seresnet18 seresnet34 seresnet50 seresnet50t seresnetaa50d seresnext26d_32x4d
seresnext26t_32x4d seresnext50_32x4d wide_resnet50_2 senet154
resnetv2_18 resnetv2_18d resnetv2_34 resnetv2_34d resnetv2_50 resnetv2_50d resnetv2_50d_frn resnetv2_50d_gn resnetv2_50t
resnetv2_50x1_bit resnetv2_101
rexnet_100 rexnet_150 rexnetr_100 selecsls42 selecsls42b selecsls60 legacy_seresnet18 legacy_seresnet34 legacy_seresnet50
legacy_seresnext26_32x4d legacy_seresnext50_32x4d skresnet18 skresnet34 skresnet50 skresnet50d skresnext50_32x4d
starnet_s050 starnet_s1 tresnet_m vgg11 vgg11_bn vgg13_bn vgg16 vovnet39a vovnet57a ese_vovnet19b_dw ese_vovnet19b_slim
ese_vovnet39b legacy_xception xception41 xception41p xception65 xception71 edgenext_xx_small
""".split()

# Sides of the images where another than 128 is asked for.
SIDES = {"vit_": 224, "resnet50_clip": 224, "swin": 224, "maxvit": 224, "_256": 256, "focalnet": 224, "bat_": 256, "halonet": 256, "inception_v3": 160, "vgg": 224}

# State dicts of these are read.
CHECKPOINTS = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2",
]


def torch_settled(network, size):
    import torch
    from torch import nn

    torch.manual_seed(0)
    with torch.no_grad():
        # Trained networks have no scales of exactly 1, nor of 0 as blocks begin with.
        for module in network.modules():
            if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)) and module.affine:
                module.weight += 0.1 * torch.randn_like(module.weight)
        network.train()
        network(torch.randn(2, 3, size, size))
    return network.eval()


def checkpoint(name, build):
    def write(path):
        import torch

        torch.save(torch_settled(build(), 64).state_dict(), path)

    return f"{name}.pth", write


def export(name, build, exporter, size=None):
    size = size or next((side for part, side in SIDES.items() if part in name), 128)

    def write(path):
        import torch

        x = torch.randn(1, 3, size, size)
        settings = {"dynamo": False, "opset_version": 17} if exporter == "old" else {"dynamo": True, "external_data": False}
        torch.onnx.export(torch_settled(build(), size), (x,), path, verbose=False, **settings)

    return f"{name}.{exporter}.onnx", write


def torchvision_models(exporters):
    """(label, a function that writes it into a path)."""
    import torchvision

    def build(name):
        # Heads that only training has would be outputs of their own.
        settings = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return lambda: torchvision.models.get_model(name, weights=None, **settings)

    for name in CHECKPOINTS:
        yield checkpoint(f"torchvision-{name}", build(name))
    for name in torchvision.models.list_models(module=torchvision.models):
        for exporter in exporters:
            yield export(f"torchvision-{name}", build(name), exporter)


def timm_models(exporters):
    import timm

    known = set(timm.list_models())
    for name in TIMM:
        if name not in known:
            print(f"timm has no {name}")
            continue
        for exporter in exporters:
            build = lambda name=name: timm.create_model(name, num_classes=10, exportable=True)
            yield export(f"timm-{name}", build, exporter)


def own_models(exporters):
    """Networks as users write them, of torch alone."""
    import torch
    import torchvision
    from torch import nn

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

    class Ibn(nn.Module):
        """Half instance norm, half batch norm (Pan et al. 2018)."""

        def __init__(self, channels):
            super().__init__()
            self.half = channels // 2
            self.IN = nn.InstanceNorm2d(self.half, affine=True)
            self.BN = nn.BatchNorm2d(channels - self.half)

        def forward(self, x):
            a, b = torch.split(x, [self.half, x.shape[1] - self.half], 1)
            return torch.cat([self.IN(a.contiguous()), self.BN(b.contiguous())], 1)

    def ibn(name):
        network = getattr(torchvision.models, name)()
        for stage in (network.layer1, network.layer2, network.layer3):
            for block in stage:
                block.bn1 = Ibn(block.bn1.num_features)
        return network

    dilated = [False, True, True]
    for exporter in exporters:
        yield export("dilated-resnet50", lambda: torchvision.models.resnet50(replace_stride_with_dilation=dilated), exporter)
        yield export("headed-resnet18", headed, exporter)
        yield export("ibn-a-resnet18", lambda: ibn("resnet18"), exporter)
        yield export("ibn-a-resnet50", lambda: ibn("resnet50"), exporter)
        for n in (3, 9, 18):
            yield export(f"cifar{6 * n + 2}", lambda n=n: cifar(n), exporter, 32)


# Of Keras Applications: what is built with settings of its own, beside 96 pixels, 10 classes and no weights.
WIDTHS = {
    "MobileNet": [{"alpha": 0.25}, {"alpha": 1.0}],
    "MobileNetV2": [{"alpha": 0.35}, {"alpha": 1.0}, {"alpha": 1.4}],
    "MobileNetV3Small": [{}, {"alpha": 0.75}, {"minimalistic": True}],
    "MobileNetV3Large": [{}, {"minimalistic": True}],
}
# Larger networks of the same code would only take time.
LARGE = re.compile(r"(ResNet152|RS(152|200|270|350|420)|NetB[67]|V2L|V2M|Large$|XLarge|ConvNeXtBase|NASNetLarge|RegNet[XY](080|120|160|320)|VGG19)")
LARGE_BUT = {"MobileNetV3Large"}


def keras_models(module, family):
    """(label, a function that writes it into a path), of `keras` or `tf_keras`."""
    import importlib

    import numpy as np

    keras = importlib.import_module(module)

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

    def save(name, build, ending):
        def write(path):
            keras.backend.clear_session()
            keras.utils.set_random_seed(0)
            settled(build()).save(path)

        return f"{family}-{name}.{ending}", write

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

    endings = ["keras", "h5"] if module == "keras" else ["h5"]
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    for name in names:
        if LARGE.search(name) and name not in LARGE_BUT and not name.startswith("ResNet152V"):
            continue
        for settings in WIDTHS.get(name, [{}]):
            label = "-".join([name, *(f"{key}{value}" for key, value in settings.items())])
            for ending in endings if name in ("ResNet50", "MobileNetV2", "DenseNet121") else endings[:1]:
                yield save(label, application(name, **settings), ending)
    yield save("ResNet50V2-notop", application("ResNet50V2", include_top=False, pooling="avg"), endings[0])
    yield save("VGG16-notop", application("VGG16", include_top=False), endings[0])
    yield save("headed-ResNet50", headed("ResNet50"), endings[0])
    yield save("headed-ResNet101V2", headed("ResNet101V2"), "h5")


def called_wrongly(label, name):
    """Whether a network bears the name of a family that it is not of."""
    name = str(name)
    for pattern, allowed in NAMES:
        found = re.search(pattern, label)
        if found:
            parts = [group for group in found.groups() if group] or [""]
            return not re.fullmatch(allowed.replace("{0}", parts[0]), name)
    return not re.fullmatch(NO_FORM, name)


def attempt(args, label, write, folder):
    """What is said of a model and not true of it; None where its framework could not write it."""
    path = folder / label
    if not path.exists():
        try:
            write(path)
        except Exception as error:
            # A framework that cannot write its own model is not what is tested here.
            path.unlink(missing_ok=True)
            print(f"{label}: left out, {type(error).__name__}: {str(error)[-200:]!r}", flush=True)
            return None
    done = subprocess.run([args.residua, "check", path, "--format", "json", "--quiet"], capture_output=True, text=True)
    size = path.stat().st_size
    if not args.keep:
        path.unlink()
    if done.returncode not in (0, 1):
        return [f"exit {done.returncode}: {done.stderr.strip()[:300]}"]
    document = json.loads(done.stdout)
    name = document.get("architecture")
    notes = [f["code"] for f in document["findings"] if f["level"] == "note"]
    print(f"{label}: {name}, {size >> 20} MiB, {len(document['findings'])} findings {' '.join(notes)}", flush=True)
    said = [f for f in document["findings"] if f["level"] != "note"]
    expected = lambda f: any(f["code"] == code and part in label for code, part in TRUE)
    wrong = [f"{f['level']} {f['code']} {f['node']}: {f['message']}" for f in said if not expected(f)]
    if called_wrongly(label, name):
        wrong.append(f"is called {name}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--only", default="own,torchvision,timm,keras,tf_keras")
    parser.add_argument("--exporter", default="old,dynamo")
    parser.add_argument("--filter", default="")
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args()
    exporters = args.exporter.split(",")
    groups = {
        "own": lambda: own_models(exporters),
        "torchvision": lambda: torchvision_models(exporters),
        "timm": lambda: timm_models(exporters),
        "keras": lambda: keras_models("keras", "keras"),
        "tf_keras": lambda: keras_models("tf_keras", "tf_keras"),
    }
    checked, failed = 0, []
    with tempfile.TemporaryDirectory() as folder:
        folder = args.keep or Path(folder)
        folder.mkdir(exist_ok=True)
        for group in args.only.split(","):
            try:
                for label, write in groups[group]():
                    if not re.search(args.filter, label):
                        continue
                    wrong = attempt(args, label, write, folder)
                    checked += wrong is not None
                    failed += [f"{label}: {what}" for what in wrong or []]
                    for what in wrong or []:
                        print(f"  {what}", flush=True)
            except ImportError as error:
                print(f"{group} left out: {error}")
    for wrong in failed:
        print(f"FAILED {wrong}")
    print(f"{checked} networks were checked, {len(failed)} findings are not true of them")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
