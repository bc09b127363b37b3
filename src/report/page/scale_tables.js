// Tables: the laws with their intervals, the compute-optimal models, all runs.

const architectureColumn = {title: "architecture", value: (row) => row.result.arch, kind: "is",
  cell: (row) => [el("i", {class: `key arch-${row.result.index % ARCH_COLOURS}`}),
    el("span", {title: row.result.pattern}, shortName(row.result.arch))]};

const estimateColumn = (title, estimate, text, hint) => ({title, number: true, hint,
  value: (row) => (estimate(row) || {}).value, cell: (row) => estimateText(estimate(row), text)});

function lawColumn(title, name, part, hint) {
  const law = (row) => own(row.result.laws, name);
  return {title, number: true, hint, value: (row) => (((law(row) || {})[part]) || {}).value,
    cell: (row) => law(row) && law(row).fault
      ? el("span", {title: law(row).fault}, "–") : estimateText((law(row) || {})[part], decimals(3))};
}

function makeLawTable() {
  const section = panel("laws");
  const whys = [...new Set(results.map((r) => r.why).filter((w) => w))];
  heading(section, "Laws", "N* = a C^α, D* = b C^β, L* = E + A C^γ, perplexity = k M^c with M the "
    + "cache; 95 % intervals from a residual bootstrap in brackets."
    + (whys.length > 0 ? ` No intervals: ${whys.join("; ")}.` : ""));
  if (results.length === 0) {
    empty(section, "No run is there yet.");
    return;
  }
  section.append(sortable([
    architectureColumn,
    lawColumn("α (size)", "params", "exponent", "exponent of the compute-optimal size"),
    lawColumn("β (tokens)", "tokens", "exponent", "exponent of the compute-optimal tokens"),
    lawColumn("γ (loss)", "loss", "exponent", "exponent of the loss above its floor"),
    lawColumn("E (floor)", "loss", "floor", "where the loss is heading"),
    lawColumn("c (state)", "state", "exponent", "exponent of perplexity in bytes of state"),
    numberColumn("noise", (row) => row.result.noise, decimals(4),
      "standard deviation of a run's loss about its parabola"),
  ], results.map((result) => ({result})), 0, () => {}).node);
}

function makeOptimaTable() {
  const section = panel("optima");
  heading(section, "Compute-optimal models", "The lowest point of each parabola.");
  const rows = results.flatMap((result) => result.budgets.map((b) => ({result, b})));
  const measured = (name) => (row) => row.b.outside ? null : row.b[name];
  if (rows.length === 0) empty(section, "No run has finished yet.");
  else section.append(sortable([
    architectureColumn,
    numberColumn("budget", (row) => row.b.budget, flopsText),
    numberColumn("runs", (row) => row.b.runs, String),
    estimateColumn("parameters", measured("params"), countText),
    estimateColumn("tokens", measured("tokens"), countText),
    estimateColumn("cache", measured("cache"), bytesText),
    estimateColumn("loss", measured("loss"), decimals(4)),
    {title: "remark", value: (row) => row.b.fault || row.b.outside, kind: "reason-cell",
      cell: (row) => row.b.fault
        || (row.b.outside ? `the minimum is ${row.b.outside} the sizes trained` : "")},
  ], rows, 0, () => {}).node);
}

function makeRunTable() {
  const section = panel("runs");
  heading(section, "Runs", "Click a column to sort by it.");
  const rows = results.flatMap((result) => result.points.map((p) => ({result, p})));
  if (rows.length === 0) empty(section, "No run is there yet.");
  else section.append(sortable([
    architectureColumn,
    numberColumn("budget", (row) => row.p.budget, flopsText),
    numberColumn("width", (row) => row.p.width, String),
    numberColumn("LIVs", (row) => row.p.livs, String),
    numberColumn("parameters", (row) => row.p.params, countText),
    numberColumn("tokens", (row) => row.p.tokens, countText),
    numberColumn("batch", (row) => row.p.batch, String),
    numberColumn("rate", (row) => row.p.learning_rate, (v) => significant(v, 2)),
    numberColumn("cache", (row) => row.p.cache, bytesText),
    numberColumn("loss", (row) => row.p.loss, decimals(4)),
    numberColumn("bits per byte", (row) => row.p.bpb, decimals(4)),
    {title: "state", value: (row) => row.p.state, kind: "reason-cell",
      cell: (row) => row.p.reason ? `${row.p.state}: ${row.p.reason}` : row.p.state},
  ], rows, 1, (row, tr) => tr.classList.toggle("failed", row.p.state === "failed")).node);
}
