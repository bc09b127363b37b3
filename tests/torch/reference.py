"""The language model of sartor, written from its formulas alone.

An independent statement of what every LIV computes, for comparison with the
library: plain PyTorch, no blocking, no fused operators, any floating type.
`Spec` holds the architecture and resolves both kinds of sharing; `Model`
computes logits from named parameters; autograd gives the gradients.

Shapes: B sequences, T tokens, d width, V vocabulary, H query heads of hd
channels, KV key and value heads, N states per channel.
"""

import json
import math
import re

import torch
import torch.nn.functional as F

NORM_EPS = 1e-5
ROPE_BASE = 10000.0
FILTER_WIDTH = 16
FILTER_BANDS = 8

# Operator code: featurizer, token mixing, sparsity, nonlinearity, channel
# mixing.
BASE_CLASSES = [
    ("SA-1", (1, 2, 1, 2, 3)),
    ("SA-2", (2, 2, 1, 2, 3)),
    ("SA-3", (3, 2, 1, 2, 3)),
    ("SA-4", (4, 2, 1, 2, 3)),
    ("Rec-1", (5, 4, 1, 1, 1)),
    ("Rec-2", (6, 4, 1, 1, 1)),
    ("GConv-1", (7, 3, 1, 1, 1)),
    ("GConv-2", (8, 3, 1, 1, 1)),
    ("GMemless", (9, 1, 1, 4, 2)),
]

# Gene 5: which features each strategy shares.
STRATEGIES = {
    "SA": {1: (), 2: ("k",), 3: ("v",), 4: ("k", "v")},
    "Rec": {1: (), 2: ("B",), 3: ("C",), 4: ("B", "C")},
    "GConv": {1: (), 2: ("B",), 3: ("C",), 4: ("B", "C")},
    "GMemless": {1: (), 2: ("gate",)},
    "MLP": {1: ()},
    "Hyena": {1: ()},
    "Linear": {1: (), 2: ("k",), 3: ("v",), 4: ("k", "v")},
    "MoE": {1: (), 2: ("gate",), 3: ("router",), 4: ("gate", "router")},
    "Delta": {1: (), 2: ("k",), 3: ("v",), 4: ("k", "v")},
    "RWKV": {1: (), 2: ("k",), 3: ("v",), 4: ("k", "v")},
    "RWKV-CM": {1: (), 2: ("r",)},
}

# The first number of a code and the second decide the family.
FAMILY = {
    (1, 2): "SA", (2, 2): "SA", (3, 2): "SA", (4, 2): "SA",
    (5, 4): "Rec", (6, 4): "Rec",
    (7, 3): "GConv", (8, 3): "GConv",
    (9, 1): "GMemless",
    (20, 3): "Hyena", (21, 3): "Hyena", (22, 3): "Hyena",
    (14, 4): "Linear", (15, 4): "Linear", (16, 4): "Linear",
    (10, 2): "SA", (11, 1): "MLP", (12, 1): "MoE", (23, 1): "MoE", (13, 4): "Rec",
    (17, 4): "Delta", (18, 4): "RWKV", (19, 1): "RWKV-CM",
}

NONE, SOFTMAX, RELU, SWISH, GELU, RELU2 = 1, 2, 3, 4, 5, 6
EXPERTS, ACTIVE = 8, 2
UNIT_EPS = 1e-6  # beside the squared length of q and k in GDN
RWKV_EPS = 64e-5
MIX_RANK, DECAY_RANK = 32, 64


class LivClass:
    """One row of the class table."""

    def __init__(self, number, name, code, differential):
        self.number = number
        self.name = name
        self.code = tuple(code)
        self.differential = bool(differential)
        if len(self.code) != 5 or self.code[:2] not in FAMILY:
            raise ValueError(f"class {number}: code {self.code}")
        self.family = FAMILY[self.code[:2]]
        (self.featurizer, self.token_mixing, self.sparsity,
         self.nonlinearity, self.channel_mixing) = self.code
        self._check()

    def _check(self):
        channel = {"SA": (2, 3), "Rec": (1,), "GConv": (1,), "Hyena": (1, 3),
                   "GMemless": (2,), "MLP": (2,), "MoE": (2,),
                   "Linear": (2, 3), "Delta": (3,), "RWKV": (3,),
                   "RWKV-CM": (2,)}[self.family]
        nonlinear = {"SA": (NONE, SOFTMAX, RELU, SWISH), "Rec": (NONE,),
                     "GConv": (NONE,), "Hyena": (NONE,),
                     "Linear": (NONE,),
                     "GMemless": (NONE, RELU, SWISH, GELU),
                     "MLP": (GELU,), "MoE": (GELU,), "Delta": (NONE,),
                     "RWKV": (NONE,), "RWKV-CM": (RELU2,)}
        banded = ("SA", "GConv", "MoE", "Hyena")
        sparsity = (1, 2) if self.family in banded else (1,)
        if (self.channel_mixing not in channel
                or self.nonlinearity not in nonlinear[self.family]
                or self.sparsity not in sparsity):
            raise ValueError(f"class {self.number}: no meaning for the code "
                             f"{'.'.join(map(str, self.code))}")


def paper_classes():
    """The seventeen classes of the paper, by number."""
    table = {}
    for number, (name, code) in enumerate(BASE_CLASSES, start=1):
        table[number] = LivClass(number, name, code, False)
    for number, (name, code) in enumerate(BASE_CLASSES[:8], start=10):
        table[number] = LivClass(number, name + "-Diff", code, True)
    return table


