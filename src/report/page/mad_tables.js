// Tables: scores of the study, what others published, the best run of every setting.

const architectureColumn = {title: "architecture", value: (row) => row.arch, kind: "is",
  cell: (row) => [row.index >= 0 ? el("i", {class: `key arch-${row.index % ARCH_COLOURS}`}) : null,
    el("span", {title: row.arch}, shortName(row.arch))].filter((c) => c)};

const scoreColumns = (tasks) => [numberColumn("MAD", (row) => row.mad, scoreText, "mean over tasks"),
  ...tasks.map((t) => numberColumn(TASKS[t][1], (row) => row.scores[t], scoreText))];

function makeScoreTable() {
  const section = panel("score-table");
  heading(section, "Scores as numbers", "Click a column to sort by it.");
  if (results.length === 0) empty(section, "No run is there yet.");
  else section.append(
    sortable([architectureColumn, ...scoreColumns(tasksHere)], results, 1, () => {}).node);
}

function makePublishedTable() {
  const section = panel("published");
  heading(section, "Published scores", "Of the benchmark's 66 settings, for orientation: the same "
    + "architecture gets very different numbers in different papers, so rows of different sources do "
    + "not compare, and only a full suite compares with any of them.");
  section.append(sortable([architectureColumn, ...scoreColumns(d3.range(TASKS.length)),
    {title: "source", value: (row) => row.source, kind: "reason-cell", cell: (row) => row.source},
  ], published, 1, () => {}).node);
}

function makeRunTable() {
  const section = panel("runs");
  heading(section, "Settings", "The best run of each, and how many there are.");
  const rows = results.flatMap((r) => r.settings.map((s) => ({arch: r.arch, index: r.index, s})));
  if (rows.length === 0) empty(section, "No run is there yet.");
  else section.append(sortable([
    architectureColumn,
    {title: "setting", value: (row) => row.s.setting, cell: (row) => String(row.s.setting)},
    numberColumn("score", (row) => row.s.score, scoreText),
    numberColumn("accuracy", (row) => row.s.accuracy, scoreText, "of all scored positions"),
    numberColumn("by class", (row) => row.s.accuracy_macro, scoreText, "mean over classes"),
    numberColumn("chance", (row) => row.s.chance, scoreText),
    numberColumn("perplexity", (row) => row.s.perplexity, (v) => significant(v, 4)),
    numberColumn("rate", (row) => row.s.learning_rate, (v) => significant(v, 2)),
    numberColumn("decay", (row) => row.s.weight_decay, (v) => significant(v, 2)),
    numberColumn("epoch", (row) => row.s.epoch, String, "that is reported"),
    numberColumn("of", (row) => row.s.epochs, String, "epochs done"),
    numberColumn("runs", (row) => row.s.runs, String),
    numberColumn("failed", (row) => row.s.failed, String),
  ], rows, 1, (row, tr) => tr.classList.toggle("failed", row.s.done === 0 && row.s.failed > 0)).node);
}
