"""Training speed of the reference models in PyTorch, for comparison.

  A  (SA-1 GMemless)x6
  B  ((GConv-1 GMemless)x2 SA-3 GMemless)x2
  C  (Rec-1 GMemless)x6

Width 256, head dim 32, vocabulary 4096, context 256, batch 16; a step is
forward, cross-entropy, backward and AdamW.  Written for speed as a PyTorch
user would: fused projections, scaled_dot_product_attention and fused AdamW
where the version has them, autocast for bf16.  The scan of C has several
forms (SCANS and, compiled, COMPILED_SCANS); `--scan auto` times each once
and takes the fastest.

Prints one JSON line per model, type and mode; `sgemm_gflops` is the rate of
a 1024-cube f32 product, which tells how good the BLAS behind PyTorch is.

usage: bench_models.py [--models ABC] [--dtype f32,bf16] [--mode eager,compile]
                       [--threads N] [--steps N] [--warmup N] [--scan NAME]
"""

import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, HEAD_DIM, VOCAB, CONTEXT, BATCH = 256, 32, 4096, 256, 16
INNER = -(-8 * WIDTH // 48) * 16
STATES, RANK = 16, -(-WIDTH // 16)
MODELS = {
    "A": ["SA-1", "GMemless"] * 6,
    "B": (["GConv-1", "GMemless"] * 2 + ["SA-3", "GMemless"]) * 2,
    "C": ["Rec-1", "GMemless"] * 6,
}
HAS_COMPILE = hasattr(torch, "compile")
HAS_SDPA = hasattr(F, "scaled_dot_product_attention")


# Selective scans: u, delta [B,T,d], A [d,N], B and C [B,T,N] -> [B,T,d],
# h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t, y_t = C_t . h_t.


def scan_sequential(u, delta, A, B, C):
    """One token after the other under autograd."""
    h = u.new_zeros(u.shape[0], A.shape[1], u.shape[2])
    A, inflow, out = A.t(), delta * u, []
    for x, step, b, c in zip(inflow.unbind(1), delta.unbind(1), B.unbind(1),
                             C.unbind(1)):
        h = torch.addcmul(b.unsqueeze(2) * x.unsqueeze(1),
                          torch.exp(step.unsqueeze(1) * A), h)
        out.append(torch.bmm(c.unsqueeze(1), h))
    return torch.cat(out, 1)


def scan_two_level(u, delta, A, B, C, chunk=16):
    """All chunks at once from zero states, then the entering states."""
    length = u.shape[1]
    pad = -length % chunk
    if pad:
        u, delta, B, C = (F.pad(x, (0, 0, 0, pad)) for x in (u, delta, B, C))
    u, delta, B, C = (x.unflatten(1, (-1, chunk)).transpose(1, 2)
                      for x in (u, delta, B, C))
    decay = torch.exp(delta.unsqueeze(3) * A.t())
    inflow = (delta * u).unsqueeze(3) * B.unsqueeze(4)
    states, total = [inflow[:, 0]], [decay[:, 0]]
    for x, a in zip(inflow.unbind(1)[1:], decay.unbind(1)[1:]):
        states.append(torch.addcmul(x, a, states[-1]))
        total.append(a * total[-1])
    entering = [torch.zeros_like(inflow[:, 0, 0])]
    for x, a in zip(states[-1].unbind(1)[:-1], total[-1].unbind(1)[:-1]):
        entering.append(torch.addcmul(x, a, entering[-1]))
    h = torch.addcmul(torch.stack(states, 1), torch.stack(total, 1),
                      torch.stack(entering, 1).unsqueeze(1))
    y = torch.matmul(C.unsqueeze(3), h).squeeze(3)
    return y.transpose(1, 2).flatten(1, 2)[:, :length]


class ChunkedScan(torch.autograd.Function):
    """Chunks that fit the cache, in place, with a backward by hand that
    keeps only the states entering the chunks and computes the rest again."""

    @staticmethod
    def states(h, begin, end, inflow, delta, A, B):
        """Decays and states [c,B,N,d] of tokens begin..end-1 after h."""
        decay = torch.exp(delta[begin:end] * A)
        x = inflow[begin:end] * B[begin:end]
        for t in range(end - begin):
            h = x[t].addcmul_(decay[t], h)
        return decay, x

    @staticmethod
    def layout(u, delta, A, B, C):
        """Time first; channels last, for long vectors."""
        u, delta = (x.transpose(0, 1).unsqueeze(2).contiguous()
                    for x in (u, delta))
        B, C = (x.transpose(0, 1).contiguous() for x in (B, C))
        return u, delta, A.t().contiguous(), B.unsqueeze(3), C.unsqueeze(2)

    @staticmethod
    def forward(ctx, u, delta, A, B, C, chunk):
        ctx.save_for_backward(u, delta, A, B, C)
        ctx.chunk, ctx.entering = chunk, []
        u, delta, A, B, C = ChunkedScan.layout(u, delta, A, B, C)
        inflow = delta * u
        h = u.new_zeros(u.shape[1], A.shape[0], u.shape[3])
        y = torch.empty_like(u)
        for begin in range(0, len(u), chunk):
            end = min(begin + chunk, len(u))
            ctx.entering.append(h)
            _, x = ChunkedScan.states(h, begin, end, inflow, delta, A, B)
            torch.matmul(C[begin:end], x, out=y[begin:end])
            h = x[-1].clone()
        return y.squeeze(2).transpose(0, 1)

    @staticmethod
    def backward(ctx, gy):
        u, delta, A, B, C = ChunkedScan.layout(*ctx.saved_tensors)
        inflow = delta * u
        gy = gy.transpose(0, 1).unsqueeze(2).contiguous()
        g_inflow, g_delta = torch.empty_like(u), torch.empty_like(u)
        g_B, g_C = torch.empty_like(B), torch.empty_like(B)
        g_A = torch.zeros_like(A)
        carry = torch.zeros_like(ctx.entering[0])
        for k in reversed(range(len(ctx.entering))):
            begin = k * ctx.chunk
            end = min(begin + ctx.chunk, len(u))
            here = slice(begin, end)
            decay, x = ChunkedScan.states(ctx.entering[k], begin, end,
                                          inflow, delta, A, B)
            g = C[here].transpose(2, 3) * gy[here]
            g[-1].add_(carry)
            for t in range(end - begin - 2, -1, -1):
                g[t].addcmul_(decay[t + 1], g[t + 1])
            carry = decay[0] * g[0]
            torch.matmul(x, gy[here].transpose(2, 3), out=g_C[here])
            torch.matmul(g, inflow[here].transpose(2, 3), out=g_B[here])
            torch.matmul(B[here].transpose(2, 3), g, out=g_inflow[here])
            decay[1:].mul_(x[:-1])
            decay[0].mul_(ctx.entering[k])
            decay.mul_(g)
            torch.sum(decay * A, 2, keepdim=True, out=g_delta[here])
            g_A += decay.mul_(delta[here]).sum((0, 1))
        g_delta.addcmul_(g_inflow, u)
        g_u = g_inflow.mul_(delta)
        g_u, g_delta, g_C = (x.transpose(0, 1) for x in (
            g_u.squeeze(2), g_delta.squeeze(2), g_C.squeeze(3)))
        return (g_u, g_delta, g_A.t(), g_B.squeeze(3).transpose(0, 1), g_C,
                None)


def scan_chunked(u, delta, A, B, C, chunk=4):
    """ChunkedScan with its usual chunk."""
    return ChunkedScan.apply(u, delta, A, B, C, chunk)


def chunk_step(h, u, delta, A, B, C):
    """One chunk under autograd, to be compiled into fused loops."""
    out = []
    for t in range(u.shape[1]):
        h = (torch.exp(delta[:, t, None] * A) * h
             + (delta[:, t] * u[:, t])[:, None] * B[:, t, :, None])
        out.append((h * C[:, t, :, None]).sum(1))
    return h, torch.stack(out, 1)


def scan_by_chunks(step, u, delta, A, B, C, chunk=8):
    """Chain `step` (chunk_step, compiled) over the chunks."""
    h = u.new_zeros(u.shape[0], A.shape[1], u.shape[2])
    A, out = A.t().contiguous(), []
    parts = zip(*(x.split(chunk, 1) for x in (u, delta, B, C)))
    for u_part, delta_part, b, c in parts:
        h, y = step(h, u_part, delta_part, A, b, c)
        out.append(y)
    return torch.cat(out, 1)


SCANS = {
    "chunked": scan_chunked,
    "two-level": scan_two_level,
    "sequential": scan_sequential,
    "by-chunks": lambda *x: scan_by_chunks(chunk_step, *x),
}
# What `auto` tries.  two-level moves several times the memory of the others
# and by-chunks pays only when compiled.
AUTO = {"eager": ["chunked", "sequential"],
        "compile": ["chunked", "by-chunks"]}


def make_scan(name, mode):
    """The scan of that name.  Compiled models call it as it is, so that its
    loop over the context is not unrolled; by-chunks compiles one chunk."""
    if mode == "eager":
        return SCANS[name]
    if name == "by-chunks":
        step = torch.compile(chunk_step)

        def scan(*x):
            return scan_by_chunks(step, *x)

        return torch.compiler.disable(scan, recursive=False)
    return torch.compiler.disable(SCANS[name])


# Layers


class RMSNorm(nn.Module):
    """Gain only, eps 1e-5."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        if hasattr(F, "rms_norm"):
            return F.rms_norm(x, (WIDTH,), self.weight, 1e-5)
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
        return x * scale * self.weight


def linear(fan_in, fan_out):
    """A projection without bias."""
    return nn.Linear(fan_in, fan_out, bias=False)


class Attention(nn.Module):
    """Softmax attention; each key and value head serves `repeat` queries."""

    def __init__(self, repeat):
        super().__init__()
        self.heads = WIDTH // HEAD_DIM
        self.kv = self.heads // repeat
        self.qkv = linear(WIDTH, (self.heads + 2 * self.kv) * HEAD_DIM)
        self.out = linear(WIDTH, WIDTH)
        pair = torch.arange(0, HEAD_DIM, 2) / HEAD_DIM
        angle = torch.arange(CONTEXT)[:, None] * 10000.0 ** -pair
        self.register_buffer("cos", torch.cos(angle)[:, None])
        self.register_buffer("sin", torch.sin(angle)[:, None])
        future = torch.full((CONTEXT, CONTEXT), -math.inf).triu(1)
        self.register_buffer("future", future)

    def rope(self, x):
        """Rotate adjacent pairs of [B,T,heads,hd]."""
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        x0, x1 = x[..., 0::2], x[..., 1::2]
        return torch.stack((x0 * cos - x1 * sin, x0 * sin + x1 * cos),
                           -1).flatten(-2)

    def forward(self, n):
        batch, length, _ = n.shape
        x = self.qkv(n).view(batch, length, -1, HEAD_DIM)
        turned = self.rope(x[:, :, :self.heads + self.kv])
        q = turned[:, :, :self.heads].transpose(1, 2)
        k = turned[:, :, self.heads:].transpose(1, 2)
        v = x[:, :, self.heads + self.kv:].transpose(1, 2)
        if self.kv != self.heads:
            k, v = (y.repeat_interleave(self.heads // self.kv, 1)
                    for y in (k, v))
        if HAS_SDPA:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            score = torch.matmul(q * HEAD_DIM ** -0.5, k.transpose(2, 3))
            score = score + self.future.to(score.dtype)
            y = torch.matmul(torch.softmax(score, -1).to(v.dtype), v)
        return self.out(y.transpose(1, 2).reshape(batch, length, WIDTH))


class ShortConv(nn.Module):
    """Causal depthwise convolution over [B,T,d]."""

    def __init__(self, taps, bias=False):
        super().__init__()
        self.conv = nn.Conv1d(WIDTH, WIDTH, taps, groups=WIDTH, bias=bias,
                              padding=taps - 1)

    def forward(self, x):
        length = x.shape[1]
        return self.conv(x.transpose(1, 2))[..., :length].transpose(1, 2)


class GatedConv(nn.Module):
    """Gated short convolution."""

    def __init__(self):
        super().__init__()
        self.features = linear(WIDTH, 3 * WIDTH)
        self.conv = ShortConv(3)
        self.out = linear(WIDTH, WIDTH)

    def forward(self, n):
        b, c, v = self.features(n).chunk(3, -1)
        return self.out(c * self.conv(b * v))


class Memoryless(nn.Module):
    """SwiGLU."""

    def __init__(self):
        super().__init__()
        self.features = linear(WIDTH, 2 * INNER)
        self.out = linear(INNER, WIDTH)

    def forward(self, n):
        gate, value = self.features(n).chunk(2, -1)
        return self.out(F.silu(gate) * value)


class Recurrence(nn.Module):
    """Selective state-space layer (S6, expand 1)."""

    def __init__(self, scan):
        super().__init__()
        self.scan = scan
        self.xz = linear(WIDTH, 2 * WIDTH)
        self.conv = ShortConv(4, bias=True)
        self.features = linear(WIDTH, RANK + 2 * STATES)
        self.dt = nn.Linear(RANK, WIDTH)
        nn.init.constant_(self.dt.bias, -4.6)
        a = torch.log(torch.arange(1.0, STATES + 1))
        self.A_log = nn.Parameter(a.repeat(WIDTH, 1))
        self.D = nn.Parameter(torch.ones(WIDTH))
        self.out = linear(WIDTH, WIDTH)

    def forward(self, n):
        x, z = self.xz(n).chunk(2, -1)
        u = F.silu(self.conv(x))
        dt, b, c = self.features(u).split([RANK, STATES, STATES], -1)
        delta = F.softplus(self.dt(dt))
        u, delta, b, c = (y.float() for y in (u, delta, b, c))
        y = self.scan(u, delta, -torch.exp(self.A_log), b, c)
        return self.out((y + self.D * u) * F.silu(z))


class Model(nn.Module):
    """The language model up to its mean loss."""

    def __init__(self, livs, scan):
        super().__init__()
        make = {"SA-1": lambda: Attention(1), "SA-3": lambda: Attention(4),
                "GConv-1": GatedConv, "GMemless": Memoryless,
                "Rec-1": lambda: Recurrence(scan)}
        self.embed = nn.Embedding(VOCAB, WIDTH)
        self.norms = nn.ModuleList(RMSNorm() for _ in livs)
        self.livs = nn.ModuleList(make[name]() for name in livs)
        self.norm = RMSNorm()
        self.unembed = linear(WIDTH, VOCAB)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, ids, targets):
        x = self.embed(ids)
        for norm, liv in zip(self.norms, self.livs):
            x = x + liv(norm(x))
        logits = self.unembed(self.norm(x))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_optimizer(model):
    """AdamW, in its fastest form in this version."""
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1]},
              {"params": [p for p in model.parameters() if p.dim() <= 1],
               "weight_decay": 0.0}]
    options = {"lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.1}
    try:
        return torch.optim.AdamW(groups, fused=True, **options)
    except (RuntimeError, TypeError):
        return torch.optim.AdamW(groups, foreach=True, **options)


def time_steps(name, dtype, mode, scan, warmup, steps):
    """Seconds of each of `steps` training steps."""
    torch.manual_seed(1)
    model = Model(MODELS[name], make_scan(scan, mode))
    optimizer = make_optimizer(model)
    run = torch.compile(model) if mode == "compile" else model
    ids = torch.randint(0, VOCAB, (BATCH, CONTEXT + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    seconds = []
    for step in range(warmup + steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            loss = run(inputs, targets)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    if not math.isfinite(loss.item()):
        raise RuntimeError(f"model {name}: loss is not finite")
    return seconds[warmup:]


def sgemm_rate():
    """GFLOP/s of a 1024-cube f32 product."""
    a = torch.randn(1024, 1024)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * 1024 ** 3 / min(seconds) / 1e9


def bench(name, dtype, mode, args, sgemm):
    """Measure one combination; return what is printed."""
    scan = args.scan
    if "Rec-1" not in MODELS[name]:
        scan = "chunked"
    elif scan == "auto":
        scan = min(AUTO[mode], key=lambda s: min(
            time_steps(name, dtype, mode, s, 1, 1)))
    seconds = statistics.median(
        time_steps(name, dtype, mode, scan, args.warmup, args.steps))
    result = {"framework": "torch", "version": torch.__version__,
              "model": name, "dtype": dtype, "mode": mode,
              "threads": args.threads,
              "seconds_per_step": round(seconds, 5),
              "tokens_per_second": round(BATCH * CONTEXT / seconds, 1),
              "sgemm_gflops": round(sgemm, 1)}
    if "Rec-1" in MODELS[name]:
        result["scan"] = scan
    return result


def main():
    """Measure every combination asked for."""
    parser = argparse.ArgumentParser(
        description="Training speed of the reference models in PyTorch.")
    parser.add_argument("--models", default="ABC", help="letters of A, B, C")
    parser.add_argument("--dtype", default="f32,bf16")
    parser.add_argument("--mode", default="eager,compile",
                        help="compile is left out before PyTorch 2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--scan", default="auto",
                        choices=["auto", *SCANS], help="form of C's scan")
    args = parser.parse_args()
    dtypes, modes = args.dtype.split(","), args.mode.split(",")
    if (set(args.models) - set(MODELS) or set(dtypes) - {"f32", "bf16"}
            or set(modes) - {"eager", "compile"} or args.steps < 1
            or args.warmup < 0 or args.threads < 1):
        parser.error("unknown model, type or mode, or a count below one")
    if not HAS_COMPILE:
        modes = [mode for mode in modes if mode != "compile"]
    torch.set_num_threads(args.threads)
    sgemm = sgemm_rate()
    for name in args.models:
        for dtype in dtypes:
            for mode in modes:
                print(json.dumps(bench(name, dtype, mode, args, sgemm)),
                      flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
