#!/usr/bin/env python3
"""The tables of docs/results/mad.md, from the raw answers in docs/results/mad/. Needs NumPy.

    scripts/summarise-mad.py [FOLDER]
"""
import os
import sys

import numpy as np

import results
from results import spearman, table

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "docs", "results", "mad")
TASKS = ("in-context-recall", "fuzzy-in-context-recall", "noisy-in-context-recall",
         "selective-copying", "compression", "memorization")
SHORT = {"in-context-recall": "recall", "fuzzy-in-context-recall": "fuzzy",
         "noisy-in-context-recall": "noisy", "selective-copying": "copy",
         "compression": "compression", "memorization": "memorization"}
# Poli et al. 2024 as printed by Yang et al. 2024 (arXiv 2406.06484, figure 3).
PUBLISHED = {
    "(MHA GMemless)x2": (94.1, 29.8, 86.8, 99.6, 51.6, 85.2),
    "(Mamba)x4": (90.4, 6.7, 90.1, 86.3, 52.7, 89.5),
    "(GLA GMemless)x2": (80.8, 6.9, 81.6, 88.6, 38.8, 63.3),
    "(Hyena GMemless)x2": (81.7, 7.9, 78.8, 93.1, 45.2, 89.5),
}
RESAMPLES = 10000


def read(name):
    return results.read(FOLDER, name)


def kendall(a, b):
    """Tau-b."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    i, j = np.triu_indices(len(a), 1)
    x, y = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
    size = np.sqrt((x * x).sum() * (y * y).sum())
    return (x * y).sum() / size if size > 0 else np.nan


def interval(a, b):
    """95 % percentile interval of Spearman's coefficient over resampled architectures."""
    rng, n = np.random.default_rng(0), len(a)
    a, b = np.asarray(a, float), np.asarray(b, float)
    drawn = [spearman(a[i], b[i]) for i in rng.integers(n, size=(RESAMPLES, n))]
    return np.nanpercentile(drawn, [2.5, 97.5])


def by_arch(answer):
    return {x["arch"]: x for x in answer["results"]}


def score(result, task):
    of = result["tasks"].get(task)
    return None if of is None or of["score"] is None else of["score"]


def number(x, digits=3):
    return "-" if x is None or not np.isfinite(x) else "%.*f" % (digits, x)


def seconds(result):
    return sum(s["seconds"] or 0 for t in result["tasks"].values() for s in t["settings"])


def quick_answer():
    """Scores of the quick suite. Compression is of runs of its own where there are some: the setting
    was changed after the others had been run."""
    answer, again = read("quick.json"), read("compression.json")
    if answer is not None and again is not None:
        anew = by_arch(again)
        for result in answer["results"]:
            result["tasks"]["compression"] = anew[result["arch"]]["tasks"]["compression"]
            result["mad"] = float(np.mean([score(result, t) for t in TASKS]))
    return answer


def quick():
    answer = quick_answer()
    if answer is None:
        return
    print("### The quick suite\n")
    results = by_arch(answer)
    rows = [[number(r["mad"])] + [number(score(r, t)) for t in TASKS] + ["%.0f" % seconds(r), arch]
            for arch, r in sorted(results.items(), key=lambda x: -(x[1]["mad"] or 0))]
    table(["MAD"] + [SHORT[t] for t in TASKS] + ["seconds", "architecture"], rows)
    known = [a for a in PUBLISHED if a in results]
    print("Beside the published scores:\n")
    rows = []
    for k, task in enumerate(TASKS):
        ours = [score(results[a], task) for a in known]
        theirs = [PUBLISHED[a][k] / 100 for a in known]
        rows.append([SHORT[task]] + ["%s (%s)" % (number(x), number(y)) for x, y in zip(ours, theirs)] +
                    [number(kendall(ours, theirs), 2)])
    table(["ours (published)"] + known + ["Kendall's tau"], rows)


