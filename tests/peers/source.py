"""Crates with the source of fixtures: each is written, all are built in one workspace, and the golden test of each is run.

    python3 tests/peers/source.py --residua target/debug/residua --work FOLDER [--to candle,tract,rten] [--handful] [--clippy]
        [--target FOLDER] [NAME ...]

Needs cargo and the crates of the runtimes (cargo fetches them), no Python package. With --target, what is built is shared with
`cargo xtask runtimes`: versions and profiles are those of tests/runtimes. A fixture that residua refuses, since the runtime lacks
an operator or the network takes no images, is named with the reason, and is no failure; anything else is.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
RUNTIMES = ROOT / "tests" / "runtimes"
ARCHIVES = ["transfer/models.zip", "layers/layers.zip", "thin/more.zip", "cifar/more.zip", "torch/torchvision.zip", "torch/timm.zip",
            "torch/huggingface.zip", "torch/modules.zip", "torch/zoo.zip", "onnx/keras.zip", "onnx/torch.zip"]
PLAIN = ["thin", "cifar", "digits"]
# A few networks a runtime: v2 with the pool of its shortcuts, squeeze and excitation, option A, concatenations.
HANDFUL = {"candle": ["digits-digits", "thin-thin50v2", "cifar-resnet29v2", "transfer-models-se-resnet", "transfer-models-option-a",
                      "onnx-torch-densenet"],
           "burn": ["digits-digits", "thin-thin50v2", "transfer-models-se-resnet", "transfer-models-option-a", "onnx-torch-densenet"]}
FEW = ["digits-digits", "thin-thin50v2"]
REFUSALS = ("cannot be written for", "are for networks that take images")


def label_of(folder, name, unpacked):
    """The name of a crate."""
    words = f"{folder.parent.name}-{folder.name}-{name}" if folder.is_relative_to(unpacked) else f"{folder.name}-{name}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower())


def models(work):
    """File and golden of each network under its name, one file a network."""
    unpacked = work / "fixtures"
    folders = [FIXTURES / name for name in PLAIN]
    for archive in ARCHIVES:
        target = unpacked / archive.removesuffix(".zip")
        if not target.exists():
            zipfile.ZipFile(FIXTURES / archive).extractall(target)
        folders.append(target)
    found = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            name = path.name.split(".")[0]
            is_model = path.is_dir() or path.suffix in {".h5", ".keras", ".pth", ".pt", ".bin", ".safetensors", ".onnx"}
            places = [place / f"{name}.golden.npz" for place in (folder, FIXTURES / folder.parent.name, FIXTURES / folder.name)]
            golden = next((place for place in places if place.exists()), None)
            label = label_of(folder, name, unpacked)
            if is_model and label not in found:
                found[label] = (path, golden)
    return found


def write(residua, name, path, golden, place, runtime):
    """Whether it is as it should be, and what residua says of the crate where it was written."""
    command = [residua, "convert", path, place, "--to", runtime, "--format", "json"]
    if golden and path.suffix != ".onnx":
        command += ["--golden", golden]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return True, json.loads(done.stdout)
    refused = any(text in done.stderr for text in REFUSALS)
    print(f"{runtime}: {name}: {'refused' if refused else 'FAILED'}: {' '.join(done.stderr.split())[:300]}", flush=True)
    return refused, None


def profiles():
    """The profiles of tests/runtimes, without those of our own crates, which are not built here."""
    text = (RUNTIMES / "Cargo.toml").read_text()
    sections = re.split(r"(?m)^(?=\[)", text)
    return "".join(s for s in sections if s.startswith("[profile") and "residua-" not in s)


def workspace(work, written):
    """A workspace of all crates that were written."""
    (work / "Cargo.toml").write_text('[workspace]\nresolver = "3"\nmembers = ["crates/*"]\n\n' + profiles())
    if not (work / "Cargo.lock").exists():
        shutil.copy(RUNTIMES / "Cargo.lock", work / "Cargo.lock")
    for name in written:
        manifest = work / "crates" / name / "Cargo.toml"
        # Profiles belong to the workspace.
        manifest.write_text(manifest.read_text().split("# Convolutions without")[0])


def cargo(work, target, *arguments):
    """Runs cargo in the workspace; gives its status and what it says."""
    command = ["cargo", *arguments[:1], "--workspace"]
    if target:
        command += ["--target-dir", target]
    done = subprocess.run([*command, *arguments[1:]], cwd=work, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--residua", type=Path, default=Path("target/debug/residua"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--to", default="candle")
    parser.add_argument("--clippy", action="store_true")
    parser.add_argument("--handful", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    work, target = arguments.work.resolve(), arguments.target and arguments.target.resolve()
    crates = work / "crates"
    shutil.rmtree(crates, ignore_errors=True)
    crates.mkdir(parents=True)
    known = models(work)
    failed, written, chosen = 0, [], 0
    for runtime in arguments.to.split(","):
        wanted = HANDFUL.get(runtime, FEW) if arguments.handful else arguments.names
        for name, (path, golden) in known.items():
            if wanted and name not in wanted:
                continue
            chosen += 1
            holds, document = write(arguments.residua, name, path, golden, crates / f"{runtime}-{name}", runtime)
            failed += not holds
            if document:
                written.append(f"{runtime}-{name}")
    print(f"{len(written)} crates are written of {chosen} networks", flush=True)
    workspace(work, written)
    if arguments.clippy:
        status, said = cargo(work, target, "clippy", "--all-targets", "--quiet", "--", "-D", "warnings")
        failed += status != 0
        print(said[-12000:] if status else "clippy says nothing", flush=True)
    began = time.monotonic()
    status, said = cargo(work, target, "test", "--no-fail-fast", "--", "--nocapture")
    warnings = [line for line in said.splitlines() if line.startswith("warning: ") and "generated" in line]
    differences = [float(number) for number in re.findall(r"differs by ([0-9.e+-]+) of its largest", said)]
    passed = len(re.findall(r"test outputs_are_those_of_the_source \.\.\.", said))
    if status or warnings:
        print(said[-12000:])
    largest = max(differences, default=float("nan"))
    print(f"{passed} golden tests ran in {time.monotonic() - began:.0f} s; the largest difference is {largest:.2e} of the largest value")
    sys.exit(1 if failed or status or warnings or passed != len(written) or not written else 0)


if __name__ == "__main__":
    main()
