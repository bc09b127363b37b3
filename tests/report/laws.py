"""Made-up scaling studies in the form that the report takes (src/report/report.h).

    python3 laws.py NAME > data.json      NAME: one of MAKERS below
"""
import json
import math
import random
import sys

BUDGETS = (1e12, 3e12, 1e13, 3e13, 1e14)
ARCHS = {"transformer++": (1.2, "SA-1 GMemless"), "hyena": (1.3, "GConv-2 GMemless"),
         "striped-mamba": (1.15, "(Rec-1 GMemless)x3 SA-1 GMemless (Rec-1 GMemless)x2")}


def estimate(value, spread):
    return {"value": value, "low": value * (1 - spread), "high": value * (1 + spread)}


def band(low, high, of, spread):
    xs = [low * (high / low) ** (i / 32) for i in range(33)]
    return [[x, of(x), of(x) * (1 - spread), of(x) * (1 + spread)] for x in xs]


def law(coefficient, exponent, low, high, spread=0.05, floor=0.0):
    return {"fault": None, "coefficient": estimate(coefficient, spread),
            "exponent": estimate(exponent, spread), "floor": estimate(floor, spread),
            "band": band(low, high, lambda x: floor + coefficient * x ** exponent, spread)}


def best(budget):
    return 0.02 * budget ** 0.5


def loss_at(floor, budget):
    return floor + 30 * budget ** -0.12


def runs(rng, floor, budget):
    for i in range(5):
        u = 0.5 * (i - 2)
        params = best(budget) * math.exp(u)
        yield {"budget": budget, "width": 16 * (i + 2), "livs": 2 * (i + 1), "params": round(params),
               "tokens": round(budget / 6 / params), "batch": 16, "learning_rate": 0.002,
               "flops": budget, "cache": round(40 * math.sqrt(params)), "state": "done",
               "reason": None, "loss": loss_at(floor, budget) + 0.05 * u * u + 0.004 * rng.gauss(0, 1),
               "bpb": 2.0}


def curve(floor, budget):
    return {"budget": budget, "runs": 5, "fault": None, "outside": None,
            "parabola": {"log_params": math.log(best(budget)),
                         "coefficients": [loss_at(floor, budget), 0.0, 0.05]},
            "params": estimate(best(budget), 0.1), "tokens": estimate(budget / 6 / best(budget), 0.1),
            "cache": estimate(40 * math.sqrt(best(budget)), 0.05),
            "loss": estimate(loss_at(floor, budget), 0.01)}


def result(rng, arch, floor, pattern, budgets=BUDGETS):
    low, high = budgets[0] / 2, budgets[-1] * 10
    points = [p for b in budgets for p in runs(rng, floor, b)]
    return {"arch": arch, "pattern": pattern, "genome": "1.1.1.1.1-9.1.1.1.1",
            "points": [dict(p, job=i + 1) for i, p in enumerate(points)],
            "budgets": [curve(floor, b) for b in budgets], "noise": 0.004,
            "laws": {"params": law(0.02, 0.5, low, high), "tokens": law(8.3, 0.5, low, high),
                     "loss": law(30, -0.12, low, high, 0.02, floor),
                     "state": law(90, -0.28, 2000, 30000)}}


def count(results):
    states = [p["state"] for r in results for p in r["points"]]
    return {s: states.count(s) for s in ("done", "running", "failed", "waiting")}


def page(results, shared=None):
    return {"version": 1, "purpose": "scale", "title": "laws.db", "made": "2026-01-02 03:04 UTC",
            "sartor": "0.1.0", "settings": {"context": 256, "learning_rate": 0.002, "tied": False},
            "state": count(results), "results": results,
            "shared": {"state": shared or law(95, -0.28, 2000, 30000)}}


def laws():
    rng = random.Random(1)
    return page([result(rng, arch, floor, pattern) for arch, (floor, pattern) in ARCHS.items()])


def empty():
    return {**page([]), "shared": {}}


def started():
    """A few runs are done, one failed; nothing can be fitted yet."""
    data = laws()
    for r in data["results"]:
        r.update(budgets=[], laws={})
        for i, p in enumerate(r["points"]):
            if i > 2:
                p.update(state="failed" if i == 5 else "waiting", loss=None, bpb=None,
                         reason="training diverged at step 17" if i == 5 else None)
    data["results"][0]["budgets"] = [dict(curve(1.2, 1e12), runs=3, parabola=None, fault="fewer than 3 "
                                          "sizes", params=None, tokens=None, cache=None, loss=None)]
    data.update(state=count(data["results"]), shared={"state": {"fault": "fewer than 2 optima"}})
    return data


def poor():
    """Optima beyond the sizes, laws without intervals or not there at all, bands far off."""
    data = laws()
    first, second, third = data["results"]
    for b in first["budgets"][:4]:
        b["outside"] = "below"
    for name in first["laws"]:
        first["laws"][name] = {"fault": "fewer than 2 optima lie inside the sizes measured"}
    second["no_intervals"] = "too few sizes"
    for e in [e for l in second["laws"].values() for e in (l["exponent"], l["coefficient"])]:
        e.update(low=None, high=None)
    for l in second["laws"].values():
        l["band"] = [[x, y, None, None] for x, y, _, _ in l["band"]]
    for l in third["laws"].values():
        l["band"] = [[x, y, y * 1e-9, y * 1e9] for x, y, _, _ in l["band"]]
    second["budgets"][0]["params"].update(low=1e-3, high=1e30)
    return data


def hostile():
    names = ["</script><script>window.hacked = 1</script>", "<img src=x onerror='window.hacked=1'>",
             "constructor", "a" * 300, "\u202e\u0000 \u2028 %s ${alert(1)}"]
    rng = random.Random(2)
    data = page([result(rng, name, 1.2, name, (1e12, 1e13)) for name in names])
    data.update(title=names[0], settings={names[1]: names[0], "__proto__": 1})
    return data


def one_budget():
    data = page([result(random.Random(3), "hyena", 1.3, "GConv-2 GMemless", (1e13,))])
    for l in data["results"][0]["laws"]:
        data["results"][0]["laws"][l] = {"fault": "fewer than 2 optima lie inside the sizes measured"}
    return data


MAKERS = {"laws": laws, "laws-empty": empty, "laws-started": started, "laws-poor": poor,
          "laws-hostile": hostile, "laws-one-budget": one_budget}

if __name__ == "__main__":
    json.dump(MAKERS[sys.argv[1]](), sys.stdout)
