#!/usr/bin/env python3
"""Results of growth: compact files of runs, and the tables and plots of docs/results/growth.md.

    scripts/summarise-growth.py collect RUN OUT [--small RUN --at STEP | --size before]
        one run as one line of JSON; --small: the small model, trained on beyond the growth at STEP;
        --size before: it was of the size before the growth all the time, not of that after it
    scripts/summarise-growth.py [FOLDER]
        tables on standard output, plots into FOLDER (default docs/results/growth)
"""
import json
import math
import os
import statistics
import sys

from results import read, spearman, table

WATCHED = 200  # steps before and behind growth that are compared one by one


def lines(path):
    with open(path) as f:
        return [json.loads(x) for x in f]


# ---- collecting ----

def thinned(values, points=100):
    """Means of equal parts: [last step of the part, mean]."""
    size = max(1, math.ceil(len(values) / points))
    return [[min(i + size, len(values)), round(statistics.fmean(values[i:i + size]), 4)]
            for i in range(0, len(values), size)]


def spike(loss, small, at):
    """Losses (nats) after growth. `residual`: largest deviation from the mean of the 200 batches before
    in standard deviations of these, after and, to compare, before. `paired`: largest excess over the
    small model on the same batch, in the same unit; no batch noise in it."""
    before, after = loss[at - WATCHED:at], loss[at:at + WATCHED]
    mean, sd = statistics.fmean(before), statistics.stdev(before)
    excess = [a - b for a, b in zip(after, small[at:at + WATCHED])]
    return {"batch_sd": round(sd, 4), "before": round((max(before) - mean) / sd, 3),
            "after": round((max(after) - mean) / sd, 3),
            "paired": round(max(excess) / sd, 3),
            "paired_step": 1 + excess.index(max(excess)),
            "paired_mean": round(statistics.fmean(excess) / sd, 3),
            "first": round(excess[0] / sd, 3)}


def run_record(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    return json.loads(header["__metadata__"]["sartor.run"])


def collect(run, out, small=None, at=0, size="after"):
    metrics = lines(os.path.join(run, "metrics.jsonl"))
    growths = lines(os.path.join(run, "begun"))  # answers of sartor grow
    record = run_record(os.path.join(run, "model.safetensors"))
    assert [x["step"] for x in metrics] == list(range(1, record["step"] + 1)), run
    first, last = ("before", "after") if small is not None else (size, size)
    which = {"before": growths[0], "after": growths[-1]}
    sizes = [[which[x][name + x] for x in (first, last)] for name in ("params_", "flops_per_token_")]
    result = {
        "steps": len(metrics), "at": at, "tokens": metrics[-1]["tokens"],
        "params": sizes[0], "flops_per_token": sizes[1],
        "difference": max(x["max_abs_logit_difference"] for x in growths),
        "bits_per_byte": record["result"]["bits_per_byte"],
        "curve": thinned([x["bits_per_byte"] for x in metrics]),
        "validation": [[x["step"], round(x["validation_bits_per_byte"], 4)] for x in metrics
                       if "validation_bits_per_byte" in x],
    }
    if small is not None:
        beyond = lines(os.path.join(small, "metrics.jsonl"))
        result["spike"] = spike([x["loss"] for x in metrics], [x["loss"] for x in beyond], at)
    with open(out + ".part", "w") as f:
        f.write(json.dumps(result) + "\n")
    os.rename(out + ".part", out)


# ---- reading ----

def read_runs(folder):
    """{(scale, rule, method, seed): run}; of scratch runs the method is the length in per cent."""
    runs = {}
    for name in sorted(os.listdir(folder)):
        part = name.removesuffix(".json").split("-")
        if name.endswith(".json") and len(part) == 4 and part[3].isdigit():
            with open(os.path.join(folder, name)) as f:
                runs[part[0], part[1], part[2], int(part[3])] = json.load(f)
    return runs


def flops_until(run, step):
    """Of training: a step is taken to cost three forward passes."""
    small, large = run["flops_per_token"]
    per_step = run["tokens"] / run["steps"]
    before = min(step, run["at"])
    return 3 * per_step * (before * small + (step - before) * large)


def total_flops(run):
    return flops_until(run, run["steps"])


def of_rule(runs, scale, rule, method):
    return {key[3]: run for key, run in runs.items() if key[:3] == (scale, rule, method)}


def worth(runs, scale, seed, bits):
    """FLOPs that training from scratch needs for so many bits per byte: log-linear between the lengths
    of this seed, None outside of them."""
    points = sorted((total_flops(run), run["bits_per_byte"]) for key, run in runs.items()
                    if key[0] == scale and key[1] == "scratch" and key[3] == seed)
    for (f0, b0), (f1, b1) in zip(points, points[1:]):
        if b1 <= bits <= b0:
            return math.exp(math.log(f0) + (b0 - bits) / (b0 - b1) * math.log(f1 / f0))
    return None


# ---- tables ----

def spread(values, form="{:.4f}"):
    values = list(values)
    if not values:
        return "-"
    mean = form.format(statistics.fmean(values))
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.4f}"


