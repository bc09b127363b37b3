"""Tests of the reference itself: pieces against PyTorch's own operators,
causality, sharing, the fast scans, gradients, files.  Run with unittest or
directly; exit 1 on a failure."""

import json
import math
import os
import sys
import tempfile
import unittest

import numpy as np
import torch
import torch.nn.functional as F

import parity
import reference
import safetensors_io
import training

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "bench"))
import bench_models  # noqa: E402

EXTRA = [
    {"class": 101, "name": "linear", "code": "1.2.1.1.3"},
    {"class": 102, "name": "window", "code": [1, 2, 2, 2, 3]},
    {"class": 103, "name": "ReLU", "code": [4, 2, 1, 3, 3]},
    {"class": 104, "name": "swish, dense", "code": [2, 2, 2, 4, 2]},
    {"class": 105, "name": "long conv, banded", "code": [8, 3, 2, 1, 1]},
    {"class": 106, "name": "ReGLU", "code": [9, 1, 1, 3, 2]},
    {"class": 107, "name": "Hyena", "code": [20, 3, 1, 1, 1]},
    {"class": 108, "name": "Hyena, heads", "code": [21, 3, 1, 1, 3]},
    {"class": 109, "name": "Hyena, experts", "code": [22, 3, 2, 1, 1]},
]


def all_classes():
    """The paper's classes and some more codes."""
    table = reference.paper_classes()
    table.update(reference.read_classes(json.dumps(
        {"livs": [dict(row, differential=False) for row in EXTRA]})))
    return table


def make_spec(genes, **sizes):
    """A small model of these genes (text or lists)."""
    if isinstance(genes, str):
        genes = reference.parse_genome(genes)
    sizes = dict({"width": 16, "head_dim": 4, "vocab": 11, "context": 12,
                  "window": 5}, **sizes)
    return reference.Spec(genes, all_classes(), **sizes)


def make_params(spec, seed=0):
    """Random float64 parameters, large enough to make all maps matter."""
    gen = torch.Generator().manual_seed(seed)
    constants = spec.constants()
    params = {}
    for name, shape in spec.parameter_shapes().items():
        value = torch.randn(shape, generator=gen, dtype=torch.float64)
        if len(shape) == 2:
            value = value / math.sqrt(shape[1])
        params[name] = constants.get(name, value)
    return params


def random(*shape, seed=0):
    """Standard normal float64."""
    gen = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=gen, dtype=torch.float64)


