// The head of the page, and tables: what grew, the runs, their settings.

const bits = decimals(4);

function stateText(run) {
  if (run.final) return "done";
  return finite(run.planned) ? `at step ${run.steps} of ${run.planned}` : `at step ${run.steps}`;
}

function runTile(run) {
  const {last} = validationOf(run);
  return el("div", {class: "tile", title: run.name},
    el("span", {class: "label"}, el("i", {class: `key ${colourOf(run)}`}), ` ${runName(run)}`),
    el("span", {class: "value"}, last && finite(last.value) ? bits(last.value) : "–"),
    el("span", {class: "more"}, last ? `bits per byte of validation, step ${last.step}; `
      : "not validated yet; ", stateText(run)));
}

function drawHeader() {
  const title = runs.length === 1 ? runs[0].name : `${runs.length} training runs`;
  document.title = `${title}: sartor report`;
  panel("header").replaceChildren(
    el("div", {class: "titles"}, el("div", null, el("h1", null, title),
      el("p", {class: "subtitle"}, [
        `${countText(d3.sum(runs, (r) => r.steps))} steps, ${countText(d3.sum(runs, (r) => r.tokens))} tokens`,
        data.made ? `, as of ${data.made}` : ""]))),
    el("div", {class: "tiles"}, runs.map(runTile)));
  drawFooter();
}

const nameColumn = {title: "run", value: (row) => row.run.name, kind: "is",
  cell: (row) => [el("i", {class: `key ${colourOf(row.run)}`}),
    el("span", {title: row.run.name}, runName(row.run))]};

function makeGrowthTable() {
  const section = panel("growth");
  const rows = runs.flatMap((run) => run.growth.map((g) => ({run, g})));
  section.hidden = rows.length === 0;
  if (section.hidden) return;
  heading(section, "Growth", "What became larger, and after how many steps; what the model computed "
    + "stayed the same.");
  section.append(sortable([
    nameColumn,
    numberColumn("step", (row) => row.g.step, String, "steps done before"),
    numberColumn("tokens", (row) => row.g.tokens, countText),
    {title: "grown", value: (row) => row.g.grown, kind: "reason-cell", cell: (row) => row.g.grown},
    numberColumn("from", (row) => row.g.from, countText, "parameters before"),
    numberColumn("to", (row) => row.g.params, countText, "parameters from then on"),
  ], rows, 1, () => {}).node);
}

function makeRunTable() {
  const section = panel("runs");
  heading(section, "Runs", "Architecture and sizes are those of the last checkpoint, or of the model.");
  const of = (name) => (row) => own(row.run.model, name);
  section.append(sortable([
    nameColumn,
    {title: "state", value: (row) => stateText(row.run), cell: (row) => stateText(row.run)},
    {title: "architecture", value: of("names"), kind: "reason-cell",
      cell: (row) => el("span", {title: of("genome")(row)}, String(of("names")(row) || "–"))},
    numberColumn("LIVs", of("livs"), String),
    numberColumn("width", of("width"), String),
    numberColumn("head dim", of("head_dim"), String),
    numberColumn("context", of("context"), String),
    numberColumn("vocabulary", of("vocab"), String),
    numberColumn("parameters at first", (row) => row.run.firstParams, countText),
    numberColumn("parameters now", (row) => row.run.params, countText),
    numberColumn("FLOPs/token", of("flops_per_token"), countText, "forward"),
    numberColumn("cache", of("cache"), bytesText, "one sequence at the full context, f16"),
    numberColumn("steps", (row) => row.run.steps, String),
    numberColumn("tokens", (row) => row.run.tokens, countText),
    {title: "time", number: true, value: (row) => row.run.seconds,
      cell: (row) => timeText(row.run.seconds)},
    numberColumn("best", (row) => validationOf(row.run).best, bits, "validation, bits per byte"),
    numberColumn("last", (row) => (validationOf(row.run).last || {}).value, bits,
      "validation, bits per byte"),
  ], runs.map((run) => ({run})), 0, () => {}).node);
}

// A row for every setting, a column for every run; what differs stands out.
function makeSettingsTable() {
  const section = panel("settings");
  const told = runs.filter((run) => Object.keys(run.settings).length > 0);
  const names = [...new Set(told.flatMap((run) => Object.keys(run.settings)))];
  section.hidden = names.length === 0;
  if (section.hidden) return;
  heading(section, "Settings", told.length > 1 ? "What differs is set in bold." : null);
  const text = (run, name) => {
    const value = own(run.settings, name);
    return value === undefined ? "–" : String(value);
  };
  section.append(sortable([
    {title: "setting", value: (row) => row.name, cell: (row) => row.name},
    ...told.map((run) => ({title: runName(run), value: (row) => text(run, row.name),
      kind: "reason-cell", cell: (row) => text(run, row.name)})),
  ], names.map((name) => ({name})), 0, (row, tr) => tr.classList.toggle("differs",
    told.some((run) => text(run, row.name) !== text(told[0], row.name)))).node);
}

const SECTIONS = [["loss", "Training loss"], ["validation", "Validation"], ["rate", "Learning rate"],
  ["norm", "Gradient norm"], ["speed", "Speed"], ["growth", "Growth"], ["runs", "Runs"],
  ["settings", "Settings"]];
