// Ancestors of the selected trial: generations as rows, the trial at the bottom, and on the way to
// each child the operator that made it.

const lineage = {depth: 5};
const MOST_ANCESTORS = 90;
const NODE = {apart: 150, radius: 6};

// Trials within `depth` steps back, nearest first, and whether there are more.
function ancestorsOf(trial, depth) {
  const found = new Map([[trial.trial, trial]]);
  let edge = [trial], cut = false;
  for (let step = 0; edge.length > 0; step++) {
    const next = [];
    for (const child of edge)
      for (const number of child.parents) {
        const parent = trialOf.get(number);
        if (!parent || found.has(number)) continue;
        if (step >= depth || found.size >= MOST_ANCESTORS) {
          cut = true;
          continue;
        }
        found.set(number, parent);
        next.push(parent);
      }
    edge = next;
  }
  return {nodes: [...found.values()], cut};
}

// Rows from old to new. A trial stands above its children even where generations do not tell.
function rowsOf(nodes) {
  const inside = new Set(nodes);
  const level = new Map();
  // Children come later than parents: trial numbers grow.
  for (const t of [...nodes].sort((a, b) => b.trial - a.trial)) {
    const below = childrenOf(t).map((n) => trialOf.get(n)).filter((c) => inside.has(c));
    const limit = d3.min(below, (c) => level.get(c));
    level.set(t, limit === undefined ? t.generation : Math.min(t.generation, limit - 1));
  }
  return d3.nest().key((t) => level.get(t)).sortKeys((a, b) => a - b).entries(nodes)
    .map(({key, values}) => ({generation: Number(key), trials: values}));
}

// Places each row around its children, trials at least row.apart from each other. Of two parents one
// is left and one right of the child: lines that skip rows then do not run through what is there.
function placeRows(rows, left, right) {
  const at = new Map();
  const inside = new Set(rows.flatMap((r) => r.trials));
  for (const row of [...rows].reverse()) {
    const wish = new Map(row.trials.map((t) => {
      const below = childrenOf(t).map((n) => trialOf.get(n)).filter((c) => inside.has(c) && at.has(c));
      const beside = (c) => {
        const parents = [...new Set(c.parents)].filter((p) => inside.has(trialOf.get(p)));
        return (parents.indexOf(t.trial) / Math.max(1, parents.length - 1) - 0.5)
          * (parents.length > 1 ? NODE.apart * 0.7 : 0);
      };
      return [t, below.length > 0 ? d3.mean(below, (c) => at.get(c).x + beside(c))
        : (left + right) / 2];
    }));
    row.trials.sort((a, b) => wish.get(a) - wish.get(b) || a.trial - b.trial);
    const n = row.trials.length;
    row.apart = n > 1 ? Math.min(NODE.apart, (right - left) / (n - 1)) : right - left;
    const step = n > 1 ? row.apart : 0, half = step * (n - 1) / 2;
    const middle = Math.max(left + half, Math.min(right - half, d3.mean(row.trials, (t) => wish.get(t))));
    row.trials.forEach((t, i) => at.set(t, {x: middle - half + i * step, row}));
  }
  return at;
}

// "crossover+mutation" as "X+M" where there is no room for words.
const OPERATOR_CODES = new Map([["crossover", "X"], ["mutation", "M"], ["sample", "S"],
  ["seed", "seed"], ["move", "F"]]);
const shortOperator = (name) => name.split("+").map((p) => OPERATOR_CODES.get(p) || p.slice(0, 4))
  .join("+");

