"""A short PyTorch training run for another program to follow.

`init` draws initial weights, trains and writes one safetensors file:
  param/NAME   initial weights (float32)
  batches      int32 [steps, B, T+1]: inputs [:, :-1], targets [:, 1:]
  losses       float32 [steps], mean nats, each before its step's update
  norms        float32 [steps], 2-norm of all gradients before clipping
  metadata     "sartor": the architecture, "training": hyper-parameters

`compare` checks another loss curve against it, step by step.

AdamW: m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, bias corrections by step,
p -= lr wd p (matrices only), p -= lr m^ / (sqrt(v^) + eps).  Gradients are
scaled by min(1, clip/norm).  Learning rate at step s = 0.. of n:
peak (s+1)/warmup for s < warmup, else
min + (peak-min) (1 + cos(pi (s-warmup)/(n-warmup))) / 2.

usage: training.py init --arch transformer++-small|rec1-small --out FILE
                        [--text FILE] [--steps N] [--seed N]
       training.py compare FILE LOSSES
LOSSES is text, one number a line, or safetensors with a tensor "losses".
"""

import argparse
import json
import math
import sys
import time

import numpy as np
import torch

import reference
import safetensors_io

ARCHITECTURES = {
    "transformer++-small": ["SA-1", "GMemless"] * 2,
    "rec1-small": ["Rec-1", "GMemless"] * 2,
}
SIZES = {"width": 64, "head_dim": 32, "vocab": 257, "context": 64}
TRAINING = {"batch": 4, "lr": 1e-3, "min_lr": 1e-4, "warmup": 20,
            "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1,
            "clip": 1.0}
TOLERANCE = 0.005


def synthetic_text(seed, length):
    """Bytes of sentences over an invented vocabulary, common words more
    often, where each word leans towards a few successors."""
    rng = np.random.default_rng(seed)
    onsets, vowels = list("bdfgklmnprstvz"), list("aeiou")
    words = []
    for _ in range(200):
        words.append("".join(rng.choice(onsets) + rng.choice(vowels)
                             for _ in range(rng.integers(1, 4))))
    weight = 1.0 / np.arange(1, len(words) + 1)
    weight /= weight.sum()
    follow = rng.integers(0, len(words), (len(words), 4))
    out, size, word, left = [], 0, 0, 5
    while size < length:
        if rng.random() < 0.6:
            word = follow[word, rng.integers(4)]
        else:
            word = rng.choice(len(words), p=weight)
        left -= 1
        out.append(words[word] + (" " if left else ".\n"))
        if not left:
            left = int(rng.integers(3, 12))
        size += len(out[-1])
    return "".join(out).encode("ascii")[:length]


def make_batches(text, steps, batch, length, seed):
    """int32 [steps, batch, length+1] windows at random places of `text`."""
    data = np.frombuffer(text, dtype=np.uint8).astype(np.int32)
    if len(data) <= length + 1:
        raise ValueError("text is shorter than one window")
    rng = np.random.default_rng(seed)
    start = rng.integers(0, len(data) - length, (steps, batch))
    return data[start[..., None] + np.arange(length + 1)]


def learning_rate(step, steps, hyper):
    """Linear warm-up, then cosine down to min_lr."""
    peak, low, warmup = hyper["lr"], hyper["min_lr"], hyper["warmup"]
    if step < warmup:
        return peak * (step + 1) / warmup
    phase = (step - warmup) / (steps - warmup)
    return low + (peak - low) * 0.5 * (1 + math.cos(math.pi * phase))


