"""What the search tests share: a small text, commands, processes to kill, and a list of tests."""
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

SKIP = 77


class Skipped(Exception):
    pass


class Bench:
    """A folder with a text, and sartor run in it."""

    # Four LIVs of width 32: a trial takes a fraction of a second.
    sizes = ("--livs 4 --width 32 --head-dim 8 --context 64 --batch 4 --train-tokens 10k "
             "--population 6 --generations 3 --quiet").split()

    def __init__(self, sartor):
        self.sartor = os.path.abspath(sartor)
        self.folder = tempfile.mkdtemp(prefix="sartor-search-")
        self.environment = dict(os.environ, SARTOR_CACHE=self.path("cache"), OMP_WAIT_POLICY="passive")
        self.make_text()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make_text(self):
        """Sentences with some structure, in documents, so that every part has text."""
        rng = random.Random(7)
        words = [bytes(rng.choice(b"abcdefghij") for _ in range(rng.randint(2, 7))) for _ in range(200)]
        os.mkdir(self.path("text"))
        for i in range(60):
            text = b"".join(b" ".join(rng.choice(words) for _ in range(8)) + b".\n" for _ in range(60))
            with open(self.path("text", "%02d.txt" % i), "wb") as f:
                f.write(text)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def search(self, study, *more, workers=2):
        """The command line of a search."""
        return [self.sartor, "search", "--study", self.path(study), "--data", self.path("text"),
                *self.sizes, "--workers", str(workers), *more]

    def run(self, command, expect=0, **more):
        done = subprocess.run(command, capture_output=True, text=True, env={**self.environment, **more},
                              timeout=280)
        assert done.returncode == expect, "exit %d, expected %d: %s\n%s" % (
            done.returncode, expect, " ".join(command), done.stderr)
        return done

    def ask(self, what, study, *more):
        return self.run([self.sartor, what, self.path(study), *more, "--json"]).stdout

    def front(self, study):
        return self.ask("front", study)

    def show(self, study, *more):
        return json.loads(self.ask("show", study, *more))

    def start(self, command, **more):
        """A process group of its own, so that it can be killed with all it started."""
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env={**self.environment, **more}, start_new_session=True)


def kill_group(process):
    """SIGKILL to a search and all of its workers at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    process.stderr.close()


def workers_of(process):
    """Process ids of the direct children."""
    try:
        with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as f:
            return [int(x) for x in f.read().split()]
    except OSError:
        return []


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def trials(bench, study):
    with sqlite3.connect("file:%s?mode=ro" % bench.path(study), uri=True) as db:
        return db.execute("SELECT id, arch, state FROM trial ORDER BY id").fetchall()


def trials_exist(bench, study):
    try:
        return bool(trials(bench, study))
    except sqlite3.Error:
        return False


def one_line(done, *parts):
    """The message is one line and says what it should."""
    lines = [x for x in done.stderr.splitlines() if x.startswith("sartor: ")]
    assert len(lines) == 1, done.stderr
    for part in parts:
        assert part in lines[0], "%r is not in %r" % (part, lines[0])


def main(tests):
    """Runs the tests named on the command line behind the program, or all."""
    sartor, names = sys.argv[1], sys.argv[2:]
    failed = ran = 0
    for test in tests:
        if names and test.__name__ not in names:
            continue
        bench = Bench(sartor)
        start = time.monotonic()
        try:
            test(bench)
            print("ok      %-32s %5.1f s" % (test.__name__, time.monotonic() - start), flush=True)
            ran += 1
        except Skipped as why:
            print("skipped %-32s %s" % (test.__name__, why), flush=True)
        except Exception as error:  # a failing test must not hide the others
            print("FAILED  %-32s %s: %s" % (test.__name__, type(error).__name__, error), flush=True)
            failed += 1
        finally:
            bench.close()
    sys.exit(1 if failed else 0 if ran else SKIP)