function drawLineage(box, width, caption) {
  box.replaceChildren();
  const trial = state.selected;
  if (!trial) {
    caption.textContent = "";
    empty(box, "No trial yet.");
    return;
  }
  const {nodes, cut} = ancestorsOf(trial, lineage.depth);
  const rows = rowsOf(nodes), plot = {left: 62, right: 60, top: 22};
  const at = placeRows(rows, plot.left + 20, width - plot.right - 50);
  const rowHeight = Math.max(48, Math.min(70, 640 / rows.length));
  const height = plot.top + (rows.length - 1) * rowHeight + 24;
  rows.forEach((row, i) => (row.y = plot.top + i * rowHeight + 8));
  const svg = svgIn(box, width, height, `ancestors of ${titleOf(trial)}`);
  const codes = new Set();

  for (const row of rows) {
    svg.append("line").attr("class", "row-line").attr("x1", plot.left).attr("x2", width - 6)
      .attr("y1", row.y).attr("y2", row.y);
    svg.append("text").attr("class", "tick").attr("x", 0).attr("y", row.y).attr("dy", "0.32em")
      .text(`gen ${row.trials[0].generation}`);
  }
  const edges = svg.append("g"), labels = svg.append("g"), marks = svg.append("g");
  for (const child of nodes) {
    const to = at.get(child), y = to.row.y;
    const parents = [...new Set(child.parents)].map((n) => trialOf.get(n)).filter((p) => at.has(p));
    for (const parent of parents) {
      const from = at.get(parent), start = from.row.y + NODE.radius, end = y - 15;
      edges.append("path").attr("class", "descent").attr("data-child", child.trial)
        .attr("d", `M${from.x},${start}C${from.x},${(start + end) / 2} ${to.x},${(start + end) / 2} `
          + `${to.x},${end}V${y - NODE.radius - 1}`);
    }
    if (!child.operator || (parents.length === 0 && child !== trial)) continue;
    const words = child.operator, wide = words.length * 6.4 + 14;
    const room = to.row.apart > wide;
    if (to.row.apart < 30) continue;
    const text = room ? words : shortOperator(words);
    if (!room) words.split("+").forEach((w) => codes.add(w));
    labels.append("text").attr("class", "operator").attr("x", to.x + 7)
      .attr("y", y - 12).text(text);
  }
  for (const t of nodes) {
    const {x, row} = at.get(t), g = marks.append("g").attr("class", ["ancestor",
      t.front ? "front" : "", isBaseline(t) ? "baseline" : "", t === trial ? "selected" : "",
      t.state === "failed" ? "failed" : "", stoppedText(t) ? "stopped" : ""].join(" "));
    if (isBaseline(t)) g.append("path").attr("d", diamond(x, row.y, NODE.radius + 1));
    else g.append("circle").attr("cx", x).attr("cy", row.y).attr("r", NODE.radius);
    if (row.apart > 44)
      g.append("text").attr("class", "halo").attr("x", x + 10).attr("y", row.y).attr("dy", "0.34em")
        .text(isBaseline(t) && row.apart > 120 ? titleOf(t) : `#${t.trial}`);
    g.on("mousemove", () => {
      point(t);
      showTooltip(d3.event, trialTooltip(t));
    }).on("mouseleave", () => {
      point(null);
      hideTooltip();
    }).on("click", () => {
      hideTooltip();
      select(t);
    });
  }
  const key = [...codes].filter((w) => OPERATOR_CODES.has(w))
    .map((w) => `${OPERATOR_CODES.get(w)} ${w}`).join(", ");
  box.scrollTop = box.scrollHeight;
  const count = nodes.length - 1;
  caption.textContent = (count === 0 ? `${titleOf(trial)} has no parents.`
    : `${titleOf(trial)} (bottom) and ${count} of its ancestors${cut ? "; older ones are left out" : ""}.`)
    + (key ? ` ${key}.` : "");
}

function makeLineage() {
  const section = panel("lineage");
  const choices = [["3 steps", 3], ["5 steps", 5], ["10 steps", 10], ["all", Infinity]];
  const node = el("select", {onchange: () => {
    lineage.depth = choices[node.selectedIndex][1];
    redraw();
  }}, choices.map(([text, depth]) => el("option", {selected: depth === lineage.depth}, text)));
  const caption = heading(section, "Lineage", "", el("label", null, "Back ", node));
  const box = el("div", {class: "figure"});
  section.append(box);
  const redraw = figure(box, "the lineage", (width) => drawLineage(box, width, caption));
  state.events.on("select.lineage", redraw);
}
