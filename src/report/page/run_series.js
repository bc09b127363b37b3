// What plots of runs show: against what, how smooth, over which range. Nothing here draws.

const view = {x: 0, logX: false, smooth: 2, whole: false, hidden: new Set()};

const TIMES = [[1, "s", "seconds"], [60, "min", "minutes"], [3600, "h", "hours"],
  [86400, "d", "days"]];
const timeUnit = (seconds) => TIMES.reduce((a, b) => seconds >= 2 * b[0] ? b : a);
const plain = (v) => withPrefix("number", Number(v.toPrecision(12)), 6, {plain: 1e3});
function timeText(seconds) {
  if (!finite(seconds)) return "–";
  const [size, name] = timeUnit(seconds);
  return `${significant(seconds / size, 3)} ${name}`;
}

// {key, name, title, text: of a value}; `unit(most)`: what axis values are divided by, and title.
const XS = [
  {key: "step", name: "steps", title: "step", text: (v) => String(Math.round(v))},
  {key: "tokens", name: "tokens", title: "tokens", text: countText},
  {key: "seconds", name: "time", title: "time", text: timeText,
    unit: (most) => ({size: timeUnit(most)[0], title: timeUnit(most)[2]})},
  {key: "work", name: "FLOPs", title: "FLOPs (6 × parameters × tokens)", text: flopsText},
];
const xAxis = () => XS[view.x];

// Shares of the longest run over which a step is forgotten.
const SMOOTH = [["none", 0], ["light", 0.004], ["medium", 0.015], ["strong", 0.06]];
const memory = () => SMOOTH[view.smooth][1] * (d3.max(runs, (r) => r.steps) || 0);

// An exponential mean over steps, without the pull of its start; it looks back only, so that what
// a growth does shows behind it.
function smoothed(points, read) {
  const steps = memory();
  let sum = 0, weight = 0;
  return points.filter((p) => finite(read(p))).map((p) => {
    const keep = steps > 0 ? Math.exp(-p.n / steps) : 0;
    sum = keep * sum + (1 - keep) * read(p);
    weight = keep * weight + (1 - keep);
    return {p, x: p[xAxis().key], y: sum / weight};
  });
}

const asLine = (points, read) => points.map((p) => ({p, x: p[xAxis().key], y: read(p)}));

const PLOTS = [
  {id: "loss", title: "Training loss", unit: "bits per byte", height: 400, names: true,
    note: "Lines are means that look back; behind them what was measured, as dots, or as the range "
      + "of steps in a row where there are too many.",
    line: (run) => smoothed(run.points, (p) => p.bpb.mean), raw: (p) => p.bpb},
  {id: "validation", title: "Validation", unit: "bits per byte", dots: true,
    note: "Squares: the measure at the end, on more text.",
    line: (run) => asLine(run.validation, (p) => p.bpb.mean),
    last: (run) => run.final ? asLine([run.final], (p) => p.bpb) : []},
  {id: "rate", title: "Learning rate", unit: "learning rate", whole: true,
    line: (run) => asLine(run.points, (p) => p.rate)},
  {id: "norm", title: "Gradient norm", unit: "norm of the gradient, before clipping",
    line: (run) => smoothed(run.points, (p) => p.norm.mean), raw: (p) => p.norm},
  {id: "speed", title: "Speed", unit: "tokens per second",
    line: (run) => smoothed(run.points, (p) => p.speed.mean), raw: (p) => p.speed},
];

// The shown runs of a plot that have something to draw: {run, line, raw, last, marks}; raw is from
// low to y.
function seriesOf(plot, logY) {
  const lowest = (q) => "low" in q ? q.low : q.y;
  const good = (q) => finite(q.x) && finite(q.y) && (!logY || lowest(q) > 0)
    && (!view.logX || q.x > 0);
  return runs.filter((run) => !view.hidden.has(run.index)).map((run) => ({
    run,
    line: plot.line(run).filter(good),
    raw: !plot.raw ? [] : run.points.map((p) =>
      ({x: p[xAxis().key], low: plot.raw(p).low, y: plot.raw(p).high})).filter(good),
    last: plot.last ? plot.last(run).filter(good) : [],
    marks: run.growth.map((g) => ({g, run, x: g[xAxis().key]}))
      .filter((m) => finite(m.x) && (!view.logX || m.x > 0)),
  })).filter((s) => s.line.length + s.last.length > 0);
}

// The first steps fall from far above, and some stand out: unless all is wanted, the axis is for
// the others.
function rangeOf(plot, series) {
  const values = series.flatMap((s) => [...s.line, ...s.last, ...s.raw].map((q) => q.y)
    .concat(s.raw.map((q) => q.low))).sort(d3.ascending);
  if (view.whole || plot.whole || !plot.raw || values.length < 50) return spanOf(values);
  return [d3.quantile(values, 0.002), d3.quantile(values, 0.98)];
}
