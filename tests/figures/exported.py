"""Times what residua does with an exported ONNX model, beside ONNX Runtime in the same minute. Run by hand, on a machine that does nothing else.

    python tests/figures/exported.py --residua target/release/residua MODEL.onnx [--threads 1 2]

The model takes one image. Whole processes are timed for `inspect`, `check` and `run`, the last against the making of a session alone, which loading alone
(from opening the file until the weights are packed) is held against, too; warm runs against each other, the median of 25. Both sides take turns; the ratio is the median of the rounds' ratios, for the pace of a shared machine changes between rounds.
"""

import argparse
import re
import statistics
import subprocess
import time

import numpy as np
import onnxruntime

REPEAT = 25
ROUNDS = 11


def milliseconds(action):
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feeds(peer):
    (image,) = peer.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in image.shape]
    return {image.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}


def compare(what, ours, theirs):
    """Times of both in turn."""
    pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
    mine, peers = (statistics.median(times) for times in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{what}: {mine:.0f} ms, ONNX Runtime {peers:.0f} ms, ratio {ratio:.2f}")


def process(*command):
    # `check` exits with 1 where it finds something.
    return milliseconds(lambda: subprocess.run(command, capture_output=True))


def printed(pattern, *command):
    """The milliseconds that residua prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.search(pattern + r" ([\d.]+) ms", done.stdout)[1])


def loading(residua, model, threads):
    command = [residua, "run", model, "--random", "0", "--repeat", "1", "--threads", str(threads)]
    theirs = lambda: milliseconds(lambda: session(model, threads))
    compare(f"loading, {threads} threads", lambda: printed("loaded in", *command), theirs)


def warm(residua, model, threads):
    peer = session(model, threads)
    given = feeds(peer)
    peer.run(None, given)
    command = [residua, "run", model, "--random", "0", "--repeat", str(REPEAT), "--threads", str(threads)]

    def theirs():
        time.sleep(0.05)
        return statistics.median(milliseconds(lambda: peer.run(None, given)) for _ in range(REPEAT))

    compare(f"warm run, {threads} threads", lambda: printed("runs:", *command), theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--residua", required=True)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    for command in ["inspect", "check"]:
        times = [process(args.residua, command, args.model) for _ in range(ROUNDS)]
        print(f"{command}, whole process: {statistics.median(times):.0f} ms")
    for threads in args.threads:
        run = [args.residua, "run", args.model, "--random", "0", "--threads", str(threads)]
        alone = lambda: milliseconds(lambda: session(args.model, threads))
        compare(f"run, whole process, {threads} threads, against a session alone", lambda: process(*run), alone)
        loading(args.residua, args.model, threads)
        warm(args.residua, args.model, threads)


if __name__ == "__main__":
    main()
