"""Builds networks with the frameworks that are installed, and says of each what residua makes of its files.

    python tests/peers/networks.py --residua target/debug/residua [--only keras,tf_keras,hub,torchvision,timm]
        [--filter PATTERN,…] [--results FILE.json] [--update]

Inputs are small, weights random, statistics those of a batch. Of each file: `check` without an error or warning, what
the framework computes within 1e-5 (of its largest value, where that is above 1), `convert` to ONNX with proof, and the
same numbers from ONNX Runtime. Where f32 is off by more, what residua computes in f64 is held against the framework in
f64. Results are added to `--results`, and what is there is not asked again, so that frameworks that do not go together
can be asked one after the other; networks are asked in the order of the patterns. `--update` writes docs/networks.md
from all results. Exits 1 where a network fails that is not listed in `KNOWN` with its reason, or where a listed one
holds; a file that the framework could not write counts as neither, and is listed.
"""

import argparse
import copy
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
DOCUMENT = Path(__file__).parents[2] / "docs/networks.md"
TOLERANCE = 1e-5
STEPS = ["read", "clean", "run", "converted", "runtime"]

# What does not hold, by patterns of framework, network and container, and why.
KNOWN = {
    r"torchvision/densenet\d+/(state dict|whole module)": "weights of a DenseNet alone tell no graph",
    r"torchvision/convnext_\w+/ONNX, dynamo": "`Range` of as many numbers as there are images in a batch",
}

# Smallest side that a network takes, where 64 pixels are too few.
SIDES = {"InceptionV3": 139, "InceptionResNetV2": 75, "Xception": 71, "NASNet": 64}


def inputs(shape, count=2):
    return np.random.default_rng(1).normal(0, 1, (count, *shape)).astype(np.float32)


# ---------------------------------------------------------------- Keras


def keras_settled(keras, model, batch):
    """Random scales and offsets, and the statistics of a batch."""
    random = np.random.default_rng(0)
    norms, layers = [], [model]
    while layers:
        layer = layers.pop()
        layers += getattr(layer, "layers", [])
        if isinstance(layer, keras.layers.BatchNormalization):
            norms.append((layer, layer.momentum))
            layer.momentum = 0.0
            weights = layer.get_weights()
            layer.set_weights([weight + random.normal(0, 0.1, weight.shape) for weight in weights[:-2]] + weights[-2:])
    model(batch, training=True)
    for layer, momentum in norms:
        layer.momentum = momentum
    return model


def in_f64(keras, create, model, x):
    """What the framework itself computes of a model in double precision."""
    policy = getattr(keras, "config", keras.mixed_precision)
    put = getattr(policy, "set_dtype_policy", None) or policy.set_global_policy
    keras.backend.set_floatx("float64")
    put("float64")
    try:
        double = create()
        double.set_weights([np.asarray(weight, np.float64) for weight in model.get_weights()])
        return np.asarray(double(x.astype(np.float64), training=False))
    finally:
        keras.backend.set_floatx("float32")
        put("float32")


def keras_cases(module, framework):
    keras = importlib.import_module(module)
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    for name in names:
        side = next((side for part, side in SIDES.items() if name.startswith(part)), 64)
        shape = (side, side, 3)

        def build(name=name, shape=shape):
            keras.backend.clear_session()
            keras.utils.set_random_seed(0)
            options = {"include_preprocessing": True} if re.match("MobileNetV3|EfficientNetV2|ConvNeXt|RegNet|ResNetRS", name) else {}
            create = lambda: getattr(keras.applications, name)(weights=None, input_shape=shape, classes=10, **options)
            model = create()
            # Networks that prepare images take pixels.
            pixels = lambda x: x * 50 + 120 if options or name.startswith("EfficientNet") else x
            model = keras_settled(keras, model, pixels(inputs(shape, 8)))
            x = pixels(inputs(shape))
            y = np.asarray(model(x, training=False))

            def save(ending, folder):
                path = folder / f"{name}.{ending}"
                model.save(path)
                return path

            golden = {"input/" + model.inputs[0].name.split(":")[0]: x, "output/" + model.layers[-1].name: y}
            return save, golden, lambda: in_f64(keras, create, model, x)

        yield name, ["h5", "keras"], build


