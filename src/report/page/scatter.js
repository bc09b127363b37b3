// The Pareto front: any measure against any other. Most trials are faint dots on a canvas; the
// front, baselines, finals and the selection are marks of their own above it.

const scatter = {x: null, y: null, logX: false, logY: false, near: false, finals: true};

// What finals know of a measure: {mean, std}, or null.
function finalValue(final, axis) {
  if (PSEUDO.has(axis)) return null;
  const value = own(final, axis);
  if (typeof value === "number" && Number.isFinite(value)) return {mean: value, std: 0};
  return value && Number.isFinite(value.mean) ? {mean: value.mean, std: value.std || 0} : null;
}
const finalTitle = (final) => final.baseline || `#${final.trial}`;

// Points that no other is below and left of, from left to right.
function staircase(points) {
  const best = [];
  for (const p of [...points].sort((a, b) => a.x - b.x || a.y - b.y))
    if (best.length === 0 || p.y < best[best.length - 1].y) best.push(p);
  return best;
}

function scatterPoints() {
  const points = [];
  for (const trial of trials) {
    const x = coordinate(trial, scatter.x), y = coordinate(trial, scatter.y);
    if (x !== null && y !== null) points.push({trial, x, y});
  }
  const marks = scatter.finals ? finals.map((final) => ({final, x: finalValue(final, scatter.x),
    y: finalValue(final, scatter.y)})).filter((m) => m.x && m.y) : [];
  return {points, marks};
}

// Whether the front would be squeezed into a corner by far-away trials.
function squeezed({points}, axis) {
  const special = points.filter((p) => p.trial.front || isBaseline(p.trial)).map((p) => p[axis]);
  const [a, b] = spanOf(special), [low, high] = spanOf(points.map((p) => p[axis]));
  return special.length > 2 && points.length > 20 && b - a < 0.4 * (high - low);
}

function scatterDomains(found) {
  const {points, marks} = found;
  const domain = {};
  for (const axis of ["x", "y"]) {
    const all = points.map((p) => p[axis]);
    let list = all;
    if (scatter.near) {
      list = points.filter((p) => p.trial.front || isBaseline(p.trial)).map((p) => p[axis]);
      const [a, b] = spanOf(list), far = b + 0.6 * (b - a), [, high] = spanOf(all);
      list.push(Math.min(far, high));
    }
    for (const m of marks) list.push(m[axis].mean - m[axis].std, m[axis].mean + m[axis].std);
    domain[axis] = spanOf(list);
  }
  return domain;
}

function drawPoints(context, points, at) {
  const plain = colour("faint"), hollow = colour("faint-line");
  const size = points.length > 4000 ? 1.6 : points.length > 800 ? 2.2 : 3;
  for (const filtered of [true, false]) {
    context.globalAlpha = filtered ? 0.15 : points.length > 4000 ? 0.55 : 0.9;
    for (const p of points) {
      if (passes(p.trial) === filtered) continue;
      context.beginPath();
      context.arc(at.x(p.x), at.y(p.y), size, 0, 2 * Math.PI);
      if (p.trial.feasible === false) {
        context.strokeStyle = hollow;
        context.stroke();
      } else {
        context.fillStyle = plain;
        context.fill();
      }
    }
  }
  context.globalAlpha = 1;
}

const diamond = (x, y, r) => `M${x},${y - r}L${x + r},${y}L${x},${y + r}L${x - r},${y}Z`;

const overlap = (a, b) =>
  Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0))
  * Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));

// Names beside marks, each where it covers least of what is there. `marks`: {x, y, text, class,
// optional};
// `others`: places [x, y] of marks without a name.
function drawNames(svg, marks, others, plot) {
  const around = (x, y, r) => ({x0: x - r, x1: x + r, y0: y - r, y1: y + r});
  const taken = [...marks.map((m) => around(m.x, m.y, 6)), ...others.map(([x, y]) => around(x, y, 4))];
  const frame = {x0: plot.left, x1: plot.width - 2, y0: plot.top, y1: plot.height - plot.bottom};
  for (const m of marks) {
    const text = m.text.length > 28 ? `${m.text.slice(0, 27)}…` : m.text;
    const node = svg.append("text").attr("class", `name ${m.class}`).text(text);
    const width = Math.max(8, node.node().getBBox().width), height = 13;
    let best = null, least = Infinity;
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -0.8], [1, 0.8], [-1, -0.8],
      [-1, 0.8], [1, -1.7], [1, 1.7], [-1, -1.7], [-1, 1.7]]) {
      const x = dx > 0 ? m.x + 10 : dx < 0 ? m.x - 10 - width : m.x - width / 2, y = m.y + 15 * dy;
      const box = {x0: x, x1: x + width, y0: y - height / 2, y1: y + height / 2};
      const cost = d3.sum(taken, (t) => overlap(box, t)) + 3 * (width * height - overlap(box, frame))
        + Math.hypot(dx, dy);
      if (cost < least) [best, least] = [box, cost];
    }
    // In a crowd a name would stand at another's mark: pointing at the mark tells it.
    if (m.optional && least > 12) {
      node.remove();
      continue;
    }
    taken.push(best);
    node.attr("x", best.x0).attr("y", (best.y0 + best.y1) / 2).attr("dy", "0.32em");
  }
}