def methods_of(runs, scale):
    """Rules and methods in the order of the docs."""
    order = ["scratch", "ff", "width", "layers", "heads", "value", "key"]
    found = {key[1:3] for key in runs if key[0] == scale}
    return sorted(found, key=lambda x: (order.index(x[0]), -len(x[1]), x[1]))


def print_finals(runs, scale):
    reference = of_rule(runs, scale, "scratch", "100")
    rows = []
    for rule, method in methods_of(runs, scale):
        mine = of_rule(runs, scale, rule, method)
        gaps = [run["bits_per_byte"] - reference[seed]["bits_per_byte"]
                for seed, run in mine.items() if seed in reference]
        worths = [(worth(runs, scale, seed, run["bits_per_byte"]), total_flops(run))
                  for seed, run in mine.items()]
        factors = [w / f for w, f in worths if w is not None]
        one = next(iter(mine.values()))
        scratch = rule == "scratch"
        rows.append((rule, f"{method} %" if scratch else method,
                     f"{one['params'][0]:,}" if not scratch else "-", f"{one['tokens'] / 1e6:.2f}",
                     f"{total_flops(one) / 1e12:.2f}",
                     *(f"{mine[seed]['bits_per_byte']:.4f}" if seed in mine else "-"
                       for seed in (1, 2, 3)),
                     "-" if scratch else spread(gaps, "{:+.4f}"),
                     "-" if scratch else
                     f"{statistics.fmean(factors):.2f} ({len(factors)} of {len(worths)})"
                     if factors else "outside"))
    table(("rule", "method", "parameters before", "tokens (M)", "TFLOPs", "seed 1", "seed 2", "seed 3",
           "against scratch", "worth"), rows)


def print_spikes(runs, scale):
    rows = []
    for rule, method in methods_of(runs, scale):
        spikes = [run["spike"] for run in of_rule(runs, scale, rule, method).values()
                  if "spike" in run]
        if spikes:
            rows.append((rule, method, len(spikes),
                         *(f"{statistics.fmean(x[key] for x in spikes):.2f}"
                           for key in ("before", "after", "first")),
                         f"{max(x['paired'] for x in spikes):.2f}",
                         f"{statistics.fmean(x['paired_mean'] for x in spikes):+.2f}"))
    table(("rule", "method", "seeds", "largest before", "largest after", "first step, paired",
           "largest, paired", "mean, paired"), rows)


# ---- the search ----

def search_curves(folder, seed):
    """[training FLOPs, hypervolume] by generation of inherit, and of scratch (docs/results/star)."""
    inherit = read(folder, f"search-inherit-{seed}.json")
    star, name = os.path.join(folder, "..", "star"), f"nsga2-size-{seed}"
    flops, scratch = read(star, "training-flops.json")[name], read(star, f"{name}.show.json")
    return (list(zip(inherit["training_flops"], inherit["hypervolume"])),
            list(zip(flops, scratch["hypervolume"])))


