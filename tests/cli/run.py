#!/usr/bin/env python3
"""Runs the command-line cases of this folder against a sartor program.

    tests/cli/run.py SARTOR [--update] [WORD...]     WORD: only cases whose name contains it

A case in a *.case file starts with "== name" and runs in a folder of its own with a small corpus,
text/. Its lines:

    use run             a trained model in run/ (trained once for all cases)
    use study           a finished study, study.db and study.db.d/ (searched once for all cases)
    hostile KIND PATH [FILE]    a broken copy of its model file, or of this one (HOSTILE below)
    file PATH TEXT      a file; escapes as in Python
    do COMMAND          a shell command that must succeed
    run ARGUMENTS       sartor with these arguments; what follows is expected of it
    sh COMMAND          the same for a shell command
    tty ARGUMENTS       the same with both outputs on a terminal
    signal NAME PATH ARGUMENTS      the same, sent a signal once a file matches PATH
    exit N              exit code (0 when not given)
    out TEXT, err TEXT  a line of the output or of the messages
    out~ RE, err~ RE    a regular expression found in them
    silent              there is no output
    golden FILE         the output is that file; --update writes it
    json KIND           the output is one line of JSON as promised (SCHEMAS below)
    value PATH LOW HIGH a number in the JSON
    exists PATH, absent PATH, same PATH     files after the run; same: unchanged by it

Whatever is expected: a failure is exactly one line "sartor...: message" at the end of the messages,
wrong usage is that line alone, and nothing ends by a signal of its own.
"""
import glob
import hashlib
import json
import os
import pty
import random
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MEASURE = [("version", int), ("val_loss", float), ("bits_per_byte", float), ("perplexity", float),
           ("tokens", int), ("seconds", float), ("tokens_per_second", float),
           ("peak_rss_bytes", int), ("peak_anonymous_bytes", int)]
SCHEMAS = {
    "measure": MEASURE,
    "inspect": [("version", int), ("genome", str), ("genome_id", str), ("id", str), ("livs", int),
                ("width", int),
                ("params", [("backbone", int), ("embedding", int), ("total", int)]),
                ("cache_bytes", int), ("flops_per_token", float), ("train_memory_bytes", int)],
    "generate": [("version", int), ("text", str), ("tokens", int), ("tokens_per_second", float)],
    "grow": [("version", int), ("max_abs_logit_difference", float), ("params_before", int),
             ("params_after", int), ("new_entries", int), ("exact", bool),
             ("flops_per_token_before", float), ("flops_per_token_after", float)],
    "tokenizer": [("version", int), ("vocab", int), ("text_bytes", int)],
    "livs": [("version", int), ("livs", list)],
    "ops": [("version", int), ("ops", list)],
    "presets": [("version", int), ("presets", list)],
    "kernels": [("version", int), ("kernels", list)],
}
SIZES = [("livs", int), ("width", int), ("head_dim", int), ("window", int), ("context", int),
         ("vocab", int), ("tie_embeddings", bool)]
OPTIONAL_TEXT = (str, type(None))
SCHEMAS.update({
    "plan": [("version", int), ("trials", int), ("seconds", float), ("disk_bytes", int),
             ("memory_bytes", int)],
    "front": [("version", int), ("objectives", list), ("reference", list), ("front", list)],
    "show": [("version", int),
             ("trials", [("done", int), ("running", int), ("failed", int), ("waiting", int)]),
             ("generation", int), ("hypervolume", list), ("settings", dict),
             ("training", (dict, type(None))), ("training_flops", list)],
    "finals": [("version", int), ("tokens", int), ("seeds", int), ("finals", list)],
    "scale": [("version", int), ("results", list), ("shared", dict)],
    "scale-plan": [("version", int), ("runs", list), ("flops", float), ("text_bytes", int),
                   ("memory_bytes", int)],
    "mad": [("version", int), ("results", list)],
    "mad-plan": [("version", int), ("study", str), ("settings", list), ("runs", int),
                 ("flops", float), ("memory_bytes", int)],
})
# Rows of the lists in an answer, and the answer whose keys come in any order and may be more.
FRONT_ROW = [("trial", int), ("id", str), ("genome", str), ("sizes", SIZES), ("generation", int),
             ("objectives", dict), ("baseline", OPTIONAL_TEXT)]
