"""Measures `evaluate` beside Keras, torchvision and ONNX Runtime on the same images, and prints rows for docs/figures.md.

    python tests/figures/images.py --residua target/release/residua --keras venv/bin/python --torch torch/bin/python

The two interpreters are those of fixtures/requirements.txt, and of fixtures/requirements-torch.txt with onnxruntime.
Three parts: `speed` (JPEGs of photograph size through a ResNet-50 of each framework, with the first class of each image
held against residua's), `exact` (prepared arrays against the frameworks' own), `memory` (50,000 images against 500).
Networks are not trained: their norms are calibrated on images, and their classifier is fitted, so that classes differ.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLASSES = 10
WORKERS = 2
BATCH = 16


# ---------------------------------------------------------------- parts that run in an environment of their own


def draw(folder, count, width, height):
    """JPEGs of waves of several directions and colours; of a class the directions are alike."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(11)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(width, height)
    for number in range(count):
        kind = number % CLASSES
        image = np.zeros((height, width, 3), np.float32)
        for _ in range(5):
            angle = np.pi * (kind + rng.normal(0, 0.35)) / CLASSES
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(20, 160) + rng.uniform(0, 6))
            image += wave[..., None] * rng.uniform(-1, 1, 3)
        noise = Image.fromarray(rng.integers(0, 60, (height // 4, width // 4, 3), np.uint8)).resize((width, height))
        levels = np.clip(128 + 40 * image + np.asarray(noise, np.float32) - 30, 0, 255).astype(np.uint8)
        place = Path(folder) / f"c{kind}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(place / f"{number:05}.jpg", quality=90)


def classifier(features, truth):
    """Weights of a linear classifier by ridge regression."""
    import numpy as np

    mean, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / spread
    wanted = np.eye(CLASSES)[truth]
    gram = scaled.T @ scaled + 30.0 * np.eye(scaled.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (wanted - wanted.mean(0))) * 8
    weights /= spread[:, None]
    return weights.astype(np.float32), (-mean @ weights).astype(np.float32)


def keras_data(folder):
    import keras

    data = keras.utils.image_dataset_from_directory(
        folder, image_size=(224, 224), batch_size=BATCH, shuffle=False, label_mode="int", verbose=False
    )
    return data, data.file_paths


def keras_model(folder, out):
    import numpy as np

    import keras
    from keras.applications import resnet

    keras.utils.set_random_seed(3)
    base = resnet.ResNet50(weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3))
    data, _ = keras_data(folder)
    some = data.shuffle(64, seed=1).take(12)
    images = np.concatenate([x for x, _ in some])
    truth = np.concatenate([y for _, y in data.shuffle(64, seed=1).take(12)])
    images = resnet.preprocess_input(images)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    base(images[:64], training=True)
    features = base.predict(images, batch_size=BATCH, verbose=0)
    top = keras.layers.Dense(CLASSES, activation="softmax", name="predictions")
    model = keras.Model(base.input, top(base.output), name="resnet50")
    top.set_weights(classifier(features, truth))
    model.save(out)


def keras_run(folder, model):
    import keras
    from keras.applications import resnet

    model = keras.saving.load_model(model)
    data, files = keras_data(folder)
    data = data.map(lambda x, y: resnet.preprocess_input(x)).prefetch(2)
    model.predict(data.take(1), verbose=0)
    begun = time.perf_counter()
    classes = model.predict(data, verbose=0).argmax(1)
    return time.perf_counter() - begun, dict(zip(files, classes.tolist()))


def torch_data(folder, workers):
    import torch
    from torchvision import datasets, transforms

    way = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])  # fmt: skip
    data = datasets.ImageFolder(folder, way)
    return data, torch.utils.data.DataLoader(data, batch_size=BATCH, num_workers=workers)


def torch_model(folder, out):
    import numpy as np
    import torch
    import torchvision

    torch.manual_seed(3)
    model = torchvision.models.resnet50(num_classes=CLASSES)
    data, _ = torch_data(folder, 0)
    chosen = np.random.default_rng(1).permutation(len(data))[: min(192, len(data))]
    images = torch.stack([data[int(i)][0] for i in chosen])
    truth = np.array([data.targets[i] for i in chosen])
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0
        model.train()(images[:64])
        for norm in norms:
            norm.momentum = 0.1
        head, model.fc = model.fc, torch.nn.Identity()
        features = torch.cat([model.eval()(part) for part in images.split(BATCH)]).numpy()
        weights, bias = classifier(features, truth)
        head.weight.copy_(torch.from_numpy(weights.T))
        head.bias.copy_(torch.from_numpy(bias))
        model.fc = head
    torch.save(model.state_dict(), out)


