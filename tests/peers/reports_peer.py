"""Holds what CI systems read against the schemas and parsers of others.

    python tests/peers/reports_peer.py --residua target/debug/residua

The JUnit reports of sound, failing and unreadable models against Jenkins's schema; the action and the pre-commit hook as
YAML, with the keys that GitHub and pre-commit ask for. Needs xmlschema and PyYAML. Exits 1 when anything fails.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import xmlschema
import yaml

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "fixtures" / "faults"
REPORTS = [
    ["sound.h5"],
    ["sound.h5", "--golden", "sound.golden.npz"],
    ["sound.h5", "--expect", "resnet50", "--against", "wrong_stride.h5"],
    ["sound.h5", "nan_kernel.h5", "negative_variance.h5", "bomb.h5", "missing_tensor.h5"],
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--residua", required=True, type=Path)
    residua = parser.parse_args().residua.resolve()
    failed = []
    schema = xmlschema.XMLSchema(str(ROOT / "tests" / "schemas" / "junit-10.xsd"))
    for arguments in REPORTS:
        command = [residua, "check", *arguments, "--format", "junit", "--no-config"]
        done = subprocess.run(command, cwd=FAULTS, capture_output=True, text=True)
        failed += [f"{arguments}: {error.reason}" for error in schema.iter_errors(done.stdout)]

    action = yaml.safe_load((ROOT / "action.yml").read_text())
    for step in action["runs"]["steps"]:
        if not ("uses" in step or {"run", "shell"} <= step.keys()):
            failed.append(f"action.yml: the step {step.get('name')} says neither what it uses nor what it runs in which shell")
    if action["runs"]["using"] != "composite":
        failed.append("action.yml is no composite action")
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        failed += [f"a hook without `{key}`" for key in ("id", "name", "entry", "language") if key not in hook]

    for wrong in failed:
        print(f"FAILED {wrong}")
    print(f"{len(REPORTS)} reports, the action and the hooks: {len(failed)} complaints")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