class Pieces(unittest.TestCase):
    """Operators against PyTorch's."""

    def close(self, a, b, limit=1e-12):
        """Relative 2-norm difference within `limit`."""
        self.assertEqual(a.shape, b.shape)
        self.assertLessEqual((a - b).norm().item(), limit * b.norm().item())

    def test_swish_and_norm(self):
        x = random(3, 5, 8)
        self.close(reference.swish(x), F.silu(x))
        gain = random(8, seed=1)
        scale = x.norm(dim=-1, keepdim=True) / math.sqrt(8)
        self.close(reference.rmsnorm(x, gain), x / scale * gain, 1e-4)

    def test_attention(self):
        q, k, v = (random(2, 9, h, 6, seed=h) for h in (8, 2, 2))
        got = reference.attention(q, k, v, reference.SOFTMAX)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        k, v = (x.repeat_interleave(4, 1) for x in (k, v))
        if hasattr(F, "scaled_dot_product_attention"):
            want = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            mask = torch.full((9, 9), -math.inf).double().triu(1)
            score = q @ k.transpose(2, 3) / math.sqrt(6)
            want = torch.softmax(score + mask, -1) @ v
        self.close(got, want.transpose(1, 2))

    def test_attention_window_and_divisor(self):
        q, k, v = (random(1, 7, 1, 4, seed=s) for s in range(3))
        for mapping, code in ((lambda s: s, reference.NONE),
                              (F.relu, reference.RELU),
                              (F.silu, reference.SWISH)):
            got = reference.attention(q, k, v, code, window=3)
            for i in range(7):
                want = torch.zeros(4).double()
                for j in range(max(0, i - 2), i + 1):
                    score = q[0, i, 0] @ k[0, j, 0] / 2
                    want = want + mapping(score) * v[0, j, 0] / (i + 1)
                self.close(got[0, i, 0], want)

    def test_short_conv(self):
        for taps in (3, 4):
            x, w = random(2, 10, 5), random(5, taps, seed=1)
            want = F.conv1d(F.pad(x.transpose(1, 2), (taps - 1, 0)),
                            w[:, None], groups=5)
            self.close(reference.causal_conv(x, w), want.transpose(1, 2))
        x = random(2, 1, 5)
        w = random(5, 3, seed=1)
        self.close(reference.causal_conv(x, w), x * w[:, 2])

    def test_long_conv(self):
        x = random(2, 10, 3)
        for length in (4, 10, 15):
            h = random(length, 3, seed=1)
            size = 10 + length
            want = torch.fft.irfft(torch.fft.rfft(x, n=size, dim=1)
                                   * torch.fft.rfft(h, n=size, dim=0),
                                   n=size, dim=1)[:, :10]
            self.close(reference.long_conv(x, h), want)

    def test_rope(self):
        q, k = random(1, 6, 1, 8), random(1, 6, 1, 8, seed=1)
        turned = reference.rope(q)
        self.close(turned[:, 0], q[:, 0])
        self.close(turned.norm(dim=-1), q.norm(dim=-1))
        frequency = 10000.0 ** (-torch.arange(0, 8, 2).double() / 8)
        angle = torch.arange(6).double()[:, None] * frequency
        want = (torch.view_as_complex(q[0, :, 0].reshape(6, 4, 2))
                * torch.polar(torch.ones_like(angle), angle))
        self.close(turned[0, :, 0], torch.view_as_real(want).flatten(-2))
        same = reference.rope(torch.cat((q[:, 3:4], k[:, 3:4])
                                        ).expand(2, 6, 1, 8))
        score = (same[0, 2:, 0] * same[1, :-2, 0]).sum(-1)
        self.close(score, score[:1].expand(4))

    def test_implicit_filter(self):
        spec = make_spec("81111")
        weights = {n[6:]: p for n, p in make_params(spec).items()
                   if ".filter." in n}
        h = reference.implicit_filter(weights, 12, 12, torch.float64)
        s = 7
        z = [s / 11] + [math.cos(2 * math.pi * k * s / 12)
                        for k in range(1, 9)]
        z += [-math.sin(2 * math.pi * k * s / 12) for k in range(1, 9)]
        z = torch.tensor(z).double()
        for name in ("in", "0", "1"):
            w, b, f = (weights[f"filter.{name}.{x}"]
                       for x in ("weight", "bias", "freq"))
            z = torch.sin(f * F.linear(z, w, b))
        want = F.linear(z, weights["filter.out.weight"])
        decay = torch.linspace(math.log(100) / 1.5, math.log(100) / 0.3, 16)
        self.close(h[s], want * torch.exp(-s / 11 * decay.double()), 1e-6)
        one = reference.implicit_filter(weights, 1, 1, torch.float64)
        self.assertTrue(bool(torch.isfinite(one).all()))

    def test_scans(self):
        b, length, d, n = 2, 21, 6, 4
        u, B, C = (random(b, length, x, seed=s)
                   for s, x in enumerate((d, n, n)))
        delta = F.softplus(random(b, length, d, seed=3))
        A = -torch.exp(random(d, n, seed=4))
        inputs = [x.requires_grad_() for x in (u, delta, A, B, C)]
        weight = random(b, length, d, seed=5)

        def run(scan):
            out = scan(*inputs)
            grads = torch.autograd.grad((out * weight).sum(), inputs)
            return [out.detach(), *grads]

        want = run(reference.scan)
        scans = dict(bench_models.SCANS, chunked_reference=lambda *x:
                     reference.chunked_scan(*x, chunk=4))
        for name, scan in scans.items():
            with self.subTest(scan=name):
                for got, expected in zip(run(scan), want):
                    self.close(got, expected, 1e-10)

    def test_scan_one_channel(self):
        u, delta, B, C = (x.reshape(1, -1, 1) for x in (
            torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.25]),
            torch.tensor([3.0, 5.0]), torch.tensor([7.0, 11.0])))
        y = reference.scan(u, delta, torch.tensor([[-2.0]]), B, C)
        h0 = 0.5 * 3 * 1
        h1 = math.exp(-0.5) * h0 + 0.25 * 5 * 2
        self.close(y.flatten(), torch.tensor([7 * h0, 11 * h1]), 1e-6)


