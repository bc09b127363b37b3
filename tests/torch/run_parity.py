"""Every LIV class, alone and shared, against the PyTorch reference.

usage: run_parity.py DUMP_MODEL f32|bf16
DUMP_MODEL is the program built from tests/dump_model.c.  Exits 77 (skipped)
where PyTorch is not installed.
"""

import os
import subprocess
import sys
import tempfile

try:
    import torch  # noqa: F401
except ImportError:
    sys.exit(77)

import parity

CLASSES = 86
SHARED = [
    "1.1.2.1.2-1.1.2.1.2-9.1.2.1.2-9.1.2.1.2",
    "2.1.1.1.4-2.1.1.1.4-1.1.1.1.4",
    "3.1.2.1.3-9.1.1.1.1-3.1.2.1.3",
    "5.1.2.1.2-5.1.2.1.3-5.1.1.1.4",
    "7.1.2.1.4-8.1.1.1.4-7.1.2.1.2-8.1.2.1.3-8.1.2.1.1",
    "10.1.2.1.2-10.1.2.1.4-14.1.2.2.2-14.1.2.2.2-16.1.2.1.4-16.1.2.1.4",
    "9.1.1.1.2-64.1.1.1.2-63.1.1.1.2",
    "65.1.2.1.4-1.1.1.1.4-67.1.1.1.2-65.1.2.1.1",
    # two deep: rounding to bf16 may decide near ties between experts otherwise
    "70.1.2.1.2-70.1.2.1.4",
    "71.1.2.1.4-71.1.2.1.3",
    "86.1.2.1.4-86.1.2.1.2",
    "72.1.2.1.2-72.1.2.1.3-72.1.1.1.4-69.1.2.1.1-69.1.2.1.1",
    "77.1.2.1.2-77.1.2.1.4-77.1.1.1.3",
    # not deeper: the norm of a first token's heads turns on a sign
    "78.1.1.1.4-78.1.1.1.4",
    "78.1.2.1.2-9.1.1.1.1-78.1.2.1.4",
    "79.1.2.1.2-79.1.1.1.2-9.1.1.1.1",
    # normalisers near 0 enlarge rounding in deeper units
    "80.1.2.1.2-80.1.2.1.3",
    "82.1.2.1.4-82.1.1.1.4-84.1.2.1.4-84.1.2.1.2",
]
PRESETS = ["transformer++", "striped-mamba", "lfm2", "hyena"]


def architectures():
    """Arguments of one dump each."""
    for number in range(1, CLASSES + 1):
        yield f"{number}.1.1.1.1-9.1.1.1.1"
    yield from SHARED
    yield from PRESETS


def main():
    program, numbers = sys.argv[1:3]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for arch in architectures():
            path = os.path.join(folder, "dump.safetensors")
            subprocess.run([program, path, arch, numbers], check=True)
            report = parity.check(path)
            badness, line = max(report.lines)
            if not badness <= 1:
                failed += 1
                print(f"FAIL {arch}: {line}")
    print(f"{failed} architectures differ" if failed else "all agree")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
