#!/usr/bin/env python3
"""Looks at the report pages in a headless Chromium: what they draw for made-up studies (study.py,
laws.py, mad_suite.py) and training runs (runs.py), and what they do when one points, clicks, sorts and drags.

    tests/report/run.py REPORT_WRITE [NAME...]      names in study.py, laws.py, mad_suite.py, runs.py; default: all

Every page must load without an error, a warning of the browser, a request, or text that overlaps.
Skipped (exit 77) where there is no Chromium.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import laws  # noqa: E402
import mad_suite  # noqa: E402
import runs  # noqa: E402
import study  # noqa: E402
from browser import Browser  # noqa: E402

FAILURES = []
WIDTHS = (1000, 1600)

# Texts of one drawing or of the head that overlap, or reach out of the window.
OVERLAPS = """(() => {
  const bad = [];
  for (const svg of document.querySelectorAll("svg")) {
    const texts = [...svg.querySelectorAll("text.tick, text.axis-title, text.axis-name, "
      + "text.row-name, text.liv-name, text.liv-number, .ancestor text")].slice(0, 400).map((t) =>
        [t.getBoundingClientRect(), t.textContent]).filter(([b]) => b.width > 0);
    texts.forEach(([a, text], i) => texts.slice(i + 1).forEach(([b, other]) => {
      const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (x > 1.5 && y > 3) bad.push(svg.getAttribute("aria-label") + ": " + text + " | " + other);
    }));
  }
  if (document.documentElement.scrollWidth > window.innerWidth)
    bad.push("the page is wider than the window");
  return bad.slice(0, 8);
})()"""


def expect(what, found, wanted):
    if found != wanted:
        FAILURES.append("%s: found %r, expected %r" % (what, found, wanted))


def expect_true(what, found):
    if not found:
        FAILURES.append(what)


def count(page, selector):
    return page.run("document.querySelectorAll(%s).length" % json.dumps(selector))


def known(trial, measure):
    return trial["values"].get(measure) is not None


def clean(page, name):
    expect(name + ": problems", page.problems, [])
    expect(name + ": errors", page.run("sartorReport.errors()"), 0)
    expect(name + ": foreign script", page.run("typeof window.hacked"), "undefined")


def check_counts(page, name, data):
    """What is drawn, counted from the data."""
    trials, measures = data["trials"], [o["name"] for o in data["objectives"]]
    front = [t for t in trials if t["front"]]
    special = front + [t for t in trials if t["baseline"] and not t["front"]]
    failed = [t for t in trials if t["state"] == "failed"]
    shown = [t for t in special if str(t["trial"]) in data["backbones"]]
    livs = [l for t in shown for l in data["backbones"][str(t["trial"])]]
    if len(measures) > 1 and any(known(t, measures[0]) for t in trials):
        both = [t for t in trials if known(t, measures[0]) and known(t, measures[1])]
        expect(name + ": front points", count(page, ".front-point"), sum(t["front"] for t in both))
        expect(name + ": baselines", count(page, ".baseline-mark"),
               sum(bool(t["baseline"]) for t in both))
        if len(both) > 0:
            expect(name + ": line", count(page, "path.front-line[d]"), 1)
    expect(name + ": finals marked", count(page, "g.final"),
           sum(all(m in f for m in measures[:2]) for f in data["finals"]))
    expect(name + ": rows of the front", count(page, "#front tbody tr"), len(special))
    expect(name + ": rows of finals", count(page, "#finals tbody tr"), len(data["finals"]))
    expect(name + ": failed", count(page, "#failed tbody tr"), min(50, len(failed)))
    expect(name + ": finals shown", page.run("!document.getElementById('finals').hidden"),
           len(data["finals"]) > 0)
    if len(shown) <= 40:
        expect(name + ": backbones", count(page, "figure.backbone"), len(shown))
        expect(name + ": boxes", count(page, "g.liv rect"), len(livs))
        expect(name + ": arcs", count(page, "path.weights"),
               sum(l["weights_from"] is not None for l in livs))
        expect(name + ": arrows", count(page, "g.reads .read-line"),
               sum(len({r["from"] for r in l["reads"]}) for l in livs))
    if len(data["classes"]) < 50:
        classes = {c for g in data["classes"] for c in g["counts"]}
        expect(name + ": cells", count(page, ".heat-cell"), len(classes) * len(data["classes"]))
        expect(name + ": hypervolume", count(page, ".hypervolume-point"),
               sum(h is not None for h in data["hypervolume"]))
    expect(name + ": curves", count(page, "path.curve"),
           sum(str(t["trial"]) in data["curves"] for t in special))
    settings = count(page, ".settings dt")
    expect(name + ": settings", settings, len(data["settings"]))


def ancestors(data, number, depth):
    """Edges among the trial and its ancestors within `depth` steps."""
    trials = {t["trial"]: t for t in data["trials"]}
    found, edge = {number}, [number]
    for _ in range(depth):
        edge = [p for n in edge for p in trials[n]["parents"] if p in trials and p not in found]
        edge = list(dict.fromkeys(edge))
        found |= set(edge)
    return sum(p in found for n in found for p in set(trials[n]["parents"]))


def check_actions(page, data):
    """Pointing, clicking, sorting, dragging, as a reader would."""
    trials = {t["trial"]: t for t in data["trials"]}
    point = "document.querySelectorAll('.front-point')[3]"
    number = page.run(point + ".__data__.trial.trial")
    page.hover(point)
    page.frames()
    tip = page.run("document.getElementById('tooltip').hidden ? '' : "
                   "document.getElementById('tooltip').textContent")
    expect("pointed at", page.run("sartorReport.pointed()"), number)
    expect_true("tooltip has the genome: " + tip, trials[number]["genome"] in tip)
    expect_true("tooltip has the names: " + tip, trials[number]["names"] in tip)
    page.click(point)
    page.frames()
    expect("selected by a click", page.run("sartorReport.selected()"), number)
    expect("genome on the card", page.run("document.getElementById('genome').textContent"),
           trials[number]["genome"])
    expect("row marked", page.run("[...document.querySelectorAll('#front tr.selected')].map("
                                  "r => Number(r.dataset.trial))"), [number])
    expect("backbone marked", page.run("[...document.querySelectorAll('.backbone.selected')].map("
                                       "r => Number(r.dataset.trial))"), [number])

    deep = max(t["trial"] for t in data["trials"] if len(t["parents"]) == 2)
    page.run("sartorReport.select(%d)" % deep)
    expect("edges of the lineage", count(page, ".descent"), ancestors(data, deep, 5))
    expect_true("operators of the lineage", count(page, "#lineage .operator") > 0)
    parent = "document.querySelectorAll('.ancestor:not(.selected)')[0].firstElementChild"
    wanted = page.run("Number(document.querySelectorAll('.ancestor:not(.selected)')[0]"
                      ".textContent.replace('#', ''))")
    page.click(parent)
    page.frames()
    expect("selected in the lineage", page.run("sartorReport.selected()"), wanted)

    column = data["measures"].index("params") + 3
    page.click("document.querySelectorAll('#front th button')[%d]" % column)
    order = page.run("[...document.querySelectorAll('#front tbody tr')].map("
                     "r => Number(r.dataset.trial))")
    rows = [t for t in data["trials"] if t["front"] or t["baseline"]]
    expect("sorted values", [trials[n]["values"]["params"] for n in order],
           sorted(t["values"]["params"] for t in rows))
    page.run("document.querySelectorAll('#front tbody tr')[1].focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r")
    expect("selected by a key", page.run("sartorReport.selected()"), order[1])

    values = sorted(t["values"]["params"] for t in data["trials"])
    low, high = values[len(values) // 4], values[len(values) // 2]
    page.run("sartorReport.restrict('params', [%d, %d])" % (low, high))
    page.frames()
    expect("matches", page.run("sartorReport.matches()"), sum(low <= v <= high for v in values))
    expect("front outside", count(page, ".front-point.out"),
           sum(t["front"] and not low <= t["values"]["params"] <= high for t in data["trials"]))
    page.run("sartorReport.restrict('params', null)")
    page.frames()
    box = page.run("(() => { const b = document.querySelectorAll('#parallel .brush .overlay')[0];"
                   "b.scrollIntoView({block: 'center'}); const r = b.getBoundingClientRect();"
                   "return [r.x, r.y, r.width, r.height]; })()")
    x, y = box[0] + box[2] / 2, box[1]
    page.drag(x, y + 0.5 * box[3], x, y + 0.98 * box[3])
    some = page.run("sartorReport.matches()")
    expect_true("dragging keeps some of the trials: %d" % some, 0 < some < len(trials))
    page.click("document.querySelector('#parallel .controls button')")
    page.frames()
    expect("all again", page.run("sartorReport.matches()"), len(trials))

    page.run("sartorReport.axes('cache', 'decode')")
    page.frames()
    titles = page.run("[...document.querySelectorAll('#scatter .axis-title')].map("
                      "t => t.textContent)")
    expect("axes", titles, ["cache", "decode"])
    ticks = page.run("[...document.querySelectorAll('#scatter .tick')].map(t => t.textContent)")
    expect_true("units on the axes: %r" % ticks, any("KiB" in t or "MiB" in t for t in ticks) and
                any("µs" in t for t in ticks))


def check_inherit(page, data):
    """What is said of training, and the hypervolume by its cost."""
    stopped = next(t for t in data["trials"] if t["front"] and "stopped" in t["training"] and t["parents"])
    page.run("document.querySelector('#front tr[data-trial=\"%d\"]').click()" % stopped["trial"])
    page.frames()
    expect("badge", page.run("document.querySelector('#card .badge.stopped').textContent"),
           "stopped at 25\u202f%")
    note = page.run("document.querySelector('#card .training').textContent")
    expect_true("note: " + note, "trained on 200k tokens, with 75\u202f% of its parameters" in note and
                "%d trials" % stopped["training"]["lineage_trials"] in note)
    expect_true("marks of stopped ancestors", count(page, ".ancestor.stopped") > 0)
    page.run("(() => { const s = document.querySelector('#hypervolume select'); s.selectedIndex = 1;"
             "s.dispatchEvent(new Event('change')); })()")
    page.frames()
    expect("cost", page.run("document.querySelectorAll('#hypervolume .axis-title')[0].textContent"),
           "FLOPs of all training until then")
    at = page.run("[...document.querySelectorAll('.hypervolume-point')].map(c => Number(c.getAttribute('cx')))")
    spent = data["training_flops"]
    scale = (at[-1] - at[0]) / (spent[-1] - spent[0])
    expect_true("places by cost: %r" % at, all(abs(x - at[0] - scale * (s - spent[0])) < 0.01
                                               for x, s in zip(at, spent)))
    expect("in search", page.run("[...document.querySelectorAll('#finals tbody td')].filter("
                                 "c => c.textContent === '2.500').length"),
           sum(f["search"] is not None for f in data["finals"]))


def check_hostile(page, data, text):
    expect("script elements in the file", text.lower().count("<script"), 3)
    back = json.loads(page.run("document.getElementById('data').textContent"))
    for field in ("title", "settings", "objectives", "measures", "backbones"):
        expect("hostile: %s comes back" % field, back[field], data[field])
    expect("hostile: genomes", [t["genome"] for t in back["trials"]],
           [t["genome"] for t in data["trials"]])
    expect("title", page.run("document.querySelector('h1').textContent"), data["title"])
    expect("images", count(page, "img"), 0)
    for t in data["trials"]:
        page.run("sartorReport.select(%d)" % t["trial"])


def check_colours(page, name):
    grounds = []
    for dark in (False, True):
        page.scheme(dark)
        page.frames()
        grounds.append(page.run("getComputedStyle(document.body).backgroundColor"))
    page.scheme(False)
    expect_true("%s: a dark ground of its own: %r" % (name, grounds), grounds[0] != grounds[1])


def write(program, folder, name, data):
    source, target = os.path.join(folder, name + ".json"), os.path.join(folder, name + ".html")
    with open(source, "w", encoding="utf-8") as f:
        json.dump(data, f)
    subprocess.run([program, source, target], check=True, timeout=60)
    with open(target, encoding="utf-8") as f:
        text = f.read()
    expect_true(name + ": the page without data is below 1 MB",
                len(text) - os.path.getsize(source) < 1000000)
    expect_true(name + ": the library's licence", "Redistributions in binary form" in text)
    return target, text


def check_refusals(program, folder):
    """Data that is none, and a place that cannot be written."""
    def run(data, target):
        source = os.path.join(folder, "bad.json")
        with open(source, "w", encoding="utf-8") as f:
            json.dump(data, f)
        done = subprocess.run([program, source, target], stderr=subprocess.PIPE, timeout=60)
        return done.returncode, done.stderr.decode().count("\n")

    target = os.path.join(folder, "bad.html")
    for data in ([], {"version": 2}, {"version": 1, "objectives": [], "measures": []},
                 {"version": 1, "purpose": "scale"}, {"version": 1, "purpose": "run"},
                 {"version": 1, "purpose": "beauty"}):
        expect("refused: %r" % data, run(data, target), (1, 1))
    expect_true("nothing is written", not os.path.exists(target))
    expect("no folder", run(study.empty(), os.path.join(folder, "none", "page.html")), (1, 1))


def check_study(page, program, folder, name):
    data = study.MAKERS[name]()
    target, text = write(program, folder, name, data)
    for width in WIDTHS:
        label = "%s, %d pixels" % (name, width)
        seconds = page.open(target, width)
        print("%s: %d trials, %.1f MB, open after %.2f s" % (
            label, len(data["trials"]), len(text) / 1e6, seconds))
        clean(page, label)
        check_counts(page, label, data)
        expect(label + ": overlaps", page.run(OVERLAPS), [])
    if name == "search":
        check_actions(page, data)
        check_colours(page, name)
    if name == "inherit":
        check_inherit(page, data)
    if name == "hostile":
        check_hostile(page, data, text)
    if name == "large":
        page.run("sartorReport.axes('cache', 'flops')")
        page.run("sartorReport.restrict('bpb', [0, 2.4])")
        page.frames()
    clean(page, name + ", in the end")


def check_law_counts(page, name, data):
    """What is drawn of scaling laws, counted from the data."""
    results = data["results"]
    done = [[p for p in r["points"] if p["state"] == "done"] for r in results]
    fitted = [b for r in results for b in r["budgets"] if b["parabola"]]
    inside = [b for b in fitted if not b["outside"]]
    lines = [r for r in results if any(not b["fault"] and not b["outside"] for b in r["budgets"])]
    expect(name + ": drawings", count(page, "#isoflop svg"), sum(len(d) > 0 for d in done))
    expect(name + ": runs", count(page, ".iso-point"), sum(map(len, done)))
    expect(name + ": parabolas", count(page, "path.parabola[d]"), len(fitted))
    expect(name + ": optima", count(page, ".optimum .cross"), len(inside))
    for panel, law in (("size-law", "params"), ("token-law", "tokens"), ("loss-law", "loss"),
                       ("state-law", "state")):
        known = [r for r in lines if r["laws"][law].get("band")]
        expect(name + ": points of " + law, count(page, "#%s .law-point" % panel), len(inside))
        expect(name + ": lines of " + law,
               count(page, "#%s .law-line:not(.beyond):not(.shared)[d]" % panel), len(known))
        expect(name + ": bands of " + law, count(page, "#%s .band" % panel),
               sum(r["laws"][law]["band"][0][2] is not None for r in known))
    expect(name + ": line through all", count(page, ".law-line.shared"), int(len(lines) > 1))
    expect(name + ": rows of laws", count(page, "#laws tbody tr"), len(results))
    expect(name + ": rows of optima", count(page, "#optima tbody tr"),
           sum(len(r["budgets"]) for r in results))
    expect(name + ": rows of runs", count(page, "#runs tbody tr"), sum(len(r["points"]) for r in results))
    expect(name + ": failed runs", count(page, "#runs tr.failed"),
           sum(p["state"] == "failed" for r in results for p in r["points"]))
    expect(name + ": tiles", count(page, ".tile"), len(results))
    expect(name + ": settings", count(page, ".settings dt"), len(data["settings"]))
    expect(name + ": not a number", page.run("[...document.querySelectorAll('svg [d], svg [cx]')].filter("
           "e => /NaN|Infinity|undefined/.test(e.outerHTML)).length"), 0)


def check_law_actions(page, data):
    """Pointing at runs and optima; sorting the runs."""
    def tip(element):
        page.hover("document.querySelectorAll(%s)[%d]" % (json.dumps(element[0]), element[1]))
        page.frames()
        return page.run("document.getElementById('tooltip').hidden ? '' : "
                        "document.getElementById('tooltip').textContent")

    text = tip((".iso-point", 7))
    expect_true("tooltip of a run: " + text, "%.4f" % data["results"][0]["points"][7]["loss"] in text)
    text = tip(("#state-law .law-point", 4))
    expect_true("tooltip of an optimum: " + text, "1e14" in text and "transformer++" in text)
    page.click("document.querySelectorAll('#runs th button')[9]")
    page.frames()
    losses = page.run("[...document.querySelectorAll('#runs tbody tr')].map("
                      "r => Number(r.cells[9].textContent))")
    expect("runs sorted by loss", losses, sorted(losses))
    exponents = page.run("[...document.querySelectorAll('#laws tbody tr')].map("
                         "r => r.cells[1].textContent)")
    expect("exponents with intervals", exponents, ["0.500 (0.475 to 0.525)"] * 3)


def check_law_page(page, program, folder, name):
    data = laws.MAKERS[name]()
    target, text = write(program, folder, name, data)
    for width in WIDTHS:
        label = "%s, %d pixels" % (name, width)
        page.open(target, width)
        clean(page, label)
        check_law_counts(page, label, data)
        expect(label + ": overlaps", page.run(OVERLAPS), [])
    if name == "laws":
        check_law_actions(page, data)
        check_colours(page, name)
    if name == "laws-hostile":
        expect("script elements in the file", text.lower().count("<script"), 3)
        expect("title", page.run("document.querySelector('h1').textContent"), data["title"])
        expect("images", count(page, "img"), 0)
    clean(page, name + ", in the end")


def check_mad_page(page, program, folder, name):
    data = mad_suite.MAKERS[name]()
    results = data["results"]
    tasks = len(results[0]["tasks"]) if results else 0
    settings = [s for r in results for t in r["tasks"].values() for s in t["settings"]]
    scores = [t["score"] for r in results for t in r["tasks"].values()]
    target, text = write(program, folder, name, data)
    for width in WIDTHS:
        label = "%s, %d pixels" % (name, width)
        page.open(target, width)
        clean(page, label)
        expect(label + ": marks", count(page, "#scores circle"), len([s for s in scores if s is not None]))
        expect(label + ": chances", count(page, "#scores path.interval"), tasks)
        expect(label + ": rows of scores", count(page, "#score-table tbody tr"), len(results))
        expect(label + ": columns of scores", count(page, "#score-table th"), 2 + tasks if results else 0)
        expect(label + ": published", count(page, "#published tbody tr"), 1)
        expect(label + ": rows of settings", count(page, "#runs tbody tr"), len(settings))
        expect(label + ": failed", count(page, "#runs tr.failed"), sum(s["done"] == 0 for s in settings))
        expect(label + ": tiles", count(page, ".tile"), len(results))
        expect(label + ": overlaps", page.run(OVERLAPS), [])
    if name == "mad":
        page.click("document.querySelectorAll('#runs th button')[2]")
        page.frames()
        shown = page.run("[...document.querySelectorAll('#runs tbody tr')].map(r => Number(r.cells[2].textContent))")
        expect("settings sorted by score", shown, sorted(shown))
        expect("MAD scores", page.run("[...document.querySelectorAll('.tile .value')].map(e => e.textContent)"),
               ["%.3f" % r["mad"] for r in results])
    if name == "mad-hostile":
        expect("script elements in the file", text.lower().count("<script"), 3)
        expect("images", count(page, "img"), 0)
    clean(page, name + ", in the end")


def check_run_counts(page, name, data):
    """What is drawn of training runs, counted from the data."""
    def known(run, panel):
        columns = run["validation" if panel == "validation" else "points"]
        rows = columns["rate"] if panel == "rate" else columns[
            {"validation": "bpb", "loss": "bpb"}.get(panel, panel)]["mean"]
        return sum(x is not None for x in rows)

    growths = sum(len(r["growth"]) for r in data["runs"])
    for panel in ("loss", "validation", "rate", "norm", "speed"):
        drawn = [r for r in data["runs"] if known(r, panel) or panel == "validation" and "final" in r]
        expect(name + ": lines of " + panel, count(page, "#%s .run-line[d]" % panel),
               sum(known(r, panel) > 0 for r in drawn))
        expect(name + ": growth in " + panel, count(page, "#%s .growth-line" % panel),
               sum(len(r["growth"]) for r in drawn))
        expect(name + ": raw of " + panel, count(page, "#%s .run-raw[d]" % panel),
               0 if panel in ("validation", "rate") else len(drawn))
    expect(name + ": measures", count(page, "#validation .run-dot"),
           sum(known(r, "validation") for r in data["runs"]))
    expect(name + ": final measures", count(page, ".run-last"), sum("final" in r for r in data["runs"]))
    expect(name + ": rows of growth", count(page, "#growth tbody tr"), growths)
    expect(name + ": rows of runs", count(page, "#runs tbody tr"), len(data["runs"]))
    settings = {n for r in data["runs"] if isinstance(r.get("settings"), dict) for n in r["settings"]}
    if name.split(",")[0] != "runs-hostile":
        expect(name + ": rows of settings", count(page, "#settings tbody tr"), len(settings))
    expect(name + ": tiles", count(page, ".tile"), len(data["runs"]))
    expect(name + ": not a number", page.run("[...document.querySelectorAll('svg [d], svg [cx]')].filter("
           "e => /NaN|Infinity|undefined/.test(e.outerHTML)).length"), 0)


def choose(page, label, index):
    page.run("(() => { const s = document.querySelector('select[aria-label=%s]'); s.selectedIndex = %d;"
             " s.dispatchEvent(new Event('change')); })()" % (label, index))
    page.frames()


def check_run_actions(page, data):
    """Other axes, logarithms, hiding a run, pointing at a value and at a growth step."""
    def title(panel):
        return page.run("document.querySelector('#%s .axis-title').textContent" % panel)

    def tip(x):
        left, top, width, height = page.run(
            "(() => { const s = document.querySelector('#loss svg'); s.scrollIntoView({block: 'center'});"
            " const b = s.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")
        page.mouse("mouseMoved", left + x * width, top + height / 2)
        page.frames()
        return page.run("document.getElementById('tooltip').hidden ? '' : "
                        "document.getElementById('tooltip').textContent")

    def place(selector):
        return page.run("(() => { const s = document.querySelector('#loss svg').getBoundingClientRect();"
                        " const b = document.querySelector(%s).getBoundingClientRect();"
                        " return (b.x - s.x) / s.width; })()" % json.dumps(selector))

    at = place("#loss .growth-line")
    text = tip(at)
    grown, plain, going = data["runs"]
    expect_true("tooltip of a growth: " + text, "step 30" in text and "247k" in text and
                grown["growth"][0]["grown"] in text)
    for run in data["runs"]:
        expect_true("tooltip names " + run["name"] + ": " + text, run["name"] in text)
    expect("parameters of growth", page.run("[...document.querySelectorAll('#growth tbody tr')].map("
                                            "r => r.cells[4].textContent + ' ' + r.cells[5].textContent)"),
           ["133k 247k", "247k 351k"])
    choose(page, "smoothing", 0)
    text = tip(at)
    expect_true("a value as it was measured: " + text, ("%.3f" % plain["points"]["bpb"]["mean"][29]) in text)
    names = page.run("[...document.querySelectorAll('#loss .growth-name')].map(e => e.textContent)")
    expect("growth in words", names, ["width=96 ff=256 \u2192 247k", "livs=SA-3,GMemless@end \u2192 351k"])
    for index, wanted in enumerate(["step", "tokens", "seconds", "FLOPs (6 \u00d7 parameters \u00d7 tokens)"]):
        choose(page, "against", index)
        expect("axis %d" % index, title("loss"), wanted)
        check_run_counts(page, "runs, axis %d" % index, data)
    # 30 steps with 133k parameters of 60 with up to 351k: far to the left of the middle.
    expect_true("work follows the parameters", place("#norm .growth-line") < at)
    for box in ("#view .controls input", "#loss .controls input", "#norm .controls input"):
        page.click("document.querySelector('%s')" % box)
        page.frames()
        check_run_counts(page, "runs, with " + box, data)
    page.click("document.querySelectorAll('#view .legend-row input')[0]")
    page.frames()
    check_run_counts_hidden(page)


def check_run_counts_hidden(page):
    expect("lines of two runs", count(page, "#loss .run-line"), 2)
    expect("growth of a run that is not shown", count(page, ".growth-line"), 0)
    for i in (1, 2):
        page.click("document.querySelectorAll('#view .legend-row input')[%d]" % i)
    page.frames()
    expect("nothing is shown", count(page, "#loss .empty"), 1)


def check_run_page(page, program, folder, name):
    data = runs.MAKERS[name]()
    target, text = write(program, folder, name, data)
    expect_true(name + ": below 1 MB", len(text) < 1000000)
    for width in WIDTHS:
        label = "%s, %d pixels" % (name, width)
        page.open(target, width)
        clean(page, label)
        check_run_counts(page, label, data)
        expect(label + ": overlaps", page.run(OVERLAPS), [])
    if name == "runs":
        check_run_actions(page, data)
        check_colours(page, name)
    if name == "runs-hostile":
        expect("script elements in the file", text.lower().count("<script"), 3)
        expect("images", count(page, "img"), 0)
    clean(page, name + ", in the end")


def main():
    program = sys.argv[1]
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no chromium")
        return 77
    folder = tempfile.mkdtemp(prefix="sartor-report-")
    try:
        check_refusals(program, folder)
        with Browser(chromium) as page:
            for name in sys.argv[2:] or [*study.MAKERS, *laws.MAKERS, *mad_suite.MAKERS, *runs.MAKERS]:
                check = check_law_page if name in laws.MAKERS else \
                    check_mad_page if name in mad_suite.MAKERS else \
                    check_run_page if name in runs.MAKERS else check_study
                check(page, program, folder, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for failure in FAILURES:
        print("FAIL", failure[:600])
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