function drawFinalMarks(svg, marks, at) {
  for (const m of marks) {
    const x = at.x(m.x.mean), y = at.y(m.y.mean), g = svg.append("g").attr("class", "final");
    if (m.y.std > 0)
      g.append("path").attr("d", `M${x},${at.y(m.y.mean - m.y.std)}V${at.y(m.y.mean + m.y.std)}`);
    if (m.x.std > 0)
      g.append("path").attr("d", `M${at.x(m.x.mean - m.x.std)},${y}H${at.x(m.x.mean + m.x.std)}`);
    g.append("rect").attr("x", x - 4.5).attr("y", y - 4.5).attr("width", 9).attr("height", 9)
      .on("mousemove", () => showTooltip(d3.event, finalTooltip(m.final)))
      .on("mouseleave", hideTooltip)
      .on("click", () => select(trialOf.get(m.final.trial)));
  }
}

function finalTooltip(final) {
  return [el("p", {class: "title"}, finalTitle(final), el("span", null, " final training")),
    el("table", null, finalMeasures().map((m) => el("tr", null, el("th", null, shortName(m)),
      el("td", null, showFinal(final, m)))))];
}

// The trial under the mouse: marks first, they are what one aims at.
function scatterFinder(points, at) {
  const tree = (list) => d3.quadtree(list, (p) => at.x(p.x), (p) => at.y(p.y));
  const special = tree(points.filter((p) => p.trial.front || isBaseline(p.trial)));
  const all = tree(points);
  return ([x, y]) => special.find(x, y, 12) || all.find(x, y, 18);
}

function drawScatter(box, width, caption) {
  const found = scatterPoints();
  box.replaceChildren();
  const hidden = trials.length - found.points.length;
  const without = hidden > 0 ? ` ${hidden} of ${trials.length} have no such values.` : "";
  if (found.points.length === 0 && found.marks.length === 0) {
    caption.textContent = "";
    empty(box, trials.length === 0 ? "No trial yet."
      : "No trial has finished with values for both axes yet.");
    return;
  }
  const domain = scatterDomains(found);
  scatter.logX = scatter.logX && domain.x[0] > 0;
  scatter.logY = scatter.logY && domain.y[0] > 0;
  const plot = {width, height: Math.round(Math.max(460, Math.min(620, width * 0.62))), left: 60,
    right: 18, top: 26, bottom: 46};
  const y = scaleOver(domain.y, scatter.logY, [plot.height - plot.bottom, plot.top], 0.05);
  const ticksY = ticksOf(scatter.y, y, scatter.logY, 7);
  plot.left = tickRoom(ticksY.map((v) => tickText(scatter.y, v)));
  const x = scaleOver(domain.x, scatter.logX, [plot.left, width - plot.right], 0.05);
  const at = {x, y}, inside = (p) => p.x >= x.domain()[0] && p.x <= x.domain()[1]
    && p.y >= y.domain()[0] && p.y <= y.domain()[1];
  const points = found.points.filter(inside);
  const outside = found.points.length - points.length;
  caption.textContent = "Down and left is better. The line joins trials that no other beats in these "
    + "two measures; click a trial to select it." + without
    + (outside > 0 ? ` ${outside} lie outside the range shown.` : "");

  const context = canvasIn(box, width, plot.height);
  drawPoints(context, points.filter((p) => !p.trial.front && !isBaseline(p.trial)), at);
  const svg = svgIn(box, width, plot.height, "scatter plot of trials");
  drawAxes(svg, plot,
    {scale: x, ticks: ticksOf(scatter.x, x, scatter.logX, Math.max(3, width / 90)),
      text: (v) => tickText(scatter.x, v), title: axisTitle(scatter.x)},
    {scale: y, ticks: ticksY, text: (v) => tickText(scatter.y, v), title: axisTitle(scatter.y)});

  const line = d3.line().x((p) => x(p.x)).y((p) => y(p.y)).curve(d3.curveStepAfter);
  svg.append("path").attr("class", "front-line")
    .attr("d", line(staircase(points.filter((p) => p.trial.feasible !== false))));
  svg.append("g").selectAll("circle").data(points.filter((p) => p.trial.front)).enter()
    .append("circle").attr("class", (p) => `front-point${passes(p.trial) ? "" : " out"}`)
    .attr("cx", (p) => x(p.x)).attr("cy", (p) => y(p.y)).attr("r", 5);
  const named = points.filter((p) => isBaseline(p.trial));
  svg.append("g").selectAll("path").data(named).enter().append("path")
    .attr("class", "baseline-mark").attr("d", (p) => diamond(x(p.x), y(p.y), 7));
  drawFinalMarks(svg, found.marks, at);
  drawNames(svg, [
    ...named.map((p) => ({x: x(p.x), y: y(p.y), text: p.trial.baseline, class: "baseline"})),
    ...found.marks.map((m) => ({x: x(m.x.mean), y: y(m.y.mean), text: finalTitle(m.final),
      class: "final", optional: !m.final.baseline}))],
  points.filter((p) => p.trial.front).map((p) => [x(p.x), y(p.y)]), plot);

  const ring = svg.append("circle").attr("class", "selected-ring").attr("r", 9);
  const pointed = svg.append("circle").attr("class", "pointed-ring").attr("r", 8);
  const place = (node, trial) => {
    const p = trial && points.find((q) => q.trial === trial);
    node.attr("visibility", p ? "visible" : "hidden");
    if (p) node.attr("cx", x(p.x)).attr("cy", y(p.y));
  };
  const update = () => {
    place(ring, state.selected);
    place(pointed, state.pointed);
  };
  state.events.on("select.scatter", update).on("point.scatter", update);
  update();

  const find = scatterFinder(points, at);
  svg.on("mousemove", () => {
    if (d3.event.target.tagName === "rect") return;
    const p = find(d3.mouse(svg.node()));
    point(p ? p.trial : null);
    svg.style("cursor", p ? "pointer" : null);
    if (p) showTooltip(d3.event, trialTooltip(p.trial));
    else hideTooltip();
  }).on("mouseleave", () => {
    point(null);
    hideTooltip();
  }).on("click", () => {
    const p = find(d3.mouse(svg.node()));
    if (p) select(p.trial);
  });
}

