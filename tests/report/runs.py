"""Training runs as data of the report: what the library would collect, made up.

    tests/report/runs.py NAME      prints one
"""
import json
import math
import random
import sys


def short(numbers):
    return [float("%.6g" % x) for x in numbers]


def column(rng, steps, width, of):
    means = [of(s) for s in steps]
    if width == 1:
        return {"mean": short(means)}
    return {"mean": short(means), "low": short(m * (1 - 0.2 * rng.random()) for m in means),
            "high": short(m * (1 + 0.2 * rng.random()) for m in means)}


def places(steps, width, per_step):
    return {"width": width, "step": steps, "tokens": [per_step * s for s in steps],
            "seconds": short(0.3 * s for s in steps), "rate": short(1e-3 / math.sqrt(s) for s in steps)}


def result(rng, name, points=60, width=1, growth=(), done=True, per_step=1024, params=133000):
    """`growth`: (steps before, what, parameters from then on)."""
    def loss(step):
        return 2 + 6 * math.exp(-step / (points * width / 5)) + 0.02 * rng.gauss(0, 1)

    steps = [width * (i + 1) for i in range(points)]
    last = points * width
    measured = [s for s in range(10, last, max(10, last // 10))] if points > 0 else []
    run = {"name": name, "steps": last, "tokens": per_step * last, "seconds": 0.3 * last,
           "first_params": params, "params": growth[-1][2] if growth else params,
           "points": {**places(steps, width, per_step), "bpb": column(rng, steps, width, loss),
                      "norm": column(rng, steps, width, lambda s: 0.5 + rng.random()),
                      "speed": column(rng, steps, width, lambda s: 20000 + 500 * rng.random())},
           "validation": {**places(measured, 1, per_step), "bpb": column(rng, measured, 1, loss)},
           "growth": [{"step": s, "tokens": per_step * s, "seconds": 0.3 * s, "grown": what, "params": n, "from": old}
                      for (s, what, n), old in zip(growth, [params, *(g[2] for g in growth)])]}
    if done:
        run.update(
            planned=last, final={"step": last, "tokens": per_step * last, "seconds": 0.3 * last, "bpb": 2.0001},
            settings={"batch": "16", "width": "64", "learning rate": "0.002", "architecture": name},
            model={"names": "(SA-1 GMemless)x2", "genome": "1.1.1.1.1-9.1.1.1.1", "livs": 4, "width": 64,
                   "head_dim": 32, "context": 64, "vocab": 257, "params": params, "flops_per_token": 250000.5,
                   "cache": 32768})
    return run


def page(runs):
    return {"version": 1, "purpose": "run", "made": "2026-01-02 03:04 UTC", "sartor": "0.1.0", "runs": runs}


GROWTH = ((30, "width=96 ff=256", 247000), (45, "livs=SA-3,GMemless@end", 351000))


def runs():
    rng = random.Random(1)
    return page([result(rng, "out/grown", growth=GROWTH), result(rng, "out/plain", points=90),
                 result(rng, "out/going", points=37, done=False)])


def one():
    return page([result(random.Random(2), "grown", growth=GROWTH)])


def long():
    """Eight runs as a million steps each leave them."""
    rng = random.Random(3)
    return page([result(rng, "run-%d" % i, points=700, width=1024, growth=((300000 + i, "ff=%d" % i, 10 ** 7),))
                 for i in range(8)])


def started():
    """No step yet; one step; nothing known of sizes, time or bits per byte."""
    rng = random.Random(4)
    poor = result(rng, "poor", points=12, done=False)
    poor.update(first_params=None, params=None, seconds=None)
    poor["points"].update(seconds=[None] * 12, bpb={"mean": [None] * 12})
    return page([result(rng, "new", points=0, done=False), result(rng, "first", points=1, done=False), poor])


def hostile():
    names = ["</script><script>window.hacked = 1</script>", "<img src=x onerror='window.hacked=1'>",
             "constructor", "a" * 300, "\u202e\u0000 \u2028 %s ${alert(1)}"]
    rng = random.Random(5)
    data = page([result(rng, name, growth=((20, name, 200000),)) for name in names])
    for run, name in zip(data["runs"], names):
        run["settings"] = {name: name, "__proto__": 1}
        run["model"].update(names=name, genome=name)
    data["runs"][4].update(settings=[1, {}], model=None)
    data["runs"][3]["growth"][0]["grown"] = None
    return data


MAKERS = {"runs": runs, "runs-one": one, "runs-long": long, "runs-started": started, "runs-hostile": hostile,
          "runs-empty": lambda: page([result(random.Random(6), "new", points=0, done=False)])}

if __name__ == "__main__":
    json.dump(MAKERS[sys.argv[1]](), sys.stdout)
