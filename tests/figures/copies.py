"""Holds conversion with its proof against a copy of the same file, in turn, and prints rows for docs/figures.md.

    python tests/figures/copies.py --residua target/release/residua [--h5 FILE] [--pth FILE] [--large FILE]
        [--deep A.pth B.pth] [--turns 10]

Run by hand, on a machine that does nothing else. A turn is a copy of the source with fsync, in a process of its own, and
then the command; ratios are medians over the turns of the command's time over that of the copy in the same turn. Each
writes a file that was not there before, on the file system of the source, which is in the page cache. CPU time and peak
memory are those that the kernel reports for the command. `--deep` compares two models that differ.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COPY = """
import os, sys
source, target = (os.open(path, flags) for path, flags in zip(sys.argv[1:], (os.O_RDONLY, os.O_WRONLY | os.O_CREAT)))
left = os.fstat(source).st_size
buffer = memoryview(bytearray(1 << 20))
start = __import__("time").perf_counter()
while left:
    read = os.readv(source, [buffer])
    os.write(target, buffer[:read])
    left -= read
os.fsync(target)
print(__import__("time").perf_counter() - start)
"""


def command(arguments, good=(0,)):
    """Wall seconds, CPU seconds and peak bytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in good:
        raise SystemExit(f"{arguments}: exit {process.returncode}\n{errors.decode()}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def copy(source, target):
    """Seconds of a copy with fsync: what the process takes to start does not count."""
    done = subprocess.run([sys.executable, "-c", COPY, source, target], check=True, capture_output=True, text=True)
    return float(done.stdout)


def clear(folder):
    for path in Path(folder).iterdir():
        path.unlink()
    os.sync()


def held(what, source, residua, name, options, turns, limits):
    size = Path(source).stat().st_size
    found = []
    with tempfile.TemporaryDirectory(dir=Path(source).parent) as folder:
        for turn in range(turns + 1):
            copied = copy(source, os.path.join(folder, "copy"))
            clear(folder)
            wall, cpu, peak = command([residua, "convert", source, os.path.join(folder, name), "--quiet", *options])
            clear(folder)
            if turn:
                found.append((wall, copied, wall / copied, cpu, peak / size))
    wall, copied, ratio, cpu, peak = (statistics.median(column) for column in zip(*found))
    ratios = sorted(row[2] for row in found)
    print(
        f"| {what} | {wall * 1e3:,.0f} ms | {copied * 1e3:,.0f} ms | {ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        f" | {cpu:.2f} s | {peak:.2f} | {limits} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True)
    parser.add_argument("--h5")
    parser.add_argument("--pth")
    parser.add_argument("--large")
    parser.add_argument("--deep", nargs=2)
    parser.add_argument("--turns", type=int, default=10)
    args = parser.parse_args()
    print("| what | residua | a copy with fsync | ratio | CPU | peak memory against the file | limits |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = []
    if args.h5:
        limits = "1.5; 0.15 s; 1.4"
        rows += [
            ("`.h5` to ONNX", args.h5, "a.onnx", [], limits),
            ("the same without proof", args.h5, "a.onnx", ["--no-verify"], ""),
            ("`.h5` to safetensors in Keras's axes", args.h5, "a.safetensors", [], limits),
            ("`.h5` to safetensors in OIHW", args.h5, "a.safetensors", ["--layout", "residua"], limits),
            ("`.h5` to ONNX, `--fold-bn`", args.h5, "a.onnx", ["--fold-bn"], "0.5 s"),
        ]
    if args.pth:
        rows += [
            ("`.pth` to ONNX", args.pth, "a.onnx", [], "1.5; 0.15 s; 1.4"),
            ("`.pth` to safetensors", args.pth, "a.safetensors", [], "1.5; 0.15 s; 1.4"),
        ]
    if args.large:
        rows.append((f"{Path(args.large).name} to ONNX", args.large, "a.onnx", [], "1.5"))
    for what, source, name, options, limits in rows:
        turns = args.turns if source != args.large else max(1, args.turns // 3)
        held(what, source, args.residua, name, options, turns, limits)
    if args.deep:
        found = [command([args.residua, "compare", *args.deep, "--quiet"], good=(0, 1)) for _ in range(args.turns)]
        wall, cpu, peak = (statistics.median(column) for column in zip(*found))
        print(f"| `compare` of {' and '.join(Path(path).name for path in args.deep)} | {wall:.1f} s | | | {cpu:.1f} s"
              f" | {peak / 1e6:,.0f} MB | 3 s; 500 MB |")


if __name__ == "__main__":
    main()