def train(spec, initial, batches, hyper,
          scan_function=reference.chunked_scan):
    """Train a copy of `initial`; return (losses, gradient norms)."""
    params = {name: value.clone().requires_grad_()
              for name, value in initial.items()}
    model = reference.Model(spec, params, scan_function)
    groups = [
        {"params": [p for n, p in params.items()
                    if reference.is_matrix(n) == decays],
         "weight_decay": hyper["weight_decay"] if decays else 0.0}
        for decays in (True, False)]
    optimizer = torch.optim.AdamW(
        groups, lr=hyper["lr"], betas=(hyper["beta1"], hyper["beta2"]),
        eps=hyper["eps"])
    losses, norms = [], []
    for step, batch in enumerate(torch.from_numpy(batches).long()):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(batches), hyper)
        optimizer.zero_grad()
        loss = reference.mean_loss(model(batch[:, :-1]), batch[:, 1:])
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in params.values()]).norm()
        scale = min(1.0, hyper["clip"] / norm.item())
        for p in params.values():
            p.grad.mul_(scale)
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return losses, norms


def make_spec(arch):
    """The small model of that name."""
    classes = reference.paper_classes()
    genes = reference.genes_of_names(ARCHITECTURES[arch], classes)
    return reference.Spec(genes, classes, **SIZES)


def init(args):
    """Draw, train, write."""
    if args.text:
        with open(args.text, "rb") as file:
            text = file.read()
    else:
        text = synthetic_text(args.seed, 200000)
    spec = make_spec(args.arch)
    hyper = dict(TRAINING, steps=args.steps)
    batches = make_batches(text, args.steps, hyper["batch"], spec.context,
                           args.seed)
    initial = reference.initial_params(spec, args.seed)
    start = time.perf_counter()
    losses, norms = train(spec, initial, batches, hyper)
    tensors = {f"param/{n}": p.numpy() for n, p in initial.items()}
    tensors["batches"] = batches
    tensors["losses"] = np.array(losses, dtype=np.float32)
    tensors["norms"] = np.array(norms, dtype=np.float32)
    safetensors_io.write(args.out, tensors, {
        "sartor": json.dumps(spec.metadata()),
        "training": json.dumps(hyper)})
    print(f"{args.arch}: {args.steps} steps, loss {losses[0]:.4f} to "
          f"{losses[-1]:.4f}, {time.perf_counter() - start:.1f} s")
    return 0


def read_losses(path):
    """A loss curve from text or from a safetensors file."""
    with open(path, "rb") as file:
        blob = file.read()
    try:
        return np.array([float(x) for x in blob.decode("ascii").split()])
    except (UnicodeDecodeError, ValueError):
        return safetensors_io.read(path)[0]["losses"].astype(np.float64)


def compare(args):
    """Exit status 0 when every step's loss is within the tolerance."""
    want = safetensors_io.read(args.file)[0]["losses"].astype(np.float64)
    got = read_losses(args.losses).reshape(-1)
    if got.shape != want.shape:
        print(f"FAIL {args.losses}: {got.size} losses instead of "
              f"{want.size}")
        return 1
    error = np.abs(got - want) / np.abs(want)
    error[~np.isfinite(error)] = np.inf
    worst = int(np.argmax(error))
    good = error[worst] <= TOLERANCE
    print(f"{'ok' if good else 'FAIL'} {args.losses}: worst at step {worst}: "
          f"{got[worst]:.5f} for {want[worst]:.5f} "
          f"({100 * error[worst]:.3f} %); last {got[-1]:.5f} for "
          f"{want[-1]:.5f}")
    return 0 if good else 1


def main():
    """Parse the command line and run one of the two commands."""
    parser = argparse.ArgumentParser(
        description="A PyTorch loss curve for another program to follow.")
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("init", help="draw weights, train, write")
    sub.add_argument("--arch", choices=sorted(ARCHITECTURES), required=True)
    sub.add_argument("--out", required=True)
    sub.add_argument("--text", help="a text file instead of synthetic text")
    sub.add_argument("--steps", type=int, default=200)
    sub.add_argument("--seed", type=int, default=1)
    sub.set_defaults(run=init)
    sub = commands.add_parser("compare", help="check another loss curve")
    sub.add_argument("file")
    sub.add_argument("losses")
    sub.set_defaults(run=compare)
    args = parser.parse_args()
    torch.set_num_threads(1)
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())