function axisSelect(label, current, change) {
  const axes = [...measures, TRIAL_AXIS, GENERATION_AXIS];
  const node = el("select", {"aria-label": label, onchange: () => change(axes[node.selectedIndex])},
    axes.map((a) => el("option", {selected: a === current()},
      PSEUDO.has(a) ? PSEUDO.get(a).title : shortName(a))));
  return {node: el("label", null, `${label} `, node),
    update: () => (node.selectedIndex = axes.indexOf(current()))};
}

// Axes to begin with: the first two objectives; with one, what it cost, or the order of trials.
function firstAxes() {
  scatter.y = quality === undefined ? GENERATION_AXIS : quality;
  const others = measures.filter((m) => m !== scatter.y);
  const second = others.find((m) => objectiveOf.has(m)) || others.find((m) => m === "params");
  scatter.x = second === undefined ? TRIAL_AXIS : second;
}

function fitAxes() {
  const found = scatterPoints();
  const span = (axis) => spanOf(found.points.map((p) => p[axis]));
  scatter.logX = wantsLog(scatter.x, span("x"));
  scatter.logY = wantsLog(scatter.y, span("y"));
  scatter.near = !scatter.logY && squeezed(found, "y") || !scatter.logX && squeezed(found, "x");
}

function makeScatter() {
  const section = panel("pareto");
  firstAxes();
  fitAxes();
  let redraw = () => {};
  const again = () => {
    controls.forEach((c) => c.update());
    redraw();
    controls.forEach((c) => c.update());
  };
  const axis = (name) => (value) => {
    scatter[name] = value;
    fitAxes();
    again();
  };
  const flag = (name) => (value) => {
    scatter[name] = value;
    again();
  };
  const controls = [
    axisSelect("Across", () => scatter.x, axis("x")), check("log", () => scatter.logX, flag("logX")),
    axisSelect("Up", () => scatter.y, axis("y")), check("log", () => scatter.logY, flag("logY")),
    check("near the front", () => scatter.near, flag("near")),
  ];
  if (finals.length > 0) controls.push(check("finals", () => scatter.finals, flag("finals")));
  const caption = heading(section, "Pareto front", "", controls.map((c) => c.node));
  const box = el("div", {class: "figure", id: "scatter"});
  section.append(el("p", {class: "legend"},
    el("span", null, el("i", {class: "key dot"}), "trial"),
    trials.some((t) => t.feasible === false)
      ? el("span", null, el("i", {class: "key ring"}), "beyond a limit") : null,
    el("span", null, el("i", {class: "key front"}), "front"),
    baselines.length > 0 ? el("span", null, el("i", {class: "key diamond"}), "baseline") : null,
    finals.length > 0 ? el("span", null, el("i", {class: "key square"}),
      "final (longer training, test text), mean ± std") : null), box);
  redraw = figure(box, "the scatter plot", (width) => drawScatter(box, width, caption));
  controls.forEach((c) => c.update());
  state.events.on("filter.scatter", redraw);
  scatter.show = (x, y) => {
    scatter.x = x;
    scatter.y = y;
    fitAxes();
    again();
  };
}