SPREAD = [("mean", float), ("std", float), ("values", list)]
FINALS_ROW = [("trial", (int, type(None))), ("id", str), ("genome", str),
              ("baseline", OPTIONAL_TEXT), ("bpb", SPREAD), ("params", int), ("cache", int),
              ("flops", float), ("prefill", float), ("decode", float), ("validation", SPREAD),
              ("search", (dict, type(None)))]
TRAINING = [("tokens", int), ("flops", float), ("inherits", list), ("inherited_share", float),
            ("lineage", [("trials", int), ("tokens", int), ("flops", float)]),
            ("tokens_from_scratch", int), ("stopped", (float, type(None))), ("rungs", list)]
TRIAL = [("version", int), ("trial", int), ("id", str), ("genome", str), ("names", str),
         ("sizes", SIZES), ("generation", int), ("state", str), ("reason", OPTIONAL_TEXT),
         ("baseline", OPTIONAL_TEXT), ("operator", str), ("parents", list), ("mutations", int),
         ("objectives", dict), ("front", bool), ("model", OPTIONAL_TEXT), ("curve", list)]
MAD_ROW = [("arch", str), ("tasks", dict), ("mad", (float, type(None)))]
MAD_SETTING = [("setting", str), ("score", float), ("accuracy", float), ("accuracy_macro", float),
               ("perplexity", float)]
LIV_ROW = [("number", int), ("name", str), ("code", list), ("family", str), ("differential", bool),
           ("summary", str)]
TRAINED = ("train --arch transformer++ --livs 2 --width 32 --head-dim 16 --context 32 --batch 4 "
           "--steps 30 --threads 1 --data text --out run --quiet")
SEARCHED = ("search --study study.db --data text --livs 2 --width 32 --head-dim 16 --context 32 "
            "--batch 4 --train-tokens 2k --population 4 --generations 2 --seed-with transformer++ "
            "--workers 2 --quiet")


# ---- material ----

def write_corpus(folder):
    """About 60 KB of sentences, the same on every machine."""
    os.makedirs(folder)
    draw = random.Random(1)
    words = ["".join(draw.choice("bcdfglmnprst") + draw.choice("aeiou")
                     for _ in range(draw.randint(1, 3))) for _ in range(300)]
    for number in range(20):
        text = []
        for _ in range(8):
            sentences = [" ".join(draw.choice(words) for _ in range(draw.randint(4, 12)))
                         for _ in range(8)]
            text.append(". ".join(s.capitalize() for s in sentences) + ".\n")
        with open(os.path.join(folder, "%02d.txt" % number), "w", encoding="ascii") as f:
            f.write("\n".join(text))


