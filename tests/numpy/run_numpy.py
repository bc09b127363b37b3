"""PCG64, the MAD data sets and .npy files against NumPy itself.

usage: run_numpy.py MAD_SIDE
MAD_SIDE is the program built from tests/numpy/mad_side.c.  Exits 77 (skipped) where NumPy is not
installed.  The generators below are written from the tasks' definitions and draw with NumPy's own
Generator; all tokens of a data set must agree, of fuzzy recall with the lists of permutations.
"""

import itertools
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    sys.exit(77)

SEED = 12345
IGNORE = -100
MASK = 2**64 - 1

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print("FAIL", what)


# ---- random numbers ----


def draws(seeds):
    """The calls of mad_side stream."""
    rng = np.random.default_rng(seeds if len(seeds) > 1 else seeds[0])
    bits = 0x9E3779B97F4A7C15
    for i in range(4000):
        bits = (bits * 6364136223846793005 + 1442695040888963407) & MASK
        most = bits >> (i * 7 % 64)
        yield int(rng.integers(0, most, endpoint=True, dtype=np.uint64))
        yield int(rng.choice(i % 300 + 1))
        if i % 3 == 0:
            yield int(rng.bit_generator.random_raw())
        if i % 5 == 0:
            yield float(rng.random())
        if i % 100 == 0:
            yield from (int(k) for k in rng.permutation(i))


def check_streams(program):
    for seeds in ([0], [1], [SEED], [2**32], [2**64 - 1], [SEED, 1], [2**40, 2**33 + 7]):
        command = [program, "stream"] + [str(s) for s in seeds]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        wanted = list(draws(seeds))
        same = len(lines) == len(wanted) and all(
            type(w)(line) == w for line, w in zip(lines, wanted))
        check(same, f"stream of seed {seeds}")


# ---- data sets ----


def shifted(tokens, wanted, test):
    return tokens[:-1], (wanted if test else tokens)[1:]


