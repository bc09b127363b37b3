"""Searches from outside: the same result whatever happens, and what is said when something is wrong.

    run.py SARTOR [TEST...]
"""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (Skipped, kill_group, main, one_line, trials, trials_exist, wait_for,  # noqa: E402
                     workers_of)


def same_with_one_or_two_workers(bench):
    bench.run(bench.search("a.study", workers=1))
    bench.run(bench.search("b.study", workers=2))
    front = bench.front("a.study")
    assert front == bench.front("b.study")
    assert trials(bench, "a.study") == trials(bench, "b.study")
    answer = json.loads(front)
    assert answer["version"] == 1 and answer["objectives"] == ["bpb", "params", "cache"]
    assert answer["reference"][0] == 8 and answer["front"]
    keys = {"trial", "id", "genome", "sizes", "generation", "objectives", "baseline"}
    assert all(set(x) == keys for x in answer["front"])
    values = [[x["objectives"][name] for name in answer["objectives"]] for x in answer["front"]]
    assert values == sorted(values)
    for a in values:
        assert not any(b != a and all(x <= y for x, y in zip(b, a)) for b in values)
    show = bench.show("a.study")
    assert show["trials"]["done"] == 6 + 4 + 4 and show["trials"]["failed"] == 0
    assert len(show["hypervolume"]) == 3 and show["hypervolume"] == sorted(show["hypervolume"])


def other_seed_other_search(bench):
    bench.run(bench.search("a.study", "--generations", "1"))
    bench.run(bench.search("b.study", "--generations", "1", "--seed", "1"))
    assert not {x[1] for x in trials(bench, "a.study")} & {x[1] for x in trials(bench, "b.study")}


def total_of_generations(bench):
    bench.run(bench.search("a.study", "--generations", "2"))
    before = os.stat(bench.path("a.study")).st_mtime_ns, bench.front("a.study")
    bench.run(bench.search("a.study", "--generations", "2"))
    assert bench.front("a.study") == before[1]
    bench.run(bench.search("a.study", "--generations", "3"))
    bench.run(bench.search("b.study", "--generations", "3"))
    assert bench.front("a.study") == bench.front("b.study")


def every_algorithm(bench):
    done = set()
    for algorithm in ("ga", "firefly", "random"):
        bench.run(bench.search("%s.study" % algorithm, "--algorithm", algorithm, "--objectives", "bpb"))
        done.add(bench.show("%s.study" % algorithm)["trials"]["done"])
    assert done == {14}, done
    bench.run(bench.search("mu.study", "--survival", "mu+lambda", "--objectives", "params,cache"))
    assert bench.show("mu.study")["trials"]["done"] == 18


def killed_at_random_moments(bench):
    """The search with its workers, or one worker, killed ten times."""
    more = ("--train-tokens", "40k")
    bench.run(bench.search("a.study", *more))
    rng, kills = random.Random(3), 0
    while True:
        search = bench.start(bench.search("b.study", *more, workers=1 + kills % 2))
        if kills >= 10:
            assert search.wait(timeout=120) == 0, search.stderr.read()
            search.stderr.close()
            break
        time.sleep(rng.uniform(0.1, 1.2))
        workers = workers_of(search)
        if kills % 3 == 2 and workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
            time.sleep(rng.uniform(0.1, 0.6))
        kills += 1
        kill_group(search)
    assert bench.front("b.study") == bench.front("a.study")
    assert trials(bench, "b.study") == trials(bench, "a.study")
    with sqlite3.connect(bench.path("b.study")) as db:
        finished = db.execute("SELECT job, count(*) FROM attempt WHERE outcome = 'done' GROUP BY job")
        assert all(n == 1 for _, n in finished), "a trial was finished twice"


def stopped_worker_is_fenced(bench):
    more = ("--train-tokens", "60k", "--lease", "1", "--generations", "2")
    bench.run(bench.search("a.study", *more))
    search = bench.start(bench.search("b.study", *more))
    assert wait_for(lambda: len(workers_of(search)) == 2)
    time.sleep(0.7)
    stopped = workers_of(search)[0]
    os.kill(stopped, signal.SIGSTOP)
    time.sleep(4)
    os.kill(stopped, signal.SIGCONT)
    assert search.wait(timeout=120) == 0, search.stderr.read()
    search.stderr.close()
    assert bench.front("b.study") == bench.front("a.study")