# ---------------------------------------------------------------- KerasHub


def hub_cases():
    import keras
    import keras_hub

    side, shape = 64, (64, 64, 3)
    common = {"image_shape": shape}

    def resnet(kind, block, **more):
        stem = {"input_conv_filters": [64], "input_conv_kernel_sizes": [7]}
        deep = {"input_conv_filters": [32, 32, 64], "input_conv_kernel_sizes": [3, 3, 3]}
        sizes = {"stackwise_num_filters": [64, 128, 256, 512], "stackwise_num_blocks": [2, 2, 2, 2], "stackwise_num_strides": [1, 2, 2, 2]}
        vd = "vd" in kind
        return lambda: keras_hub.models.ResNetBackbone(
            **(deep if vd else stem), **sizes, block_type=block, use_pre_activation=kind == "v2", **common, **more
        )

    backbones = {
        "ResNet v1, basic": resnet("v1", "basic_block"),
        "ResNet v1, bottleneck": resnet("v1", "bottleneck_block"),
        "ResNet v2, basic": resnet("v2", "basic_block"),
        "ResNet v2, bottleneck": resnet("v2", "bottleneck_block"),
        "ResNet vd, basic": resnet("vd", "basic_block_vd"),
        "ResNet vd, bottleneck": resnet("vd", "bottleneck_block_vd"),
    }
    for name, backbone in backbones.items():

        def build(name=name, backbone=backbone):
            keras.backend.clear_session()
            keras.utils.set_random_seed(0)
            create = lambda: keras_hub.models.ResNetImageClassifier(backbone=backbone(), num_classes=10, preprocessor=None)
            task = create()
            keras_settled(keras, task, inputs(shape, 8))
            x = inputs(shape)
            y = np.asarray(task(x, training=False))

            def save(ending, folder):
                stem = re.sub(r"\W+", "_", name)
                if ending == "preset":
                    task.save_to_preset(str(folder / stem))
                    return folder / stem
                path = folder / f"{stem}.{ending}"
                task.save(path)
                return path

            return save, {"input/input": x, "output/output": y}, lambda: in_f64(keras, create, task, x)

        yield name, ["keras", "preset"], build


# ---------------------------------------------------------------- PyTorch


def torch_settled(network, size):
    import torch
    from torch import nn

    torch.manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 1.0
                if module.affine:
                    module.weight += 0.1 * torch.randn_like(module.weight)
                    module.bias += 0.1 * torch.randn_like(module.bias)
        network.train()
        network(torch.randn(8, 3, size, size))
    return network.eval()


def torch_cases(names, create, containers, size=lambda name: 64):
    import torch

    torch.set_num_threads(1)
    for name in names:

        def build(name=name):
            side = size(name)
            torch.manual_seed(0)
            network = torch_settled(create(name), side)
            x = inputs((3, side, side))
            with torch.no_grad():
                y = network(torch.from_numpy(x)).numpy()

            def save(container, folder):
                ending = {"state dict": "pth", "whole module": "pt"}.get(container, "onnx")
                path = folder / f"{name}.{ending}"
                if container == "state dict":
                    torch.save(network.state_dict(), path)
                elif container == "whole module":
                    torch.save(network, path)
                else:
                    dynamo = container == "ONNX, dynamo"
                    options = {"dynamo": True, "external_data": False} if dynamo else {"dynamo": False, "opset_version": 17}
                    free = {"dynamic_shapes": ({0: torch.export.Dim.AUTO},)} if dynamo else {"dynamic_axes": {"input": {0: "N"}}}
                    torch.onnx.export(network, (torch.from_numpy(x),), path, input_names=["input"], verbose=False, **options, **free)
                return path

            def exact():
                with torch.no_grad():
                    return copy.deepcopy(network).double()(torch.from_numpy(x).double()).numpy()

            return save, {"input/input": x, "output/output": y}, exact

        yield name, containers(name), build


