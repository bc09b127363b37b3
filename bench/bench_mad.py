"""MAD's in-context recall baseline in PyTorch: examples a second of training.

    bench_mad.py [--type f32|bf16] [--threads N] [--steps N]

The model of `sartor mad "(MHA GMemless)x2" --suite in-context-recall`: width 128, 16 heads of 8 with
RoPE and biases, SwiGLU of 352, RMSNorm, an unembedding of its own; batches of 128 sequences of 127
tokens over 16 tokens, AdamW on all parameters. Prints one line of JSON: medians over steps, by the
clock and by the processor time that was spent, which other load on the machine changes less.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, FF, VOCAB, LENGTH, BATCH = 128, 16, 352, 16, 127, 128


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.gain


def rope(x, cos, sin):
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


class Attention(nn.Module):
    """Softmax attention as this PyTorch computes it best: the fused one where it has it."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        dim = WIDTH // HEADS
        angle = torch.outer(torch.arange(LENGTH), 10000.0 ** (-torch.arange(0, dim, 2) / dim))
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1))

    def forward(self, x):
        batch = x.shape[0]
        q, k, v = self.qkv(x).view(batch, LENGTH, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k = rope(q, self.cos, self.sin).to(v.dtype), rope(k, self.cos, self.sin).to(v.dtype)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + self.mask.to(q.dtype)
            y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(batch, LENGTH, WIDTH))


class SwiGLU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.value = nn.Linear(WIDTH, FF, False), nn.Linear(WIDTH, FF, False)
        self.out = nn.Linear(FF, WIDTH, False)

    def forward(self, x):
        return self.out(F.silu(self.gate(x)) * self.value(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.units = nn.ModuleList([Attention(), SwiGLU(), Attention(), SwiGLU()])
        self.norms = nn.ModuleList([RMSNorm() for _ in range(5)])
        self.unembed = nn.Linear(WIDTH, VOCAB, False)

    def forward(self, ids):
        x = self.embed(ids)
        for norm, unit in zip(self.norms, self.units):
            x = x + unit(norm(x))
        return self.unembed(self.norms[-1](x))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--type", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.1)
    seconds, spent = [], []
    for step in range(2 + args.steps):
        tokens = torch.randint(VOCAB, (BATCH, LENGTH + 1))
        begin, begin_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.type == "bf16"):
            logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        if step >= 2:
            seconds.append(time.perf_counter() - begin)
            spent.append(time.process_time() - begin_cpu)
    print(json.dumps({"framework": "torch", "version": torch.__version__, "type": args.type,
                      "threads": args.threads, "steps": args.steps,
                      "examples_per_second": BATCH / statistics.median(seconds),
                      "examples_per_cpu_second": BATCH / statistics.median(spent)}))


main()
