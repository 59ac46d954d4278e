"""Measures residua beside its peers, in one run, and prints the table of docs/figures.md.

    python tests/figures/measure.py --model resnet50v2.h5 --golden resnet50v2.golden.npz \
        --residua target/release/residua [--tf PYTHON] [--ort PYTHON] [--tf2onnx PYTHON] [--runs 7]

PYTHON is an interpreter that has the peer installed (tensorflow-cpu and keras; onnxruntime; tf2onnx and tf-keras).
Commands that are held against each other are run in turn, so that a slow spell of the machine meets both. Wall time is
that of the whole process; peak memory is what the kernel reports for it. Medians are given.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def spawn(command):
    """Wall seconds, peak bytes and standard output of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command}: exit {process.returncode}\n{errors.decode()}")
    return wall, usage.ru_maxrss * 1024, output.decode()


def in_turn(runs, commands):
    """Medians of each command, run A B C A B C after one round that does not count."""
    samples = {name: [] for name in commands}
    for round_ in range(runs + 1):
        for name, command in commands.items():
            sample = spawn(command)
            if round_:
                samples[name].append(sample)
    return {
        name: (statistics.median(s[0] for s in all_), max(s[1] for s in all_), all_[-1][2])
        for name, all_ in samples.items()
    }


TF_SUMMARY = """
import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import keras, sys
keras.models.load_model(sys.argv[1], compile=False).summary()
"""

ORT_RUN = """
import numpy, onnxruntime, statistics, sys, time
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=['CPUExecutionProvider'])
name = session.get_inputs()[0].name
x = numpy.load(sys.argv[2])
times = []
for _ in range(int(sys.argv[4])):
    start = time.perf_counter()
    session.run(None, {name: x})
    times.append(time.perf_counter() - start)
print(statistics.median(times[min(len(times) - 1, 2):]))
"""

TF2ONNX = """
import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import sys, tf_keras, tf2onnx
model = tf_keras.applications.ResNet50V2(weights=None)
model.load_weights(sys.argv[1], by_name=False)
tf2onnx.convert.from_keras(model, opset=17, output_path=sys.argv[2])
"""


def row(what, value, peer, ratio, limit):
    print(f"| {what} | {value} | {peer} | {ratio} | {limit} |", flush=True)


def ms(seconds):
    return f"{seconds * 1e3:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", default="target/release/residua")
    parser.add_argument("--model", required=True)
    parser.add_argument("--golden", required=True)
    parser.add_argument("--weights-legacy", help="Keras 2 weights of the same model, for tf2onnx")
    parser.add_argument("--tf")
    parser.add_argument("--ort")
    parser.add_argument("--tf2onnx")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    import numpy

    size = Path(args.model).stat().st_size
    with tempfile.TemporaryDirectory(dir=Path(args.model).parent) as folder:
        path = lambda name: str(Path(folder) / name)
        golden = numpy.load(args.golden)
        x = next(golden[key] for key in golden.files if key.startswith("input/"))
        numpy.save(path("x.npy"), x)
        numpy.save(path("x_nchw.npy"), numpy.ascontiguousarray(x.transpose(0, 3, 1, 2)))

        print("| what | residua | peer | ratio | limit |\n| --- | ---: | ---: | ---: | ---: |")
        inspect = in_turn(args.runs, {"inspect": [args.residua, "inspect", args.model]})["inspect"]
        if args.tf:
            tf = in_turn(1, {"tf": [args.tf, "-c", TF_SUMMARY, args.model]})["tf"]
            row("`inspect`, against `model.summary()`", ms(inspect[0]), ms(tf[0]), f"1/{tf[0] / inspect[0]:,.0f}", "30 ms or 1/1000")
            row("its peak memory", f"{inspect[1] / 1e6:,.0f} MB", f"{tf[1] / 1e6:,.0f} MB", f"1/{tf[1] / inspect[1]:,.0f}", "")
        else:
            row("`inspect`", ms(inspect[0]), "", "", "30 ms")

        convert = [args.residua, "convert", args.model, "--threads", str(args.threads), "--quiet"]
        results = in_turn(args.runs, {
            "cp": ["cp", args.model, path("copy.h5")],
            "onnx": [*convert, path("a.onnx"), "--no-verify"],
            "safetensors": [*convert, path("a.safetensors"), "--no-verify"],
            "residua": [*convert, path("b.safetensors"), "--no-verify", "--layout", "residua"],
            "proof": [*convert, path("b.onnx")],
        })
        cp = results["cp"][0]
        for name, what in [("onnx", "ONNX"), ("safetensors", "safetensors, Keras's axes"), ("residua", "safetensors, OIHW")]:
            wall, peak, _ = results[name]
            row(f"`convert --no-verify` to {what}, against `cp`", ms(wall), ms(cp), f"{wall / cp:.1f}", "3")
            row("its peak memory, against the file", f"{peak / 1e6:,.0f} MB", f"{size / 1e6:,.0f} MB", f"{peak / size:.2f}", "1.5")
        proof = results["proof"]
        if args.tf2onnx and args.weights_legacy:
            peer = spawn([args.tf2onnx, "-c", TF2ONNX, args.weights_legacy, path("peer.onnx")])
            row("`convert` with proof, against tf2onnx without", ms(proof[0]), ms(peer[0]), f"1/{peer[0] / proof[0]:.0f}", "3 s")
            row("its peak memory", f"{proof[1] / 1e6:,.0f} MB", f"{peer[1] / 1e6:,.0f} MB", f"1/{peer[1] / proof[1]:.1f}", "")
        else:
            row("`convert` with proof", ms(proof[0]), "", "", "3 s")
            row("its peak memory", f"{proof[1] / 1e6:,.0f} MB", "", "", "")

        if args.ort:
            threads = str(args.threads)
            run = [args.residua, "run", args.model, "--input", path("x.npy"), "--threads", threads]
            results = in_turn(args.runs, {
                "residua": run,
                "ort": [args.ort, "-c", ORT_RUN, path("a.onnx"), path("x_nchw.npy"), threads, "1"],
                "residua, warm": [*run, "--repeat", "15"],
                "ort, warm": [args.ort, "-c", ORT_RUN, path("a.onnx"), path("x_nchw.npy"), threads, "15"],
            })
            ours, theirs = results["residua"][0], results["ort"][0]
            row("`run`, whole process, against Python and ONNX Runtime", ms(ours), ms(theirs), f"{ours / theirs:.2f}", "2")
            ours = float(results["residua, warm"][2].split()[-2]) / 1e3
            theirs = float(results["ort, warm"][2].split()[-1])
            row("the same, one image when warm", ms(ours), ms(theirs), f"{ours / theirs:.2f}", "2")


if __name__ == "__main__":
    main()
