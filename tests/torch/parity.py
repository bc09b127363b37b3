"""Check logits, loss and all gradients of a dump against the reference.

A dump is a safetensors file: the architecture as JSON under the metadata
key "sartor"; tensors param/NAME, grad/NAME, ids, targets, logits, loss.
The reference runs in float64 on the same parameters.

In f32 every tensor must agree to |a-b| <= 1e-4 |b| (2-norms; a gradient may
add 1e-7 of the norm of all gradients).  With metadata "numbers" = "bf16",
in the file or in the object, the cosine of logits and of every gradient must
be at least 0.99 and the loss agree to 2 %; a gradient passes too when it is
off by less than 4e-4 of the norm of all gradients (what is left of sums that
nearly cancel, as in a filter network two wide).

usage: parity.py [--verbose] DUMP [DUMP ...]
"""

import argparse
import json
import sys

import torch

import reference
import safetensors_io

F32_RELATIVE = 1e-4
F32_GLOBAL = 1e-7
BF16_COSINE = 0.99
BF16_LOSS = 0.02
BF16_GLOBAL = 1e-3
BF16_NOISE = 4e-4
NEGLIGIBLE = 1e-10


class Report:
    """Collects one line per compared tensor: (badness, text), where badness
    above 1 is a failure."""

    def __init__(self, bf16, global_norm):
        self.bf16 = bf16
        self.global_norm = global_norm
        self.lines = []

    def compare(self, name, got, want, gradient):
        """Add a tensor; a gradient also gets the absolute allowance."""
        norm, error = want.norm().item(), (got - want).norm().item()
        extra = self.global_norm if gradient else 0.0
        if not bool(torch.isfinite(got).all()):
            self.lines.append((float("inf"), f"{name}: not finite"))
        elif not self.bf16:
            allowed = F32_RELATIVE * norm + F32_GLOBAL * extra
            self.lines.append((
                error / max(allowed, 1e-300),
                f"{name}: |a-b|/|b| = {error / max(norm, 1e-300):.2e}, "
                f"|b| = {norm:.2e}"))
        elif norm <= NEGLIGIBLE * extra:
            size = got.norm().item()
            self.lines.append((size / (BF16_GLOBAL * extra),
                               f"{name}: |b| = {norm:.1e}, |a| = {size:.1e}"))
        else:
            cosine = ((got * want).sum()
                      / (got.norm() * want.norm()).clamp_min(1e-300)).item()
            noise = error / max(BF16_NOISE * extra, 1e-300)
            self.lines.append((min((1 - cosine) / (1 - BF16_COSINE), noise),
                               f"{name}: cosine {cosine:.6f}"))

    def loss(self, got, want):
        """Add the loss."""
        error = abs(got - want) / abs(want)
        if error != error:
            error = float("inf")
        limit = BF16_LOSS if self.bf16 else F32_RELATIVE
        self.lines.append((error / limit,
                           f"loss: {got:.7f} for {want:.7f} ({error:.1e})"))


def load_params(spec, tensors):
    """Parameters as float64 leaves, checked by name and size.  A constant
    that is not trained may be left out of the file."""
    shapes = spec.parameter_shapes()
    constants = spec.constants()
    params = {}
    for name, shape in shapes.items():
        if f"param/{name}" in tensors:
            value = torch.from_numpy(tensors[f"param/{name}"]).double()
            value = match_shape(f"param/{name}", value, shape)
        elif name in constants:
            value = constants[name].double()
        else:
            raise ValueError(f"param/{name} is missing")
        if name in constants and not torch.allclose(
                value, constants[name], rtol=1e-5, atol=0):
            raise ValueError(f"param/{name} is not the stated constant")
        params[name] = value.requires_grad_(name not in constants)
    for name in tensors:
        group, _, rest = name.partition("/")
        if group in ("param", "grad") and rest not in shapes:
            raise ValueError(f"{name} is not in the architecture")
    return params


def match_shape(name, value, shape):
    """Accept [1, n] for [n], nothing else."""
    if value.dim() == len(shape) + 1 and value.shape[0] == 1:
        value = value[0]
    if tuple(value.shape) != tuple(shape):
        raise ValueError(f"{name}: shape {tuple(value.shape)} "
                         f"instead of {tuple(shape)}")
    return value


def check(path):
    """Return the Report of one dump."""
    tensors, metadata = safetensors_io.read(path)
    meta = json.loads(metadata["sartor"])
    numbers = metadata.get("numbers", meta.get("numbers", "f32"))
    if numbers not in ("f32", "bf16"):
        raise ValueError(f"numbers: {numbers}")
    spec = reference.Spec.from_metadata(meta)
    params = load_params(spec, tensors)
    ids = torch.from_numpy(tensors["ids"]).long()
    targets = torch.from_numpy(tensors["targets"]).long()
    logits = reference.Model(spec, params)(ids)
    loss = reference.mean_loss(logits, targets)
    loss.backward()

    unused = [n for n, p in params.items() if p.requires_grad
              and p.grad is None]
    if unused:
        raise ValueError(f"the reference does not use {unused}")
    grads = {n: p.grad for n, p in params.items() if p.grad is not None}
    total = sum(g.norm().item() ** 2 for g in grads.values()) ** 0.5
    report = Report(numbers == "bf16", total)
    got = torch.from_numpy(tensors["logits"]).double()
    if got.numel() != logits.numel():
        raise ValueError(f"logits: shape {tuple(got.shape)} "
                         f"instead of {tuple(logits.shape)}")
    report.compare("logits", got.reshape(logits.shape), logits.detach(),
                   False)
    report.loss(float(tensors["loss"].reshape(-1)[0]), loss.item())
    for name, want in grads.items():
        if f"grad/{name}" not in tensors:
            raise ValueError(f"grad/{name} is missing")
        got = torch.from_numpy(tensors[f"grad/{name}"]).double()
        report.compare(f"grad/{name}",
                       match_shape(f"grad/{name}", got, want.shape), want,
                       True)
    return report


def main():
    """Check every file named; exit 1 when one differs."""
    parser = argparse.ArgumentParser(
        description="Compare dumps with the PyTorch reference.")
    parser.add_argument("--verbose", action="store_true",
                        help="print every tensor, not only the worst")
    parser.add_argument("dumps", nargs="+", metavar="DUMP")
    args = parser.parse_args()
    failed = 0
    for path in args.dumps:
        try:
            lines = sorted(check(path).lines, reverse=True)
        except (ValueError, KeyError, OSError) as error:
            print(f"FAIL {path}: {error}")
            failed += 1
            continue
        bad = [text for badness, text in lines if not badness <= 1]
        failed += bool(bad)
        print(f"{'FAIL' if bad else 'ok'} {path}: {len(lines)} compared, "
              f"worst {lines[0][1]}")
        for text in ([t for _, t in lines] if args.verbose else bad[1:]):
            print(f"  {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