def interrupted_and_continued(bench):
    more = ("--train-tokens", "60k")
    search = bench.start(bench.search("a.study", *more))
    assert wait_for(lambda: len(workers_of(search)) == 2)
    time.sleep(1)
    search.send_signal(signal.SIGINT)
    error = search.communicate(timeout=60)[1]
    assert search.returncode == 130, (search.returncode, error)
    bench.run(bench.search("a.study", *more))
    bench.run(bench.search("b.study", *more))
    assert bench.front("a.study") == bench.front("b.study")


def joined_from_another_terminal(bench):
    more = ("--train-tokens", "40k")
    search = bench.start(bench.search("a.study", *more, workers=1))
    assert wait_for(lambda: os.path.exists(bench.path("a.study")) and len(workers_of(search)) == 1)
    assert wait_for(lambda: trials_exist(bench, "a.study"))
    bench.run([bench.sartor, "work", bench.path("a.study"), "--quiet"])
    assert search.wait(timeout=60) == 0
    search.stderr.close()
    with sqlite3.connect(bench.path("a.study")) as db:
        assert db.execute("SELECT count(DISTINCT worker) FROM attempt").fetchone()[0] >= 2


def seeds_are_marked(bench):
    bench.run(bench.search("a.study", "--seed-with", "transformer++,hyena", "--generations", "1",
                           "--objectives", "bpb,params"))
    marked = [bench.show("a.study", str(i))["baseline"] for i in range(1, 7)]
    assert marked == ["transformer++", "hyena", None, None, None, None], marked
    done = bench.run(bench.search("b.study", "--seed-with", "transfomer++"), expect=1)
    one_line(done, "transfomer++")


def limits_hold(bench):
    bench.run(bench.search("a.study", "--limit", "params=30k", "--limit", "cache=20k"))
    for i in range(1, 15):
        values = bench.show("a.study", str(i))["objectives"]
        assert values["params"] <= 30000 and values["cache"] <= 20000, values
    done = bench.run(bench.search("b.study", "--limit", "params=10"), expect=1)
    one_line(done, "params", "10")


def duplicates_are_not_trained(bench):
    """A space of one LIV has few architectures: each once, and an end when they run out."""
    bench.run(bench.search("a.study", "--livs", "1", "--generations", "9", "--objectives", "bpb,params"))
    ids = [x[1] for x in trials(bench, "a.study")]
    assert len(ids) == len(set(ids)) and 10 < len(ids) <= 17, len(ids)
    bench.run(bench.search("a.study", "--livs", "1", "--generations", "9", "--objectives", "bpb,params"))
    assert len(trials(bench, "a.study")) == len(ids)


def memory_limit_refuses_some(bench):
    def needs(name):
        report = json.loads(bench.run([bench.sartor, "inspect", "%s %s %s %s" % ((name,) * 4), "--width",
                                       "32", "--head-dim", "8", "--context", "64", "--batch", "4",
                                       "--threads", "1", "--json"]).stdout)
        return report["train_memory_bytes"]
    limit = (needs("GMemless") + needs("SA-2-Diff")) // 2
    bench.run(bench.search("a.study", "--memory", str(limit), "--generations", "4"))
    show = bench.show("a.study")
    assert show["trials"]["failed"] > 0 and show["trials"]["done"] > 0, show["trials"]
    failed = next(i for i, _, state in trials(bench, "a.study") if state == "failed")
    assert "memory" in bench.show("a.study", str(failed))["reason"]


def not_finite_everywhere(bench):
    done = bench.run(bench.search("a.study", "--lr", "1e6", "--generations", "2"), expect=1)
    one_line(done, "every trial of generation 0 failed")
    assert bench.show("a.study")["trials"]["failed"] == 6
    assert "finite" in bench.show("a.study", "1")["reason"]