def torchvision_cases():
    import torchvision

    def create(name):
        settings = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return torchvision.models.get_model(name, weights=None, num_classes=10, **settings)

    def containers(name):
        known = re.match(r"resnet|resnext|wide_resnet|densenet", name)
        return (["state dict", "whole module"] if known else []) + ["ONNX, script", "ONNX, dynamo"]

    def size(name):
        return next((side for part, side in [("inception", 96), ("vit_b_16", 224), ("vit_l_16", 224), ("vit_h", 224), ("vit", 224), ("maxvit", 224)] if name.startswith(part)), 64)

    names = [name for name in torchvision.models.list_models(module=torchvision.models)]
    left = re.compile(r"vit_[lh]|regnet_y_128gf|swin_[sb]|swin_v2_[sb]|convnext_(base|large)|efficientnet_(b[4-7]|v2_[ml])")
    yield from torch_cases([name for name in names if not left.search(name)], create, containers, size)


def timm_cases():
    import timm
    from sound_peer import SIDES, TIMM

    def size(name):
        return next((side for part, side in SIDES.items() if part in name), 64)

    known = set(timm.list_models())
    create = lambda name: timm.create_model(name, num_classes=10, exportable=True)
    yield from torch_cases([name for name in TIMM if name in known], create, lambda _: ["ONNX, script"], size)


# ---------------------------------------------------------------- what is asked


def ask(residua, *args):
    done = subprocess.run([residua, *map(str, args), "--format", "json", "--quiet"], capture_output=True, text=True)
    lines = done.stderr.strip().splitlines()
    said = next((line for line in reversed(lines) if "because:" in line or line.startswith("error")), lines[-1] if lines else "")
    said = re.sub(r"\S*/(?=[^/\s]+\.\w+)", "", said.strip())  # Without the folder, which is another one each time.
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, said


def noise(residua, path, golden):
    """What f32 rounding does to a network, as a bound, and how far it is off, where it is within that. Statistics of a small
    batch are near zero here and there, and magnify what f32 rounds."""
    _, document, _ = ask(residua, "check", path, "--golden", golden)
    if document is None or [f for f in document["findings"] if f["code"] == "R700"]:
        return None, None
    [held] = document["golden"]
    return max(output["bound"] for output in held["outputs"][:1]), max(output["max_abs"] for output in held["outputs"][:1])


def in_full(residua, path, golden, exact, folder):
    """Where f32 rounds by more than is allowed: how far the framework's f32 is from its own f64, and residua's f64 from that."""
    x = next(value for key, value in golden.items() if key.startswith("input/"))
    y = next(value for key, value in golden.items() if key.startswith("output/"))
    try:
        double = exact()
    except Exception as error:
        return {"full": f"{type(error).__name__}: {str(error)[-100:]}"}
    np.save(folder / "x.npy", x)
    options = ["--precision", "f64", "--output-dtype", "computed", "-i", folder / "x.npy", "-o", folder / "y.npy"]
    status, _, error = ask(residua, "run", path, *options)
    if status:
        return {"full": error}
    own = np.load(folder / "y.npy")
    return {"own": float(np.abs(y - double).max()), "full": float(np.abs(own - double).max())}