def larger():
    few = quick_answer()
    many = {t: read("larger-%s.json" % SHORT[t]) for t in TASKS}
    if few is None or not any(many.values()):
        return
    print("### Quick against longer runs\n")
    few, rows = by_arch(few), []
    for task in TASKS:
        if many[task] is None:
            continue
        long = by_arch(many[task])
        both = [a for a in long if a in few and score(long[a], task) is not None]
        x, y = [score(few[a], task) for a in both], [score(long[a], task) for a in both]
        setting = long[both[0]]["tasks"][task]["settings"][0]
        rows.append([SHORT[task], "%s, %d epochs" % (setting["setting"], setting["epochs"]), len(both),
                     number(kendall(x, y), 2), number(spearman(x, y), 2),
                     ", ".join("%s %s/%s" % (a, number(p, 3), number(q, 3))
                               for a, p, q in zip(both, x, y))])
    table(["task", "longer run", "architectures", "Kendall", "Spearman", "quick/longer"], rows)


def text():
    few, runs = quick_answer(), read("text.jsonl")
    if few is None or runs is None:
        return
    print("### Quick MAD score against text\n")
    few, bits = by_arch(few), {r["arch"]: r["bits_per_byte"] for r in runs}
    both = [a for a in bits if a in few]
    done = [t for t in TASKS if all(score(few[a], t) is not None for a in both)]

    def mean(result):
        return float(np.mean([score(result, t) for t in done]))

    print("MAD is the mean of %s.\n" % ", ".join(SHORT[t] for t in done))
    table(["bits per byte", "MAD"] + [SHORT[t] for t in done] + ["architecture"],
          [[number(bits[a], 3), number(mean(few[a]))] + [number(score(few[a], t)) for t in done] + [a]
           for a in sorted(both, key=bits.get)])
    rows = []
    for name, value in [("MAD", mean)] + [(SHORT[t], lambda r, t=t: score(r, t)) for t in done]:
        x, y = [value(few[a]) for a in both], [-bits[a] for a in both]
        rows.append([name, number(spearman(x, y), 2), "%s to %s" % tuple(number(v, 2) for v in interval(x, y))])
    table(["score", "Spearman's coefficient with quality on text", "95 % interval"], rows)


def single():
    for name in ("learns-recall", "learns-copy", "memorization"):
        answer = read(name + ".json")
        if answer is None:
            continue
        print("### %s\n" % name)
        rows = []
        for r in answer["results"]:
            for task, of in r["tasks"].items():
                rows += [[s["setting"], number(s["accuracy"], 4), number(s["accuracy_macro"], 4), s["learning_rate"],
                          s["weight_decay"], s["epochs"], s["done"], "%.0f" % (s["seconds"] or 0)]
                         for s in of["settings"]]
                rows.append(["**mean**", "", number(of["score"], 4), "", "", "", "", ""])
        table(["setting", "accuracy", "by class", "rate", "decay", "epochs", "runs", "seconds of the best"], rows)


def estimate(e, digits=3):
    if e is None or e.get("value") is None:
        return "-"
    text = number(e["value"], digits)
    if e.get("low") is not None:
        text += " (%s to %s)" % (number(e["low"], digits), number(e["high"], digits))
    return text


def speed():
    runs = read("speed.jsonl")
    if runs is None:
        return
    print("### Examples a second of processor time\n")
    rate = {}
    for r in runs:
        rate.setdefault((r["type"], r.get("blas", "sartor")), []).append(r["examples_per_cpu_second"])
    rows = []
    for kind in ("f32", "bf16"):
        of = {b: float(np.median(rate[kind, b])) for b in ("sartor", "chosen", "reference")
              if (kind, b) in rate}
        rows.append([kind, number(of.get("sartor"), 0)] + [
            "%s (%s)" % (number(of[b], 1), number(of["sartor"] / of[b], 1)) if b in of else "-"
            for b in ("chosen", "reference")])
    table(["type", "sartor", "PyTorch with OpenBLAS (ratio)", "PyTorch with the reference BLAS (ratio)"],
          rows)


quick()
larger()
text()
single()
speed()