def measured_objectives(bench):
    bench.run(bench.search("a.study", "--objectives", "bpb,decode,prefill,memory", "--generations", "2"))
    for i in range(1, 11):
        values = bench.show("a.study", str(i))["objectives"]
        assert 0 < values["decode"] < 1 and 0 < values["prefill"] < 1 and values["memory"] > 1000
    with sqlite3.connect(bench.path("a.study")) as db:
        alone = db.execute("SELECT a.job FROM attempt a JOIN job j ON j.id = a.job JOIN attempt b ON"
                           " b.job <> a.job AND b.started < a.ended AND b.ended > a.started"
                           " WHERE j.kind = 'measure'").fetchall()
        assert not alone, "measured beside other work: %s" % alone


def mad_as_objective(bench):
    """Alone and beside bits per byte; a killed search ends with the same scores."""
    suite = ("--mad-suite", "recall:length=6,train=16,test=16", "--generations", "1", "--population", "2")
    bench.run(bench.search("a.study", "--objectives", "mad,bpb", *suite))
    front = bench.front("a.study")
    assert all(0 <= x["objectives"]["mad"] < 0.999 for x in json.loads(front)["front"]), front
    trial = bench.show("a.study", "1")
    assert set(trial["mad_tasks"]) == {"in-context-recall"} and trial["state"] == "done"
    assert abs(1 - trial["mad_tasks"]["in-context-recall"] - trial["objectives"]["mad"]) < 1e-12
    assert 0 < trial["objectives"]["bpb"] < 9
    killed = bench.search("b.study", "--objectives", "mad,bpb", *suite)
    for moment in (1, 2):
        process = bench.start(killed)
        time.sleep(moment)
        kill_group(process)
    bench.run(killed)
    assert bench.front("b.study") == front
    bench.run(bench.search("c.study", "--objectives", "mad,params", *suite))
    values = bench.show("c.study", "2")["objectives"]
    assert "bpb" not in values and 0 <= values["mad"] < 1, values
    bad = bench.run(bench.search("d.study", "--objectives", "mad", "--mad-suite", "juggling"), expect=1)
    one_line(bad, "juggling")


def finals_resume(bench):
    bench.run(bench.search("a.study", "--generations", "2"))
    command = [bench.sartor, "finals", bench.path("a.study"), "--top", "2", "--tokens", "20k", "--seeds",
               "2", "--baselines", "transformer++", "--quiet", "--json"]
    finals = bench.start(command)
    time.sleep(1)
    kill_group(finals)
    first = json.loads(bench.run(command).stdout)
    assert first == json.loads(bench.run(command).stdout)
    assert 2 <= len(first["finals"]) <= 3 and first["tokens"] == 20000
    assert {x["baseline"] for x in first["finals"]} >= {"transformer++"}
    fewer = list(command)
    fewer[fewer.index("--seeds") + 1] = "1"
    assert all(len(x["bpb"]["values"]) == 1 for x in json.loads(bench.run(fewer).stdout)["finals"])
    for x in first["finals"]:
        assert len(x["bpb"]["values"]) == 2 and x["bpb"]["std"] >= 0 and x["decode"] > 0, x
    means = [x["bpb"]["mean"] for x in first["finals"]]
    assert means == sorted(means)
    # With the tokens and the seed of the search a final repeats it, on the same validation text.
    command[command.index("--tokens") + 1] = "10k"
    command[command.index("--seeds") + 1] = "1"
    again = json.loads(bench.run(command).stdout)["finals"]
    assert any(x["search"] for x in again)
    for x in again:
        assert (x["search"] is None) == (x["trial"] is None)
        if x["search"]:
            shown = bench.show("a.study", str(x["trial"]))
            assert x["search"] == {**shown["training"], "bpb": shown["objectives"]["bpb"]}
            assert x["validation"]["values"] == [shown["objectives"]["bpb"]]