def recall(rng, test, vocab=16, length=128, noise_vocab=0, noise=0.0, multi=True):
    n = vocab - noise_vocab - (not multi)
    spared = rng.choice(length // 2)
    values, tokens, wanted = {}, [], []
    for slot in range(length // 2 - 1):
        if noise > 0 and slot != spared and rng.random() < noise:
            tokens += list(rng.choice(np.arange(n, n + noise_vocab), size=2))
            wanted += [IGNORE, IGNORE]
            continue
        key = int(rng.choice(n // 2))
        wanted += [IGNORE, values[key] if multi and key in values else IGNORE]
        if key not in values:
            values[key] = n // 2 + int(rng.choice(n - n // 2))
        tokens += [key, values[key]]
    key = int(rng.choice(list(values)))
    mark = [] if multi else [vocab - 1]
    return shifted(tokens + mark + [key, values[key]],
                   wanted + [IGNORE] * len(mark) + [IGNORE, values[key]], test)


def noisy(rng, test, vocab=32, length=128, noise_vocab=16, noise=0.2, multi=True):
    return recall(rng, test, vocab, length, noise_vocab, noise, multi)


def fuzzy(rng, test, vocab=16, length=128, most=(3, 3), noise_vocab=0, noise=0.0, multi=True):
    n = vocab - noise_vocab - (1 if multi else 2)

    def shuffled(tokens, size):
        tuples = list(itertools.permutations(tokens, size))
        rng.shuffle(tuples)
        return tuples

    sizes = [most[0]] if test else range(1, most[0] + 1)
    keys = {s: shuffled(range(n // 2), s) for s in sizes}
    values = {s: shuffled(range(n // 2, n), s) for s in range(1, most[1] + 1)}

    def key_size():
        return most[0] if test else int(rng.choice(list(keys)))

    def value_size():
        return int(rng.choice(list(values)))

    def pick(tuples):
        return tuples[rng.choice(len(tuples))]

    k_size, v_size = key_size(), value_size()
    probe, answer = pick(keys[k_size]), pick(values[v_size])
    probe_size = k_size + v_size
    place = rng.choice(length - 2 * probe_size)
    known, tokens, wanted, placed = {}, [], [], False
    while len(tokens) < length - probe_size - sum(most):
        k_size, v_size = key_size(), value_size()
        if len(tokens) >= place and not placed:
            key, value, again, placed = probe, answer, False, True
        elif noise > 0 and rng.random() < noise:
            tokens += list(rng.choice(np.arange(n, n + noise_vocab), size=k_size + v_size))
            wanted += [IGNORE] * (k_size + v_size)
            continue
        else:
            key = pick(keys[k_size])
            again = key in known
            if key == probe:
                value, placed = answer, True
            else:
                value = known[key] if again else pick(values[v_size])
        known[key] = value
        tokens += key + value
        wanted += [IGNORE] * len(key) + (list(value) if again and multi
                                         else [IGNORE] * len(value))
    if not multi:
        tokens.append(vocab - 1)
        wanted.append(IGNORE)
    tokens += probe + answer
    wanted += [IGNORE] * len(probe) + list(answer)
    pad = length + 1 - len(tokens)
    return shifted([vocab - (1 if multi else 2)] * pad + tokens, [IGNORE] * pad + wanted, test)


def compression(rng, test, vocab=16, length=32):
    tokens = list(rng.choice(np.arange(vocab - 1), size=length - 1)) + [vocab - 1]
    return tokens, tokens


def memorization(rng, test, vocab=256, length=32):
    pairs = np.random.default_rng(SEED)
    keys, values = np.arange((vocab - 1) // 2), np.arange((vocab - 1) // 2, vocab - 1)
    pairs.shuffle(keys)
    pairs.shuffle(values)
    rng.choice(length // 2)
    tokens, wanted = [], []
    for _ in range(length // 2):
        at = rng.choice(len(keys))
        tokens += [keys[at], vocab - 1]
        wanted += [IGNORE, values[at]]
    return tokens, wanted


def copying(rng, test, vocab=16, length=256, copy=16):
    """Of the inputs only the tokens, in their order."""
    contents = list(rng.choice(np.arange(vocab - 2), size=copy))
    return contents, [IGNORE] * (length - copy) + contents


SETTINGS = [
    ("in-context-recall", recall, {}),
    ("in-context-recall:vocab=128", recall, {"vocab": 128}),
    ("in-context-recall:length=256", recall, {"length": 256}),
    ("in-context-recall:vocab=17,multi-query=0", recall, {"vocab": 17, "multi": False}),
    ("noisy-in-context-recall", noisy, {}),
    ("noisy-in-context-recall:noise=0.8", noisy, {"noise": 0.8}),
    ("noisy-in-context-recall:vocab=48,multi-query=0", noisy, {"vocab": 48, "multi": False}),
    ("fuzzy-in-context-recall", fuzzy, {}),
    ("fuzzy-in-context-recall:vocab=32", fuzzy, {"vocab": 32}),
    ("fuzzy-in-context-recall:length=256", fuzzy, {"length": 256}),
    ("fuzzy-in-context-recall:key-size=1,value-size=2", fuzzy, {"most": (1, 2)}),
    ("fuzzy-in-context-recall:vocab=12,key-size=4,value-size=4,multi-query=0", fuzzy,
     {"vocab": 12, "most": (4, 4), "multi": False}),
    ("fuzzy-in-context-recall:vocab=20,noise-vocab=4,noise=0.3", fuzzy,
     {"vocab": 20, "noise_vocab": 4, "noise": 0.3}),
    ("selective-copying", copying, {}),
    ("selective-copying:vocab=64,length=512,copy=96", copying,
     {"vocab": 64, "length": 512, "copy": 96}),
    ("compression", compression, {}),
    ("compression:vocab=128,length=64", compression, {"vocab": 128, "length": 64}),
    ("memorization", memorization, {}),
    ("memorization:vocab=8192", memorization, {"vocab": 8192}),
]
TRAIN, TEST = 150, 100


def check_data(program, folder):
    for text, instance, options in SETTINGS:
        counts = f"train={TRAIN},test={TEST}"
        text += ("," if ":" in text else ":") + counts
        subprocess.run([program, "write", text, folder], check=True)
        rng = np.random.default_rng(SEED)
        for part, rows in (("train", TRAIN), ("test", TEST), ("validation", TEST)):
            inputs = np.load(os.path.join(folder, part + "_inputs.npy"))
            targets = np.load(os.path.join(folder, part + "_targets.npy"))
            check(inputs.dtype == np.int64 and inputs.flags["C_CONTIGUOUS"], text + ": type")
            examples = [instance(rng, part != "train", **options) for _ in range(rows)]
            if instance is copying:
                blank = options.get("vocab", 16) - 2
                inputs = np.stack([row[row < blank] for row in inputs])
            check(np.array_equal(inputs, [e[0] for e in examples]), f"{text}: {part} inputs")
            check(np.array_equal(targets, [e[1] for e in examples]), f"{text}: {part} targets")


# ---- files ----


def save(path, array, version):
    with open(path, "wb") as f:
        np.lib.format.write_array(f, array, version=version)


def check_files(program, folder):
    """What NumPy writes in any integer type is read; what is no table of integers is not."""
    rng = np.random.default_rng(1)
    types = ["<i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", ">u2", "<u4", ">u4",
             "<u8", ">u8"]
    for number, name in enumerate(types):
        version = [None, (1, 0), (2, 0), (3, 0)][number % 4]
        wanted = ""
        for part in ("train", "test", "validation"):
            shape = (int(rng.integers(1, 9)), 11)
            for half in ("inputs", "targets"):
                array = rng.integers(0, 100, size=shape)
                if half == "targets" and "i" in name:
                    array[rng.random(shape) < 0.5] = IGNORE
                array = array.astype(name)
                save(os.path.join(folder, f"{part}_{half}.npy"), array, version)
                wanted += " ".join([part, *map(str, shape), *map(str, array.ravel())]) + "\n"
        command = [program, "read", folder, "100"]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        check(found == wanted, f"reading {name}, version {version}")

    path = os.path.join(folder, "train_inputs.npy")
    good = np.load(path)
    for array, reason in (
            (np.asfortranarray(good.repeat(2, axis=0)), "Fortran order"),
            (good.astype(float), "is no integer"),
            (good.astype(bool), "is no integer"),
            (good[0], "has 1 dimension,"),
            (good[None], "has 3 dimensions"),
            (np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]), "header is no dictionary"),
            (good[:0], "is empty"),
            (good + good.dtype.type(100), "is not in the vocabulary of 100")):
        np.save(path, array)
        done = subprocess.run(command, capture_output=True, text=True)
        lines = done.stderr.splitlines()
        check(done.returncode == 1 and len(lines) == 1 and reason in lines[0]
              and lines[0].startswith("mad_side: " + path), f"{reason}: {done.stderr}")


def main():
    program = sys.argv[1]
    check_streams(program)
    with tempfile.TemporaryDirectory() as folder:
        check_data(program, folder)
        check_files(program, folder)
    version = np.__version__
    if failures:
        print(f"{len(failures)} checks failed against NumPy {version}; 1.24 is mirrored")
    else:
        print(f"all agree with NumPy {version}")
    return len(failures) > 0


if __name__ == "__main__":
    sys.exit(main())
