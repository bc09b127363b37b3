// The data of training runs, indexed. Nothing here draws. Names of folders, settings and what has
// grown may be anything: they become text nodes only.

// format.js asks what a name counts; here names say it.
const objectiveOf = new Map();

// FLOPs by the rule of six for each parameter and token, as the model grew; null where its sizes
// are not known.
function workOf(first, growth) {
  if (!(first > 0)) return () => null;
  const stages = [{tokens: 0, params: first}, ...growth];
  return (tokens) => d3.sum(stages, (stage, i) => {
    const end = i + 1 < stages.length ? Math.min(tokens, stages[i + 1].tokens) : tokens;
    return 6 * stage.params * Math.max(0, end - stage.tokens);
  });
}

// Columns as points: {step, tokens, seconds, work, rate, n: its steps, name: {mean, low, high}}.
function pointsOf(columns, names, work) {
  const column = (name) => listOf(own(columns, name));
  const steps = column("step"), width = columns && columns.width || 1;
  return steps.map((step, i) => {
    const tokens = column("tokens")[i];
    const point = {step, tokens, seconds: column("seconds")[i], work: work(tokens),
      rate: column("rate")[i], n: width};
    for (const name of names) {
      const q = own(columns, name) || {}, mean = listOf(q.mean)[i];
      point[name] = {mean, low: q.low ? q.low[i] : mean, high: q.high ? q.high[i] : mean};
    }
    return point;
  });
}

const runs = listOf(data.runs).map((run, index) => {
  const growth = listOf(run.growth).filter((g) => g.params > 0);
  const work = workOf(run.first_params, growth);
  const final = run.final ? {...run.final, work: work(run.final.tokens)} : null;
  return {
    index,
    name: String(run.name),
    model: run.model || {},
    settings: run.settings && typeof run.settings === "object" ? run.settings : {},
    planned: run.planned,
    final,
    steps: run.steps,
    tokens: run.tokens,
    seconds: run.seconds,
    firstParams: run.first_params,
    params: run.params,
    width: run.points && run.points.width || 1,
    points: pointsOf(run.points, ["bpb", "norm", "speed"], work),
    validation: pointsOf(run.validation, ["bpb"], work),
    growth: growth.map((g) => ({...g, work: work(g.tokens),
      grown: typeof g.grown === "string" ? g.grown : "(too long to be told)"})),
  };
});

// Folders differ in the ends of their names.
const runName = (run) => run.name.length > 30 ? `…${run.name.slice(-29)}` : run.name;

// The validation measures of a run, the final one included: the last and the lowest of them.
function validationOf(run) {
  const all = run.validation.map((p) => ({step: p.step, value: p.bpb.mean, low: p.bpb.low}));
  if (run.final && finite(run.final.bpb))
    all.push({step: run.final.step, value: run.final.bpb, low: run.final.bpb});
  return {last: all[all.length - 1] || null, best: d3.min(all, (v) => v.low)};
}
