// Plots of runs: a line for each, what it was smoothed from, a mark at every growth step.

const colourOf = (run) => `arch-${run.index % 8}`;

function scalesOf(plot, series, frame, logY) {
  const all = series.flatMap((s) => [...s.line, ...s.last].map((q) => q.x));
  const [low, high] = spanOf(all);
  const x = scaleOver(view.logX ? [low, high] : [Math.min(0, low), high], view.logX,
    [frame.left, frame.width - frame.right], 0);
  const y = scaleOver(rangeOf(plot, series), logY, [frame.height - frame.bottom, frame.top], 0.04);
  return {x, y};
}

function ticksFor(scale, logarithmic, count) {
  return logarithmic ? ticksOf("", scale, true, count) : scale.ticks(count);
}

function axesOf(svg, plot, frame, {x, y}, logY) {
  const axis = xAxis(), count = Math.max(3, frame.width / 100);
  const unit = axis.unit ? axis.unit(x.domain()[1]) : {size: 1, title: axis.title};
  const shown = x.copy().domain(x.domain().map((v) => v / unit.size));
  const ticksY = ticksFor(y, logY, plot.id === "loss" ? 8 : 5);
  drawAxes(svg, frame,
    {scale: shown, ticks: ticksFor(shown, view.logX, count), title: unit.title,
      text: (v) => axis.key === "work" && v > 0 ? flopsText(v) : plain(v)},
    {scale: y, ticks: ticksY, text: plot.textY, title: plot.unit});
}

// One path for all: dots where a point is one step, else a stroke from lowest to highest.
function rawPath(raw, {x, y}) {
  return raw.map((q) => `M${x(q.x).toFixed(1)},${y(q.low).toFixed(1)}`
    + (q.low === q.y ? "h0" : `V${y(q.y).toFixed(1)}`)).join("");
}

function drawRun(svg, s, scales, plot) {
  const {x, y} = scales, group = svg.append("g").attr("class", `run ${colourOf(s.run)}`);
  const path = d3.line().x((q) => x(q.x)).y((q) => y(q.y));
  if (s.raw.length > 0) group.append("path").attr("class", "run-raw").attr("d", rawPath(s.raw, scales));
  if (s.line.length > 0) group.append("path").attr("class", "run-line").attr("d", path(s.line));
  if (plot.dots)
    for (const q of s.line)
      group.append("circle").attr("class", "run-dot").attr("r", 3).attr("cx", x(q.x)).attr("cy", y(q.y));
  for (const q of s.last)
    group.append("rect").attr("class", "run-last").attr("x", x(q.x) - 4.5).attr("y", y(q.y) - 4.5)
      .attr("width", 9).attr("height", 9);
}

const growthText = ({g}) => `${g.grown} → ${countText(g.params)}`;

// Lines at growth steps; in words where there is room beside the one before.
function drawMarks(svg, series, x, frame, named) {
  const marks = series.flatMap((s) => s.marks).filter((m) => x(m.x) <= x.range()[1] + 1)
    .sort((a, b) => a.x - b.x);
  let edge = -Infinity;
  for (const m of marks) {
    const px = x(m.x), group = svg.append("g").attr("class", colourOf(m.run));
    group.append("path").attr("class", "growth-line")
      .attr("d", `M${px},${frame.top}V${frame.height - frame.bottom}`);
    if (!named || px - edge < 15) continue;
    const text = growthText(m);
    group.append("text").attr("class", "growth-name halo").attr("text-anchor", "end")
      .attr("transform", `translate(${px - 6},${frame.top + 6}) rotate(-90)`)
      .text(text.length > 48 ? `${text.slice(0, 47)}…` : text);
    edge = px;
  }
  return marks;
}

function valueText(plot, q) {
  const text = (v) => significant(v, 4), raw = plot.raw && plot.raw(q.p);
  if (!raw) return text(q.y);
  const range = raw.low === raw.high ? "" : ` (${text(raw.low)} to ${text(raw.high)})`;
  return view.smooth === 0 ? text(q.y) + range : `${text(q.y)}, here ${text(raw.mean)}${range}`;
}