def reached(curve, volume):
    """TFLOPs until a hypervolume, by whole generations; None: never."""
    return next((flops / 1e12 for flops, now in curve if now >= volume), None)


def search_seeds(folder):
    return sorted(int(name[15:-5]) for name in os.listdir(folder)
                  if name.startswith("search-inherit-") and name[15:-5].isdigit())


def print_search(folder):
    def tell(flops):
        return "never" if flops is None else f"{flops:.1f}"

    rows = []
    for seed in search_seeds(folder):
        inherit, scratch = search_curves(folder, seed)
        best = scratch[-1][1]
        for label, curve, other in (("inherit", inherit, scratch), ("scratch", scratch, inherit)):
            flops, volume = curve[-1]
            rows.append((seed, label, len(curve), f"{flops / 1e12:.1f}", f"{volume:.4f}",
                         tell(reached(curve, best)),
                         f"{max((v for f, v in other if f <= flops), default=0):.4f}"))
    if rows:
        print("Search\n")
        table(("seed", "evaluator", "generations", "TFLOPs of training", "hypervolume",
               "TFLOPs to scratch's last", "the other's by then"), rows)


def hypervolume(points, scale):
    """Of (bits per byte, parameters), as the search computes it: what they dominate below its scale's
    end, parameters by their logarithm."""
    def place(name, value):
        low, high, by_log = scale[name]
        return math.log(value / low) / math.log(high / low) if by_log else (value - low) / (high - low)

    volume, least = 0, 1
    for bits, params in sorted((place("bpb", b), place("params", p)) for b, p in points):
        if bits < 1 and params < least:
            volume, least = volume + (1 - bits) * (least - params), params
    return volume


def print_bias(folder):
    """What inheriting flatters: bits per byte in the search, and of the same architectures trained from
    random weights on as much as a trial from scratch."""
    for seed in search_seeds(folder):
        answer = read(folder, f"search-bias-{seed}.json")
        if answer is None:
            continue
        print(f"Bias, seed {seed}: {answer['tokens']:,} tokens from random weights\n")
        members = [x for x in answer["finals"] if x["validation"]["mean"] is not None]
        rows = [(x["trial"], f"{x['search']['bpb']:.4f}", f"{x['validation']['mean']:.4f}",
                 f"{x['validation']['mean'] - x['search']['bpb']:+.4f}", f"{x['bpb']['mean']:.4f}")
                for x in members if "search" in x and not x["baseline"]]
        rows += [(x["baseline"], "-", f"{x['validation']['mean']:.4f}", "-", f"{x['bpb']['mean']:.4f}")
                 for x in members if x["baseline"]]
        table(("trial", "in the search", "from random weights", "difference", "test"), rows)
        scale = read(folder, f"search-inherit-{seed}.json")["settings"]["scale"]
        mine = [x for x in members if not x["baseline"]]
        order = spearman([x["search"]["bpb"] for x in mine], [x["validation"]["mean"] for x in mine])
        print(f"Spearman: {order:.2f}")
        for label, bits in (("in the search", [x["search"]["bpb"] for x in mine]),
                            ("from random weights", [x["validation"]["mean"] for x in mine])):
            volume = hypervolume([(b, x["params"]) for b, x in zip(bits, mine)], scale)
            print(f"hypervolume {label}: {volume:.4f}")
        print()


# ---- plots ----

COLOURS = {"scratch": "#666666", "none": "#2ca02c", "grown": "#1f77b4", "copy": "#d62728",
           "stack": "#d62728", "inherit": "#1f77b4"}


def mean_curve(runs):
    """[FLOPs, bits per byte of training batches], the mean over seeds."""
    runs = list(runs.values())
    return [(flops_until(runs[0], step), statistics.fmean(run["curve"][i][1] for run in runs))
            for i, (step, _) in enumerate(runs[0]["curve"])]