def read_classes(text):
    """Class table from JSON: a list of, or an object with "livs" holding,
    {"class", "name", "code", "differential"}; code a list or "1.2.1.2.3"."""
    rows = json.loads(text) if isinstance(text, str) else text
    if isinstance(rows, dict):
        rows = rows["livs"]
    table = {}
    for row in rows:
        code = row["code"]
        if isinstance(code, str):
            code = re.findall(r"\d+", code) if "." in code else list(code)
        table[row["class"]] = LivClass(row["class"], row["name"],
                                       [int(c) for c in code],
                                       row["differential"])
    return table


def parse_genome(text):
    """Genes of each LIV, from `2.1.2.1.1-3.1.1.1.2` or `21211-31112`."""
    genes = []
    for part in text.strip().split("-"):
        numbers = part.split(".") if "." in part else list(part)
        if len(numbers) != 5 or not all(n.isdigit() for n in numbers):
            raise ValueError(f"genome: '{part}' is not five integers")
        genes.append([int(n) for n in numbers])
    return genes


def genes_of_names(names, classes):
    """Genes without sharing from a list of class names."""
    numbers = {row.name: number for number, row in classes.items()}
    return [[numbers[name], 1, 1, 1, 1] for name in names]


class Spec:
    """An architecture: sizes, and per LIV its class and genes.

    After construction `source[i][feature]` is the LIV whose feature LIV i
    reads (i itself where it computes it), and `owner[i][suffix]` the LIV
    under whose name a weight of LIV i is stored.
    """

    def __init__(self, genes, classes, width, head_dim, vocab, context,
                 window=None, tied=False, filter_length=None,
                 filter_period=None):
        self.genes = [list(g) for g in genes]
        self.livs = [classes[g[0]] for g in self.genes]
        self.width = width
        self.head_dim = head_dim
        self.vocab = vocab
        self.context = context
        self.window = window
        self.tied = bool(tied)
        self.filter_length = filter_length or context
        self.filter_period = filter_period or self.filter_length
        self._resolve_features()
        self._resolve_weights()

    @classmethod
    def from_metadata(cls, meta):
        """From the "sartor" object in the metadata of a file."""
        classes = paper_classes()
        for row in meta["livs"]:
            given = read_classes([row])[row["class"]]
            known = classes.setdefault(given.number, given)
            if (known.code, known.differential) != (given.code,
                                                    given.differential):
                raise ValueError(f"class {given.number}: code {given.code} "
                                 f"is not the {known.code} of {known.name}")
        return cls([row["genes"] for row in meta["livs"]], classes,
                   meta["width"], meta["head_dim"], meta["vocab"],
                   meta["context"], meta.get("window"),
                   meta.get("tied", False), meta.get("filter_length"),
                   meta.get("filter_period"))

    def metadata(self):
        """The inverse of from_metadata."""
        livs = [{"class": row.number, "name": row.name,
                 "code": list(row.code), "differential": row.differential,
                 "genes": genes}
                for row, genes in zip(self.livs, self.genes)]
        return {"livs": livs, "width": self.width, "vocab": self.vocab,
                "head_dim": self.head_dim, "context": self.context,
                "window": self.window or 0, "tied": self.tied,
                "filter_length": self.filter_length,
                "filter_period": self.filter_period}

    # Sizes of one LIV

    def heads(self, i):
        """(H, KV, hd) of attention LIV i; dense mixing is one wide head."""
        liv = self.livs[i]
        hd = self.width if liv.channel_mixing == 2 else self.head_dim
        repeat = {1: 1, 2: 1, 3: 4, 4: 2, 10: 1}[liv.featurizer]
        heads, rest = divmod(self.width, hd)
        if rest or heads % repeat:
            raise ValueError(f"LIV {i}: {heads} heads, repeat {repeat}")
        return heads, heads // repeat, hd

    def states(self, i):
        """N of recurrence LIV i."""
        return {5: 16, 6: 2, 13: 4}[self.livs[i].featurizer]

    def channels(self, i):
        """Channels of recurrence LIV i."""
        return self.width * {5: 1, 6: 1, 13: 2}[self.livs[i].featurizer]

    def state(self, i):
        """(heads, key channels, value channels) of linear attention LIV i;
        Mamba-2's one key is read by all heads."""
        liv, d, hd = self.livs[i], self.width, self.head_dim
        if liv.channel_mixing == 2:
            return 1, d, d
        key, value = {14: (hd, hd), 15: (2 * hd, 2 * hd),
                      16: (hd, 2 * hd)}[liv.featurizer]
        inner = 2 * d if liv.featurizer == 16 else d
        if inner % value:
            raise ValueError(f"LIV {i}: {inner} channels, heads of {value}")
        return inner // value, key, value

    def hyena(self, i):
        """Of Hyena LIV i: rows of the projection, channels of each of the
        three parts, width of the filter network, filters."""
        d = self.width
        return {20: (3 * d, 4 * d, 4, 4 * d),
                21: (3 * d // 4, d, 2, d // (2 * self.head_dim)),
                22: (3 * d, d, 16, d)}[self.livs[i].featurizer]

    @property
    def state_heads(self):
        """Heads of a unit with a matrix state, and their channels."""
        return self.width // (2 * self.head_dim), 2 * self.head_dim

    @property
    def inner(self):
        """ff of a memoryless LIV."""
        return -(-8 * self.width // 48) * 16

    def feature_weights(self, i):
        """feature -> {suffix: shape}: the featurizer weights of LIV i."""
        liv, d = self.livs[i], self.width
        if liv.family == "SA":
            heads, kv, hd = self.heads(i)
            out = {}
            for name, n in (("q", heads), ("k", kv), ("v", kv)):
                out[name] = {f"{name}.weight": (n * hd, d)}
                if liv.featurizer == 10:
                    out[name][f"{name}.bias"] = (n * hd,)
                if liv.featurizer == 2:
                    out[name][f"{name}.conv"] = (n * hd, 3)
            return out
        if liv.family == "Rec":
            n, rank, e = self.states(i), -(-d // 16), self.channels(i)
            return {
                "u": {"x.weight": (e, d), "x.conv": (e, 4),
                      "x.conv_bias": (e,)},
                "z": {"z.weight": (e, d)},
                "dt": {"dt_in.weight": (rank, e), "dt.weight": (e, rank),
                       "dt.bias": (e,)},
                "A": {"A_log": (e, n)},
                "D": {"D": (e,)},
                "B": {"B.weight": (n, e)},
                "C": {"C.weight": (n, e)},
            }
        if liv.family == "MLP":
            return {"up": {"up.weight": (4 * d, d)}}
        if liv.family == "Delta":
            heads, n = self.state_heads
            out = {x: {f"{x}.weight": (d, d), f"{x}.conv": (d, 4)}
                   for x in "qkv"}
            out["z"] = {"z.weight": (d, d), "head_norm.gain": (n,)}
            out["alpha"] = {"dt.weight": (heads, d), "A_log": (heads,),
                            "dt.bias": (heads,)}
            out["beta"] = {"beta.weight": (heads, d)}
            return out
        if liv.family == "RWKV":
            out = {x: {f"{x}.weight": (d, d), f"{x}.mu": (d,),
                       f"{x}.mix.down.weight": (MIX_RANK, d),
                       f"{x}.mix.up.weight": (d, MIX_RANK)} for x in "wkvrg"}
            del out["w"]["w.weight"]
            out["w"].update({"w.down.weight": (DECAY_RANK, d),
                             "w.up.weight": (d, DECAY_RANK), "w.bias": (d,)})
            out["mix"] = {"mix.mu": (d,)}
            out["u"] = {"u": (d,)}
            out["norm"] = {"head_norm.gain": (d,), "head_norm.bias": (d,)}
            return out
        if liv.family == "RWKV-CM":
            return {"k": {"k.weight": (4 * d, d), "k.mu": (d,)},
                    "r": {"r.weight": (d, d), "r.mu": (d,)}}
        if liv.family == "MoE":
            return {"gate": {"gate.weight": (d, d)},
                    "value": {"value.weight": (d, d)},
                    "router": {"router.weight": (EXPERTS, d),
                               "router.bias": (EXPERTS,)}}
        if liv.family == "Linear":
            return self._linear_weights(i)
        if liv.family == "Hyena":
            rows, channels, w, filters = self.hyena(i)
            out = {"parts": {"in.weight": (rows, d), "in.bias": (rows,),
                             "conv": (3 * channels, 3),
                             "conv_bias": (3 * channels,)},
                   "filter": {"filter.positions": (self.filter_length, 3),
                              "filter.freq": (w,),
                              "filter.out.weight": (filters, w),
                              "filter.skip": (filters,),
                              "filter.decay": (filters,)}}
            for name, fan_in in {"in": 3, "0": w, "1": w}.items():
                out["filter"].update({f"filter.{name}.weight": (w, fan_in),
                                      f"filter.{name}.bias": (w,)})
            if liv.featurizer == 22:
                out["router"] = {"router.weight": (EXPERTS, d),
                                 "router.bias": (EXPERTS,)}
            return out
        if liv.family == "GConv":
            out = {name: {f"{name}.weight": (d, d)} for name in "BCv"}
            if liv.featurizer == 7:
                out["filter"] = {"conv": (d, 3)}
                return out
            w = FILTER_WIDTH
            layers = {"in": 1 + 2 * FILTER_BANDS, "0": w, "1": w}
            out["filter"] = {"filter.out.weight": (d, w),
                             "filter.decay": (d,)}
            for name, fan_in in layers.items():
                out["filter"].update({f"filter.{name}.weight": (w, fan_in),
                                      f"filter.{name}.bias": (w,),
                                      f"filter.{name}.freq": (w,)})
            return out
        return {"gate": {"gate.weight": (self.inner, d)},
                "value": {"value.weight": (self.inner, d)}}

    def _linear_weights(self, i):
        liv, d = self.livs[i], self.width
        heads, key, value = self.state(i)
        if liv.featurizer == 16:
            out = {"z": {"z.weight": (heads * value, d)},
                   "dt": {"dt.weight": (heads, d), "dt.bias": (heads,)},
                   "A": {"A_log": (heads,)}, "D": {"D": (heads,)},
                   "norm": {"out_norm.gain": (heads * value,)}}
            for feature, name, n in (("v", "x", heads * value),
                                     ("k", "B", key), ("q", "C", key)):
                out[feature] = {f"{name}.weight": (n, d),
                                f"{name}.conv": (n, 4),
                                f"{name}.conv_bias": (n,)}
            return out
        out = {name: {f"{name}.weight": (d, d)} for name in "qkv"}
        if liv.featurizer == 15:
            out.update(gate={"gate.weight": (d, d)},
                       decay={"decay_in.weight": (16, d),
                              "decay.weight": (d, 16), "decay.bias": (d,)},
                       norm={"out_norm.gain": (value,)})
            return out
        for name in "qk":
            for side in "ab":
                out[name][f"{name}_map.{side}.weight"] = (key, key)
                out[name][f"{name}_map.{side}.bias"] = (key,)
        return out

    def own_weights(self, i):
        """{suffix: shape}: weights of LIV i that are never shared."""
        liv, d = self.livs[i], self.width
        if liv.family == "GMemless":
            return {"out.weight": (d, self.inner)}
        if liv.family == "Rec":
            return {"out.weight": (d, self.channels(i))}
        if liv.family in ("MLP", "RWKV-CM"):
            return {"out.weight": (d, 4 * d)}
        if liv.featurizer == 16:
            return {"out.weight": (d, 2 * d)}
        if liv.family == "MoE":
            many = {"out.weight": (d, EXPERTS * d)}
            shared = {"out.weight": (d, d), "experts.weight": (d, EXPERTS * d)}
            return shared if liv.featurizer == 23 else many
        if liv.featurizer in (10, 20, 21, 22):
            inner = {10: d, 20: 4 * d, 21: d, 22: d // EXPERTS}
            return {"out.weight": (d, inner[liv.featurizer]),
                    "out.bias": (d,)}
        return {"out.weight": (d, d)}

    def feature_shape(self, i, feature):
        """Shape per token of a feature that may be shared."""
        family = self.livs[i].family
        if family == "SA":
            return self.heads(i)[1:]
        if family == "Rec":
            return (self.states(i),)
        if family in ("MoE", "Linear", "Delta", "RWKV",
                      "RWKV-CM"):  # within a class
            return (self.livs[i].number,)
        return (self.inner,) if family == "GMemless" else (self.width,)

    # Sharing

    def shared_features(self, i):
        """Features that gene 5 of LIV i shares."""
        return STRATEGIES[self.livs[i].family][self.genes[i][4]]

    def _resolve_features(self):
        """A LIV shares the features its strategy names with the LIVs of its
        family and label that name them too; the first of equal shape is the
        source, the others read."""
        first, self.source = {}, []
        for i, liv in enumerate(self.livs):
            read = {}
            for feature in self.feature_weights(i):
                read[feature] = i
                if feature in self.shared_features(i):
                    key = (liv.family, liv.differential, self.genes[i][3],
                           feature, self.feature_shape(i, feature))
                    read[feature] = first.setdefault(key, i)
            self.source.append(read)

    def _resolve_weights(self):
        """Strategy 2 of gene 3 shares all featurizer weights within a class
        and label; the first member that needs a weight has it."""
        first, self.owner = {}, []
        for i, liv in enumerate(self.livs):
            own = {suffix: i for suffix in self.own_weights(i)}
            for feature, weights in self.feature_weights(i).items():
                if self.source[i][feature] != i:
                    continue
                for suffix in weights:
                    own[suffix] = i
                    if self.genes[i][2] == 2:
                        key = (liv.number, self.genes[i][1], suffix)
                        own[suffix] = first.setdefault(key, i)
            self.owner.append(own)

    def branches(self, i):
        """Name prefixes after `liv.I.`: two for a differential LIV."""
        return ("a.", "b.") if self.livs[i].differential else ("",)

    def parameter_shapes(self):
        """name -> shape of every parameter, shared ones once."""
        shapes = {"embed.weight": (self.vocab, self.width),
                  "norm.gain": (self.width,)}
        if not self.tied:
            shapes["unembed.weight"] = (self.vocab, self.width)
        for i in range(len(self.livs)):
            shapes[f"liv.{i}.norm.gain"] = (self.width,)
            weights = dict(self.own_weights(i))
            for group in self.feature_weights(i).values():
                weights.update(group)
            for suffix, owner in self.owner[i].items():
                if owner == i:
                    for branch in self.branches(i):
                        shapes[f"liv.{i}.{branch}{suffix}"] = weights[suffix]
        return shapes

    def constants(self):
        """name -> value of the stored tensors that are not trained."""
        return {name: torch.linspace(math.log(100) / 1.5,
                                     math.log(100) / 0.3, *shape,
                                     dtype=torch.float64)
                for name, shape in self.parameter_shapes().items()
                if name.endswith("filter.decay")}


# Pieces


def rmsnorm(x, gain):
    """x / sqrt(mean(x^2) + eps) * gain over the last axis."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + NORM_EPS) * gain


def swish(x):
    """x sigmoid(x)."""
    return x * torch.sigmoid(x)


def gelu(x):
    """GELU in its form with tanh."""
    return F.gelu(x, approximate="tanh")


def routing(scores, top):
    """Weights of the experts, [..., EXPERTS]: a softmax over the ACTIVE
    largest scores, or (not `top`) one over all, the others' scores at 0."""
    best, index = scores.topk(ACTIVE, dim=-1)
    if top:
        return torch.zeros_like(scores).scatter(
            -1, index, torch.softmax(best, -1))
    return torch.softmax(scores * (scores >= best[..., -1:]), -1)


def decayed_attention(q, k, v, log_decay):
    """q and k [B,T,H,K], v [B,T,H,V], log_decay [B,T,H,K] -> [B,T,H,V]: the
    sum over s <= t of (q_t . exp(decays s+1..t) k_s) v_s, pair by pair."""
    total = log_decay.cumsum(1)
    between = total[:, :, None] - total[:, None, :]
    length = q.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    weight = torch.exp(between.masked_fill(
        ~causal[None, :, :, None, None], -torch.inf))
    score = torch.einsum("bthk,bshk,btshk->btsh", q, k, weight)
    return torch.einsum("btsh,bshv->bthv", score, v)


def head_norm(x, heads, gain, bias=None, eps=NORM_EPS):
    """Each head of x [B,T,H n] normalised by itself: around its mean when
    there is a bias, then with gain and bias per channel; else RMSNorm."""
    x = x.unflatten(-1, (heads, -1))
    if bias is not None:
        x = x - x.mean(-1, keepdim=True)
    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    if bias is None:
        return (x * gain).flatten(-2)
    return x.flatten(-2) * gain + bias


def delta_rule(q, k, v, alpha, beta):
    """q, k, v [B,T,H,n], alpha and beta [B,T,H]: token after token,
    S <- alpha S (I - beta k k^T) + beta v k^T, out = S q."""
    batch, length, heads, n = q.shape
    eye = torch.eye(n, dtype=q.dtype)
    state = q.new_zeros(batch, heads, n, n)
    out = []
    for t in range(length):
        b = beta[:, t, :, None, None]
        key = k[:, t, :, None, :]
        state = (alpha[:, t, :, None, None] * state
                 @ (eye - b * key.transpose(-1, -2) @ key)
                 + b * v[:, t, :, :, None] @ key)
        out.append((state @ q[:, t, :, :, None])[..., 0])
    return torch.stack(out, dim=1)


def wkv(r, k, v, decay, u):
    """r, k, v, decay [B,T,H,n], u [H,n]: token after token,
    out = r (S + diag(u) k^T v), S <- diag(decay) S + k^T v."""
    state = r.new_zeros(r.shape[0], r.shape[2], r.shape[3], r.shape[3])
    out = []
    for t in range(r.shape[1]):
        write = k[:, t, :, :, None] * v[:, t, :, None, :]
        read = state + u[:, :, None] * write
        out.append((r[:, t, :, :, None] * read).sum(-2))
        state = decay[:, t, :, :, None] * state + write
    return torch.stack(out, dim=1)


def token_shift(x):
    """x [B,T,d] one token later, zero first."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def causal_conv(x, taps):
    """out[b,t,c] = sum_j taps[c,j] x[b, t-(K-1)+j, c]."""
    length, k = x.shape[1], taps.shape[1]
    out = torch.zeros_like(x)
    for j in range(k):
        shift = k - 1 - j
        if shift < length:
            part = x[:, :length - shift] * taps[:, j]
            out = out + F.pad(part, (0, 0, shift, 0))
    return out


def long_conv(x, h):
    """out[b,t,c] = sum_{s <= min(t, L-1)} h[s,c] x[b, t-s, c], directly as
    a product with one Toeplitz matrix per channel."""
    length = x.shape[1]
    t = torch.arange(length)
    lag = t[:, None] - t[None, :]
    visible = (lag >= 0) & (lag < h.shape[0])
    toeplitz = h[lag.clamp(0, h.shape[0] - 1)] * visible[..., None]
    return torch.einsum("tsc,bsc->btc", toeplitz, x)


def rope(x):
    """Rotate adjacent pairs of x [B,T,heads,hd] by position * frequency."""
    length, hd = x.shape[1], x.shape[-1]
    pair = torch.arange(hd // 2, dtype=torch.float64)
    angle = (torch.arange(length, dtype=torch.float64)[:, None]
             * ROPE_BASE ** (-2 * pair / hd))
    cos = torch.cos(angle).to(x.dtype)[None, :, None, :]
    sin = torch.sin(angle).to(x.dtype)[None, :, None, :]
    x0, x1 = x[..., 0::2], x[..., 1::2]
    return torch.stack((x0 * cos - x1 * sin, x0 * sin + x1 * cos),
                       dim=-1).flatten(-2)


def attention(q, k, v, nonlinearity, window=None):
    """q [B,T,H,hd], k and v [B,T,KV,hd] -> [B,T,H,hd]."""
    length, repeat = q.shape[1], q.shape[2] // k.shape[2]
    k = k.repeat_interleave(repeat, dim=2)
    v = v.repeat_interleave(repeat, dim=2)
    score = torch.einsum("bihc,bjhc->bhij", q, k) / math.sqrt(q.shape[-1])
    i = torch.arange(length)[:, None]
    j = torch.arange(length)[None, :]
    visible = j <= i
    if window is not None:
        visible = visible & (j > i - window)
    if nonlinearity == SOFTMAX:
        weight = torch.softmax(score.masked_fill(~visible, -math.inf), -1)
    else:
        mapped = {NONE: lambda s: s, RELU: torch.relu, SWISH: swish}
        weight = mapped[nonlinearity](score) * visible / (i + 1)
    return torch.einsum("bhij,bjhc->bihc", weight, v)


def scan(u, delta, A, B, C):
    """The selective scan, one token after the other.

    u, delta [B,T,d], A [d,N], B and C [B,T,N] -> sum_n C h, [B,T,d], with
    h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t.
    """
    h = u.new_zeros(u.shape[0], u.shape[2], A.shape[1])
    out = []
    for t in range(u.shape[1]):
        step = delta[:, t, :, None]
        h = (torch.exp(step * A) * h
             + step * B[:, t, None, :] * u[:, t, :, None])
        out.append((h * C[:, t, None, :]).sum(-1))
    return torch.stack(out, dim=1)


def chunked_scan(u, delta, A, B, C, chunk=8):
    """The same as `scan`, faster: all chunks advance together from zero
    states, then the states entering each chunk are added with their decay."""
    length = u.shape[1]
    pad = -length % chunk
    if pad:
        u, delta, B, C = (F.pad(x, (0, 0, 0, pad)) for x in (u, delta, B, C))
    u, delta, B, C = (x.unflatten(1, (-1, chunk)) for x in (u, delta, B, C))
    decay = torch.exp(delta[..., None] * A)
    inflow = (delta * u)[..., None] * B[..., None, :]
    states, total = [inflow[:, :, 0]], [decay[:, :, 0]]
    for t in range(1, chunk):
        states.append(decay[:, :, t] * states[-1] + inflow[:, :, t])
        total.append(decay[:, :, t] * total[-1])
    entering = [torch.zeros_like(inflow[:, 0, 0])]
    for c in range(u.shape[1] - 1):
        entering.append(total[-1][:, c] * entering[-1] + states[-1][:, c])
    h = (torch.stack(states, 2)
         + torch.stack(total, 2) * torch.stack(entering, 1)[:, :, None])
    y = torch.einsum("bctdn,bctn->bctd", h, C)
    return y.flatten(1, 2)[:, :length]


def implicit_filter(weights, length, period, dtype):
    """The long filter h [length, d] of GConv-2 from its small network."""
    s = torch.arange(length, dtype=torch.float64)[:, None]
    t = s / (period - 1) if period > 1 else torch.zeros_like(s)
    k = torch.arange(1, FILTER_BANDS + 1, dtype=torch.float64)
    angle = k * (2 * math.pi * s / period)
    z = torch.cat((t, torch.cos(angle), -torch.sin(angle)), 1).to(dtype)
    for name in ("in", "0", "1"):
        z = z @ weights[f"filter.{name}.weight"].T
        z = z + weights[f"filter.{name}.bias"]
        z = torch.sin(weights[f"filter.{name}.freq"] * z)
    h = z @ weights["filter.out.weight"].T
    return h * torch.exp(-t.to(dtype) * weights["filter.decay"].abs())


def learned_filter(weights):
    """The long filter h [L, channels] of the Hyena units, without its skip:
    the network reads trained positions, its sines share one frequency."""
    z = weights["filter.positions"]
    for name in ("in", "0", "1"):
        z = F.linear(z, weights[f"filter.{name}.weight"],
                     weights[f"filter.{name}.bias"])
        z = torch.sin(weights["filter.freq"] * z)
    h = z @ weights["filter.out.weight"].T
    t = torch.linspace(0, 1, len(h), dtype=h.dtype)[:, None]
    return h * torch.exp(-t * weights["filter.decay"].abs())


def hyena_positions(length):
    """Initial positions: t in [0, 1], and one slow wave."""
    n = torch.arange(length, dtype=torch.float64)
    angle = 1e-4 * 2 * math.pi * n / length
    return torch.stack((n / max(length - 1, 1), torch.cos(angle),
                        -torch.sin(angle)), 1)


class Model:
    """The language model over named parameters (tensors of one type)."""

    def __init__(self, spec, params, scan_function=scan):
        self.spec = spec
        self.params = params
        self.scan = scan_function
        expected = spec.parameter_shapes()
        unknown = sorted(set(params) - set(expected))
        missing = sorted(set(expected) - set(params))
        if unknown or missing:
            raise ValueError(f"parameters: unknown {unknown}, "
                             f"missing {missing}")
        for name, shape in expected.items():
            if tuple(params[name].shape) != tuple(shape):
                raise ValueError(f"{name}: shape {tuple(params[name].shape)}"
                                 f" instead of {tuple(shape)}")

    def forward(self, ids):
        """ids [B,T] -> logits [B,T,V]."""
        params, spec = self.params, self.spec
        x = params["embed.weight"][ids]
        features = {}
        for i in range(len(spec.livs)):
            n = rmsnorm(x, params[f"liv.{i}.norm.gain"])
            parts = [self._liv(i, branch, n, features)
                     for branch in spec.branches(i)]
            x = x + (parts[0] - parts[1] if len(parts) == 2 else parts[0])
        x = rmsnorm(x, params["norm.gain"])
        table = "embed.weight" if spec.tied else "unembed.weight"
        return x @ params[table].T

    __call__ = forward

    def _liv(self, i, branch, n, features):
        """One branch of LIV i.  `features` holds the shareable features of
        earlier LIVs by (LIV, branch, feature)."""
        spec = self.spec
        weights = {suffix: self.params[f"liv.{owner}.{branch}{suffix}"]
                   for suffix, owner in spec.owner[i].items()}

        def feature(name, compute):
            key = (spec.source[i][name], branch, name)
            if key[0] == i and key not in features:
                features[key] = compute()
            return features[key]

        mix = {"SA": self._attention, "Rec": self._recurrence,
               "GConv": self._convolution, "GMemless": self._memoryless,
               "MLP": self._mlp, "MoE": self._experts,
               "Hyena": self._hyena, "Linear": self._linear,
               "Delta": self._delta, "RWKV": self._rwkv,
               "RWKV-CM": self._rwkv_channels}
        y, more = mix[spec.livs[i].family](i, weights, n, feature), 0
        if isinstance(y, tuple):
            y, more = y
        y = y @ weights["out.weight"].T + weights.get("out.bias", 0) + more
        if spec.livs[i].family == "RWKV-CM":
            y = torch.sigmoid(feature("r", None)) * y
        return y

    def _attention(self, i, weights, n, feature):
        liv = self.spec.livs[i]
        _, _, hd = self.spec.heads(i)

        def project(name):
            x = n @ weights[f"{name}.weight"].T
            x = x + weights.get(f"{name}.bias", 0)
            if liv.featurizer == 2:
                x = causal_conv(x, weights[f"{name}.conv"])
            x = x.unflatten(-1, (-1, hd))
            return x if name == "v" else rope(x)

        q, k, v = (feature(name, lambda name=name: project(name))
                   for name in ("q", "k", "v"))
        window = self.spec.window if liv.sparsity == 2 else None
        return attention(q, k, v, liv.nonlinearity, window).flatten(-2)

    def _recurrence(self, i, weights, n, feature):
        u = swish(causal_conv(n @ weights["x.weight"].T, weights["x.conv"])
                  + weights["x.conv_bias"])
        delta = F.softplus((u @ weights["dt_in.weight"].T)
                           @ weights["dt.weight"].T + weights["dt.bias"])
        B = feature("B", lambda: u @ weights["B.weight"].T)
        C = feature("C", lambda: u @ weights["C.weight"].T)
        y = self.scan(u, delta, -torch.exp(weights["A_log"]), B, C)
        return (y + weights["D"] * u) * swish(n @ weights["z.weight"].T)

    def _convolution(self, i, weights, n, feature):
        liv, spec = self.spec.livs[i], self.spec
        B = feature("B", lambda: n @ weights["B.weight"].T)
        C = feature("C", lambda: n @ weights["C.weight"].T)
        p = B * (n @ weights["v.weight"].T)
        if liv.featurizer == 7:
            taps = weights["conv"]
            if liv.sparsity == 2 and spec.window < taps.shape[1]:
                taps = taps * (torch.arange(taps.shape[1])
                               >= taps.shape[1] - spec.window)
            return C * causal_conv(p, taps)
        length = spec.filter_length
        if liv.sparsity == 2:
            length = min(length, spec.window)
        h = implicit_filter(weights, length, spec.filter_period, n.dtype)
        return C * long_conv(p, h)

    def _memoryless(self, i, weights, n, feature):
        mapped = {NONE: lambda x: x, RELU: torch.relu, SWISH: swish,
                  GELU: gelu}
        mapped = mapped[self.spec.livs[i].nonlinearity]
        gate = feature("gate", lambda: mapped(n @ weights["gate.weight"].T))
        return gate * (n @ weights["value.weight"].T)

    def _linear(self, i, weights, n, feature):
        mix = {14: self._linear_attention, 15: self._gated_linear,
               16: self._mamba2}[self.spec.livs[i].featurizer]
        return mix(self.spec.state(i), weights, n, feature).flatten(-2)

    @staticmethod
    def _linear_attention(state, weights, n, feature):
        """Attention with scores phi(q).phi(k), divided by their sum."""
        _, key, value = state

        def phi(name):
            x = (n @ weights[f"{name}.weight"].T).unflatten(-1, (-1, key))
            a, b = (F.linear(x, weights[f"{name}_map.{side}.weight"],
                             weights[f"{name}_map.{side}.bias"])
                    for side in "ab")
            return a * b

        q, k = phi("q"), feature("k", lambda: phi("k"))
        v = feature("v", lambda: (n @ weights["v.weight"].T)
                    .unflatten(-1, (-1, value)))
        score = torch.einsum("bihc,bjhc->bhij", q, k).tril()
        score = score / (score.sum(-1, keepdim=True) + 1e-12)
        return torch.einsum("bhij,bjhc->bihc", score, v)

    @staticmethod
    def _gated_linear(state, weights, n, feature):
        _, key, value = state

        def heads(name, size):
            return (n @ weights[f"{name}.weight"].T).unflatten(-1, (-1, size))

        low = n @ weights["decay_in.weight"].T
        decay = F.logsigmoid(low @ weights["decay.weight"].T
                             + weights["decay.bias"]) / 16
        k = feature("k", lambda: heads("k", key))
        v = feature("v", lambda: heads("v", value))
        y = decayed_attention(heads("q", key) / math.sqrt(key), k, v,
                              decay.unflatten(-1, (-1, key)))
        return rmsnorm(y, weights["out_norm.gain"]) * swish(
            heads("gate", value))

    @staticmethod
    def _mamba2(state, weights, n, feature):
        heads, key, value = state

        def convolved(name):
            x = causal_conv(n @ weights[f"{name}.weight"].T,
                            weights[f"{name}.conv"])
            return swish(x + weights[f"{name}.conv_bias"])

        C = convolved("C")
        B = feature("k", lambda: convolved("B"))
        x = feature("v", lambda: convolved("x")).unflatten(-1, (heads, value))
        dt = F.softplus(n @ weights["dt.weight"].T + weights["dt.bias"])
        decay = -dt * torch.exp(weights["A_log"])
        every = (-1, -1, heads, key)
        y = decayed_attention(C[..., None, :].expand(every),
                              B[..., None, :].expand(every),
                              x * dt[..., None],
                              decay[..., None].expand(every))
        y = (y + weights["D"][:, None] * x).flatten(-2)
        y = y * swish(n @ weights["z.weight"].T)
        return rmsnorm(y, weights["out_norm.gain"])[..., None, :]

    def _mlp(self, i, weights, n, feature):
        return gelu(n @ weights["up.weight"].T)

    def _experts(self, i, weights, n, feature):
        """What the output projection reads so that it makes the sum over
        experts e of w_e W_e h, with W_e its columns [e d, (e + 1) d). With a
        shared expert it reads h alone, and the others have their own."""
        top = self.spec.livs[i].sparsity == 2
        gate = feature("gate", lambda: n @ weights["gate.weight"].T)
        w = feature("router", lambda: routing(
            n @ weights["router.weight"].T + weights["router.bias"], top))
        h = gelu(gate) * (n @ weights["value.weight"].T)
        spread = (w[..., :, None] * h[..., None, :]).flatten(-2)
        if "experts.weight" not in weights:
            return spread
        return h, spread @ weights["experts.weight"].T


    def _hyena(self, i, weights, n, feature):
        liv = self.spec.livs[i]
        rows, channels, _, filters = self.spec.hyena(i)
        x = n @ weights["in.weight"].T + weights["in.bias"]
        x = x.repeat(1, 1, 3 * channels // rows)
        x = causal_conv(x, weights["conv"]) + weights["conv_bias"]
        x0, x1, v = x.split(channels, dim=-1)
        h, skip = learned_filter(weights), weights["filter.skip"]
        if liv.featurizer == 21:
            return self._outer(x0, x1, v, h, skip)
        p = x1 * v
        y = x0 * (long_conv(p, h) + skip * p)
        if liv.featurizer == 22:
            w = routing(n @ weights["router.weight"].T
                        + weights["router.bias"], liv.sparsity == 2)
            y = (y.unflatten(-1, (-1, EXPERTS)) * w[..., None, :]).sum(-1)
        return y

    @staticmethod
    def _outer(q, k, v, h, skip):
        """Multi-head Hyena: all entries of the outer products of k and v of
        a group go through its filter; q reads them."""
        groups = h.shape[1]
        q, k, v = (x.unflatten(-1, (groups, -1)) for x in (q, k, v))
        kv = k[..., :, None] * v[..., None, :]
        each = kv[0, 0, 0].numel()
        y = (long_conv(kv.flatten(2), h.repeat_interleave(each, 1))
             + skip.repeat_interleave(each) * kv.flatten(2))
        return (q[..., :, None] * y.view_as(kv)).sum(-2).flatten(-2)

    def _delta(self, i, weights, n, feature):
        heads, hd = self.spec.state_heads

        def project(name):
            return swish(causal_conv(n @ weights[f"{name}.weight"].T,
                                     weights[f"{name}.conv"]))

        def unit(x):
            return x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + UNIT_EPS)

        q, k, v = (feature(name, lambda name=name: project(name)).unflatten(
            -1, (heads, hd)) for name in "qkv")
        dt = F.softplus(n @ weights["dt.weight"].T + weights["dt.bias"])
        alpha = torch.exp(-torch.exp(weights["A_log"]) * dt)
        beta = torch.sigmoid(n @ weights["beta.weight"].T)
        o = delta_rule(unit(q), unit(k), v, alpha, beta).flatten(-2)
        return (head_norm(o, heads, weights["head_norm.gain"])
                * swish(n @ weights["z.weight"].T))

    def _rwkv(self, i, weights, n, feature):
        heads, hd = self.spec.state_heads
        past = token_shift(n) - n
        x = n + past * weights["mix.mu"]

        def mixed(name):
            low = torch.tanh(x @ weights[f"{name}.mix.down.weight"].T)
            return n + past * (weights[f"{name}.mu"]
                               + low @ weights[f"{name}.mix.up.weight"].T)

        def project(name):
            return mixed(name) @ weights[f"{name}.weight"].T

        r, g = project("r"), project("g")
        k, v = (feature(name, lambda name=name: project(name))
                for name in "kv")
        w = (weights["w.bias"]
             + torch.tanh(mixed("w") @ weights["w.down.weight"].T)
             @ weights["w.up.weight"].T)
        r, k, v, decay = (t.unflatten(-1, (heads, hd))
                          for t in (r, k, v, torch.exp(-torch.exp(w))))
        o = wkv(r, k, v, decay, weights["u"].unflatten(-1, (heads, hd)))
        o = head_norm(o.flatten(-2), heads, weights["head_norm.gain"],
                      weights["head_norm.bias"], RWKV_EPS)
        return o * swish(g)

    def _rwkv_channels(self, i, weights, n, feature):
        past = token_shift(n) - n
        feature("r", lambda: (n + past * weights["r.mu"])
                @ weights["r.weight"].T)
        k = (n + past * weights["k.mu"]) @ weights["k.weight"].T
        return torch.relu(k).pow(2)


def mean_loss(logits, targets):
    """Mean nats over the targets that are not negative."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten().long(),
                           ignore_index=-1)


def is_matrix(name):
    """Does weight decay apply?  All projections and embeddings, nothing
    else (filter networks' matrices are `.weight` too)."""
    return name.endswith(".weight")


def initial_params(spec, seed=0, dtype=torch.float32):
    """Initial parameters: N(0, 0.02), output projections scaled by
    1/sqrt(2n), Mamba's A, D and dt, PyTorch's own for short convolutions."""
    gen = torch.Generator().manual_seed(seed)
    constants = spec.constants()
    params = {}

    def uniform(shape, low, high):
        return torch.rand(shape, generator=gen) * (high - low) + low

    for name, shape in spec.parameter_shapes().items():
        kind = name.split(".")[-1]
        if name in constants:
            value = constants[name]
        elif name.endswith("dt.bias"):
            dt = torch.exp(uniform(shape, math.log(1e-3), math.log(0.1)))
            value = dt + torch.log(-torch.expm1(-dt))
        elif name.endswith("dt.weight"):
            bound = shape[1] ** -0.5
            value = uniform(shape, -bound, bound)
        elif "_map." in name:
            bound = shape[-1] ** -0.5
            value = (uniform(shape, -bound, bound) if kind == "weight"
                     else torch.ones(shape))
        elif kind == "weight":
            value = torch.randn(shape, generator=gen) * 0.02
            if name.endswith("out.weight") and "filter" not in name:
                value = value / math.sqrt(2 * len(spec.livs))
            elif "filter" in name:
                value = uniform(shape, -1, 1) * shape[1] ** -0.5
        elif kind == "positions":
            value = hyena_positions(shape[0])
        elif kind == "skip":
            value = torch.randn(shape, generator=gen)
        elif kind in ("gain", "D", "freq"):
            value = torch.ones(shape)
        elif kind == "A_log" and len(shape) == 1:
            value = torch.log(uniform(shape, 1, 16))
        elif kind == "A_log":
            value = torch.log(torch.arange(1.0, shape[1] + 1)).expand(shape)
        elif kind == "conv":
            value = uniform(shape, -1, 1) * shape[1] ** -0.5
        else:
            value = torch.zeros(shape)
        params[name] = value.to(dtype).clone()
    return params