// A rule at the mouse with the values of all runs there, and with what grew.
function pointAtRuns(svg, plot, frame, series, scales, marks) {
  const {x, y} = scales, bisect = d3.bisector((q) => q.x).left;
  const rule = svg.append("path").attr("class", "rule").attr("display", "none");
  const dots = svg.append("g");
  const lines = series.map((s) => ({run: s.run, points: [...s.line, ...s.last]}));
  const nearest = (points, at) => {
    const i = Math.min(points.length - 1, bisect(points, at)), q = points[i], p = points[i - 1];
    return p && at - p.x < q.x - at ? p : q;
  };
  const leave = () => {
    rule.attr("display", "none");
    dots.selectAll("*").remove();
    hideTooltip();
  };
  svg.on("mousemove", () => {
    const [px] = d3.mouse(svg.node());
    const at = x.invert(px);
    const hits = lines.map(({run, points}) => ({run, q: nearest(points, at)}))
      .filter(({q}) => Math.abs(x(q.x) - px) < 40);
    leave();
    if (hits.length === 0 || px < frame.left - 10) return;
    const main = hits.reduce((a, b) => Math.abs(x(b.q.x) - px) < Math.abs(x(a.q.x) - px) ? b : a).q;
    rule.attr("display", null).attr("d", `M${x(main.x)},${frame.top}V${frame.height - frame.bottom}`);
    for (const {run, q} of hits)
      if (q.y <= y.domain()[1] && q.y >= y.domain()[0])
        dots.append("circle").attr("class", `run-dot ${colourOf(run)}`).attr("r", 3.5)
          .attr("cx", x(q.x)).attr("cy", y(q.y));
    showTooltip(d3.event, el("p", {class: "title"}, `step ${main.p.step}`,
      view.x > 0 ? el("span", null, ` ${xAxis().name} ${xAxis().text(main.x)}`) : null),
      el("table", null, hits.map(({run, q}) => el("tr", null,
        el("th", null, el("i", {class: `key ${colourOf(run)}`}), ` ${runName(run)}`),
        el("td", null, valueText(plot, q))))),
      marks.filter((m) => Math.abs(x(m.x) - px) < 6).map((m) => el("p", {class: "names"},
        `${runs.length > 1 ? `${runName(m.run)}: ` : ""}grown after step ${m.g.step}: ${growthText(m)}`
        + " parameters")));
  }).on("mouseleave", leave);
}

function drawPlot(box, width, plot, logY) {
  box.replaceChildren();
  const series = seriesOf(plot, logY);
  if (series.length === 0) {
    empty(box, "Nothing to draw of the runs that are shown.");
    return;
  }
  const frame = {width, height: plot.height || 280, left: 56, right: 20, top: 26, bottom: 46};
  const full = {...plot, textY: (v) => v >= 1e4 ? plain(v) : String(Number(v.toPrecision(4)))};
  const texts = ticksFor(scalesOf(plot, series, frame, logY).y, logY, 8).map(full.textY);
  frame.left = tickRoom(texts);
  const scales = scalesOf(plot, series, frame, logY);
  const svg = svgIn(box, width, frame.height, plot.title);
  axesOf(svg, full, frame, scales, logY);
  svg.append("clipPath").attr("id", `clip-${plot.id}`).append("rect").attr("x", frame.left)
    .attr("y", frame.top - 5).attr("width", width - frame.left - frame.right + 6)
    .attr("height", frame.height - frame.top - frame.bottom + 5);
  const inside = svg.append("g").attr("clip-path", `url(#clip-${plot.id})`);
  for (const s of series) drawRun(inside, s, scales, plot);
  const marks = drawMarks(svg, series, scales.x, frame, plot.names);
  pointAtRuns(svg, plot, frame, series, scales, marks);
}

function makePlot(plot) {
  const section = panel(plot.id);
  let logY = false, redraw = () => {};
  heading(section, plot.title, plot.note || null, check("log", () => logY, (on) => {
    logY = on;
    redraw();
  }).node);
  const box = el("div", {class: "figure"});
  section.append(box);
  redraw = figure(box, plot.title, (width) => drawPlot(box, width, plot, logY));
}

// What concerns all plots: which runs, against what, how smooth.
function makeView() {
  const section = panel("view");
  const choose = (label, names, current, change) => {
    const node = el("select", {"aria-label": label, onchange: () => {
      change(node.selectedIndex);
      redrawAll();
    }}, names.map(([name, disabled], i) => el("option", {selected: i === current, disabled}, name)));
    return el("label", null, `${label} `, node);
  };
  const flag = (label, name) => check(label, () => view[name], (on) => {
    view[name] = on;
    redrawAll();
  }).node;
  const has = (key) => runs.some((r) => r.points.some((p) => finite(p[key])));
  heading(section, "Runs shown", null,
    choose("against", XS.map((x) => [x.name, !has(x.key)]), view.x, (i) => (view.x = i)),
    flag("log", "logX"),
    choose("smoothing", SMOOTH.map(([name]) => [name, false]), view.smooth, (i) => (view.smooth = i)),
    flag("whole range", "whole"));
  section.append(el("div", {class: "legend-row"}, runs.map((run) => {
    const node = el("input", {type: "checkbox", checked: true, onchange: () => {
      if (node.checked) view.hidden.delete(run.index);
      else view.hidden.add(run.index);
      redrawAll();
    }});
    return el("label", {title: run.name}, node, " ", el("i", {class: `key ${colourOf(run)}`}),
      ` ${runName(run)}`);
  })));
}
