// Backbones of the front and of the baselines: LIVs as boxes from the input (top) to the output.
// Left: arcs tie LIVs that use the same featurizer weights. Right: arrows lead from the LIV that
// computes a feature group to those that read it.

const BOX = {width: 94, height: 19, step: 23, top: 6};
const SHOWN_FIRST = 40;

const middleOf = (i) => BOX.top + i * BOX.step + BOX.height / 2;

// One tie for each LIV with borrowed weights, to the member of its group before it: groups become
// chains of short arcs.
function weightTies(livs) {
  const last = new Map(), ties = [];
  livs.forEach((liv, i) => {
    const owner = liv.weights_from;
    if (owner === null || owner === undefined || owner === i) return;
    ties.push({from: last.has(owner) ? last.get(owner) : owner, to: i});
    last.set(owner, i);
  });
  return ties;
}

// One arrow for each pair of LIVs, with all features it carries; arrows from one LIV lie in one
// lane, lanes do not overlap.
function readArrows(livs) {
  const pairs = new Map();
  livs.forEach((liv, i) => {
    for (const read of liv.reads || []) {
      const key = `${read.from} ${i}`;
      if (!pairs.has(key)) pairs.set(key, {from: read.from, to: i, features: []});
      pairs.get(key).features.push(read.feature);
    }
  });
  const arrows = [...pairs.values()];
  const spans = d3.nest().key((a) => a.from).entries(arrows).map(({values}) =>
    ({from: values[0].from, to: d3.max(values, (a) => a.to), arrows: values}));
  spans.sort((a, b) => (a.to - a.from) - (b.to - b.from) || a.from - b.from);
  const lanes = [];
  for (const span of spans) {
    const free = (lane) => lane.every((s) => s.to < span.from || s.from > span.to);
    let lane = lanes.findIndex(free);
    if (lane < 0) lane = lanes.push([]) - 1;
    lanes[lane].push(span);
    for (const a of span.arrows) a.lane = lane;
  }
  return {arrows, lanes: lanes.length};
}

function livTooltip(liv, i) {
  const lines = [];
  if (liv.weights_from !== null && liv.weights_from !== undefined && liv.weights_from !== i)
    lines.push(`uses the weights of LIV ${liv.weights_from + 1}`);
  for (const read of liv.reads || []) lines.push(`reads ${read.feature} of LIV ${read.from + 1}`);
  if (lines.length === 0) lines.push("shares nothing from earlier LIVs");
  return [el("p", {class: "title"}, `LIV ${i + 1}: ${liv.class}`), lines.map((l) => el("p", null, l))];
}

