"""Searches whose children inherit weights, and whose trials are stopped at rungs: what each trains on and
begins with, who goes on, and the same result whatever happens.

    inherit.py SARTOR [TEST...]
"""
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (kill_group, main, one_line, trials, trials_exist, wait_for, workers_of)  # noqa: E402


def all_trials(bench, study, n, weights=True):
    """What show says of every trial; of its weights, whether they are there (what is kept no more is
    removed as well as it goes: a kill may leave it)."""
    shown = [bench.show(study, str(i)) for i in range(1, n + 1)]
    for x in shown:
        x["model"] = weights and bool(x["model"])
    return shown


def children_inherit(bench):
    """Weights of parents, a smaller budget, sums over the lineage; the same with one or two workers."""
    inherit = ("--evaluator", "inherit", "--inherit-tokens", "3k", "--keep", "front")
    bench.run(bench.search("a.study", *inherit, workers=1))
    bench.run(bench.search("b.study", *inherit, workers=2))
    shown = all_trials(bench, "a.study", 14)
    assert shown == all_trials(bench, "b.study", 14) and bench.front("a.study") == bench.front("b.study")
    by_id = {x["trial"]: x for x in shown}
    for x in shown:
        t = x["training"]
        ancestors, todo = {x["trial"]}, list(t["inherits"])
        while todo:
            i = todo.pop()
            todo += by_id[i]["training"]["inherits"] if i not in ancestors else []
            ancestors.add(i)
        assert t["inherits"] == x["parents"] and len(ancestors) == t["lineage"]["trials"], x
        assert bool(t["inherits"]) == (x["generation"] > 0) == (t["inherited_share"] > 0) and x["curve"]
        assert t["tokens"] == (3072 if t["inherits"] else 10240) == x["curve"][-1][1], x
        for name, total in t["lineage"].items():
            if name != "trials":
                assert abs(total - sum(by_id[i]["training"][name] for i in ancestors)) <= 1e-9 * total
        assert abs(t["tokens_from_scratch"] * t["flops"] / t["tokens"] - t["lineage"]["flops"]) <= t["flops"]
    # Not from random weights: the first loss is far below that of the first generation.
    first = max(x["curve"][0][2] for x in shown if x["training"]["inherits"])
    assert first < min(x["curve"][0][2] for x in shown if not x["training"]["inherits"]) - 0.5, first
    # Whoever may still be a parent keeps its weights; a longer search is the search that was longer.
    with sqlite3.connect(bench.path("a.study")) as db:
        parents = {x for x, in db.execute("SELECT trial FROM parent WHERE generation = 2")}
    front = {x["trial"] for x in json.loads(bench.front("a.study"))["front"]}
    assert {x["trial"] for x in shown if x["model"]} == parents | front
    # What the whole search took.
    study = bench.show("a.study")
    spent = [sum(x["training"]["flops"] for x in shown if x["generation"] <= g) for g in range(3)]
    assert all(abs(a - b) < 1e-9 * b for a, b in zip(study["training_flops"], spent)), (study, spent)
    assert study["training"] == {"tokens": 6 * 10240 + 8 * 3072, "flops": study["training_flops"][-1], "stopped": 0}
    bench.run([bench.sartor, "report", bench.path("a.study"), "--out", bench.path("page.html")])
    page = open(bench.path("page.html"), encoding="utf-8").read()
    data = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.S).group(1))
    assert len(data["training_flops"]) == 3 and "lineage_flops" in data["measures"]
    for x, y in zip(shown, data["trials"]):  # the page has fewer digits
        t, u = x["training"], y["training"]
        assert u["tokens"] == t["tokens"] and y["values"]["lineage_flops"] == u["lineage_flops"]
        assert abs(u["lineage_flops"] / t["lineage"]["flops"] - 1) < 1e-6
        assert abs(u.get("inherited", 0) - t["inherited_share"]) < 1e-6
    bench.run(bench.search("a.study", *inherit, "--generations", "4"))
    bench.run(bench.search("c.study", *inherit, "--generations", "4"))
    assert all_trials(bench, "a.study", 18) == all_trials(bench, "c.study", 18)
    done = bench.run(bench.search("a.study"), expect=1)
    one_line(done, "a.study", "evaluator")
    bad = bench.run(bench.search("d.study", *inherit, "--objectives", "params,cache"), expect=1)
    one_line(bad, "bpb")
    bad = bench.run(bench.search("d.study", "--inherit-tokens", "3k"), expect=1)
    one_line(bad, "inherit-tokens")
    bad = bench.run(bench.search("d.study", *inherit, "--train-tokens", "2k"), expect=1)
    one_line(bad, "inherit-tokens is 3000", "train-tokens, 2000")
    bad = bench.run(bench.search("d.study", *inherit, "--algorithm", "random"), expect=1)
    one_line(bad, "the algorithm random makes no children")
    assert not os.path.exists(bench.path("d.study"))


