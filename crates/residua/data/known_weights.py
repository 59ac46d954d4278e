# /// script
# requires-python = ">=3.11"
# dependencies = ["keras==3.15.1", "tensorflow-cpu==2.21.0", "torchvision==0.29.1"]
# ///
"""Makes `known_weights.csv` beside it: published weights, from the sources of Keras and torchvision.

Keras names the MD5 of each download in its source, torchvision the first eight digits of SHA-256 in the file's name.
Figures of Keras are those of keras.io, which its source does not hold; those of torchvision are in its source. Nothing
is downloaded but the packages. Each run writes the rows of the library that it finds and keeps those of the other, so
that the two may live in environments of their own:

    python crates/residua/data/known_weights.py
"""

import csv
import os
import re

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known_weights.csv")
COLUMNS = (
    "library,version,name,file,hash,address,top1,top5,figures,resize,crop,interpolation,preprocess,stated,classes"
).split(",")

KERAS_IO = "https://keras.io/api/applications/"
# Top-1 and top-5 accuracy in percent, from the table of KERAS_IO.
OF_KERAS_IO = {
    "resnet50": (74.9, 92.1),
    "resnet101": (76.4, 92.8),
    "resnet152": (76.6, 93.1),
    "resnet50v2": (76.0, 93.0),
    "resnet101v2": (77.2, 93.8),
    "resnet152v2": (78.0, 94.2),
    "densenet121": (75.0, 92.3),
    "densenet169": (76.2, 93.2),
    "densenet201": (77.3, 93.6),
}
# Keras 2.0 to 2.2 downloaded another ResNet-50 under the name that Keras has now: `keras/applications/resnet50.py` of
# these releases names the MD5.
OF_OLD_KERAS = "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/"
OLD = [
    ("resnet50_weights_tf_dim_ordering_tf_kernels.h5", "a7b3fe01876f51b976af0dea6bc144eb", True),
    ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "a268eb855778b3df3c7506639542a6af", False),
]


def of_keras():
    import keras
    from keras.src.applications import densenet, resnet

    found = []
    for name, hashes in resnet.WEIGHTS_HASHES.items():
        # Keras says of ResNeXt neither accuracy nor preprocessing: it has no class of it any more.
        mode = "" if name.startswith("resnext") else "tf" if name.endswith("v2") else "caffe"
        for digest, end in zip(hashes, ("", "_notop")):
            file = f"{name}_weights_tf_dim_ordering_tf_kernels{end}.h5"
            found.append((name, file, digest, resnet.BASE_WEIGHTS_PATH + file, mode, not end))
    with open(densenet.__file__) as source:
        call = r'"(densenet\d+_[a-z_]+\.h5)",\s*DENSENET\w+,[^)]*?file_hash="([0-9a-f]{32})"'
        calls = re.findall(call, source.read())
    assert len(calls) == 6, calls
    for file, digest in calls:
        name, address = file.split("_")[0], densenet.BASE_WEIGHTS_PATH + file
        found.append((name, file, digest, address, "torch", "notop" not in file))
    for name, file, digest, address, mode, top in found:
        top1, top5 = OF_KERAS_IO.get(name, ("", "")) if top else ("", "")
        stated = "preprocess_input and the default input size of Keras Applications" if mode else ""
        yield [
            "keras", keras.__version__, name, file, digest, address, top1, top5, KERAS_IO if top1 else "",
            "224x224" if mode else "", "", "", mode, stated, "imagenet" if top else "",
        ]  # fmt: skip
    for file, digest, top in OLD:
        stated = "preprocess_input and the default input size of Keras Applications"
        classes = "imagenet" if top else ""
        yield [
            "keras", "2.0 to 2.2", "resnet50", file, digest, OF_OLD_KERAS + file, "", "", "",
            "224x224", "", "", "caffe", stated, classes,
        ]  # fmt: skip


def of_torchvision():
    import torchvision
    from torchvision.models import densenet, get_model_builder, get_model_weights, list_models, resnet

    version = torchvision.__version__.split("+")[0]
    source = f"https://github.com/pytorch/vision/blob/v{version}/torchvision/models/"
    for name in list_models(module=torchvision.models):
        module = get_model_builder(name).__module__
        if module not in (resnet.__name__, densenet.__name__):
            continue
        for weights in get_model_weights(name):
            transforms, metrics = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]
            file = os.path.basename(weights.url)
            assert (transforms.mean, transforms.std) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), name
            assert len(transforms.resize_size) == len(transforms.crop_size) == 1, name
            yield [
                "torchvision", version, f"{name}.{weights.name}", file,
                re.search(r"-([0-9a-f]{8})\.pth$", file).group(1), weights.url,
                metrics["acc@1"], metrics["acc@5"], source + module.rsplit(".")[-1] + ".py",
                transforms.resize_size[0], transforms.crop_size[0], transforms.interpolation.value, "torch",
                f"the transforms of {weights}", "imagenet",
            ]  # fmt: skip


def main():
    kept = []
    if os.path.exists(TABLE):
        with open(TABLE, newline="") as file:
            kept = list(csv.reader(file))[1:]
    for library, rows in [("keras", of_keras), ("torchvision", of_torchvision)]:
        try:
            found = [[str(cell) for cell in row] for row in rows()]
        except ModuleNotFoundError as missing:
            print(f"{library}: rows are kept as they are ({missing})")
            continue
        print(f"{library}: {len(found)} rows")
        kept = [row for row in kept if row[0] != library] + found
    kept.sort(key=lambda row: (row[0], row[2], row[3], row[4]))
    with open(TABLE, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *kept])


if __name__ == "__main__":
    main()