def torch_run(folder, model):
    import torch
    import torchvision

    torch.set_num_threads(WORKERS)
    net = torchvision.models.resnet50(num_classes=CLASSES)
    net.load_state_dict(torch.load(model, weights_only=True))
    net.eval()
    data, loader = torch_data(folder, WORKERS)
    with torch.inference_mode():
        net(torch.zeros(1, 3, 224, 224))
        begun = time.perf_counter()
        classes = [c for x, _ in loader for c in net(x).argmax(1).tolist()]
        seconds = time.perf_counter() - begun
    return seconds, dict(zip((path for path, _ in data.samples), classes))


def ort_run(folder, model):
    """ONNX Runtime fed by Pillow on threads, a few batches ahead."""
    import concurrent.futures
    import itertools

    import numpy as np
    import onnxruntime
    from PIL import Image

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = WORKERS
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    spread = np.array([0.229, 0.224, 0.225], np.float32)

    def read(path):
        image = Image.open(path).convert("RGB")
        short, (width, height) = min(image.size), image.size
        image = image.resize((256 * width // short, 256 * height // short), Image.BILINEAR)
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        image = image.crop((left, top, left + 224, top + 224))
        return ((np.asarray(image, np.float32) / 255 - mean) / spread).transpose(2, 0, 1)

    files = sorted(str(path) for path in Path(folder).glob("*/*.jpg"))
    session.run(None, {name: np.zeros((1, 3, 224, 224), np.float32)})
    classes = []
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        waiting = []
        parts = iter(lambda it=iter(files): list(itertools.islice(it, BATCH)), [])
        for part in parts:
            waiting.append([pool.submit(read, path) for path in part])
            if len(waiting) > 2:
                batch = np.stack([image.result() for image in waiting.pop(0)])
                classes.extend(session.run(None, {name: batch})[0].argmax(1).tolist())
        for part in waiting:
            batch = np.stack([image.result() for image in part])
            classes.extend(session.run(None, {name: batch})[0].argmax(1).tolist())
    return time.perf_counter() - begun, dict(zip(files, classes))


def arrays_of_keras(folder, out):
    import numpy as np
    import tensorflow as tf

    import keras
    from keras.applications import densenet, resnet, resnet_v2

    arrays = {}
    for path in sorted(Path(folder).iterdir()):
        squeezed = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        for mode, module in [("caffe", resnet), ("tf", resnet_v2), ("torch", densenet)]:
            arrays[f"keras {mode}|{path.name}"] = module.preprocess_input(squeezed[None].copy())[0]
        decoded = tf.io.decode_image(path.read_bytes(), channels=3, expand_animations=False)
        arrays[f"keras dataset|{path.name}"] = tf.image.resize(decoded, (224, 224), method="bilinear").numpy()
    np.savez(out, **arrays)


def arrays_of_torch(folder, out):
    import numpy as np
    from PIL import Image
    from timm.data import create_transform
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    statistics = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    ways = {}
    for name, mode in [("bilinear", InterpolationMode.BILINEAR), ("bicubic", InterpolationMode.BICUBIC)]:
        ways[f"torchvision {name}"] = Compose(
            [Resize(256, mode), CenterCrop(224), ToTensor(), Normalize(*statistics)]
        )
        for share in (0.875, 0.95):
            ways[f"timm {name} {share}"] = create_transform(
                224, interpolation=name, crop_pct=share, mean=statistics[0], std=statistics[1]
            )
    arrays = {}
    for path in sorted(Path(folder).iterdir()):
        image = Image.open(path).convert("RGB")
        for name, way in ways.items():
            arrays[f"{name}|{path.name}"] = way(image).numpy().transpose(1, 2, 0)
    np.savez(out, **arrays)


PARTS = {
    "draw": lambda folder, count, width, height: draw(folder, int(count), int(width), int(height)),
    "keras_model": keras_model,
    "keras_run": keras_run,
    "torch_model": torch_model,
    "torch_run": torch_run,
    "ort_run": ort_run,
    "arrays_of_keras": arrays_of_keras,
    "arrays_of_torch": arrays_of_torch,
}


# ---------------------------------------------------------------- the measuring


def part(python, name, *args):
    """What a part gives, from an interpreter that has its packages."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}
    command = [python, __file__, "--part", name, *map(str, args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=quiet, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def evaluate(residua, folder, model, out, options):
    """Seconds of the whole process, and the class of each file."""
    command = [residua, "evaluate", model, folder, "--quiet", "--format", "json", "--predictions", out, "--threads", "2"]
    begun = time.perf_counter()
    done = subprocess.run([*map(str, command), *options], stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - begun
    with open(out, newline="") as file:
        classes = {row["file"]: int(row["predicted"].removeprefix("c")) for row in csv.DictReader(file)}
    return seconds, classes, json.loads(done.stdout)


def flips(own, other):
    names = {Path(path).name: kind for path, kind in other.items()}
    assert len(names) == len(own), (len(names), len(own))
    return sorted(Path(path).name for path, kind in own.items() if names[Path(path).name] != kind)


def speed(args, work):
    folder = work / "images"
    part(args.torch, "draw", folder, args.images, args.width, args.height)
    part(args.keras, "keras_model", folder, work / "resnet50.keras")
    part(args.torch, "torch_model", folder, work / "resnet50.pth")
    convert = [args.residua, "convert", work / "resnet50.pth", work / "resnet50.onnx", "--quiet"]
    subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
    squeezed = "--preprocess caffe --resize 224x224 --crop none --interpolation bilinear --antialias off".split()
    cut = "--preprocess torch --resize 256 --crop 224 --interpolation bilinear".split()
    rows = [
        ("Keras's `predict` over `image_dataset_from_directory`", args.keras, "keras_run", "resnet50.keras", squeezed),
        ("torchvision with a DataLoader of two workers", args.torch, "torch_run", "resnet50.pth", cut),
        ("ONNX Runtime fed by Pillow on two threads", args.torch, "ort_run", "resnet50.onnx", cut),
    ]
    print("| against | its images/s | residua's | ratio | top-1 of residua | other first classes |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for what, python, name, model, options in rows:
        ratios, theirs, ours = [], [], []
        for _ in range(args.rounds):
            seconds, classes = part(python, name, folder, work / model)
            own_seconds, own, report = evaluate(args.residua, folder, work / model, work / "each.csv", options)
            theirs.append(len(own) / seconds)
            ours.append(len(own) / own_seconds)
            ratios.append(seconds / own_seconds)
        middle = lambda figures: sorted(figures)[len(figures) // 2]
        other = flips(own, classes)
        print(
            f"| {what} | {middle(theirs):.1f} | {middle(ours):.1f} | {middle(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {report['top1']['value']:.3f} "
            f"| {len(other)} of {len(own)}{': ' + ', '.join(other[:8]) if other else ''} |",
            flush=True,
        )


def exact(args, work):
    """Prepared arrays of 20 images, as PNG and as JPEG, out of a network that gives back what it gets."""
    import numpy as np

    part(args.torch, "draw", work / "large", 20, 640, 427)
    for kind in ("png", "jpg"):
        (work / kind).mkdir()
    code = (
        "import sys; from pathlib import Path; from PIL import Image\n"
        "for path in Path(sys.argv[1]).glob('large/*/*.jpg'):\n"
        "    image = Image.open(path)\n"
        "    image = image.crop((0, 0, image.width - int(path.stem) * 7, image.height - int(path.stem) % 5))\n"
        "    image.save(Path(sys.argv[1]) / 'png' / f'{path.stem}.png')\n"
        "    image.save(Path(sys.argv[1]) / 'jpg' / f'{path.stem}.jpg', quality=92)\n"
        "import onnx; from onnx import helper, TensorProto\n"
        "def value(name): return helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', 3, 224, 224])\n"
        "graph = helper.make_graph([helper.make_node('Identity', ['x'], ['y'])], 'g', [value('x')], [value('y')])\n"
        "model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)\n"
        "onnx.save(model, Path(sys.argv[1]) / 'same.onnx')\n"
    )
    subprocess.run([args.torch, "-c", code, str(work)], check=True)
    squeezed = "--resize 224x224 --crop none --interpolation"
    options = {
        "keras caffe": f"--preprocess caffe {squeezed} nearest",
        "keras tf": f"--preprocess tf {squeezed} nearest",
        "keras torch": f"--preprocess torch {squeezed} nearest",
        "keras dataset": f"--preprocess raw {squeezed} bilinear --antialias off",
    }
    for name in ("bilinear", "bicubic"):
        options[f"torchvision {name}"] = f"--preprocess torch --resize 256 --crop 224 --interpolation {name}"
        for share, edge in ((0.875, 256), (0.95, 235)):
            options[f"timm {name} {share}"] = f"--preprocess torch --resize {edge} --crop 224 --interpolation {name}"
    print("| way | largest difference, 20 PNGs | elements that differ | 20 JPEGs, in levels of 255 |")
    print("| --- | ---: | ---: | ---: |")
    found = {}
    for kind in ("png", "jpg"):
        part(args.keras, "arrays_of_keras", work / kind, work / f"keras.{kind}.npz")
        part(args.torch, "arrays_of_torch", work / kind, work / f"torch.{kind}.npz")
        expected = {**np.load(work / f"keras.{kind}.npz"), **np.load(work / f"torch.{kind}.npz")}
        files = sorted((work / kind).iterdir())
        for way, words in options.items():
            largest, differ, all_ = 0.0, 0, 0
            for file in files:
                out = work / "out.npy"
                command = [args.residua, "run", work / "same.onnx", "--input", file, "--output", out, "--quiet"]
                subprocess.run([*map(str, command), *words.split()], check=True, stdout=subprocess.DEVNULL)
                own = np.load(out)[0].transpose(1, 2, 0)
                difference = np.abs(own - expected[f"{way}|{file.name}"])
                largest = max(largest, float(difference.max()))
                differ += int((difference > 0).sum())
                all_ += difference.size
            found[way, kind] = (largest, differ, all_)
    # What a level of 255 is worth behind the scaling.
    levels = {"keras caffe": 1.0, "keras tf": 127.5, "keras dataset": 1.0}
    for way in options:
        (largest, differ, all_), (of_jpegs, _, _) = found[way, "png"], found[way, "jpg"]
        level = levels.get(way, 255 * 0.224)
        print(f"| {way} | {largest:.3g} | {differ} of {all_:,} | {of_jpegs * level:.1f} |", flush=True)


def memory(args, work):
    """Peak memory and time of a small network over links to a few images."""
    images = work / "few"
    part(args.torch, "draw", images, 20, 64, 48)
    new = [args.residua, "new", "resnet20_cifar", work / "small.onnx", "--quiet"]
    subprocess.run(list(map(str, new)), check=True, stdout=subprocess.DEVNULL)
    files = sorted(images.glob("*/*.jpg"))
    print("| images | peak memory | seconds |\n| ---: | ---: | ---: |")
    for count in (500, 50_000):
        folder = work / f"links{count}"
        for number in range(count):
            file = files[number % len(files)]
            place = folder / file.parent.name
            place.mkdir(parents=True, exist_ok=True)
            os.link(file, place / f"{number:06}.jpg")
        code = (
            "import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [args.residua, "evaluate", work / "small.onnx", folder, "--quiet", "--format", "json"]
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, command)], check=True, stdout=subprocess.PIPE, text=True
        )
        seconds = time.perf_counter() - begun
        print(f"| {count:,} | {int(done.stdout) / 1024:.1f} MiB | {seconds:.1f} |", flush=True)


def main():
    if sys.argv[1:2] == ["--part"]:
        print(json.dumps(PARTS[sys.argv[2]](*sys.argv[3:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["exact", "memory", "speed"])
    parser.add_argument("--residua", required=True)
    parser.add_argument("--keras", required=True)
    parser.add_argument("--torch", required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--height", type=int, default=1536)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    args.residua = str(Path(args.residua).resolve())
    for what in args.what:
        with tempfile.TemporaryDirectory() as work:
            print(f"\n{what}\n")
            {"speed": speed, "exact": exact, "memory": memory}[what](args, Path(work))


if __name__ == "__main__":
    main()
