#!/usr/bin/env python3
"""Runs the examples of the manual: what it shows is what sartor does.

    tests/cli/manual.py SARTOR MANUAL

Every fenced `console` block holds commands ("$ ...") and what they print. All run in one folder, in
order, each must succeed, and its messages and output together must be the lines that follow it:
"..." alone stands for any lines, inside a line for any text.
"""
import os
import re
import subprocess
import sys
import tempfile

from run import write_corpus


def examples(path):
    """(line number, command, expected lines) of every example."""
    found, inside = [], False
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f.read().splitlines(), 1):
            if line.startswith("```"):
                inside = line == "```console"
            elif inside and line.startswith("$ "):
                found.append((number, line[2:], []))
            elif inside:
                found[-1][2].append(line)
    return found


def matches(wanted, out):
    """As one regular expression over all lines."""
    parts = []
    for line in wanted:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(p) for p in line.split("...")) + r"\n")
    return re.fullmatch("".join(parts), out) is not None


def main():
    sartor, manual = (os.path.abspath(p) for p in sys.argv[1:])
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sartor-manual-") as folder:
        env = dict(os.environ, LC_ALL="C.UTF-8", SARTOR_CACHE=os.path.join(folder, "cache"),
                   OMP_WAIT_POLICY="passive",
                   PATH=os.path.dirname(sartor) + ":" + os.environ["PATH"])
        write_corpus(os.path.join(folder, "books"))
        for number, command, wanted in examples(manual):
            done = subprocess.run(["bash", "-c", command], cwd=folder, env=env, timeout=120,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            out = done.stdout.decode("utf-8", "replace")
            if out and not out.endswith("\n"):
                out += "\n"
            good = done.returncode == 0 and matches(wanted, out)
            failed += not good
            print("%s  line %d: %s" % ("ok  " if good else "FAIL", number, command))
            if not good:
                print("      exit code %d, output:\n%s" % (done.returncode, out))
    print("%d failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
