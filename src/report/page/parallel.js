// All measures at once: one axis each, one line a trial. Dragging along axes restricts the trials,
// here and in the scatter plot and the tables.

const MOST_LINES = 3000; // of trials outside the front; more of them are only a smear

function parallelAxes(plot) {
  const shown = measures.filter((m) => trials.some((t) => valueOf(t, m) !== null));
  const x = d3.scalePoint().domain(d3.range(shown.length))
    .range([plot.left, plot.width - plot.right]);
  return shown.map((measure, i) => {
    const span = spanOf(trials.map((t) => valueOf(t, measure)).filter((v) => v !== null));
    const logarithmic = wantsLog(measure, span);
    const scale = scaleOver(span, logarithmic, [plot.height - plot.bottom, plot.top], 0.02);
    return {measure, x: shown.length > 1 ? x(i) : plot.width / 2, scale,
      ticks: ticksOf(measure, scale, logarithmic, 6)};
  });
}

// Straight pieces between axes; a gap where a value is missing.
function tracePath(context, trial, axes) {
  let open = false;
  for (const axis of axes) {
    const value = valueOf(trial, axis.measure);
    if (value === null) {
      open = false;
      continue;
    }
    if (open) context.lineTo(axis.x, axis.scale(value));
    else context.moveTo(axis.x, axis.scale(value));
    open = true;
  }
}

function traceAll(context, list, axes, style) {
  context.strokeStyle = style.colour;
  context.lineWidth = style.width;
  context.setLineDash(style.dash || []);
  for (const t of list) {
    context.globalAlpha = passes(t) ? style.alpha : 0.04;
    context.beginPath();
    tracePath(context, t, axes);
    context.stroke();
  }
  context.globalAlpha = 1;
}

// The trial whose line is nearest to a place, within 7 pixels.
function lineAt([px, py], list, axes) {
  let best = null, least = 7;
  const i = axes.findIndex((a, k) => k + 1 < axes.length && px >= a.x && px <= axes[k + 1].x);
  if (i < 0) return null;
  const a = axes[i], b = axes[i + 1], share = (px - a.x) / (b.x - a.x);
  for (const t of list) {
    const u = valueOf(t, a.measure), v = valueOf(t, b.measure);
    if (u === null || v === null || !passes(t)) continue;
    const away = Math.abs((1 - share) * a.scale(u) + share * b.scale(v) - py);
    if (away < least) [best, least] = [t, away];
  }
  return best;
}

// Every k-th of a list, so that at most `most` remain.
function thinned(list, most) {
  const step = Math.max(1, list.length / most);
  return d3.range(0, list.length - 1e-9, step).map((i) => list[Math.floor(i)]);
}

function drawBrushes(svg, axes, plot) {
  for (const axis of axes) {
    const top = plot.top, bottom = plot.height - plot.bottom;
    const brush = d3.brushY().extent([[axis.x - 11, top], [axis.x + 11, bottom]])
      .on("brush end", () => {
        if (!d3.event.sourceEvent) return;
        const s = d3.event.selection;
        restrict(axis.measure, s ? [axis.scale.invert(s[1]), axis.scale.invert(s[0])] : null);
      });
    const g = svg.append("g").attr("class", "brush").call(brush);
    const range = state.ranges.get(axis.measure);
    if (range) g.call(brush.move, [axis.scale(range[1]), axis.scale(range[0])]);
  }
}

function drawAxisOf(svg, axis, plot, step) {
  const g = svg.append("g").attr("class", "parallel-axis");
  g.append("line").attr("x1", axis.x).attr("x2", axis.x).attr("y1", plot.top)
    .attr("y2", plot.height - plot.bottom);
  for (const v of axis.ticks) {
    const y = axis.scale(v);
    g.append("line").attr("x1", axis.x - 4).attr("x2", axis.x).attr("y1", y).attr("y2", y);
    g.append("text").attr("class", "tick halo").attr("x", axis.x - 7).attr("y", y)
      .attr("dy", "0.32em").attr("text-anchor", "end").text(tickText(axis.measure, v));
  }
  const room = Math.max(4, Math.floor(step / 7.2)), name = axis.measure;
  const {unit} = measureKind(name);
  const title = g.append("text").attr("class", "axis-name").attr("x", axis.x).attr("y", 14)
    .attr("text-anchor", "middle");
  title.text(name.length > room ? `${name.slice(0, room - 1)}…` : name);
  title.append("title").text(name);
  if (unit && unit.length < room + 3)
    g.append("text").attr("class", "tick").attr("x", axis.x).attr("y", 29)
      .attr("text-anchor", "middle").text(unit);
}

