"""Measures what residua does with a PyTorch checkpoint beside `cp` and torch, in one run, and prints rows for docs/figures.md.

    python tests/figures/checkpoints.py --model resnet50.pth --residua target/release/residua [--torch PYTHON] [--runs 7]

PYTHON is an interpreter that has torch and safetensors installed. How times are taken is said in measure.py.
"""

import argparse
import tempfile
from pathlib import Path

from measure import in_turn, ms, row

TORCH_LIST = """
import sys, torch
state = torch.load(sys.argv[1], map_location='cpu', mmap=True)
print(sum(tensor.numel() for tensor in state.values()))
"""

TORCH_SAVE = """
import sys, torch, safetensors.torch
state = torch.load(sys.argv[1], map_location='cpu', mmap=True)
safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in state.items()}, sys.argv[2])
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", default="target/release/residua")
    parser.add_argument("--model", required=True)
    parser.add_argument("--torch")
    parser.add_argument("--layouts", default="source,huggingface,mmpretrain")
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()

    size = Path(args.model).stat().st_size
    with tempfile.TemporaryDirectory(dir=Path(args.model).parent) as folder:
        path = lambda name: str(Path(folder) / name)
        print("| what | residua | peer | ratio | limit |\n| --- | ---: | ---: | ---: | ---: |")

        commands = {"inspect": [args.residua, "inspect", args.model]}
        if args.torch:
            commands["torch"] = [args.torch, "-c", TORCH_LIST, args.model]
        results = in_turn(args.runs, commands)
        own = results["inspect"]
        peer = results.get("torch")
        ratio = f"1/{peer[0] / own[0]:,.0f}" if peer else ""
        row(f"`inspect` of a checkpoint of {size / 1e6:,.0f} MB, against torch listing it", ms(own[0]), ms(peer[0]) if peer else "", ratio, "20 ms")
        row("its peak memory", f"{own[1] / 1e6:,.0f} MB", f"{peer[1] / 1e6:,.0f} MB" if peer else "", "", "")

        layouts = args.layouts.split(",")
        commands = {"cp": ["cp", args.model, path("copy.pth")]}
        for layout in layouts:
            out = Path(folder) / layout / "model.safetensors"
            out.parent.mkdir()
            commands[layout] = [args.residua, "convert", args.model, str(out), "--layout", layout, "--no-verify", "--quiet"]
        if args.torch:
            commands["torch"] = [args.torch, "-c", TORCH_SAVE, args.model, path("torch.safetensors")]
        results = in_turn(args.runs, commands)
        copy = results["cp"][0]
        for layout in layouts:
            own = results[layout]
            row(f"`convert --no-verify --layout {layout}`, against `cp`", ms(own[0]), ms(copy), f"{own[0] / copy:.1f}", "2")
            row("its peak memory, against the file", f"{own[1] / 1e6:,.0f} MB", f"{size / 1e6:,.0f} MB", f"{own[1] / size:.2f}", "")
        if args.torch:
            peer = results["torch"]
            row("torch and safetensors writing the same, against `cp`", "", ms(peer[0]), f"{peer[0] / copy:.1f}", "")

        proved = [args.residua, "convert", args.model, path("proved.safetensors"), "--quiet"]
        own = in_turn(max(1, args.runs // 2), {"proved": proved})["proved"]
        row("`convert` with proof", ms(own[0]), "", "", "")
        row("its peak memory", f"{own[1] / 1e6:,.0f} MB", "", "", "")


if __name__ == "__main__":
    main()
