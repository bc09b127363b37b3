// The data of a MAD suite, indexed. Nothing here draws. Names of architectures come from the study
// and may be anything: they become text nodes only.

// format.js asks what a name counts; here names say it.
const objectiveOf = new Map();

const TASKS = [["in-context-recall", "recall"], ["fuzzy-in-context-recall", "fuzzy recall"],
  ["noisy-in-context-recall", "noisy recall"], ["selective-copying", "copying"],
  ["compression", "compression"], ["memorization", "memorization"]];

// One model, ours or published: its score by task, null where there is none.
const modelOf = (result, index, source) => ({
  index,
  source,
  arch: String(result.arch),
  mad: result.mad,
  scores: TASKS.map(([name]) => {
    const task = own(result.tasks, name);
    return source === undefined ? (task || {}).score : task;
  }),
  settings: source !== undefined ? [] : TASKS.flatMap(([name, title]) =>
    listOf((own(result.tasks, name) || {}).settings).map((s) => ({task: title, ...s}))),
});

const results = listOf(data.results).map((result, index) => modelOf(result, index));
const published = listOf(data.published).flatMap((p) =>
  listOf(p.models).map((m) => modelOf(m, -1, String(p.source))));

// Tasks that the study has, as indices.
const tasksHere = d3.range(TASKS.length).filter((t) =>
  results.some((r) => r.settings.some((s) => s.task === TASKS[t][1])));
