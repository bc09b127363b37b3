"""Scaling studies from outside: the same laws however often workers die, and more runs later.

    scale.py SARTOR [TEST...]
"""
import json
import os
import random
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import kill_group, main, one_line, wait_for, workers_of  # noqa: E402

# Five widths of two LIVs: a run takes a fraction of a second.
SIZES = ("--head-dim 4 --context 32 --batch 32 --budgets 3e8,1e9 --widths 4,8,12,16,24 "
         "--quiet --json").split()


def scale(bench, study, *more, archs=("transformer++",), workers=2):
    return [bench.sartor, "scale", *archs, "--study", bench.path(study), "--data", bench.path("text"),
            *SIZES, "--workers", str(workers), *more]


def answer(bench, *args, **more):
    return json.loads(bench.run(scale(bench, *args, **more)).stdout)


def lasting(result):
    """All of an answer that may not depend on who trained what when."""
    for r in result["results"]:
        r["points"].sort(key=lambda p: p["job"])
    return result


def same_with_one_or_two_workers(bench):
    one = answer(bench, "a.study", workers=1)
    assert lasting(one) == lasting(answer(bench, "b.study", workers=2))
    assert one["version"] == 1
    [result] = one["results"]
    assert result["arch"] == "transformer++" and len(result["points"]) == 10
    for p in result["points"]:
        assert p["state"] == "done" and p["loss"] > 0
        assert abs(p["flops"] - p["budget"]) < 0.05 * p["budget"], p
        assert abs(p["bpb"] * 0.6931 - p["loss"]) < 0.01 * p["loss"]  # bytes
    budgets = result["budgets"]
    assert [b["budget"] for b in budgets] == [3e8, 1e9] and all(b["runs"] == 5 for b in budgets)
    # Models that see more text become better.
    assert min(p["loss"] for p in result["points"] if p["budget"] == 1e9) < \
        min(p["loss"] for p in result["points"] if p["budget"] == 3e8)
    for name in ("params", "tokens", "loss", "state"):
        law = result["laws"][name]
        assert law["fault"] or law["exponent"]["value"] is not None
    # Asked again, nothing is trained.
    assert answer(bench, "a.study") == one
    with sqlite3.connect(bench.path("a.study")) as db:
        assert db.execute("SELECT count(*), sum(attempt) FROM job").fetchone() == (10, 10)


def killed_workers_continue(bench):
    more = ("--budgets", "1e9,3e9")
    expected = lasting(answer(bench, "a.study", *more))
    rng, kills = random.Random(5), 0
    while True:
        process = bench.start(scale(bench, "b.study", *more, workers=1 + kills % 2))
        if kills >= 6:
            out = process.wait(timeout=120)
            assert out == 0, process.stderr.read()
            process.stderr.close()
            break
        assert wait_for(lambda: workers_of(process) or process.poll() is not None)
        time.sleep(rng.uniform(0.2, 1.2))
        workers = workers_of(process)
        if kills % 2 == 0 and workers:  # the supervisor starts another in its place
            os.kill(rng.choice(workers), signal.SIGKILL)
            time.sleep(rng.uniform(0.2, 0.8))
        kills += 1
        kill_group(process)
    assert lasting(answer(bench, "b.study", *more)) == expected
    with sqlite3.connect(bench.path("b.study")) as db:
        finished = db.execute("SELECT job, count(*) FROM attempt WHERE outcome = 'done' GROUP BY job")
        assert all(n == 1 for _, n in finished), "a run was finished twice"


def any_worker_helps(bench):
    """A study that was interrupted is finished by sartor work, without its options."""
    expected = answer(bench, "a.study")
    process = bench.start(scale(bench, "b.study", workers=1))
    assert wait_for(lambda: len(workers_of(process)) == 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    bench.run([bench.sartor, "work", bench.path("b.study"), "--quiet"])
    assert lasting(answer(bench, "b.study")) == lasting(expected)


def more_of_it_later(bench):
    answer(bench, "a.study", "--budgets", "3e8")
    first = answer(bench, "a.study")
    assert len(first["results"][0]["points"]) == 10
    both = answer(bench, "a.study", archs=("hyena", "SA-1 GMemless"))
    assert [r["arch"] for r in both["results"]] == ["transformer++", "hyena"]
    assert both["results"][0] == first["results"][0]
    assert len(both["results"][1]["points"]) == 10


def refused(bench):
    answer(bench, "a.study", "--budgets", "3e8")
    one_line(bench.run(scale(bench, "a.study", "--lr", "0.1"), expect=1), "learning_rate", "a.study")
    one_line(bench.run(scale(bench, "a.study", archs=("nothing",)), expect=1), "nothing")
    one_line(bench.run(scale(bench, "a.study", "--budgets", "1e5"), expect=1), "20 steps")
    for command in ("front", "show", "finals"):
        one_line(bench.run([bench.sartor, command, bench.path("a.study")], expect=1),
                 "is a study of sartor scale")
    bench.run(bench.search("s.study", "--generations", "1"))
    one_line(bench.run(scale(bench, "s.study"), expect=1), "s.study")
    one_line(bench.run(scale(bench, "text/00.txt"), expect=1), "00.txt")


if __name__ == "__main__":
    main([same_with_one_or_two_workers, killed_workers_continue, any_worker_helps, more_of_it_later,
          refused])