function drawParallel(box, width, tell) {
  box.replaceChildren();
  const plot = {width, height: 360, left: 84, right: 40, top: 44, bottom: 14};
  const axes = parallelAxes(plot);
  const step = axes.length > 1 ? axes[1].x - axes[0].x : width / 2;
  const others = trials.filter((t) => !t.front && !isBaseline(t) && t.state !== "open"
    && axes.some((a) => valueOf(t, a.measure) !== null));
  const background = canvasIn(box, width, plot.height), foreground = canvasIn(box, width, plot.height);
  const svg = svgIn(box, width, plot.height, "parallel coordinates of all measures");
  for (const axis of axes) drawAxisOf(svg, axis, plot, step);

  const faint = colour("faint"), strong = colour("front"), named = colour("baseline");
  const drawOver = () => {
    foreground.clearRect(0, 0, width, plot.height);
    traceAll(foreground, front, axes, {colour: strong, width: 1.5, alpha: front.length > 40 ? 0.4 : 0.75});
    traceAll(foreground, baselines, axes, {colour: named, width: 2, alpha: 1, dash: [7, 3]});
    const special = [state.selected, state.pointed].filter((t) => t);
    traceAll(foreground, special, axes, {colour: colour("ink"), width: 2.5, alpha: 1});
  };
  const drawUnder = () => {
    // Lines within the ranges first choice: they are what is asked for.
    const inside = state.ranges.size > 0 ? others.filter(passes) : others;
    background.clearRect(0, 0, width, plot.height);
    const list = thinned(inside, MOST_LINES);
    traceAll(background, list, axes,
      {colour: faint, width: 1, alpha: list.length > 1500 ? 0.12 : list.length > 200 ? 0.35 : 0.6});
  };
  const refilter = () => {
    drawUnder();
    drawOver();
    tell();
  };
  drawUnder();
  drawOver();
  drawBrushes(svg, axes, plot);
  state.events.on("filter.parallel", refilter).on("select.parallel", drawOver)
    .on("point.parallel", drawOver);

  const find = () => {
    const place = d3.mouse(svg.node());
    return lineAt(place, distinguished, axes) || lineAt(place, others, axes);
  };
  svg.on("mousemove", () => {
    if (d3.event.buttons) return;
    const t = find();
    point(t);
    if (t) showTooltip(d3.event, trialTooltip(t));
    else hideTooltip();
  }).on("mouseleave", () => {
    point(null);
    hideTooltip();
  }).on("click", () => {
    const t = find();
    if (t) select(t);
  });
}

function makeParallel() {
  const section = panel("parallel");
  section.hidden = measures.length < 2;
  if (section.hidden) return;
  const counted = trials.filter((t) => measures.some((m) => valueOf(t, m) !== null));
  const status = el("span", {class: "matches", id: "matches"});
  const clear = el("button", {type: "button", hidden: true}, "Show all");
  heading(section, "All measures", "One line a trial; front and baselines stand out. Drag along an axis "
    + "to keep a range (here, in the scatter plot and in the tables), click beside it to drop it."
    + (counted.length - distinguished.length > MOST_LINES
      ? ` Of the others an even sample of ${MOST_LINES} is drawn.` : ""), status, clear);
  if (counted.length === 0) {
    empty(section, "No measures yet.");
    return;
  }
  const box = el("div", {class: "figure", id: "parallel-figure"});
  section.append(box);
  const tell = () => {
    clear.hidden = state.ranges.size === 0;
    status.textContent = state.ranges.size === 0 ? ""
      : `${counted.filter(passes).length} of ${counted.length} trials`;
  };
  const redraw = figure(box, "the measures", (width) => drawParallel(box, width, tell));
  clear.addEventListener("click", () => {
    state.ranges.clear();
    redraw();
    tellFilter();
  });
  parallelRedraw = redraw;
}
let parallelRedraw = () => {};
