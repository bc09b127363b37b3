// The data of a scaling study, indexed. Nothing here draws. Names of architectures come from the
// study and may be anything: they become text nodes only.

// format.js asks what a name counts; here names say it.
const objectiveOf = new Map();

const results = listOf(data.results).map((result, index) => ({
  index,
  arch: String(result.arch),
  pattern: String(result.pattern || ""),
  laws: result.laws || {},
  noise: result.noise,
  why: result.no_intervals,
  points: listOf(result.points),
  done: listOf(result.points).filter((p) => p.state === "done" && finite(p.loss) && p.params > 0),
  budgets: listOf(result.budgets),
  // Budgets whose best size was measured: what laws go through.
  counted: listOf(result.budgets).filter((b) => !b.fault && !b.outside),
}));

// All budgets, rising: a colour for each.
const budgets = [...new Set(results.flatMap((r) => r.points.map((p) => p.budget)))]
  .filter((b) => b > 0).sort((a, b) => a - b);

// A law of one architecture or of all together, or null.
function lawOf(laws, name) {
  const law = own(laws, name);
  return law && !law.fault && law.exponent ? law : null;
}
