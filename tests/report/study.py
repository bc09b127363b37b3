"""Made-up studies in the form that the report takes (src/report/report.h), the same at every run.

    python3 study.py NAME > data.json      NAME: one of MAKERS below
"""
import json
import math
import random
import sys

FAMILIES = {"SA": ("SA-1", "SA-2", "SA-3", "SA-4"), "Rec": ("Rec-1", "Rec-2"),
            "GConv": ("GConv-1", "GConv-2"), "GMemless": ("GMemless",)}
FEATURES = {"SA": ("K", "V"), "Rec": ("B", "C"), "GConv": ("B", "C"), "GMemless": ("gate",)}
CLASSES = [(name, family) for family, names in FAMILIES.items() for name in names]
CLASSES += [(name + "-Diff", family) for name, family in CLASSES if family != "GMemless"]
NUMBERS = {name: i + 1 for i, (name, _) in enumerate(CLASSES)}
OBJECTIVES = [
    {"name": "bpb", "unit": "bits per byte", "summary": "validation bits per byte after training",
     "log": False, "reference": 8.0},
    {"name": "params", "unit": "parameters", "summary": "backbone parameters, shared ones once",
     "log": True, "reference": 2.4e6},
    {"name": "cache", "unit": "bytes", "summary": "decode state at the context, f16, batch 1",
     "log": True, "reference": 4e6},
]
MEASURES = ["bpb", "params", "cache", "flops", "memory", "prefill", "decode"]
BASELINES = {"transformer++": ["SA-1", "GMemless"], "striped-mamba": ["Rec-1", "GMemless"] * 3 +
             ["SA-1", "GMemless"] + ["Rec-1", "GMemless"] * 2}
WIDTH, CONTEXT = 128, 1024


class Backbone:
    """Class indices and sharing labels, in order of depth."""

    def __init__(self, genes):
        self.genes = genes  # [class, weights label, weights strategy, group label, group strategy]

    def text(self):
        return "-".join(".".join(map(str, g)) for g in self.genes)

    def names(self):
        names = [CLASSES[g[0] - 1][0] for g in self.genes]
        for period in (1, 2, 4, 6):
            if len(names) > 2 * period and names == names[:period] * (len(names) // period):
                return "(%s)x%d" % (" ".join(names[:period]), len(names) // period)
        return " ".join(names)

    def livs(self):
        out = []
        for i, g in enumerate(self.genes):
            name, family = CLASSES[g[0] - 1]
            liv = {"class": name, "family": family, "weights_from": None, "reads": []}
            for j, other in enumerate(self.genes[:i]):
                if g[2] == 2 and other[:3] == g[:3] and liv["weights_from"] is None:
                    liv["weights_from"] = j
            for bit, feature in enumerate(FEATURES[family]):
                for j, other in enumerate(self.genes[:i]):
                    if (other[0] == g[0] and other[3] == g[3] and
                            (g[4] - 1) & (other[4] - 1) & (1 << bit)):
                        liv["reads"].append({"feature": feature, "from": j})
                        break
            out.append(liv)
        return out

    def values(self, rng):
        d, params, cache, flops, loss = WIDTH, 0, 0, 0.0, 2.9
        for i, liv in enumerate(self.livs()):
            family = liv["family"]
            size = {"SA": 4, "Rec": 3.2, "GConv": 4, "GMemless": 8}[family] * d * d
            state = {"SA": 4 * d * CONTEXT, "Rec": 38 * d, "GConv": 4 * d, "GMemless": 0}[family]
            if liv["class"] == "SA-3":
                size, state = 2.5 * d * d, d * CONTEXT
            if liv["class"].startswith("GConv-2"):
                state = 2 * d * CONTEXT
            if "Diff" in liv["class"]:
                size, state = 2 * size, 2 * state
            flops += 2 * size + (CONTEXT * d if family == "SA" else 0)
            params += 0 if liv["weights_from"] is not None else size
            cache += 0 if liv["reads"] else state
            loss -= {"SA": 0.055, "Rec": 0.05, "GConv": 0.04, "GMemless": 0.03}[family] * (
                0.94 ** i) * (0.8 if liv["weights_from"] is not None else 1)
        return {"bpb": round(loss + rng.gauss(0.0, 0.035) + 0.7 * rng.random() ** 14, 4),
                "params": int(params), "cache": int(cache), "flops": round(flops),
                "memory": int(4 * params + 2 * cache + 3e5), "prefill": 1.1e-12 * flops * 30,
                "decode": 4e-11 * params + 2e-11 * cache + 1e-5 * rng.random()}


def sample(rng, livs):
    genes = []
    for _ in range(livs):
        c = rng.choice([9, 9, 9, rng.randint(1, 17), rng.randint(1, 17)])
        genes.append([c, rng.randint(1, 3), rng.choice([1, 1, 2]), rng.randint(1, 3),
                      rng.randint(1, 1 << len(FEATURES[CLASSES[c - 1][1]]))])
    return Backbone(genes)


def cross(rng, a, b):
    i, j = sorted(rng.sample(range(len(a.genes) + 1), 2))
    return Backbone([list(g) for g in a.genes[:i] + b.genes[i:j] + a.genes[j:]])


def mutate(rng, backbone):
    fresh, changed = sample(rng, len(backbone.genes)), 0
    for i in range(len(backbone.genes)):
        if rng.random() < 0.12:
            backbone.genes[i] = fresh.genes[i]
            changed += rng.randint(1, 5)
    return changed


def preset(name, livs):
    names = (BASELINES[name] * livs)[:livs]
    return Backbone([[NUMBERS[n], 1, 1, 1, 1] for n in names])


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b)) and a != b