def weights_are_kept_by_policy(bench):
    bench.run(bench.search("a.study"))
    front = {x["trial"] for x in json.loads(bench.front("a.study"))["front"]}
    kept = {i for i in range(1, 15) if bench.show("a.study", str(i))["model"]}
    assert kept == front, (kept, front)
    model = bench.show("a.study", str(min(front)))["model"]
    bench.run([bench.sartor, "generate", model, "--prompt", "ab", "--tokens", "5", "--quiet"])
    bench.run(bench.search("b.study", "--keep", "all", "--generations", "2"))
    assert all(bench.show("b.study", str(i))["model"] for i in range(1, 11))


def other_settings_are_refused(bench):
    bench.run(bench.search("a.study", "--generations", "1"))
    done = bench.run(bench.search("a.study", "--generations", "1", "--width", "48"), expect=1)
    one_line(done, "width", "32", "48")
    with open(bench.path("text", "00.txt"), "ab") as f:
        f.write(b"more text\n" * 50)
    done = bench.run(bench.search("a.study", "--generations", "2"), expect=1)
    one_line(done, "a.study")
    done = bench.run([bench.sartor, "work", bench.path("a.study"), "--quiet"])


def changed_data_stops_workers(bench):
    bench.run(bench.search("a.study", "--generations", "1"))
    with sqlite3.connect(bench.path("a.study")) as db:
        db.execute("UPDATE fact SET value = '2' WHERE name = 'generations'")
    for name in os.listdir(bench.path("text")):
        with open(bench.path("text", name), "ab") as f:
            f.write(b"more text\n" * 50)
    done = bench.run([bench.sartor, "work", bench.path("a.study"), "--quiet"], expect=1)
    one_line(done, "has changed since the study was made")
    assert bench.show("a.study")["trials"]["failed"] == 0


def other_instruction_set(bench):
    bench.run(bench.search("a.study", "--generations", "1"))
    with sqlite3.connect(bench.path("a.study")) as db:
        db.execute("UPDATE fact SET value = '2' WHERE name = 'generations'")
    done = bench.run([bench.sartor, "work", bench.path("a.study"), "--quiet"], expect=1,
                     SARTOR_ISA="base")
    one_line(done, "base", "--mixed")
    bench.run([bench.sartor, "work", bench.path("a.study"), "--quiet", "--mixed"], SARTOR_ISA="base")
    assert bench.show("a.study")["trials"]["done"] == 10


def bad_study_files(bench):
    bench.run(bench.search("a.study", "--generations", "1"))
    for name, content in (("empty.study", b""), ("text.study", b"not a database\n" * 500),
                          ("cut.study", open(bench.path("a.study"), "rb").read()[:5000])):
        with open(bench.path(name), "wb") as f:
            f.write(content)
        for command in ("front", "show", "work"):
            done = bench.run([bench.sartor, command, bench.path(name)], expect=1)
            one_line(done, name)
    done = bench.run([bench.sartor, "front", bench.path("none.study")], expect=1)
    one_line(done, "none.study")
    shutil.copy(bench.path("a.study"), bench.path("new.study"))
    with sqlite3.connect(bench.path("new.study")) as db:
        db.execute("PRAGMA user_version = 99")
    done = bench.run([bench.sartor, "front", bench.path("new.study")], expect=1)
    one_line(done, "newer")


def corrupted_rows(bench):
    """Rows that no sartor wrote: one line, never a crash."""
    bench.run(bench.search("a.study", "--generations", "2"))
    rng = random.Random(5)
    clean = open(bench.path("a.study"), "rb").read()
    for i in range(40):
        data = bytearray(clean)
        for _ in range(rng.choice((1, 20, 400))):
            data[rng.randrange(100, len(data))] = rng.randrange(256)
        with open(bench.path("bad.study"), "wb") as f:
            f.write(data)
        for command in (["front"], ["show"], ["show", "3"]):
            done = subprocess.run([bench.sartor, command[0], bench.path("bad.study"), *command[1:],
                                   "--json"], capture_output=True, text=True, timeout=60,
                                  env=bench.environment, errors="replace")
            assert done.returncode in (0, 1), (i, command, done.returncode, done.stderr)


