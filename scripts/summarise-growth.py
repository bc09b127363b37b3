#!/usr/bin/env python3
"""Results of growth: compact files of runs, and the tables and plots of docs/results/growth.md.

    scripts/summarise-growth.py collect RUN OUT [--small RUN --at STEP]
        one run as one line of JSON; --small: the small model, trained on beyond the growth at STEP
    scripts/summarise-growth.py [FOLDER]
        tables on standard output, plots into FOLDER (default docs/results/growth)
"""
import json
import math
import os
import statistics
import sys

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


def collect(run, out, small=None, at=0):
    metrics = lines(os.path.join(run, "metrics.jsonl"))
    growths = lines(os.path.join(run, "begun"))  # answers of sartor grow
    record = run_record(os.path.join(run, "model.safetensors"))
    assert [x["step"] for x in metrics] == list(range(1, record["step"] + 1)), run
    # without a small model the final sizes were there before the first step
    when = "after" if small is None else "before"
    sizes = [[growths[0][name + when], growths[-1][name + "after"]]
             for name in ("params_", "flops_per_token_")]
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


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["collect"]:
        options = dict(zip(arguments[3::2], arguments[4::2]))
        collect(arguments[1], arguments[2], options.get("--small"), int(options.get("--at", 0)))


if __name__ == "__main__":
    main()
