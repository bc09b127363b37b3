"""MAD suites as data of the report: what the library would answer, made up.

    tests/report/mad_suite.py NAME      prints one
"""
import json
import random
import sys

TASKS = ["in-context-recall", "fuzzy-in-context-recall", "noisy-in-context-recall",
         "selective-copying", "compression", "memorization"]


def setting(rng, task, i, done=True):
    score = rng.random()
    best = {"score": score, "accuracy": score * 0.99, "accuracy_macro": score, "perplexity": 1 + rng.random(),
            "learning_rate": 0.001, "weight_decay": 0.1, "epoch": 7, "epochs": 9, "seconds": 12.5}
    return {"setting": "%s:vocab=%d" % (task, 16 << i), "vocab": 16 << i, "length": 128, "train": 800,
            "chance": 1 / (8 << i), **(best if done else dict.fromkeys(best)),
            "runs": 6, "done": 6 * done, "failed": 6 * (not done)}


def mean(values):
    values = list(values)
    return None if None in values else sum(values) / len(values)


def result(rng, arch, tasks, settings=2, done=True):
    of = {}
    for task in tasks:
        rows = [setting(rng, task, i, done) for i in range(settings)]
        of[task] = {"score": mean(r["score"] for r in rows), "settings": rows}
    return {"arch": arch, "tasks": of, "mad": mean(t["score"] for t in of.values())}


def page(results):
    published = {"arch": "Transformer", "tasks": dict.fromkeys(TASKS, 0.5), "mad": 0.5}
    return {"version": 1, "purpose": "mad", "title": "mad.db", "made": "2026-01-02 03:04 UTC",
            "sartor": "0.1.0", "settings": {"protocol": "faithful", "width": 128},
            "state": {"done": 5, "running": 1, "failed": 0, "waiting": 2}, "results": results,
            "published": [{"source": "a paper", "models": [published]}]}


def suite():
    rng = random.Random(1)
    return page([result(rng, arch, TASKS) for arch in ("transformer++", "hyena", "striped-mamba")])


def part():
    """Two tasks, one architecture whose runs all failed."""
    rng = random.Random(2)
    return page([result(rng, "hyena", TASKS[3:5], 1), result(rng, "SA-1", TASKS[3:5], 1, False)])


def hostile():
    rng = random.Random(3)
    names = ["</script><script>window.hacked = 1</script>", "<img src=x onerror='window.hacked=1'>",
             "constructor", "a" * 300, "\u202e\u0000 \u2028 %s ${alert(1)}"]
    data = page([result(rng, name, TASKS, 1) for name in names])
    data.update(title=names[0], settings={names[1]: names[0], "__proto__": 1})
    data["results"][0]["tasks"][TASKS[0]]["settings"][0]["setting"] = names[1]
    return data


MAKERS = {"mad": suite, "mad-part": part, "mad-hostile": hostile, "mad-empty": lambda: page([])}

if __name__ == "__main__":
    json.dump(MAKERS[sys.argv[1]](), sys.stdout)