def inheriting_when_killed(bench):
    inherit = ("--evaluator", "inherit", "--train-tokens", "40k", "--inherit-tokens", "30k")
    bench.run(bench.search("a.study", *inherit))
    for kills in range(6):
        search = bench.start(bench.search("b.study", *inherit, workers=1 + kills % 2))
        time.sleep(random.Random(kills).uniform(0.5, 2))
        kill_group(search)
    bench.run(bench.search("b.study", *inherit))
    assert all_trials(bench, "a.study", 14, False) == all_trials(bench, "b.study", 14, False)


def weights_of_parents_are_gone(bench):
    """Before a generation starts: it trains from scratch. After: one line, and the trial waits."""
    inherit = ("--evaluator", "inherit", "--population", "4")
    bench.run(bench.search("a.study", *inherit, "--generations", "1"))
    shutil.copy(bench.path("a.study"), bench.path("b.study"))
    bench.run(bench.search("b.study", *inherit, "--generations", "2"))
    assert [bench.show("b.study", str(i))["training"]["inherits"] for i in (5, 6)] == [[], []]
    assert bench.show("b.study", "5")["training"]["tokens"] == 10240
    slow = ("--train-tokens", "100k", "--inherit-tokens", "100k", "--population", "4", "--evaluator", "inherit")
    search = bench.start(bench.search("c.study", *slow, "--generations", "2", workers=1))
    assert wait_for(lambda: trials_exist(bench, "c.study") and len(trials(bench, "c.study")) > 4)
    kill_group(search)
    shutil.rmtree(bench.path("c.study.d", "trial"))
    done = bench.run(bench.search("c.study", *slow, "--generations", "2"), expect=1)
    one_line(done, "weights of trial")
    assert bench.show("c.study")["trials"]["failed"] == 0


def dominates(a, b):
    return a != b and all(x <= y for x, y in zip(a, b))


def going_on(cohort, values, least):
    """Who goes on: none of the others dominates it; None where that is fewer than `least`."""
    best = {x for x in cohort if not any(dominates(values[y], values[x]) for y in cohort)}
    return best if len(best) >= least else None


def rungs_stop_the_dominated(bench):
    """The rule, trial by trial; what goes on is what it would be without rungs."""
    more = ("--train-tokens", "20k", "--population", "8", "--generations", "2", "--keep", "front")
    bench.run(bench.search("plain.study", *more))
    plain = all_trials(bench, "plain.study", 8)
    for objectives in ("bpb,params,cache", "bpb"):
        name = "%s.study" % objectives
        rungs = (*more, "--objectives", objectives, "--rungs", "0.25,0.50")
        bench.run(bench.search(name, *rungs, workers=1))
        bench.run(bench.search("two-" + name, *rungs, workers=2))
        shown = all_trials(bench, name, 14)
        assert shown == all_trials(bench, "two-" + name, 14)
        assert bench.front(name) == bench.front("two-" + name)
        stopped = 0
        for generation in range(2):
            cohort = {x["trial"]: x for x in shown if x["generation"] == generation}
            for k, share in enumerate((0.25, 0.5)):
                assert len(cohort) >= 2 and all(x["training"]["rungs"][k]["share"] == share
                                                for x in cohort.values())
                values = {i: [x["training"]["rungs"][k]["bpb"] if name == "bpb" else
                              x["objectives"][name] for name in objectives.split(",")]
                          for i, x in cohort.items()}
                went = {i for i, x in cohort.items() if x["training"]["stopped"] != share}
                best = going_on(cohort, values, 2)
                if best is None:
                    assert len(went) == 2 and going_on(cohort, values, 0) <= went
                else:
                    assert went == best, (went, best)
                for i in set(cohort) - went:
                    t = cohort[i]["training"]
                    assert len(t["rungs"]) == k + 1 and t["tokens"] == t["rungs"][k]["tokens"]
                    assert cohort[i]["objectives"]["bpb"] == t["rungs"][k]["bpb"]
                    assert cohort[i]["curve"][-1][1] == t["tokens"] == 20224 * share // 256 * 256 + 256
                    assert cohort[i]["state"] == "done"
                    stopped += 1
                cohort = {i: cohort[i] for i in went}
            for i in cohort:
                assert cohort[i]["training"]["tokens"] == 20224, cohort[i]
                if generation == 0:
                    for key in ("genome", "objectives", "curve"):
                        assert cohort[i][key] == plain[i - 1][key], key
        assert stopped >= (8 if objectives == "bpb" else 1), stopped
        assert bench.show(name)["trials"]["done"] == 14
        left = [f for _, _, files in os.walk(bench.path(name + ".d", "trial")) for f in files]
        front = json.loads(bench.front(name))["front"]
        assert sorted(left) == sorted(["metrics.jsonl", "model.safetensors"] * len(front)), left
    for bad in ("0.5,0.25", "1", "0", "x", "0.25,,0.5", "0.25,", "-0.5", "0.1,0.1", "1e-1"):
        done = bench.run(bench.search("bad.study", "--rungs=" + bad), expect=1)
        one_line(done, "rungs")
    one_line(bench.run(bench.search("bad.study", "--rungs", "0.5", "--objectives", "params"), expect=1), "bpb")
    one_line(bench.run(bench.search("plain.study", *more, "--rungs", "0.5"), expect=1), "rungs", "0.5")


