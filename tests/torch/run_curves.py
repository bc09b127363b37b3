"""Small models trained from PyTorch's weights must follow its loss curve:
every step within 0.5 % in f32; in bf16 the mean of the last 20 within 2 %.

usage: run_curves.py FOLLOW_CURVE
FOLLOW_CURVE is the program built from tests/follow_curve.c.  Exits 77
(skipped) where PyTorch is not installed.
"""

import os
import subprocess
import sys
import tempfile

try:
    import torch  # noqa: F401
except ImportError:
    sys.exit(77)

MODELS = {"transformer++-small": "(SA-1 GMemless)x2",
          "rec1-small": "(Rec-1 GMemless)x2"}
TRAINING = os.path.join(os.path.dirname(__file__), "training.py")
LAST = 20


def tail(path):
    """Mean of the last losses of a run."""
    with open(path) as lines:
        losses = [float(line) for line in lines]
    return sum(losses[-LAST:]) / LAST


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, arch in MODELS.items():
            run = os.path.join(folder, name)
            subprocess.run([sys.executable, "-B", TRAINING, "init", "--arch",
                            name, "--out", run], check=True)
            for numbers in ("f32", "bf16"):
                with open(f"{run}.{numbers}", "w") as out:
                    subprocess.run([sys.argv[1], run, arch, numbers],
                                   stdout=out, check=True)
            failed |= subprocess.run([sys.executable, "-B", TRAINING,
                                      "compare", run, run + ".f32"]
                                     ).returncode != 0
            f32, bf16 = tail(run + ".f32"), tail(run + ".bf16")
            print(f"{name}: last {LAST} losses f32 {f32:.4f} bf16 {bf16:.4f}")
            failed |= not abs(bf16 - f32) <= 0.02 * f32
    return failed


if __name__ == "__main__":
    sys.exit(main())