def examined(residua, path, golden, exact, folder):
    """Each step with whether it holds, and what was said where one does not."""
    import onnxruntime

    result, said = dict.fromkeys(STEPS, False), []
    status, document, error = ask(residua, "check", path)
    if status == 2:
        return result, [error]
    result["read"] = not any(f["code"] == "R105" for f in document["findings"])
    result["name"] = document.get("architecture")
    bad = [f for f in document["findings"] if f["level"] != "note"]
    result["clean"] = not bad
    said += [f"{f['code']}: {f['message']}" for f in bad[:1]]
    outputs = [key for key in golden if key.startswith("output/")]
    largest = max(1.0, max(float(np.abs(golden[key]).max()) for key in outputs))
    file = folder / "golden.npz"
    np.savez(file, **golden)
    status, document, error = ask(residua, "check", path, "--golden", file, "--tolerance", TOLERANCE * largest)
    wrong = [f["message"] for f in (document or {}).get("findings", []) if f["code"] == "R700"]
    result["run"] = status != 2 and document is not None and not wrong and document.get("golden") is not None
    allowed = TOLERANCE * largest
    if wrong:
        bound, found = noise(residua, path, file)
        if bound is not None:
            allowed, result["run"], result["noise"] = bound, True, found
        result |= in_full(residua, path, golden, exact, folder)
        # Where an exporter folded norms into kernels in f32, the file is not quite the same network in f64.
        if not isinstance(result["full"], float) or result["full"] > max(TOLERANCE * largest, result["own"]):
            result["run"] = False
            full = f"{result['full']:.2e}" if isinstance(result["full"], float) else result["full"]
            wrong.append(f"{wrong[0]}; f64 is off by {full} from the framework's f64")
    if not result["run"]:
        return result, [*said, wrong[-1] if wrong else error]
    out = folder / "out.onnx"
    status, document, error = ask(residua, "convert", path, out)
    result["converted"] = status == 0
    if status:
        return result, [*said, error]
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    x = next(value for key, value in golden.items() if key.startswith("input/"))
    wanted = session.get_inputs()[0].shape
    feed = x if wanted[1] == x.shape[1] else x.transpose(0, 3, 1, 2)
    found = session.run(None, {session.get_inputs()[0].name: feed})[0]
    off = float(np.abs(found - golden[outputs[0]]).max())
    if off > allowed:
        # It computes in f32, as the framework does.
        bound, _ = noise(residua, path, file)
        allowed = max(allowed, 2 * (bound or 0.0))
        result["noise"] = max(off, result.get("noise", 0.0))
        if "full" not in result:
            result |= in_full(residua, path, golden, exact, folder)
    result["runtime"] = off <= allowed
    out.unlink()
    return result, said if result["runtime"] else [*said, f"ONNX Runtime is off by {off:.2g}"]


