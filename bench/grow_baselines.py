#!/usr/bin/env python3
"""Makes baselines out of a checkpoint that `sartor grow` has just enlarged, for scripts/evidence-growth.sh.

    bench/grow_baselines.py fresh GROWN OUT [--seed S]      a model of that size that was never trained
    bench/grow_baselines.py copy GROWN OUT [--share X] [--noise X] [--seed S]
    bench/grow_baselines.py drawn GROWN OUT
    bench/grow_baselines.py stack GROWN OUT                 new LIVs are copies of the old ones, in order

fresh: of a checkpoint of step 0. What growth made zero is drawn as in a new model, with the standard
deviation of the tensor's other entries.
copy: new coordinates of an axis (ff or width) are copies of the old ones, in order; of what reads
them the old ones keep the share X (default 0.3) and the copies get the rest, so that the function
stays; then entries of the copies' writers are multiplied by 1 + noise * normal (default 0.01).
Moments go along: those of a writer are scaled as its gradient is.
stack: copies weights and moments; the function changes.
Old entries are those of generation 0: GROWN was trained at its first size only. In all three the new
entries count as old ones afterwards: no warm-up, no steps of their own.
drawn: leaves growth as it is, but free entries are drawn as in a new model.
"""
import argparse
import array
import json
import math
import random
import struct

M, V, GENERATION = "adam.m.", "adam.v.", "adam.generation."


class Checkpoint:
    """A safetensors file: metadata, and tensors as flat arrays."""

    def __init__(self, path):
        with open(path, "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            header = json.loads(f.read(size))
            body = f.read()
        self.metadata = header.pop("__metadata__")
        self.header = header
        self.data = {}
        for name, t in header.items():
            begin, end = t["data_offsets"]
            self.data[name] = array.array("B" if t["dtype"] == "U8" else "f", body[begin:end])

    def write(self, path):
        header, offset = {"__metadata__": self.metadata}, 0
        for name, t in self.header.items():
            size = len(self.data[name]) * self.data[name].itemsize
            header[name] = {**t, "data_offsets": [offset, offset + size]}
            offset += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for name in self.header:
                f.write(self.data[name].tobytes())

    def weights(self):
        """Names of trained tensors and their (rows, columns)."""
        for name in self.header:
            if name.startswith("adam.") or GENERATION + name not in self.header:
                continue
            shape = self.header[name]["shape"]
            rows = shape[0] if len(shape) > 1 else 1
            yield name, rows, len(self.data[name]) // rows

    def all_old(self):
        for name in self.header:
            if name.startswith(GENERATION):
                self.data[name] = array.array("B", bytes(len(self.data[name])))

    def edit_sizes(self, change):
        sizes = json.loads(self.metadata["sartor"])
        change(sizes)
        self.metadata["sartor"] = json.dumps(sizes, separators=(",", ":"))


def fresh(c, rng):
    def natural(sizes):
        for unit in sizes.get("units", []):
            if "scale" in unit:
                unit["scale"] = unit["key"]

    for name, _, _ in c.weights():
        w = c.data[name]
        drawn = [x for x in w if x != 0]
        sd = math.sqrt(sum(x * x for x in drawn) / len(drawn))
        for i, x in enumerate(w):
            if x == 0:
                w[i] = rng.gauss(0, sd)
    c.edit_sizes(natural)
    c.all_old()


def drawn(c, rng):
    livs = {name.split(".")[1] for name in c.header if name.startswith("liv.")}
    for name, rows, _ in c.weights():
        w, g = c.data[name], c.data[GENERATION + name]
        new = [i for i in range(len(w)) if g[i] > 0 and w[i] != 0]
        if rows > 1 and new:
            sd = 0.02 / (math.sqrt(len(livs)) if name.endswith("out.weight") else 1)
            for i in new:
                w[i] = rng.gauss(0, sd)


def old_block(c, name, rows, columns):
    """Old entries are the first rows and columns of a tensor: how many."""
    g = c.data[GENERATION + name]
    old_columns = sum(g[k] == 0 for k in range(columns))
    old_rows = sum(g[r * columns] == 0 for r in range(rows))
    for r in range(rows):
        for k in range(columns):
            assert (g[r * columns + k] == 0) == (r < old_rows and k < old_columns), name
    return old_rows, old_columns


def copy_writer(c, name, source, share, noise, rng):
    """source[i]: the entry that i copies, or i itself."""
    w, m, v = c.data[name], c.data[M + name], c.data[V + name]
    for i in reversed(range(len(w))):
        part = share if source[i] == i else 1 - share
        w[i] = w[i] if source[i] == i else w[source[i]] * (1 + noise * rng.gauss(0, 1))
        m[i] = m[source[i]] * part
        v[i] = v[source[i]] * part * part


def split_reader(c, name, source, share):
    w, m, v = c.data[name], c.data[M + name], c.data[V + name]
    for i in reversed(range(len(w))):
        w[i] = w[source[i]] * (share if source[i] == i else 1 - share)
        m[i], v[i] = m[source[i]], v[source[i]]


def copy(c, share, noise, rng):
    for name, rows, columns in c.weights():
        old_rows, old_columns = old_block(c, name, rows, columns)
        if (old_rows, old_columns) == (rows, columns):
            continue
        assert rows == old_rows or columns == old_columns, name
        source = [r % old_rows * columns + k % old_columns
                  for r in range(rows) for k in range(columns)]
        # a gain is one row; the embedding writes its columns
        writes = columns == old_columns or rows == 1 or name == "embed.weight"
        if writes:
            copy_writer(c, name, source, share, 0 if rows == 1 else noise, rng)
        else:
            split_reader(c, name, source, share)
    # twice the channels of the same mean square: norms divide by their number, as in a new model
    c.edit_sizes(lambda sizes: sizes.pop("divisor", None))
    c.all_old()


def stack(c):
    livs, added = set(), set()
    for name, _, _ in c.weights():
        if name.startswith("liv."):
            number = int(name.split(".")[1])
            livs.add(number)
            if min(c.data[GENERATION + name]) > 0:
                added.add(number)
    old = len(livs) - len(added)
    assert added == set(range(old, len(livs))) and added, "LIVs are added at the end"
    for name, _, _ in list(c.weights()):
        part = name.split(".")
        if part[0] == "liv" and int(part[1]) >= old:
            part[1] = str((int(part[1]) - old) % old)
            for prefix in ("", M, V):
                c.data[prefix + name] = c.data[prefix + ".".join(part)][:]
    c.all_old()


def main():
    parser = argparse.ArgumentParser(description="baselines of growth")
    parser.add_argument("method", choices=["fresh", "copy", "stack", "drawn"])
    parser.add_argument("grown")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--noise", type=float, default=0.01)
    o = parser.parse_args()
    c, rng = Checkpoint(o.grown), random.Random(o.seed)
    if o.method == "fresh":
        fresh(c, rng)
    elif o.method == "copy":
        copy(c, o.share, o.noise, rng)
    elif o.method == "drawn":
        drawn(c, rng)
    else:
        stack(c)
    c.write(o.out)


if __name__ == "__main__":
    main()