def rows_that_no_sartor_wrote(bench):
    """Edited by hand: an answer or one line, never a crash, a wait for ever, or memory without end."""
    bench.run(bench.search("a.study", "--generations", "2", "--population", "4"))
    undone = ("DELETE FROM generation WHERE number = 1; DELETE FROM parent WHERE generation = 1;"
              "UPDATE trial SET state = 'open' WHERE id = 5;")
    lease = ("UPDATE job SET state = 'running', lease_until = %s"
             " WHERE id = (SELECT job FROM trial WHERE id = 5)")
    finals = "INSERT INTO fact VALUES ('finals', '%s')"
    edits = {
        "UPDATE trial SET id = -5 WHERE id = 3": (),
        "UPDATE trial SET id = 9223372036854775807 WHERE id = 3": (),
        "UPDATE trial SET id = -9223372036854775807 - 1 WHERE id = 3": (),
        "UPDATE trial SET generation = 1000000000000 WHERE id = 5": ("work",),
        "UPDATE trial SET generation = 'x' WHERE id = 5": ("work",),
        "UPDATE trial SET genome = CAST(x'ff' AS TEXT) WHERE id = 2": ("show 2", "report"),
        "UPDATE trial SET operator = CAST(x'ff' AS TEXT) WHERE id = 2": ("show 2", "report"),
        "UPDATE trial SET parent1 = id, parent2 = id": (),
        "UPDATE value SET value = 9e999": (),
        finals % '{"tokens": 1, "seeds": 1, "members": [{}]}': ("report",),
        finals % "[]": ("report",),
        undone: ("work",),
        undone + "UPDATE trial SET job = NULL WHERE id = 5": ("work",),
        undone + lease % "NULL": (),
        undone + lease % "1e300": (),
        undone + "UPDATE job SET state = 'waiting', attempt = 9223372036854775807": ("work",),
    }
    for sql, refused in edits.items():
        for command in ("front", "show", "show 2", "report", "work"):
            for suffix in ("", "-wal", "-shm"):
                if os.path.exists(bench.path("b.study" + suffix)):
                    os.remove(bench.path("b.study" + suffix))
            shutil.copy(bench.path("a.study"), bench.path("b.study"))
            with sqlite3.connect(bench.path("b.study")) as db:
                db.executescript(sql)
            db.close()
            name, *more = command.split()
            more += {"report": ["--out", bench.path("page.html")],
                     "work": ["--quiet"]}.get(name, ["--json"])
            done = subprocess.run([bench.sartor, name, bench.path("b.study"), *more], timeout=60,
                                  capture_output=True, text=True, env=bench.environment)
            assert done.returncode in (0, 1), (sql, command, done.returncode, done.stderr)
            assert command not in refused or done.returncode == 1, (sql, command)
            if done.returncode == 1:
                one_line(done, "b.study")
                assert "not enough memory" not in done.stderr, (sql, command, done.stderr)


def names_of_studies(bench):
    """A name like an option, a link, and the folder of a study that was removed."""
    few = ("--generations", "1", "--population", "2")
    command = bench.search("x", *few)
    command[command.index("--study"):command.index("--study") + 2] = ["--study=-x.study"]
    done = subprocess.run(command, capture_output=True, text=True, env=bench.environment,
                          cwd=bench.folder, timeout=60)
    assert done.returncode == 0, done.stderr
    os.symlink("real.study", bench.path("link.study"))
    bench.run(bench.search("link.study", *few))
    assert not os.path.exists(bench.path("link.study.d"))
    assert bench.show("real.study", "1")["model"] or bench.show("real.study", "2")["model"]
    os.remove(bench.path("real.study"))
    done = bench.run(bench.search("real.study", *few, "--seed", "1"), expect=1)
    one_line(done, "real.study.d", "gone")


