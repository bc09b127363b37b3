#!/usr/bin/env python3
"""Prints what scripts/bench.sh measured as one table in Markdown.

    bench/table.py FILE       JSON lines, as scripts/bench.sh writes them

Repeated measurements count with their median; of PyTorch's modes the fastest
counts. What misses its target is bold.
"""

import json
import statistics
import sys

# Engine against oneDNN's product, by model and type.
ENGINE = {("A", "f32"): 0.65, ("A", "bf16"): 0.50, ("B", "f32"): 0.65,
          ("B", "bf16"): 0.50, ("C", "f32"): 0.50, ("C", "bf16"): 0.38}
DECODE, TOGETHER = 0.75, 1.8
# Against PyTorch 1 and later ones.
SPEED_UP = {"old": {"f32": 4.0, "bf16": 1.7}, "new": {"f32": 2.0, "bf16": 1.5}}


def median(lines, field):
    """Over lines of one kind."""
    return statistics.median(line[field] for line in lines)


def marked(value, target, text):
    """The text, bold when the value is below the target."""
    return f"**{text}**" if value < target else text


def group(lines, *fields):
    """Lines by the values of some fields, in order of appearance."""
    groups = {}
    for line in lines:
        groups.setdefault(tuple(line.get(f) for f in fields), []).append(line)
    return groups


def torch_cells(lines, dtype, ours):
    """PyTorch's best mode, our speed-up over it, and the target."""
    if not lines:
        return ["-", "-", "-"], False
    modes = group(lines, "mode")
    best = max(modes, key=lambda mode: median(modes[mode], "tokens_per_second"))
    speed = median(modes[best], "tokens_per_second")
    era = "old" if lines[0]["version"].startswith("1.") else "new"
    target = SPEED_UP[era][dtype]
    cells = [f"{speed:,.0f} ({best[0]})"]
    if ours is None:
        return cells + ["-", f"{target:g}"], False
    cells += [marked(ours / speed, target, f"{ours / speed:.2f}"), f"{target:g}"]
    return cells, ours / speed < target


def main():
    """Read, group, print."""
    if len(sys.argv) != 2:
        print("usage: table.py FILE", file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.strip()]
    torch = [line for line in lines if line.get("framework") == "torch"]
    versions = sorted({line["version"] for line in torch})
    parts = group(lines, "part")
    train = group(parts.get(("train",), []), "model", "dtype", "threads")
    head = ["model", "type", "threads", "tokens/s", "GFLOP/s", "oneDNN GFLOP/s",
            "ratio", "target"]
    for version in versions:
        head += [f"PyTorch {version} tokens/s", "speed-up", "target"]
    rows, missed = [], 0
    keys = list(train) + [key for key in group(torch, "model", "dtype", "threads")
                          if key not in train]
    for key in sorted(keys, key=lambda k: (k[2], k[1] != "f32", k[0])):
        model, dtype, threads = key
        row, ours = [model, dtype, str(threads)], None
        if key in train:
            ours = median(train[key], "tokens_per_second")
            ratio, target = median(train[key], "ratio"), ENGINE[model, dtype]
            missed += ratio < target
            row += [f"{ours:,.0f}", f"{median(train[key], 'gflops'):.0f}",
                    f"{median(train[key], 'product_gflops'):.0f}",
                    marked(ratio, target, f"{ratio:.0%}"), f"{target:.0%}"]
        else:
            row += ["-"] * 5
        for version in versions:
            same = [line for line in torch if line["version"] == version
                    and (line["model"], line["dtype"], line["threads"]) == key]
            cells, bad = torch_cells(same, dtype, ours)
            row += cells
            missed += bad
        rows.append(row)
    for (cache, threads), same in group(parts.get(("decode",), []), "cache",
                                        "threads").items():
        ratio = median(same, "ratio")
        missed += ratio < DECODE
        rows.append(["decode, 24 x 768", f"f32, {cache} cache", str(threads),
                     f"{median(same, 'tokens_per_second'):.1f}", "-",
                     f"{median(same, 'read_gbytes_per_second'):.1f} GB/s read",
                     marked(ratio, DECODE, f"{ratio:.0%}"), f"{DECODE:.0%}"])
    alone = group(parts.get(("alone",), []), "round")
    pairs = group(parts.get(("together",), []), "round")
    both = {r: sum(line["tokens_per_second"] for line in pairs[r])
            for r in pairs if r in alone and len(pairs[r]) == 2}
    if both:
        ratio = statistics.median(
            both[r] / median(alone[r], "tokens_per_second") for r in both)
        missed += ratio < TOGETHER
        rows.append(["A, two processes", "f32", "1 + 1",
                     f"{statistics.median(both.values()):,.0f}", "-", "-",
                     marked(ratio, TOGETHER, f"{ratio:.2f} of one"), f"{TOGETHER:g}"])
    print("| " + " | ".join(head) + " |")
    print("|---|---|" + "--:|" * (len(head) - 2))
    for row in rows:
        print("| " + " | ".join(row + [""] * (len(head) - len(row))) + " |")
    for line in parts.get(("machine",), []):
        blas = f"; Debian's PyTorch with {line['blas']}" if line["blas"] else ""
        print(f"\n{line['cpu']}, {line['cores']} cores, {line['date']}; oneDNN "
              f"{line['onednn']}{blas}.")
    print(f"{missed} target{'' if missed == 1 else 's'} missed (bold)." if missed
          else "No target missed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
