"""Measures crates with the source of networks, and prints rows for docs/figures.md.

    python tests/figures/source.py --residua target/release/residua --torch PYTHON --work FOLDER [--runs 7]

Writes ResNet-50 and -152 of torchvision, and DenseNet-121 of torchvision as an export to ONNX, with seeded weights, as crates for
candle and burn; counts lines of `src/model.rs`; builds them with --release; and times a forward pass of one image of 224 by 224
against `resnet50` of candle-transformers on the same weights. PYTHON is an
interpreter that has torch and torchvision installed.
"""

import argparse
import re
import statistics
import subprocess
import time
from pathlib import Path

WRITE = """
import sys
import torch
import torchvision

for name in ("resnet50", "resnet152"):
    torch.manual_seed(1)
    torch.save(getattr(torchvision.models, name)(weights=None).state_dict(), f"{sys.argv[1]}/{name}.pth")
torch.manual_seed(1)
network = torchvision.models.densenet121(weights=None)
for tensor in network.parameters():
    # Tensors that are equal would be one tensor in the export.
    torch.nn.init.normal_(tensor, 0.05, 0.05)
keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
torch.onnx.export(network.eval(), (torch.randn(1, 3, 224, 224),), f"{sys.argv[1]}/densenet121.onnx", dynamo=False, opset_version=17, **keep)
"""

# A program beside each crate for candle: the same image, many times.
OWN = """
use candle_core::{Device, Module, Result, Tensor};
use candle_nn::VarBuilder;
use std::time::Instant;

fn time(name: &str, model: &dyn Module, image: &Tensor) -> Result<Tensor> {
    let first = model.forward(image)?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        model.forward(image)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{name} {}", times[times.len() / 2]);
    Ok(first)
}

fn main() -> Result<()> {
    let device = Device::Cpu;
    let image = Tensor::rand(-1f32, 1f32, (1, 3, 224, 224), &device)?;
    let own = NAME::load(std::path::Path::new(NAME::WEIGHTS), &device)?;
    let bytes = std::fs::read("PEER")?;
    let vb = VarBuilder::from_buffered_safetensors(bytes, candle_core::DType::F32, &device)?;
    let peer = candle_transformers::models::resnet::resnet50(1000, vb)?;
    for _ in 0..3 {
        let a = time("own", &own, &image)?;
        let b = time("peer", &peer, &image)?;
        let difference = (&a - &b)?.abs()?.max_all()?.to_scalar::<f32>()? / b.abs()?.max_all()?.to_scalar::<f32>()?;
        println!("difference {difference:e}");
    }
    Ok(())
}
"""


def run(*command, cwd=None):
    """What a command prints, and how long it took."""
    began = time.monotonic()
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout, time.monotonic() - began


def lines(crate):
    """Lines of the network's source."""
    return len((crate / "src" / "model.rs").read_text().splitlines())


def forward(work, crate, peer, runs):
    """Medians of one forward pass of the crate and of its peer, in milliseconds, and how far they differ."""
    program = work / "time"
    (program / "src").mkdir(parents=True, exist_ok=True)
    (program / "Cargo.toml").write_text(
        '[package]\nname = "time"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n\n[dependencies]\n'
        'candle-core = { version = "0.11", default-features = false }\ncandle-nn = { version = "0.11", default-features = false }\n'
        f'candle-transformers = {{ version = "0.11", default-features = false }}\n{crate.name} = {{ path = "{crate}" }}\n')
    source = OWN.replace("NAME", crate.name.replace("-", "_")).replace("PEER", str(peer)).replace("RUNS", str(runs))
    (program / "src" / "main.rs").write_text(source)
    said, _ = run("cargo", "run", "--release", "--quiet", cwd=program)
    of = {name: [float(value) for value in re.findall(rf"^{name} (\S+)$", said, re.M)] for name in ("own", "peer", "difference")}
    return statistics.median(of["own"]), statistics.median(of["peer"]), max(of["difference"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--residua", default="target/release/residua")
    parser.add_argument("--torch", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--to", default="candle,burn")
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "densenet121.onnx").exists():
        run(args.torch, "-c", WRITE, work)
    print("| what | " + " | ".join(args.to.split(",")) + " |\n| --- |" + " ---: |" * len(args.to.split(",")))
    built = {}
    for file in ("resnet50.pth", "resnet152.pth", "densenet121.onnx"):
        name = file.split(".", maxsplit=1)[0]
        counts = []
        for runtime in args.to.split(","):
            crate = work / f"{runtime}-{name}"
            if not crate.exists():
                run(args.residua, "convert", work / file, crate, "--to", runtime, "--quiet")
            counts.append(str(lines(crate)))
            built[runtime, name] = crate
        print(f"| lines of {name} | {' | '.join(counts)} |", flush=True)
    peer = work / "peer.safetensors"
    if not peer.exists():
        run(args.residua, "convert", work / "resnet50.pth", peer, "--layout", "candle", "--quiet")
    own, other, difference = forward(work, built["candle", "resnet50"], peer, args.runs)
    print(f"one image through ResNet-50: {own:.0f} ms, {other:.0f} ms in candle-transformers, {own / other:.2f}; they differ by {difference:.1e}")
    for runtime in args.to.split(","):
        _, seconds = run("cargo", "build", "--release", "--quiet", cwd=built[runtime, "resnet50"])
        print(f"building ResNet-50 for {runtime}, with all that it depends on: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