def relative_paths(bench):
    """Data named from one folder and used from another."""
    os.mkdir(bench.path("else"))
    command = bench.search("a.study", "--generations", "1")
    command[command.index("--data") + 1] = "text"
    subprocess.run(command, check=True, capture_output=True, cwd=bench.folder,
                   env=bench.environment)
    with sqlite3.connect(bench.path("a.study")) as db:
        text = json.loads(db.execute("SELECT value FROM fact WHERE name = 'text'").fetchone()[0])
        db.execute("UPDATE fact SET value = '2' WHERE name = 'generations'")
    assert all(os.path.isabs(x) for x in text["data"]), text
    subprocess.run([bench.sartor, "work", bench.path("a.study"), "--quiet"], check=True, timeout=60,
                   capture_output=True, cwd=bench.path("else"), env=bench.environment)
    assert bench.show("a.study")["trials"]["done"] == 10 and not os.listdir(bench.path("else"))


def removed_folders_are_not_followed(bench):
    """Weights that are not kept are removed, but not what a link in their place names."""
    bench.run(bench.search("a.study", "--generations", "1", "--keep", "all"))
    os.mkdir(bench.path("mine"))
    open(bench.path("mine", "file"), "w").close()
    for name in os.listdir(bench.path("a.study.d", "trial")):
        shutil.rmtree(bench.path("a.study.d", "trial", name))
        os.symlink(bench.path("mine"), bench.path("a.study.d", "trial", name))
    bench.run(bench.search("a.study", "--generations", "2"))
    assert os.path.exists(bench.path("mine", "file"))


def locked_study(bench):
    bench.run(bench.search("a.study", "--generations", "1"))
    holder = sqlite3.connect(bench.path("a.study"), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    bench.ask("front", "a.study")  # readers are not kept out
    done = bench.run(bench.search("a.study", "--generations", "2"), expect=1)
    one_line(done, "locked")
    holder.execute("ROLLBACK")
    holder.close()


def full_disk(bench):
    small = bench.path("small")
    os.mkdir(small)
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "none", small]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        raise Skipped("a small file system cannot be mounted here")
    try:
        done = bench.run(bench.search("small/a.study"), expect=1)
        one_line(done)
        assert "disk" in done.stderr or "space" in done.stderr, done.stderr
        shutil.copytree(small, bench.path("large"))
    finally:
        subprocess.run(["umount", small], check=True)
    bench.run(bench.search("large/a.study"))
    bench.run(bench.search("b.study"))
    assert bench.front("large/a.study") == bench.front("b.study")


def read_only_folder(bench):
    os.mkdir(bench.path("shut"))
    bench.run(bench.search("shut/a.study", "--generations", "1"))
    front = bench.front("shut/a.study")
    os.mkdir(bench.path("view"))
    mount = ["mount", "--bind", bench.path("shut"), bench.path("view")]
    again = ["mount", "-o", "remount,ro,bind", bench.path("view")]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        raise Skipped("a folder cannot be made read-only here")
    try:
        if subprocess.run(again, capture_output=True).returncode != 0:
            raise Skipped("a folder cannot be made read-only here")
        assert bench.front("view/a.study") == front
        bench.show("view/a.study", "1")
        done = bench.run(bench.search("view/a.study", "--generations", "2"), expect=1)
        one_line(done, "a.study")
    finally:
        subprocess.run(["umount", bench.path("view")], check=True)


def reading_while_it_runs(bench):
    search = bench.start(bench.search("a.study", "--train-tokens", "40k"))
    assert wait_for(lambda: trials_exist(bench, "a.study"))
    asked = 0
    while search.poll() is None:
        json.loads(bench.front("a.study"))
        bench.show("a.study")
        asked += 1
    assert search.returncode == 0 and asked > 3
    search.stderr.close()


if __name__ == "__main__":
    main([same_with_one_or_two_workers, other_seed_other_search, total_of_generations, every_algorithm,
          killed_at_random_moments, stopped_worker_is_fenced, interrupted_and_continued,
          joined_from_another_terminal, seeds_are_marked, limits_hold, duplicates_are_not_trained,
          memory_limit_refuses_some, not_finite_everywhere, measured_objectives, mad_as_objective,
          finals_resume, weights_are_kept_by_policy, other_settings_are_refused, changed_data_stops_workers,
          other_instruction_set, bad_study_files, corrupted_rows, rows_that_no_sartor_wrote,
          names_of_studies, relative_paths, removed_folders_are_not_followed, locked_study, full_disk,
          read_only_folder, reading_while_it_runs])