def rungs_when_killed(bench):
    """Inherited weights and rungs together, killed at random moments."""
    more = ("--train-tokens", "40k", "--evaluator", "inherit", "--rungs", "0.2,0.6", "--objectives", "bpb,params")
    bench.run(bench.search("a.study", *more))
    rng = random.Random(11)
    for kills in range(8):
        search = bench.start(bench.search("b.study", *more, workers=1 + kills % 2))
        time.sleep(rng.uniform(0.3, 1.2))
        workers = workers_of(search)
        if kills % 3 == 2 and workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
            time.sleep(rng.uniform(0.1, 0.6))
        kill_group(search)
    bench.run(bench.search("b.study", *more))
    assert all_trials(bench, "a.study", 14, False) == all_trials(bench, "b.study", 14, False)
    assert any(x["training"]["stopped"] and x["training"]["inherits"] for x in all_trials(bench, "a.study", 14))
    with sqlite3.connect(bench.path("b.study")) as db:
        finished = db.execute("SELECT job, count(*) FROM attempt WHERE outcome = 'done' GROUP BY job")
        assert all(n == 1 for _, n in finished), "a job was finished twice"


def rungs_beside_measurements(bench):
    """A speed is measured once, at the first rung, and decides with the rest."""
    bench.run(bench.search("a.study", "--objectives", "bpb,decode", "--rungs", "0.5", "--generations", "1",
                           "--population", "4"))
    shown = all_trials(bench, "a.study", 4)
    assert all(x["state"] == "done" and x["objectives"]["decode"] > 0 for x in shown)
    with sqlite3.connect(bench.path("a.study")) as db:
        assert db.execute("SELECT count(*) FROM job WHERE kind = 'measure'").fetchone()[0] == 4
    values = {x["trial"]: [x["training"]["rungs"][0]["bpb"], x["objectives"]["decode"]] for x in shown}
    assert {x["trial"] for x in shown if not x["training"]["stopped"]} == going_on(set(values), values, 1)
    done = bench.run(bench.search("b.study", "--lr", "1e6", "--rungs", "0.5", "--generations", "1"), expect=1)
    one_line(done, "every trial of generation 0 failed")


def rows_that_no_sartor_wrote(bench):
    """Edited by hand: an end or one line, never a crash or a wait for ever."""
    bench.run(bench.search("a.study", "--rungs", "0.5", "--evaluator", "inherit", "--generations", "2",
                           "--population", "3"))
    undone = ("DELETE FROM generation WHERE number = 1; DELETE FROM parent WHERE generation = 1;"
              "DELETE FROM value WHERE trial = 4 AND name = 'stopped';"
              "UPDATE trial SET state = 'open' WHERE id = 4;")
    spec = undone + "UPDATE job SET spec = '%s' WHERE id = (SELECT job FROM trial WHERE id = 4)"
    for text in ("{}", "[]", "x", '{"stage": 0}', '{"stage": 1}', '{"stage": 5}', '{"stage": "x"}',
                 '{"stage": 0, "after": 1, "inherit": [4, 4, 4]}', '{"stage": -1, "inherit": {"a": []}}',
                 '{"stage": 9e300, "inherit": [null, 1e300]}'):
        for command in ("show 4", "report", "work"):
            for suffix in ("", "-wal", "-shm"):
                if os.path.exists(bench.path("b.study" + suffix)):
                    os.remove(bench.path("b.study" + suffix))
            shutil.copy(bench.path("a.study"), bench.path("b.study"))
            with sqlite3.connect(bench.path("b.study")) as db:
                db.executescript(spec % text)
            db.close()
            name, *more = command.split()
            more += {"report": ["--out", bench.path("page.html")], "work": ["--quiet"]}.get(name, ["--json"])
            done = subprocess.run([bench.sartor, name, bench.path("b.study"), *more], timeout=60,
                                  capture_output=True, text=True, env=bench.environment)
            assert done.returncode in (0, 1), (text, command, done.returncode, done.stderr)
            if done.returncode == 1:
                one_line(done, "b.study")


if __name__ == "__main__":
    main([children_inherit, inheriting_when_killed, weights_of_parents_are_gone,
          rungs_stop_the_dominated, rungs_when_killed, rungs_beside_measurements,
          rows_that_no_sartor_wrote])
