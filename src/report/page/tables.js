// Tables: the front with the baselines, the finals, the failed trials.

const measureColumn = (m) => ({title: shortName(m), number: true, hint: axisTitle(m),
  value: (t) => valueOf(t, m), cell: (t) => show(m, valueOf(t, m))});

// Clicking a row selects its trial; so does Enter.
function selectable(trial, tr) {
  tr.tabIndex = 0;
  tr.dataset.trial = trial.trial;
  tr.classList.toggle("selected", trial === state.selected);
  tr.addEventListener("click", () => select(trial));
  tr.addEventListener("keydown", (event) => event.key === "Enter" && select(trial));
  tr.addEventListener("mouseenter", () => point(trial));
  tr.addEventListener("mouseleave", () => point(null));
}

function makeFrontTable() {
  const section = panel("front");
  heading(section, "The front and the baselines",
    "Click a column to sort by it, a row to select the trial.");
  if (distinguished.length === 0) {
    empty(section, "No trial is in the front yet.");
    return;
  }
  const columns = [
    {title: "trial", value: (t) => t.trial, kind: "is", cell: (t) => titleOf(t)},
    {title: "front", value: (t) => t.front ? 0 : 1, kind: "is",
      cell: (t) => t.front ? el("i", {class: "key front", title: "in the front"}) : "–"},
    {title: "gen", value: (t) => t.generation, number: true, cell: (t) => String(t.generation)},
    ...measures.map(measureColumn),
    {title: "backbone", value: (t) => t.names, kind: "backbone-cell",
      cell: (t) => [strip(t) || "", el("span", {class: "names", title: t.names}, t.names)]},
  ];
  const table = sortable(columns, distinguished, quality === undefined ? 0 : 3, (trial, tr) => {
    tr.classList.toggle("baseline", isBaseline(trial));
    tr.classList.toggle("out", !passes(trial));
    selectable(trial, tr);
  });
  section.append(table.node);
  const mark = () => table.node.querySelectorAll("tbody tr").forEach((tr) => {
    const trial = trialOf.get(Number(tr.dataset.trial));
    tr.classList.toggle("selected", trial === state.selected);
    tr.classList.toggle("out", !passes(trial));
  });
  state.events.on("select.front", mark).on("filter.front", mark);
}

// What finals were measured by, quality first.
function finalMeasures() {
  const plain = new Set(["trial", "id", "genome", "names", "baseline", "search"]);
  const names = new Set(finals.flatMap((f) => Object.keys(f)).filter((k) => !plain.has(k)));
  const order = (m) => (measures.indexOf(m) + measures.length + 1) % (measures.length + 1);
  return [...names].filter((m) => finals.some((f) => finalValue(f, m) !== null))
    .sort((a, b) => order(a) - order(b));
}

function showFinal(final, measure) {
  const value = finalValue(final, measure);
  if (value === null) return "–";
  const runs = own(final, measure).values;
  if (!Array.isArray(runs)) return show(measure, value.mean);
  return showSpread(measure, value.mean, value.std);
}

function makeFinals() {
  const section = panel("finals");
  section.hidden = finals.length === 0;
  if (section.hidden) return;
  const names = finalMeasures();
  const repeated = names.find((m) => finals.some((f) => Array.isArray((own(f, m) || {}).values)));
  const runs = (f) => repeated && Array.isArray((own(f, repeated) || {}).values)
    ? own(f, repeated).values.length : null;
  heading(section, "Finals", "The best of the front and the baselines, trained longer with several seeds and "
    + "measured on the test text: mean ± standard deviation.");
  const trialOfFinal = (f) => trialOf.get(f.trial);
  const meanOf = (f, m) => (finalValue(f, m) || {mean: null}).mean;
  const rivals = finals.filter((f) => f.baseline).slice(0, 3);
  const searched = (f) => {
    const value = own(own(f, "search"), "bpb");
    return typeof value === "number" && Number.isFinite(value) ? value : null;
  };
  const columns = [
    {title: "model", value: finalTitle, kind: "is", cell: (f) => [
      f.baseline ? el("b", null, f.baseline) : "",
      trialOfFinal(f) ? trialLink(trialOfFinal(f), `#${f.trial}`) : ""]},
    ...names.map((m) => ({title: shortName(m), number: true, hint: axisTitle(m), value: (f) => meanOf(f, m),
      cell: (f) => showFinal(f, m)})),
    ...(finals.some((f) => searched(f) !== null) ? [{title: "in search", number: true, value: searched,
      hint: "bits per byte of the validation text that the search saw", cell: (f) => show("bpb", searched(f))}] : []),
    ...rivals.map((r) => ({title: `vs ${shortName(r.baseline)}`, number: true, hint: `${names[0]} against it`,
      value: (f) => f === r ? null : meanOf(f, names[0]),
      cell: (f) => f === r ? "–" : showChange(meanOf(f, names[0]), meanOf(r, names[0])) || "–"})),
    {title: "seeds", number: true, value: runs, cell: (f) => runs(f) === null ? "–" : String(runs(f))},
    {title: "id", value: (f) => f.id, kind: "id", cell: (f) => f.id || "–"},
  ];
  const table = sortable(columns, finals, names.length > 0 ? 1 : 0, (final, tr) => {
    tr.classList.toggle("baseline", Boolean(final.baseline));
    if (trialOfFinal(final)) selectable(trialOfFinal(final), tr);
  });
  section.append(table.node);
  state.events.on("select.finals", () => table.node.querySelectorAll("tbody tr").forEach((tr) =>
    tr.classList.toggle("selected", state.selected !== null
      && tr.dataset.trial === String(state.selected.trial))));
}

function makeFailed() {
  const section = panel("failed"), first = 50;
  section.hidden = failed.length === 0;
  if (section.hidden) return;
  heading(section, `Failed trials (${failed.length})`, "");
  const columns = [
    {title: "trial", number: true, value: (t) => t.trial, cell: (t) => `#${t.trial}`},
    {title: "gen", number: true, value: (t) => t.generation, cell: (t) => String(t.generation)},
    {title: "by", value: (t) => t.operator, cell: (t) => t.operator || "–"},
    {title: "reason", value: (t) => t.reason, kind: "reason-cell", cell: (t) => t.reason || "not told"},
    {title: "backbone", value: (t) => t.names, kind: "backbone-cell",
      cell: (t) => el("span", {class: "names", title: t.names}, t.names)},
  ];
  const put = (list) => sortable(columns, list, 0, selectable).node;
  let table = put(failed.slice(0, first));
  section.append(table);
  if (failed.length <= first) return;
  const more = el("button", {type: "button", class: "more", onclick: () => {
    const all = put(failed);
    table.replaceWith(all);
    more.remove();
  }}, `Show all ${failed.length}`);
  section.append(more);
}
