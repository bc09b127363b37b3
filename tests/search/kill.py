#!/usr/bin/env python3
"""The long form of the kill test: a search of real size on real text, killed again and again at random
moments (the search with its workers, or one worker, or the search alone), must end with the same front,
byte for byte, as one that was left in peace; no finished trial may be lost or trained twice.

    kill.py SARTOR TEXT FOLDER [KILLS [SEED]]         default: 20 kills, seed 0; about 15 minutes
"""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import kill_group, workers_of  # noqa: E402


def command(sartor, text, study, workers):
    return [sartor, "search", "--study", study, "--data", text, "--livs", "12", "--width", "64",
            "--head-dim", "16", "--batch", "4", "--lr", "4e-3", "--train-tokens", "200k", "--population",
            "10", "--generations", "4", "--seed-with", "transformer++,lfm2", "--workers", str(workers),
            "--quiet"]


def finished(study):
    """Ids of the finished jobs, and how often each was finished."""
    with sqlite3.connect("file:%s?mode=ro" % study, uri=True, timeout=20) as db:
        return dict(db.execute("SELECT job, count(*) FROM attempt WHERE outcome = 'done' GROUP BY job"))


def front(sartor, study):
    return subprocess.run([sartor, "front", study, "--json"], check=True, capture_output=True).stdout


def start(arguments):
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


def disturb(search, rng, how):
    """Kills something; true when the search itself must be started again."""
    workers = workers_of(search)
    if how == "worker" and workers:
        os.kill(rng.choice(workers), signal.SIGKILL)
        return False
    if how == "search":
        os.kill(search.pid, signal.SIGKILL)
        search.wait()
        search.stderr.close()
        return True
    kill_group(search)
    return True


def main():
    sartor, text, folder = (os.path.abspath(x) for x in sys.argv[1:4])
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    rng = random.Random(int(sys.argv[5]) if len(sys.argv) > 5 else 0)
    os.makedirs(folder, exist_ok=True)
    peace, war = (os.path.join(folder, x) for x in ("peace.study", "war.study"))
    began = time.monotonic()
    subprocess.run(command(sartor, text, peace, 2), check=True, stdout=subprocess.DEVNULL)
    length = time.monotonic() - began
    print("undisturbed: %.0f s" % length, flush=True)
    before, search = {}, None
    for i in range(kills):
        if search is None:
            search = start(command(sartor, text, war, 1 + i % 2))
        time.sleep(rng.uniform(0.2, 2.0 * length / kills))
        if search.poll() is not None:
            print("finished after %d kills" % i)
            break
        how = ("all", "worker", "search")[i % 3]
        if disturb(search, rng, how):
            search = None
        if os.path.exists(war):
            now = finished(war)
            assert all(now.get(job) == n for job, n in before.items()), "a finished trial was lost"
            before = now
        print("kill %2d (%s): %d trials finished" % (i + 1, how, len(before)), flush=True)
    if search is not None:
        search.wait()
        search.stderr.close()
    subprocess.run(command(sartor, text, war, 2), check=True, stdout=subprocess.DEVNULL)
    assert all(n == 1 for n in finished(war).values()), "a trial was finished twice"
    assert front(sartor, war) == front(sartor, peace), "the fronts differ"
    print("the fronts are equal")


if __name__ == "__main__":
    main()