def left_out(args, results, keys, what, error, version):
    """The framework itself could not give a file: that is no fault of residua's, and is said."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    for key in keys:
        results[key] = {**dict.fromkeys(STEPS, False), "left_out": what, "said": [said[:150]], "version": version}
        print(f"{key}: {what}, {said[:200]}", flush=True)
    if args.results:
        args.results.write_text(json.dumps(results, indent=1, sort_keys=True))


def examine(args, framework, cases, results):
    version = importlib.metadata.version({"hub": "keras-hub", "tf_keras": "tf_keras"}.get(framework, framework))
    cases = list(cases)
    ordered = [case for pattern in args.filter.split(",") for case in cases if re.search(pattern, case[0])]
    for name, containers, build in ordered:
        if all(f"{framework}/{name}/{container}" in results for container in containers):
            continue
        try:
            save, golden, exact = build()
        except Exception as error:
            left_out(args, results, [f"{framework}/{name}/{container}" for container in containers], "not built", error, version)
            continue
        for container in containers:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    path = save(container, Path(folder))
                except Exception as error:
                    left_out(args, results, [f"{framework}/{name}/{container}"], "not written", error, version)
                    continue
                result, said = examined(args.residua, path, golden, exact, Path(folder))
            results[f"{framework}/{name}/{container}"] = {**result, "said": said, "version": version}
            holds = all(result[step] for step in STEPS)
            print(f"{framework} {name} {container}: {'holds' if holds else result} {said}", flush=True)
            if args.results:
                args.results.write_text(json.dumps(results, indent=1, sort_keys=True))


def known(key):
    return next((why for pattern, why in KNOWN.items() if re.fullmatch(pattern, key)), None)


TITLES = {"keras": "Keras Applications of Keras 3", "tf_keras": "Keras Applications of tf-keras", "hub": "KerasHub", "torchvision": "torchvision", "timm": "timm"}


def page(results):
    lines = ["# Networks", ""]
    lines += textwrap.wrap(
        "What residua makes of networks that frameworks build: small inputs, random weights, statistics of a batch. "
        "`tests/peers/networks.py` writes this page from what it saw. A network *holds* in a container where it is read "
        "without a layer that is not known, `check` has neither an error nor a warning, the outputs are the framework's within 1e-5 "
        "(of the largest, where that is above 1), `convert` to ONNX proves itself, and ONNX Runtime computes the same from that file. "
        "Where f32 rounds by more than that, it holds if the difference is within what rounding does to this network, as derived from runs "
        "in f32 and f64, and if what residua computes in f64 is within 1e-5 of what the framework computes in f64, or no further from that "
        "than the framework's own f32 is; by how much f32 is off is then said. A network that is not named, and a cell that is empty, was not "
        "tried with the build of residua that all of this page was seen with; it may hold or not.", 118)
    for framework, title in TITLES.items():
        own = {key: value for key, value in results.items() if key.startswith(framework + "/")}
        if not own:
            continue
        containers = sorted({key.split("/")[-1] for key in own})
        versions = sorted({value["version"] for value in own.values()})
        lines += ["", f"## {title} {', '.join(versions)}", ""]
        lines += ["| network | " + " | ".join(containers) + " |", "| --- |" + " --- |" * len(containers)]
        for name in dict.fromkeys(key.split("/")[1] for key in own):
            cells = []
            for container in containers:
                result = own.get(f"{framework}/{name}/{container}")
                missing = [WORDS[step] for step in STEPS if result and not result[step]]
                noise = f", to {result['noise']:.0e}" if result and "noise" in result else ""
                if result and "left_out" in result:
                    cells.append(result["left_out"] + " by it")
                else:
                    cells.append("" if result is None else f"holds{noise}" if not missing else "not " + missing[0])
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        left = {key: value for key, value in own.items() if not all(value[step] for step in STEPS)}
        if left:
            lines += ["", "What does not hold:", ""]
            for key, value in left.items():
                why = known(key) or (value["said"] or [""])[-1]
                why = f"{value['left_out']} by the framework: {why}" if "left_out" in value else why
                text = f"{key.split('/')[1]}, {key.split('/')[2]}: {why}".replace("|", "\\|")
                lines += textwrap.wrap(text, 116, initial_indent="- ", subsequent_indent="  ", break_long_words=False)
        rounded = {key: value for key, value in own.items() if isinstance(value.get("full"), float) and "own" in value}
        if rounded:
            lines += ["", "Where f32 is off by more than 1e-5: how far the framework's f32 is from its own f64, and how far what residua "
                      "computes in f64 is from that. An exporter that folds norms into kernels rounds weights, which is seen in f64."]
            lines[-1:] = textwrap.wrap(lines[-1], 118)
            lines += ["", "| network | container | framework in f32 | residua in f64 |", "| --- | --- | --- | --- |"]
            for key, value in rounded.items():
                lines.append(f"| {key.split('/')[1]} | {key.split('/')[2]} | {value['own']:.1e} | {value['full']:.1e} |")
    return "\n".join(lines) + "\n"


WORDS = {"read": "known in full", "clean": "without a finding", "run": "within 1e-5", "converted": "converted", "runtime": "the same in ONNX Runtime"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua")
    parser.add_argument("--only", default="keras,tf_keras,hub,torchvision,timm")
    parser.add_argument("--filter", default="")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    results = json.loads(args.results.read_text()) if args.results and args.results.exists() else {}
    cases = {
        "keras": lambda: keras_cases("keras", "keras"),
        "tf_keras": lambda: keras_cases("tf_keras", "tf_keras"),
        "hub": hub_cases,
        "torchvision": torchvision_cases,
        "timm": timm_cases,
    }
    if args.residua:
        for framework in args.only.split(","):
            try:
                examine(args, framework, cases[framework](), results)
            except ImportError as error:
                print(f"{framework} left out: {error}")
    if args.update:
        DOCUMENT.write_text(page(results))
    fails = {key for key, value in results.items() if not all(value[step] for step in STEPS) and "left_out" not in value}
    wrong = [f"{key} fails: {results[key]['said']}" for key in sorted(fails) if not known(key)]
    wrong += [f"{key} holds, and is listed as failing" for key in sorted(results) if known(key) and key not in fails]
    print("\n".join(["", *wrong, f"{len(results)} files of networks, {len(results) - len(fails)} hold"]))
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