class Models(unittest.TestCase):
    """Whole models."""

    def test_every_class(self):
        """Runs, is causal, and uses every trained parameter."""
        for number in all_classes():
            with self.subTest(number=number):
                spec = make_spec([[number, 1, 1, 1, 1], [9, 1, 1, 1, 1]])
                params = {n: p.requires_grad_(n not in spec.constants())
                          for n, p in make_params(spec).items()}
                model = reference.Model(spec, params)
                gen = torch.Generator().manual_seed(1)
                ids = torch.randint(0, 11, (2, 12), generator=gen)
                logits = model(ids)
                self.assertEqual(tuple(logits.shape), (2, 12, 11))
                changed = ids.clone()
                changed[:, 7] = (changed[:, 7] + 1) % 11
                gap = (model(changed) - logits).abs().amax(-1)
                self.assertLess(gap[:, :7].max().item(), 1e-12)
                self.assertGreater(gap[:, 7].min().item(), 1e-6)
                reference.mean_loss(logits, ids).backward()
                for name, p in params.items():
                    if p.requires_grad:
                        self.assertGreater(p.grad.norm().item(), 0, name)

    def test_window_limits_sight(self):
        spec = make_spec([[102, 1, 1, 1, 1]])
        model = reference.Model(spec, make_params(spec))
        ids = torch.zeros(1, 12, dtype=torch.long)
        changed = ids.clone()
        changed[0, 3] = 1
        gap = (model(changed) - model(ids)).abs().amax(-1)[0]
        self.assertGreater(gap[3:8].min().item(), 1e-9)
        self.assertEqual(gap[8:].max().item(), 0)

    def test_differential_is_a_difference(self):
        spec = make_spec([[10, 1, 1, 1, 1]])
        params = make_params(spec)
        for name in list(params):
            if ".a." in name:
                params[name.replace(".a.", ".b.")] = params[name]
        model = reference.Model(spec, params)
        ids = torch.arange(11)[None]
        x = params["embed.weight"][ids]
        want = (reference.rmsnorm(x, params["norm.gain"])
                @ params["unembed.weight"].T)
        self.assertLess((model(ids) - want).norm().item(), 1e-10)

    def test_parameter_counts(self):
        d = 64
        for number, per in ((1, 4 * d * d), (2, 4 * d * d + 9 * d),
                            (3, 5 * d * d // 2), (4, 3 * d * d),
                            (7, 4 * d * d + 3 * d), (9, 3 * d * 176)):
            spec = make_spec([[number, 1, 1, 1, 1]], width=d, head_dim=16)
            count = sum(np.prod(s) for n, s in spec.parameter_shapes()
                        .items() if n.startswith("liv.0.")
                        and "norm" not in n)
            self.assertEqual(count, per)
        self.assertEqual(make_spec([[9, 1, 1, 1, 1]], width=768).inner, 2048)

    def test_gradient_by_differences(self):
        spec = make_spec("5.1.1.1.1-8.1.1.1.1-2.1.1.1.1-9.1.1.1.1",
                         filter_length=8, tied=True)
        params = make_params(spec)
        ids = torch.arange(9)[None] % 11
        targets = (ids + 1) % 11

        def loss():
            return reference.mean_loss(reference.Model(spec, params)(ids),
                                       targets)

        for name, p in params.items():
            if name in spec.constants():
                continue
            p.requires_grad_()
            (grad,) = torch.autograd.grad(loss(), p)
            p.requires_grad_(False)
            way = random(*p.shape, seed=2)
            step = 3e-6  # truncation falls with its square
            params[name] = p + step * way
            up = loss()
            params[name] = p - step * way
            want = (up - loss()) / (2 * step)
            params[name] = p
            self.assertAlmostEqual((grad * way).sum().item(), want.item(),
                                   delta=1e-7, msg=name)


class Sharing(unittest.TestCase):
    """Both kinds of sharing."""

    def names(self, genome):
        """Names of the weights of the LIVs."""
        return {n for n in make_spec(genome).parameter_shapes()
                if n.startswith("liv.") and "norm" not in n}

    def test_genome_forms(self):
        self.assertEqual(reference.parse_genome("21211-31112"),
                         reference.parse_genome("2.1.2.1.1-3.1.1.1.2"))
        for bad in ("2121", "2.1.1.1", "2.1.x.1.1", "21211-", ""):
            with self.assertRaises(ValueError):
                reference.parse_genome(bad)

    def test_example_of_the_paper(self):
        names = self.names("21211-31112-21221-32112")
        self.assertEqual(
            {n for n in names if n[4] in "23"},
            {"liv.2.out.weight", "liv.3.q.weight", "liv.3.v.weight",
             "liv.3.out.weight"})

    def test_same_class_only(self):
        names = self.names("1.1.2.1.1-2.1.2.1.1-1.2.2.1.1")
        self.assertIn("liv.1.q.weight", names)
        self.assertIn("liv.2.q.weight", names)

    def test_shared_weight_goes_to_first_that_needs_it(self):
        names = self.names("1.2.1.1.2-1.1.2.1.2-1.1.2.2.1")
        self.assertNotIn("liv.1.k.weight", names)
        self.assertIn("liv.1.q.weight", names)
        self.assertIn("liv.2.k.weight", names)
        self.assertNotIn("liv.2.q.weight", names)

    def test_shapes_and_families(self):
        names = self.names("1.1.1.1.4-3.1.1.1.4-2.1.1.1.4-3.1.1.1.4"
                           "-7.1.1.1.4-8.1.1.1.4-5.1.1.1.4-6.1.1.1.4")
        for name in ("0.k", "1.k", "4.B", "6.B", "7.B"):
            self.assertIn(f"liv.{name}.weight", names)
        for name in ("2.k", "2.v", "3.k", "3.v", "5.B", "5.C"):
            self.assertNotIn(f"liv.{name}.weight", names)
        self.assertNotIn("liv.2.k.conv", names)
        self.assertIn("liv.2.q.conv", names)

    def test_differential_apart(self):
        names = self.names("1.1.1.1.2-10.1.1.1.2-10.1.1.1.2")
        self.assertIn("liv.1.a.k.weight", names)
        self.assertIn("liv.1.b.k.weight", names)
        self.assertNotIn("liv.2.a.k.weight", names)
        self.assertNotIn("liv.2.b.k.weight", names)

    def test_shared_weights_equal_copies(self):
        """A model that shares all weights computes what copies compute,
        and its gradient is the sum of theirs."""
        shared, plain = make_spec("51211-51211"), make_spec("51111-51111")
        weights = make_params(shared)
        copies = {}
        for name in plain.parameter_shapes():
            own = name if name in weights else name.replace(".1.", ".0.")
            copies[name] = weights[own].clone().requires_grad_()
        for p in weights.values():
            p.requires_grad_()
        ids = torch.arange(11)[None]
        logits = [reference.Model(spec, p)(ids) for spec, p in
                  ((shared, weights), (plain, copies))]
        self.assertLess((logits[0] - logits[1]).norm().item(), 1e-12)
        for out in logits:
            out.pow(2).sum().backward()
        name = "liv.0.dt.weight"
        want = copies[name].grad + copies["liv.1.dt.weight"].grad
        self.assertLess((weights[name].grad - want).norm().item(),
                        1e-9 * want.norm().item())

    def test_read_features_are_taken_after_rope(self):
        """A reader of the key sees the source's key, not its own input's."""
        spec = make_spec("21112-11112")
        params = make_params(spec)
        seen = []
        original = reference.attention

        def spy(q, k, v, *rest):
            seen.append((k, v))
            return original(q, k, v, *rest)

        reference.attention = spy
        try:
            reference.Model(spec, params)(torch.arange(11)[None])
        finally:
            reference.attention = original
        self.assertIs(seen[0][0], seen[1][0])
        self.assertIsNot(seen[0][1], seen[1][1])


class Files(unittest.TestCase):
    """The file format, the dump check and the short training run."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "file.safetensors")

    def test_round_trip(self):
        tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3),
                   "b": np.array([1, -1], dtype=np.int32),
                   "c": np.array(2.5), "d": np.zeros((0, 3), np.int64)}
        safetensors_io.write(self.path, tensors, {"key": "value"})
        back, metadata = safetensors_io.read(self.path)
        self.assertEqual(metadata, {"key": "value"})
        for name, array in tensors.items():
            self.assertEqual(back[name].dtype, array.dtype)
            np.testing.assert_array_equal(back[name], array)

    def test_bf16_and_truncation(self):
        values = torch.tensor([1.0, -2.5, 3e38]).bfloat16()
        bits = values.view(torch.int16).numpy().astype("<i2").tobytes()
        header = json.dumps({"x": {"dtype": "BF16", "shape": [3],
                                   "data_offsets": [0, 6]}}).encode()
        blob = len(header).to_bytes(8, "little") + header + bits
        with open(self.path, "wb") as file:
            file.write(blob)
        np.testing.assert_array_equal(
            safetensors_io.read(self.path)[0]["x"], values.float().numpy())
        for cut in (4, 20, len(blob) - 1):
            with open(self.path, "wb") as file:
                file.write(blob[:cut])
            with self.assertRaises(ValueError):
                safetensors_io.read(self.path)

    def dump(self, change=None, numbers="f32"):
        """Write a dump as another program would; return parity's Report."""
        spec = make_spec("1.1.1.1.2-5.1.1.1.1-8.1.1.1.1-10.1.1.1.1"
                         "-9.1.1.1.1-1.1.1.1.2")
        params = {n: p.float().requires_grad_(n not in spec.constants())
                  for n, p in make_params(spec).items()}
        gen = torch.Generator().manual_seed(1)
        ids = torch.randint(0, 11, (2, 12), generator=gen)
        targets = torch.roll(ids, -1, 1)
        targets[:, -1] = -1
        logits = reference.Model(spec, params)(ids)
        loss = reference.mean_loss(logits, targets)
        loss.backward()
        tensors = {"ids": ids.int().numpy(), "targets": targets.int().numpy(),
                   "logits": logits.detach().numpy(),
                   "loss": np.array([loss.item()], np.float32)}
        for name, p in params.items():
            value = p.detach().numpy()
            tensors[f"param/{name}"] = value[None] if p.dim() == 1 else value
            if p.requires_grad:
                tensors[f"grad/{name}"] = p.grad.numpy()
        if change:
            change(tensors)
        safetensors_io.write(self.path, tensors, {
            "sartor": json.dumps(spec.metadata()), "numbers": numbers})
        return parity.check(self.path)

    def test_parity_accepts(self):
        for numbers in ("f32", "bf16"):
            worst = max(self.dump(numbers=numbers).lines)
            self.assertLess(worst[0], 0.5, worst[1])

    def test_parity_sees_a_wrong_tensor(self):
        def scale(name, by):
            def change(tensors):
                tensors[name] = tensors[name] * np.float32(by)
            return change

        for name in ("logits", "loss", "grad/liv.0.norm.gain",
                     "grad/liv.1.A_log", "grad/liv.2.filter.0.freq",
                     "grad/liv.3.b.k.weight"):
            worst = max(self.dump(scale(name, 1.001)).lines)
            self.assertGreater(worst[0], 1, name)
            self.assertTrue(worst[1].startswith(name), worst[1])
        worst = max(self.dump(scale("grad/liv.3.b.k.weight", -1),
                              "bf16").lines)
        self.assertGreater(worst[0], 1)
        worst = max(self.dump(scale("grad/embed.weight", np.nan)).lines)
        self.assertEqual(worst[0], math.inf)

    def test_parity_sees_names_and_shapes(self):
        def missing(tensors):
            del tensors["param/liv.1.D"]

        def no_gradient(tensors):
            del tensors["grad/liv.1.D"]

        def unread(tensors):
            tensors["param/liv.5.k.weight"] = tensors["param/liv.0.k.weight"]

        def turned(tensors):
            name = "param/liv.1.dt.weight"
            tensors[name] = tensors[name].T

        def constant(tensors):
            tensors["param/liv.2.filter.decay"] = (
                tensors["param/liv.2.filter.decay"] * np.float32(1.01))

        for change in (missing, no_gradient, unread, turned, constant):
            with self.assertRaises(ValueError, msg=change.__name__):
                self.dump(change)

    def test_training(self):
        hyper = dict(training.TRAINING, steps=12, warmup=3, batch=2)
        self.assertAlmostEqual(training.learning_rate(2, 12, hyper), 1e-3)
        self.assertAlmostEqual(training.learning_rate(3, 12, hyper), 1e-3)
        self.assertGreater(training.learning_rate(11, 12, hyper), 1e-4)
        text = training.synthetic_text(1, 5000)
        self.assertEqual(text, training.synthetic_text(1, 5000))
        batches = training.make_batches(text, 12, 2, 64, 1)
        for arch in training.ARCHITECTURES:
            spec = training.make_spec(arch)
            initial = reference.initial_params(spec, 1)
            fast, _ = training.train(spec, initial, batches, hyper)
            slow, _ = training.train(spec, initial, batches, hyper,
                                     reference.scan)
            np.testing.assert_allclose(fast, slow, rtol=1e-5)
            self.assertLess(fast[-1], fast[0] - 0.3)

    def test_adamw_by_hand(self):
        """The optimiser's update is the one that training.py states."""
        spec = training.make_spec("transformer++-small")
        initial = reference.initial_params(spec, 1, torch.float64)
        hyper = dict(training.TRAINING, steps=2, warmup=1, batch=2)
        batches = training.make_batches(training.synthetic_text(1, 5000), 2,
                                        2, 64, 1)
        params = {n: p.clone().requires_grad_() for n, p in initial.items()}
        batch = torch.from_numpy(batches[0]).long()
        model = reference.Model(spec, params)
        reference.mean_loss(model(batch[:, :-1]), batch[:, 1:]).backward()
        norm = sum(p.grad.pow(2).sum() for p in params.values()).sqrt()
        with torch.no_grad():
            for name, p in params.items():
                g = p.grad * min(1.0, hyper["clip"] / norm.item())
                if name.endswith(".weight"):
                    p -= hyper["lr"] * hyper["weight_decay"] * p
                p -= hyper["lr"] * g / (g.abs() + hyper["eps"])
        batch = torch.from_numpy(batches[1]).long()
        want = reference.mean_loss(model(batch[:, :-1]), batch[:, 1:]).item()
        losses, norms = training.train(spec, initial, batches, hyper)
        self.assertAlmostEqual(norms[0], norm.item(), places=12)
        self.assertAlmostEqual(losses[1], want, places=10)


if __name__ == "__main__":
    unittest.main()