def svg(path, title, curves, marks, axis="bits per byte"):
    """Lines over FLOPs, (name, points) each; the y axis holds what lies behind the first tenth."""
    width, height, left, top, right, bottom = 560, 340, 56, 34, 110, 44
    most = max(x for _, line in curves for x, _ in line)
    seen = [y for _, line in curves for x, y in line if x > most / 10]
    low, high = min(seen), max(seen)

    def at(x, y):
        return (left + x / most * (width - left - right),
                top + (high - y) / (high - low) * (height - top - bottom))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{left}" y="20" font-size="14">{title}</text>']
    for i in range(5):
        x, y = at(most * i / 4, low + (high - low) * i / 4)
        out.append(f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">'
                   f'{low + (high - low) * i / 4:.2f}</text>')
        out.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">'
                   f'{most * i / 4 / 1e12:.1f}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">'
               'TFLOPs of training</text>')
    out.append(f'<text transform="translate(14 {height / 2}) rotate(-90)" text-anchor="middle">'
               f'{axis}</text>')
    for x in marks:
        out.append(f'<line x1="{at(x, 0)[0]:.1f}" x2="{at(x, 0)[0]:.1f}" y1="{top}" '
                   f'y2="{height - bottom}" stroke="#999" stroke-dasharray="4 4"/>')
    for name, line in curves:
        points = " ".join("{:.1f},{:.1f}".format(*at(x, min(y, high))) for x, y in line)
        out.append(f'<polyline fill="none" stroke="{COLOURS[name]}" stroke-width="1.5" '
                   f'points="{points}"/>')
    for i, name in enumerate(dict.fromkeys(name for name, _ in curves)):
        out.append(f'<text x="{width - right + 8}" y="{top + 16 + 18 * i}" fill="{COLOURS[name]}">'
                   f'{name}</text>')
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n</svg>\n")


def plot(runs, scale, folder):
    """One picture a rule, of the seeds that all of its methods have."""
    for rule in sorted({rule for rule, _ in methods_of(runs, scale)} - {"scratch"}):
        lines_of = {"scratch": of_rule(runs, scale, "scratch", "100")}
        lines_of.update((m, of_rule(runs, scale, rule, m)) for m in ("grown", "copy", "stack", "none"))
        lines_of = {method: mine for method, mine in lines_of.items() if mine}
        seeds = set.intersection(*(set(mine) for mine in lines_of.values()))
        if not seeds or "grown" not in lines_of:
            continue
        curves = [(method, mean_curve({seed: mine[seed] for seed in seeds}))
                  for method, mine in lines_of.items()]
        one = lines_of["grown"][min(seeds)]
        title = f"{rule}, {scale}, seeds {', '.join(str(x) for x in sorted(seeds))}"
        svg(os.path.join(folder, f"{scale}-{rule}.svg"), title, curves, [flops_until(one, one["at"])])


def plot_search(folder):
    curves = [(name, curve) for seed in search_seeds(folder)
              for name, curve in zip(("inherit", "scratch"), search_curves(folder, seed))]
    if curves:
        svg(os.path.join(folder, "search.svg"), "searches, a line for each seed", curves, [],
            "hypervolume")


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["collect"]:
        options = dict(zip(arguments[3::2], arguments[4::2]))
        collect(arguments[1], arguments[2], options.get("--small"), int(options.get("--at", 0)),
                options.get("--size", "after"))
        return
    folder = arguments[0] if arguments else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "docs", "results", "growth")
    runs = read_runs(folder)
    for scale in ("small", "axes", "large", "long", "rates"):
        if any(key[0] == scale for key in runs):
            print(f"{scale}\n")
            print_finals(runs, scale)
            print_spikes(runs, scale)
            plot(runs, scale, folder)
    print_search(folder)
    print_bias(folder)
    plot_search(folder)


if __name__ == "__main__":
    main()
