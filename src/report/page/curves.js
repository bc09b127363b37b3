// Learning curves of the front and of the baselines.

const curves = {column: 2, logX: false, whole: false};
const COLUMNS = [[2, "bits per byte"], [1, "training loss"]];

function curveLines() {
  return distinguished.map((trial) => ({trial, points: (curveOf(trial) || [])
    .filter((p) => Number.isFinite(p[0]) && Number.isFinite(p[curves.column]))
    .map((p) => ({x: p[0], y: p[curves.column]}))})).filter((l) => l.points.length > 0);
}

// The first steps fall from far above: unless all is wanted, the axis is for what comes after.
function curveRange(lines) {
  const points = lines.flatMap((l) => l.points), most = d3.max(points, (p) => p.x);
  const later = curves.whole ? points : points.filter((p) => p.x >= 0.1 * most);
  return spanOf((later.length > 1 ? later : points).map((p) => p.y));
}

function drawCurves(box, width) {
  const lines = curveLines();
  box.replaceChildren();
  if (lines.length === 0) {
    empty(box, "No learning curves of the front or of baselines yet.");
    return;
  }
  const plot = {width, height: 400, left: 50, right: 20, top: 26, bottom: 46};
  const ends = lines.filter((l) => isBaseline(l.trial));
  plot.right = ends.length === 0 ? 20
    : 14 + 7.5 * d3.max(ends, (l) => shortName(l.trial.baseline).length);
  const y = scaleOver(curveRange(lines), false, [plot.height - plot.bottom, plot.top], 0.04);
  const ticksY = y.ticks(7), textY = (v) => String(Number(v.toPrecision(6)));
  plot.left = tickRoom(ticksY.map(textY));
  const xs = lines.flatMap((l) => l.points.map((p) => p.x)).filter((v) => !curves.logX || v > 0);
  const x = scaleOver(curves.logX ? spanOf(xs) : [0, d3.max(xs)], curves.logX,
    [plot.left, width - plot.right], 0);
  const svg = svgIn(box, width, plot.height, "learning curves");
  const tokens = (v) => withPrefix("number", v, 3, {plain: 1e3});
  drawAxes(svg, plot,
    {scale: x, text: tokens, title: "tokens",
      ticks: curves.logX ? ticksOf("tokens", x, true, width / 90) : x.ticks(Math.max(3, width / 100))},
    {scale: y, text: textY, ticks: ticksY,
      title: COLUMNS.find(([c]) => c === curves.column)[1]});

  const clip = svg.append("clipPath").attr("id", "curves-clip").append("rect");
  clip.attr("x", plot.left).attr("y", plot.top).attr("width", width - plot.left - plot.right + 2)
    .attr("height", plot.height - plot.top - plot.bottom);
  const path = d3.line().x((p) => x(p.x)).y((p) => y(p.y)).defined((p) => !curves.logX || p.x > 0);
  const drawn = svg.append("g").attr("clip-path", "url(#curves-clip)").selectAll("path").data(lines)
    .enter().append("path").attr("d", (l) => path(l.points))
    .attr("class", (l) => `curve ${isBaseline(l.trial) ? "baseline" : "front"}`)
    .attr("stroke-dasharray", (l) => isBaseline(l.trial)
      ? ["none", "7 3", "2 3", "9 3 2 3"][ends.indexOf(l) % 4] : null);
  const names = ends.map((l) => ({l, height: 14, y: y(l.points[l.points.length - 1].y)}));
  spread(names, plot.top, plot.height - plot.bottom);
  for (const n of names)
    svg.append("text").attr("class", "name baseline").attr("x", width - plot.right + 6)
      .attr("y", n.y).attr("dy", "0.32em").text(shortName(n.l.trial.baseline));

  const update = () => drawn.classed("selected", (l) => l.trial === state.selected)
    .classed("pointed", (l) => l.trial === state.pointed)
    .filter((l) => l.trial === state.selected || l.trial === state.pointed).raise();
  state.events.on("select.curves", update).on("point.curves", update);
  update();

  const all = lines.flatMap((l) => l.points.map((p) => ({l, p})))
    .filter(({p}) => p.y <= y.domain()[1] && (!curves.logX || p.x > 0));
  const tree = d3.quadtree(all, ({p}) => x(p.x), ({p}) => y(p.y));
  const nearest = () => tree.find(...d3.mouse(svg.node()), 24);
  svg.on("mousemove", () => {
    const hit = nearest();
    point(hit ? hit.l.trial : null);
    if (!hit) hideTooltip();
    else showTooltip(d3.event, el("p", {class: "title"}, titleOf(hit.l.trial)),
      el("p", null, `${tokens(hit.p.x)} tokens: ${significant(hit.p.y, 4)}`));
  }).on("mouseleave", () => {
    point(null);
    hideTooltip();
  }).on("click", () => {
    const hit = nearest();
    if (hit) select(hit.l.trial);
  });
}

function makeCurves() {
  const section = panel("curves");
  const counts = COLUMNS.map(([column]) => d3.sum(distinguished, (t) =>
    (curveOf(t) || []).filter((p) => Number.isFinite(p[column])).length));
  // Bits per byte where they were measured more than once a trial.
  curves.column = counts[0] >= 2 * distinguished.length && counts[0] > 0 || counts[1] === 0 ? 2 : 1;
  let redraw = () => {};
  const node = el("select", {"aria-label": "measure", onchange: () => {
    curves.column = COLUMNS[node.selectedIndex][0];
    redraw();
  }}, COLUMNS.map(([column, text], i) =>
    el("option", {selected: column === curves.column, disabled: counts[i] === 0}, text)));
  const controls = [check("log tokens", () => curves.logX, (on) => {
    curves.logX = on;
    redraw();
  }), check("first tenth too", () => curves.whole, (on) => {
    curves.whole = on;
    redraw();
  })];
  heading(section, "Learning curves",
    "Solid lines: the front; named lines: baselines. The last point is measured on more text.",
    el("label", null, node), controls.map((c) => c.node));
  const box = el("div", {class: "figure"});
  section.append(box);
  redraw = figure(box, "the learning curves", (width) => drawCurves(box, width));
}