def mark_front(trials, names):
    """O(n * front): adds one trial after the other."""
    front = []
    for t in trials:
        t["front"] = False
        point = [t["values"].get(n) for n in names]
        if t["state"] != "done" or not t["feasible"] or None in point or not names:
            continue
        if any(dominates(p, point) for p, _ in front):
            continue
        front = [(p, u) for p, u in front if not dominates(point, p)] + [(point, t)]
    for _, t in front:
        t["front"] = True


def curve(rng, bpb, tokens=2000000, points=60):
    rows = []
    for k in range(1, points + 1):
        share = k / points
        level = bpb + 1.9 * (math.exp(-7 * share) + 0.06 * (1 - share))
        rows.append([int(tokens * share), round(level * 0.6931 + rng.gauss(0, 0.02), 4),
                     round(level, 4) if k % 5 == 0 else None])
    return rows


def trial(number, generation, backbone, rng, how="sample", parents=(), mutations=0):
    return {"trial": number, "id": "%016x" % rng.getrandbits(64), "generation": generation,
            "genome": backbone.text(), "names": backbone.names(), "state": "done", "reason": None,
            "front": False, "feasible": True, "baseline": None, "operator": how,
            "parents": list(parents), "mutations": mutations, "values": backbone.values(rng)}


def study(seed=1, generations=18, population=16, livs=24, names=("bpb", "params", "cache"),
          with_finals=True, presets=tuple(BASELINES), failures=0.03):
    """A plausible search: the better parents of the last generation have the children."""
    rng = random.Random(seed)
    trials, backbones, parents, number = [], {}, [], 0
    for name in presets:
        b = preset(name, livs)
        t = trial(number, 0, b, rng, "seed")
        t["baseline"] = name
        trials.append(t)
        backbones[number] = b
        number += 1
    hypervolume, classes = [], []
    for g in range(generations):
        fresh = []
        for _ in range(population if g == 0 else population - 2):
            if g == 0:
                b, how, of, changed = sample(rng, livs), "sample", (), 0
            else:
                of = rng.sample(parents, 2)
                b = cross(rng, *(backbones[p["trial"]] for p in of))
                changed = mutate(rng, b)
                how = "crossover+mutation" if changed else "crossover"
                of = [p["trial"] for p in of]
            t = trial(number, g, b, rng, how, of, changed)
            if rng.random() < failures:
                t.update(state="failed", reason=rng.choice([
                    "training: the loss is not finite at step %d" % rng.randint(5, 90),
                    "memory: needs 1.9 GiB, the limit is 1.5 GiB",
                    "killed three times at step 12 (signal 9)"]))
                t["values"] = {k: v for k, v in t["values"].items()
                               if k in ("params", "cache", "flops", "memory")}
            elif t["values"]["params"] > 2.45e6:
                t["feasible"] = False
            trials.append(t)
            backbones[number] = b
            fresh.append(t)
            number += 1
        pool = [t for t in parents + fresh if t["state"] == "done"]
        pool.sort(key=lambda t: t["values"]["bpb"] + 1.2e-7 * t["values"]["params"] +
                  5e-8 * t["values"]["cache"])
        parents = pool[:max(2, population // 3)]
        best = min(t["values"]["bpb"] for t in pool) if pool else 0
        hypervolume.append(round(max([0.55 + 0.3 * (2.4 - best)] +
                                     [h for h in hypervolume if h]), 6))
        counts = {}
        for t in fresh:
            for gene in backbones[t["trial"]].genes:
                name = CLASSES[gene[0] - 1][0]
                counts[name] = counts.get(name, 0) + 1
        classes.append({"generation": g, "counts": counts})
    mark_front(trials, names)
    shown = [t for t in trials if t["front"] or t["baseline"]]
    objectives = [o for o in OBJECTIVES if o["name"] in names]
    data = {
        "version": 1, "title": "shakespeare.study", "made": "2026-01-15 10:42", "sartor": "0.1.0",
        "settings": {"algorithm": "nsga2", "survival": "elitist", "population": population,
                     "generations": generations, "objectives": ",".join(names), "livs": livs,
                     "width": WIDTH, "head_dim": 32, "window": CONTEXT, "vocab": 256,
                     "tokenizer": "bytes", "tied": True, "train_tokens": 2000000, "batch": 8,
                     "learning_rate": 0.0008, "precision": "bf16", "threads": 1, "seed": seed,
                     "limits": "params=2.45M", "data": "8f3a61c0d2b94e57", "pool": "paper",
                     "memory_limit": 1610612736},
        "state": {"done": sum(t["state"] == "done" for t in trials), "running": 0,
                  "failed": sum(t["state"] == "failed" for t in trials), "waiting": 0},
        "objectives": objectives,
        "measures": [n for n in names] + [m for m in MEASURES if m not in names],
        "trials": trials, "hypervolume": hypervolume, "classes": classes,
        "backbones": {str(t["trial"]): backbones[t["trial"]].livs() for t in shown},
        "curves": {str(t["trial"]): curve(rng, t["values"]["bpb"]) for t in shown},
        "finals": [],
    }
    if with_finals:
        chosen = sorted((t for t in trials if t["front"]), key=lambda t: t["values"]["bpb"])[:6]
        for t in chosen + [t for t in trials if t["baseline"]]:
            v = t["values"]
            runs = [round(v["bpb"] - 0.35 + rng.gauss(0, 0.008), 4) for _ in range(3)]
            mean = sum(runs) / 3
            std = math.sqrt(sum((x - mean) ** 2 for x in runs) / 2)
            data["finals"].append(dict(
                {m: v[m] for m in MEASURES if m not in ("bpb", "memory")},
                trial=None if t["baseline"] else t["trial"], id=t["id"], genome=t["genome"],
                baseline=t["baseline"], bpb={"mean": mean, "std": std, "values": runs}))
        data["finals"].sort(key=lambda f: f["bpb"]["mean"])
    return data


def empty():
    data = study(generations=0, presets=(), with_finals=False)
    data.update(state={"done": 0, "running": 1, "failed": 0, "waiting": 15}, hypervolume=[],
                classes=[])
    return data


def started():
    """Trials are open, none has finished; the computed values are there."""
    data = study(generations=1, with_finals=False, failures=0)
    for t in data["trials"]:
        t.update(state="open", front=False)
        t["values"] = {"bpb": None, "params": t["values"]["params"], "cache": t["values"]["cache"]}
    data.update(hypervolume=[None], backbones={}, curves={},
                state={"done": 0, "running": 2, "failed": 0, "waiting": 16})
    return data


def one_trial():
    return study(seed=5, generations=1, population=1, presets=(), with_finals=False, failures=0)


def one_objective():
    data = study(seed=3, names=("bpb",), generations=6, with_finals=False)
    data["measures"] = ["bpb"]
    for t in data["trials"]:
        t["values"] = {"bpb": t["values"].get("bpb")}
    return data


def missing():
    """Every third value is unknown, here null, there absent; curves without bits per byte."""
    data = study(seed=4, generations=8, with_finals=False)
    rng = random.Random(9)
    for t in data["trials"]:
        for m in list(t["values"]):
            if rng.random() < 0.33:
                t["values"][m] = None
                if rng.random() < 0.5:
                    del t["values"][m]
    data["curves"] = {n: [[a, b, None] for a, b, _ in rows] for n, rows in data["curves"].items()}
    data["hypervolume"][2] = None
    mark_front(data["trials"], ("bpb", "params", "cache"))
    keep = {str(t["trial"]) for t in data["trials"] if t["front"] or t["baseline"]}
    data["backbones"] = {n: b for n, b in data["backbones"].items() if n in keep}
    return data


def inherit():
    """Children that inherit and train on less, some of them stopped at a rung."""
    data = study(seed=8, generations=6, failures=0)
    spent, by_id = 0.0, {}
    for t in data["trials"]:
        stopped = 0.25 if t["trial"] % 3 == 1 else None
        tokens = (800000 if t["parents"] else 2000000) * (stopped or 1)
        line = {t["trial"]}.union(*(by_id[p]["line"] for p in t["parents"]))
        own = {"tokens": tokens, "flops": 3 * t["values"]["flops"] * tokens, "line": line}
        by_id[t["trial"]] = own
        total = sum(by_id[n]["flops"] for n in line)
        t["training"] = {"tokens": tokens, "lineage_trials": len(line), "lineage_flops": total,
                         "lineage_tokens": sum(by_id[n]["tokens"] for n in line)}
        t["values"]["lineage_flops"] = total
        if t["parents"]:
            t["training"]["inherited"] = 0.75
        if stopped:
            t["training"]["stopped"] = stopped
    data["measures"].append("lineage_flops")
    data["training_flops"] = []
    for g in range(6):
        spent += sum(by_id[t["trial"]]["flops"] for t in data["trials"] if t["generation"] == g)
        data["training_flops"].append(spent)
    for f in data["finals"]:
        f["validation"] = dict(f["bpb"])
        f["search"] = {"bpb": 2.5} if f["trial"] is not None else None
    return data


ATTACKS = ["</script><script>window.hacked=1</script>", "<img src=x onerror='window.hacked=2'>",
           "<!--<script>", "]]>", "\u2028window.hacked=3\u2029", "\"'`${window.hacked=4}",
           "javascript:window.hacked=5", "&lt;b&gt;", "\x00\x01\x7f\ud7ff\ufffe", "日本語 العربية 🧵"]


KEYS = [a.replace("\x00", "") for a in ATTACKS]  # no zero bytes in names: jansson refuses them


def hostile():
    """Text of a study is data whatever it says; measures are named like parts of the language."""
    data = study(seed=5, generations=6)
    names = {"bpb": "__proto__", "params": "constructor", "cache": "<script>alert(1)</script>",
             "flops": "toString", "memory": "", "prefill": "a b\"c'&d;", "decode": "x" * 300}
    data["title"] = " ".join(ATTACKS)
    data["made"] = data["sartor"] = ATTACKS[0]
    data["settings"] = {a: b for a, b in zip(KEYS, reversed(ATTACKS))}
    data["settings"]["__proto__"] = "x" * 500
    for o in data["objectives"]:
        o.update(name=names[o["name"]], summary=ATTACKS[1], unit=ATTACKS[0])
    data["measures"] = [names[m] for m in data["measures"]]
    for i, t in enumerate(data["trials"]):
        attack = ATTACKS[i % len(ATTACKS)]
        t["values"] = {names[m]: v for m, v in t["values"].items()}
        t.update(genome=attack * 20, names=attack * 5 + " (a)x99999999 ((((b)x999)x999)x999)x999 )))",
                 operator=attack, id=attack)
        t["parents"] = t["parents"] + [t["trial"], 999999, 3]  # itself, unknown, a circle
        if t["baseline"]:
            t["baseline"] = ATTACKS[i % 2]
        if t["state"] == "failed":
            t["reason"] = attack
    for livs in data["backbones"].values():
        for i, liv in enumerate(livs):
            liv["class"] = ATTACKS[i % len(ATTACKS)] + liv["class"]
            liv["family"] = ATTACKS[0] if i % 5 == 0 else liv["family"]
            for read in liv["reads"]:
                read["feature"] = ATTACKS[i % len(ATTACKS)]
    for g in data["classes"]:
        g["counts"] = dict({KEYS[i % len(KEYS)] + k: v
                            for i, (k, v) in enumerate(g["counts"].items())}, __proto__=7)
    for f in data["finals"]:
        f.update(id=ATTACKS[0], genome=ATTACKS[1], baseline=f["baseline"] and ATTACKS[0])
    return data


def large():
    return study(seed=6, generations=1250, population=18, with_finals=False, livs=24)


MAKERS = {"search": study, "empty": empty, "started": started, "one-trial": one_trial,
          "one-objective": one_objective, "inherit": inherit, "missing": missing, "hostile": hostile, "large": large}

if __name__ == "__main__":
    json.dump(MAKERS[sys.argv[1]](), sys.stdout)