def safetensors(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def edited(model, change):
    """The model file with its header changed by `change`."""
    size = struct.unpack("<Q", model[:8])[0]
    header = json.loads(model[8:8 + size])
    change(header)
    return safetensors(header, model[8 + size:])


def noted(key, change):
    """A break of the JSON in the metadata `key` by `change`."""
    def edit(header):
        notes = header["__metadata__"]
        note = json.loads(notes[key])
        change(note)
        notes[key] = json.dumps(note)
    return lambda model: edited(model, edit)


def architecture(**values):
    return noted("sartor", lambda a: a.update(values))


def grown_from(**values):
    return noted("sartor.growth", lambda g: g["from"].update(values))


def first_tensor(header):
    return next(v for k, v in header.items() if k != "__metadata__" and k != "tokenizer")


def not_finite(model):
    """Some weights, behind which there are good ones, are NaN."""
    size = 8 + struct.unpack("<Q", model[:8])[0]
    at = size + json.loads(model[8:size])["unembed.weight"]["data_offsets"][0]
    return model[:at] + struct.pack("<f", float("nan")) * 100 + model[at + 400:]


HOSTILE = {
    "not-finite": not_finite,
    "truncated": lambda m: m[:len(m) // 2],
    "short": lambda m: m[:5],
    "empty": lambda m: b"",
    "text": lambda m: b"This is no model at all, only text.\n" * 30,
    "huge-header": lambda m: struct.pack("<Q", 1 << 60) + m[8:],
    "overlap": lambda m: edited(m, lambda h: first_tensor(h).update(data_offsets=[4, 8])),
    "wrong-type": lambda m: edited(m, lambda h: first_tensor(h).update(dtype="F64")),
    "duplicate": lambda m: safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"\0" * 4),
    "deep": lambda m: safetensors(b'{"a":' * 100000 + b"1" + b"}" * 100000),
    "not-sartor": lambda m: safetensors(
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
    "no-weights": lambda m: edited(
        m, lambda h: [h.pop(k) for k in list(h) if k.endswith("gain")]),
    "units-text": architecture(units="all"),
    "units-behind": architecture(units=[{"liv": 99, "ff": 96}]),
    "units-twice": architecture(units=[{"liv": 1, "ff": 96}] * 2),
    "units-huge": architecture(units=[{"liv": 1, "ff": 1 << 62}]),
    "units-negative": architecture(units=[{"liv": 1, "ff": -96}]),
    "units-larger": architecture(units=[{"liv": 1, "ff": 65536}]),
    "pairs-huge": noted("sartor", lambda a: a["units"][0].update(pairs=(1 << 63) - 1)),
    "divisor-huge": architecture(divisor=(1 << 63) - 1),
    "divisor-negative": architecture(divisor=-1),
    "growth-text": lambda m: edited(
        m, lambda h: h["__metadata__"].update({"sartor.growth": "bigger"})),
    "growth-vocab": grown_from(vocab=200),
    "growth-width": grown_from(width=48),
    "growth-genome": grown_from(genome="1.1.1.1.1"),
    "growth-units": grown_from(units=[{"liv": 0, "key": -1}]),
    "growth-origin": noted("sartor.growth", lambda g: g.update(origin=[[1 << 32, 1, 1], [1, 1, 1]])),
    "growth-weights": noted("sartor.growth", lambda g: g.update(weights="0" * 32)),
}


# ---- checks ----

class NoTerminal(Exception):
    """The machine has no pseudo-terminals: what needs one is skipped."""


class Wrong(Exception):
    pass


def expect(condition, message):
    if not condition:
        raise Wrong(message)


def check_schema(value, schema, where="the JSON", open=False):
    """`open`: other keys and any order are allowed."""
    expect(isinstance(value, dict), where + " is no object")
    wanted = [k for k, _ in schema]
    keys = [k for k in wanted if k in value] if open else list(value)
    expect(keys == wanted, "%s has the keys %s" % (where, list(value)))
    for key, kind in schema:
        if isinstance(kind, list):
            check_schema(value[key], kind, key)
        else:
            kinds = kind if isinstance(kind, tuple) else (kind,)
            expect(type(value[key]) in kinds, "%s is %r" % (key, value[key]))


def check_json(kind, out):
    expect(out.count("\n") == 1 and out.endswith("\n"), "not one line: %r" % out)
    value = json.loads(out)
    if kind == "trial":
        check_schema(value, TRIAL, open=True)
        if value["state"] == "done":
            check_schema(value["training"], TRAINING, "training")
    else:
        check_schema(value, SCHEMAS[kind])
    expect(value["version"] == 1, "version %r" % value["version"])
    if kind == "livs":
        for row in value["livs"]:
            check_schema(row, LIV_ROW, "a class")
            expect(len(row["code"]) == 5, "code %s" % row["code"])
    if kind == "front":
        expect(len(value["reference"]) == len(value["objectives"]), "a number for each objective")
        for row in value["front"]:
            check_schema(row, FRONT_ROW, "a row")
            expect(list(row["objectives"]) == value["objectives"], "other objectives in a row")
    if kind == "mad":
        for row in value["results"]:
            check_schema(row, MAD_ROW, "a result")
            scores = [task["score"] for task in row["tasks"].values()]
            expect(abs(sum(scores) / len(scores) - row["mad"]) < 1e-12, "mad is no mean")
            for task in row["tasks"].values():
                check_schema(task, [("score", float), ("settings", list)], "a task")
                for setting in task["settings"]:
                    check_schema(setting, MAD_SETTING, "a setting", open=True)
    if kind == "finals":
        means = [row["bpb"]["mean"] for row in value["finals"]]
        expect(means == sorted(means), "the best is not the first")
        for row in value["finals"]:
            check_schema(row, FINALS_ROW, "a row")
            expect(len(row["bpb"]["values"]) == value["seeds"], "a value for each seed")
            expect((row["search"] is None) == (row["trial"] is None), "search of a trial")
            if row["search"] is not None:
                check_schema(row["search"], TRAINING + [("bpb", float)], "search")
    return value


def fingerprint(path):
    """Of a file or a folder: names and contents; None where it is missing."""
    if os.path.isdir(path):
        return {n: fingerprint(os.path.join(path, n)) for n in sorted(os.listdir(path))}
    if not os.path.exists(path):
        return None
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Runner:
    def __init__(self, sartor, update):
        self.sartor = os.path.abspath(sartor)
        self.update = update
        self.top = tempfile.mkdtemp(prefix="sartor-cli-")
        self.env = dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm", OMP_WAIT_POLICY="passive",
                        SARTOR_CACHE=os.path.join(self.top, "cache"),
                        PATH=os.path.dirname(self.sartor) + ":" + os.environ["PATH"])
        write_corpus(os.path.join(self.top, "text"))
        self.made = {}

    def material(self, path, arguments):
        """What sartor with these arguments makes at `path`, once for all cases."""
        if path not in self.made:
            done = subprocess.run([self.sartor] + shlex.split(arguments), cwd=self.top,
                                  env=self.env, capture_output=True, text=True, timeout=240)
            expect(done.returncode == 0, "cannot make %s for the cases: %s" % (path, done.stderr))
            self.made[path] = os.path.join(self.top, path)
        return self.made[path]

    def model(self):
        return self.material("run", TRAINED)

    def use_study(self, cwd):
        study = self.material("study.db", SEARCHED)
        for path in [study] + [study + end for end in ("-wal", "-shm") if
                               os.path.exists(study + end)]:
            shutil.copy(path, cwd)
        shutil.copytree(study + ".d", os.path.join(cwd, "study.db.d"))

    def start(self, verb, rest, cwd):
        """Runs one command; exit code, output and messages."""
        words = ["bash", "-c", rest] if verb == "sh" else [self.sartor] + shlex.split(rest)
        if verb == "tty":
            return self.on_terminal(words, cwd)
        name = None
        if verb == "signal":
            name, mark, words = words[1], words[2], words[:1] + words[3:]
        child = subprocess.Popen(words, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if name is not None:
            mark = os.path.join(cwd, mark)
            end = time.monotonic() + 60
            while not glob.glob(mark) and child.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            child.send_signal(getattr(signal, "SIG" + name))
        out, err = child.communicate(timeout=120)
        return child.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def on_terminal(self, words, cwd):
        try:
            master, slave = pty.openpty()
        except OSError as none:  # a bare root without /dev/pts has no terminals
            raise NoTerminal(str(none))
        child = subprocess.Popen(words, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL,
                                 stdout=slave, stderr=slave)
        os.close(slave)
        parts = []
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
        os.close(master)
        return child.wait(timeout=120), b"".join(parts).decode("utf-8", "replace"), ""

    def prepare(self, verb, rest, cwd):
        if verb == "use" and rest == "study":
            self.use_study(cwd)
        elif verb == "use":
            shutil.copytree(self.model(), os.path.join(cwd, "run"))
        elif verb == "hostile":
            kind, path, *source = rest.split()
            file = os.path.join(cwd, source[0]) if source else \
                os.path.join(self.model(), "model.safetensors")
            with open(file, "rb") as f:
                broken = HOSTILE[kind](f.read())
            with open(os.path.join(cwd, path), "wb") as f:
                f.write(broken)
        elif verb == "file":
            path, _, text = rest.partition(" ")
            with open(os.path.join(cwd, path), "wb") as f:
                f.write(text.encode().decode("unicode_escape").encode("latin-1"))
        else:
            subprocess.run(["bash", "-c", rest], cwd=cwd, env=self.env, check=True,
                           capture_output=True, timeout=120)

    def command(self, verb, rest, checks, cwd):
        before = {r: fingerprint(os.path.join(cwd, r)) for v, r in checks if v == "same"}
        code, out, err = self.start(verb, rest, cwd)
        wanted = int(next((r for v, r in checks if v == "exit"), 0))
        try:
            expect(code == wanted, "exit code %d instead of %d" % (code, wanted))
            if wanted != 0 and verb in ("run", "signal"):
                lines = [n for n, line in enumerate(err.splitlines()) if
                         re.match(r"sartor( [a-z]+)?: ", line)]
                expect(lines == [len(err.splitlines()) - 1], "the messages do not end in one line")
                expect(wanted != 2 or err.count("\n") == 1, "more than one line")
            value = None
            for check, what in checks:
                value = self.check(check, what, out, err, value, cwd, before)
        except Wrong as wrong:
            raise Wrong("%s %s\n      %s\n      output: %s\n      messages: %s" % (
                verb, rest, wrong, out[-1500:], err[-1500:])) from None

    def check(self, check, what, out, err, value, cwd, before):
        path = os.path.join(cwd, what)
        if check in ("out", "err"):
            expect(what in (out if check == "out" else err).splitlines(), "no line '%s'" % what)
        elif check in ("out~", "err~"):
            expect(re.search(what, out if check == "out~" else err, re.M), "no match of " + what)
        elif check == "silent":
            expect(out == "", "there is output")
        elif check == "golden":
            path = os.path.join(HERE, "golden", what)
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(out)
            with open(path, encoding="utf-8") as f:
                expect(f.read() == out, "the output differs from golden/" + what)
        elif check == "json":
            value = check_json(what, out)
        elif check == "value":
            key, low, high = what.split()
            number = value
            for part in key.split("."):
                number = number[part]
            expect(float(low) <= number <= float(high), "%s is %s" % (key, number))
        elif check == "exists":
            expect(os.path.exists(path), what + " does not exist")
        elif check == "absent":
            expect(not os.path.exists(path), what + " exists")
        elif check == "same":
            expect(fingerprint(path) == before[what], what + " changed")
        elif check != "exit":
            raise Wrong("unknown check " + check)
        return value

    def case(self, name, lines):
        cwd = os.path.join(self.top, re.sub(r"\W+", "-", name))
        os.makedirs(cwd)
        os.symlink("../text", os.path.join(cwd, "text"))
        at = 0
        while at < len(lines):
            verb, rest = lines[at]
            at += 1
            if verb in ("run", "sh", "tty", "signal"):
                end = at
                while end < len(lines) and lines[end][0] not in VERBS:
                    end += 1
                self.command(verb, rest, lines[at:end], cwd)
                at = end
            else:
                self.prepare(verb, rest, cwd)
        shutil.rmtree(cwd)


VERBS = ("use", "hostile", "file", "do", "run", "sh", "tty", "signal")


def read_cases():
    cases = []
    for file in sorted(os.listdir(HERE)):
        if not file.endswith(".case"):
            continue
        with open(os.path.join(HERE, file), encoding="utf-8") as f:
            for line in f.read().splitlines():
                if line.startswith("== "):
                    cases.append((file[:-5] + ": " + line[3:], []))
                elif line and not line.startswith("#"):
                    verb, _, rest = line.partition(" ")
                    cases[-1][1].append((verb, rest))
    return cases


def fuzz(runner):
    """Random words never crash the program: exit code 0, 1 or 2 and at most one message."""
    draw = random.Random(7)
    words = ["inspect", "train", "eval", "generate", "list", "tokenizer", "help", "--help", "--",
             "-", "", "--data", "--out", "--arch", "--livs", "--width", "--json", "--batch", "nan",
             "inf", "-1", "0", "1e999", "99999999999999999999", "lfm2", "1.1.1.1.1", "((((", "x" * 5000,
             "--" + "y" * 5000, "--width=", "--=", "=", "%s%n", "\x1b[31m", "--lr", "--top-p",
             "--threads", "--seed", "--prompt", "op:1.2.1.1.3", "nowhere", "livs", "-\xff",
             "search", "work", "front", "show", "finals", "report", "--study", "--limit",
             "--objectives", "--dry-run", "--save", "--tokens"]
    for _ in range(200):
        argv = [draw.choice(words) for _ in range(draw.randint(0, 6))]
        done = subprocess.run([runner.sartor] + argv, cwd=runner.top, env=runner.env,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        expect(done.returncode in (0, 1, 2), "%r: exit code %d" % (argv, done.returncode))
        expect(done.returncode == 0 or done.stderr.count(b"\n") == 1,
               "%r: messages %r" % (argv, done.stderr))


def main():
    words = [w for w in sys.argv[2:] if w != "--update"]
    runner = Runner(sys.argv[1], "--update" in sys.argv)
    cases = [(n, lambda r, n=n, ls=ls: r.case(n, ls)) for n, ls in read_cases()]
    cases.append(("arguments: random words", fuzz))
    failed = 0
    try:
        for name, test in cases:
            if words and not any(w in name for w in words):
                continue
            try:
                test(runner)
                print("ok    " + name)
            except NoTerminal as none:
                print("skip  %s\n      %s" % (name, none))
            except (Wrong, OSError, ValueError, KeyError, subprocess.SubprocessError) as wrong:
                failed += 1
                print("FAIL  %s\n      %s" % (name, wrong))
    finally:
        shutil.rmtree(runner.top, ignore_errors=True)
    print("%d failed" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
