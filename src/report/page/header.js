// The head of the page: what was searched, how far it is, the best so far, the settings.

// The smallest value of a measure among trials that count, and how it compares with baselines.
function bestTile(objective) {
  const done = trials.filter((t) => t.feasible !== false && valueOf(t, objective.name) !== null);
  const smallest = (list) => list.length === 0 ? null : list.reduce((a, b) =>
    valueOf(b, objective.name) < valueOf(a, objective.name) ? b : a);
  const best = smallest(done.filter((t) => !isBaseline(t))) || smallest(done);
  const rival = smallest(done.filter(isBaseline));
  const change = best && rival && best !== rival
    ? showChange(valueOf(best, objective.name), valueOf(rival, objective.name)) : "";
  return el("div", {class: "tile", title: objective.summary},
    el("span", {class: "label"}, `least ${axisTitle(objective.name)}`),
    el("span", {class: "value"}, best ? show(objective.name, valueOf(best, objective.name)) : "–"),
    el("span", {class: "more"}, best ? trialLink(best) : "nothing finished yet",
      change ? ` ${change} against ${rival.baseline}` : ""));
}

function hypervolumeTile() {
  const known = (data.hypervolume || []).filter(Number.isFinite);
  if (known.length === 0) return null;
  const last = known[known.length - 1];
  return el("div", {class: "tile", title: "the part of objective space that the front dominates"},
    el("span", {class: "label"}, "hypervolume"),
    el("span", {class: "value"}, significant(last, 4)),
    el("span", {class: "more"}, known.length > 1
      ? `${showChange(last, known[0])} since generation 0` : "one generation"));
}

function drawHeader() {
  const title = data.title || "sartor study";
  document.title = `${title}: sartor report`;
  const generations = new Set(trials.filter((t) => !isBaseline(t)).map((t) => t.generation)).size;
  panel("header").replaceChildren(
    el("div", {class: "titles"},
      el("div", null, el("h1", null, title),
        el("p", {class: "subtitle"}, [
          `${trials.length} ${trials.length === 1 ? "trial" : "trials"} in ${generations} `,
          generations === 1 ? "generation" : "generations",
          data.made ? `, as of ${data.made}` : ""])),
      stateLine()),
    el("div", {class: "tiles"}, objectives.map(bestTile),
      el("div", {class: "tile"}, el("span", {class: "label"}, "Pareto front"),
        el("span", {class: "value"}, String(front.length)),
        el("span", {class: "more"}, trials.length > 0
          ? `of ${trials.length - failed.length} that did not fail` : "no trial yet")),
      hypervolumeTile()),
    settingsTable() || "");
  drawFooter();
}

// The panels, in the order of the links to them.
const SECTIONS = [["pareto", "Pareto front"], ["lineage", "Lineage"], ["curves", "Learning curves"],
  ["hypervolume", "Hypervolume"], ["parallel", "All measures"], ["front", "Front table"],
  ["finals", "Finals"], ["classes", "Classes"], ["backbones", "Backbones"],
  ["failed", "Failed"]];