function drawBackbone(box, trial) {
  const livs = backboneOf(trial), ties = weightTies(livs), {arrows, lanes} = readArrows(livs);
  const bulge = (t) => Math.min(58, 10 + 3 * (t.to - t.from));
  const labels = d3.max(arrows, (a) => 6 * a.features.join(" ").length) || 0;
  const left = ties.length > 0 ? 4 + 0.75 * d3.max(ties, bulge) : 4;
  const stub = lanes > 0 ? 14 + Math.min(labels, 60) : 0, laneWidth = 9;
  const edge = left + BOX.width;
  const width = edge + (lanes > 0 ? stub + lanes * laneWidth : 2);
  const height = BOX.top * 2 + livs.length * BOX.step;
  const svg = svgIn(box, Math.ceil(width), height, `backbone of ${titleOf(trial)}`);

  for (const t of ties) {
    const a = middleOf(t.from), b = middleOf(t.to), x = left - bulge(t);
    svg.append("path").attr("class", `weights family-${familyOf(livs[t.to].class)}`)
      .attr("data-livs", `${t.from} ${t.to}`)
      .attr("d", `M${left},${a + 3}C${x},${a + 3} ${x},${b - 3} ${left},${b - 3}`);
  }
  for (const a of arrows) {
    const x = edge + stub + (a.lane + 0.4) * laneWidth, y = middleOf(a.from) + 4;
    const end = middleOf(a.to) - 2, g = svg.append("g").attr("data-livs", `${a.from} ${a.to}`)
      .attr("class", `reads family-${familyOf(livs[a.to].class)}`);
    g.append("path").attr("class", "read-line")
      .attr("d", `M${edge},${y}H${x - 4}Q${x},${y} ${x},${y + 4}V${end - 4}Q${x},${end} ${x - 4},${end}`
        + `H${edge + 5}`);
    g.append("path").attr("class", "read-head").attr("d", `M${edge},${end}l7,-3.4v6.8Z`);
    g.append("text").attr("class", "read-name").attr("x", edge + 9).attr("y", end - 3)
      .text(a.features.join(" "));
  }
  livs.forEach((liv, i) => {
    const g = svg.append("g").attr("class", `liv family-${familyOf(liv.class)}`);
    const y = BOX.top + i * BOX.step;
    g.append("rect").attr("x", left).attr("y", y).attr("width", BOX.width)
      .attr("height", BOX.height).attr("rx", 3);
    g.append("text").attr("class", "liv-number").attr("x", left + 5).attr("y", y + 13).text(i + 1);
    g.append("text").attr("class", "liv-name").attr("x", left + 20).attr("y", y + 13).text(liv.class);
    g.on("mousemove", () => showTooltip(d3.event, livTooltip(liv, i)))
      .on("mouseenter", () => svg.selectAll("[data-livs]").classed("lit", function () {
        return this.getAttribute("data-livs").split(" ").includes(String(i));
      }))
      .on("mouseleave", () => {
        svg.selectAll(".lit").classed("lit", false);
        hideTooltip();
      });
  });
}

function backboneFigure(trial) {
  const values = objectives.slice(0, 4).map((o) =>
    el("span", null, `${shortName(o.name)} `, el("b", null, show(o.name, valueOf(trial, o.name)))));
  const node = el("figure", {class: `backbone${isBaseline(trial) ? " baseline" : ""}`,
    "data-trial": trial.trial},
  el("figcaption", null, trialLink(trial), el("span", {class: "objectives"}, values)));
  guarded(`the backbone of trial ${trial.trial}`, () => drawBackbone(node, trial));
  return node;
}

function makeBackbones() {
  const section = panel("backbones");
  const shown = distinguished.filter((t) => (backboneOf(t) || []).length > 0);
  heading(section, "Backbones", "LIVs from input (top) to output. Arcs on the left tie LIVs that use "
    + "the same featurizer weights; arrows on the right lead from the LIV that computes a feature "
    + "group to the one that reads it.");
  if (shown.length === 0) {
    empty(section, "No backbones: no trial is in the front yet.");
    return;
  }
  section.append(el("p", {class: "legend-row"}, familyLegend()));
  const list = el("div", {class: "backbones"});
  const draw = (trialsToDraw) => {
    list.replaceChildren(...trialsToDraw.map(backboneFigure));
    // Columns as wide as the widest drawing.
    const widest = d3.max([...list.querySelectorAll("svg")], (svg) => Number(svg.getAttribute("width")));
    list.style.gridTemplateColumns = `repeat(auto-fill, minmax(min(100%, ${widest + 20}px), 1fr))`;
  };
  const first = [...shown.filter((t) => !isBaseline(t)).slice(0, SHOWN_FIRST),
    ...shown.filter(isBaseline)];
  draw(first);
  section.append(list);
  if (first.length < shown.length) {
    const more = el("button", {type: "button", class: "more", onclick: () => {
      draw(shown);
      more.remove();
      mark();
    }}, `Draw all ${shown.length}`);
    section.append(more);
  }
  const mark = () => list.querySelectorAll("figure").forEach((node) =>
    node.classList.toggle("selected",
      state.selected !== null && Number(node.dataset.trial) === state.selected.trial));
  state.events.on("select.backbones", mark);
}
