#!/usr/bin/env python3
"""The tables of docs/results/star.md, from the raw answers in docs/results/star/.

    scripts/summarise-star.py [FOLDER]
"""
import os
import statistics
import sys

import results
from results import table

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "docs", "results", "star")


def read(name):
    return results.read(FOLDER, name)


def kendall(a, b):
    """Tau-a of two lists without ties that matter: the share of pairs in the same order, less the
    share in the other."""
    score = pairs = 0
    for i in range(len(a)):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            score += (product > 0) - (product < 0)
            pairs += 1
    return score / pairs


def search_against_random():
    print("### Hypervolume: NSGA-II and random search\n")
    rows, last = [], {"nsga2": [], "random": []}
    for algorithm in ("nsga2", "random"):
        for seed in range(3):
            show = read("%s-size-%d.show.json" % (algorithm, seed))
            if show is None:
                continue
            volume = show["hypervolume"]
            front = read("%s-size-%d.front.json" % (algorithm, seed))["front"]
            last[algorithm].append(volume[-1])
            rows.append([algorithm, seed, show["trials"]["done"], show["trials"]["failed"]] +
                        ["%.4f" % volume[g] for g in (0, len(volume) // 2 - 1, len(volume) - 1)] +
                        ["%.4f" % min(x["objectives"]["bpb"] for x in front), len(front)])
    table(["algorithm", "seed", "trials", "failed", "first generation", "half", "last", "best bpb",
           "front"], rows)
    for algorithm, values in last.items():
        if len(values) > 1:
            print("%s: mean %.4f, standard deviation %.4f over %d seeds" % (
                algorithm, statistics.mean(values), statistics.stdev(values), len(values)))
    print()


def finals(name, title):
    answer = read(name + ".finals.json")
    if answer is None:
        return
    print("### Finals: %s\n" % title)
    rows = []
    for x in answer["finals"]:
        who = x["baseline"] or "trial %s" % x["trial"]
        bpb = x["bpb"]
        rows.append([who, "%.4f ± %.4f" % (bpb["mean"], bpb["std"] or 0), "{:,}".format(x["params"]),
                     "{:,}".format(x["cache"]), "%.0f" % (1e6 * x["decode"]) if x["decode"] else "-"])
    print("%s tokens each, %d seeds, test split\n" % ("{:,}".format(answer["tokens"]), answer["seeds"]))
    table(["architecture", "bits per byte", "parameters", "cache bytes", "decode µs/token"], rows)


def short_and_long():
    long, trials = read("longer.jsonl"), read("nsga2-size-0.trials.jsonl")
    if long is None or trials is None:
        return
    print("### Short training and 4 times longer training\n")
    short = {t["trial"]: t["objectives"]["bpb"] for t in trials if "bpb" in t["objectives"]}
    names = {t["trial"]: t["names"] for t in trials}
    pairs = [(x["trial"], short[x["trial"]], x["bits_per_byte"]) for x in long if x["trial"] in short]
    pairs.sort(key=lambda p: p[1])
    table(["trial", "short", "long", "backbone"],
          [[t, "%.4f" % a, "%.4f" % b, names[t]] for t, a, b in pairs])
    print("Kendall's tau over %d architectures: %.3f\n" % (
        len(pairs), kendall([p[1] for p in pairs], [p[2] for p in pairs])))


search_against_random()
finals("nsga2-quality-0", "quality")
finals("nsga2-size-0", "quality and size")
finals("nsga2-cache-0", "quality and cache")
short_and_long()
