// Laws through the compute-optimal points of all architectures: points with intervals, lines that
// are dashed beyond what was measured, bands.

const LAWS = [
  {id: "size-law", name: "params", title: "Compute-optimal size", x: "budget", y: "params",
    axis: "parameters", log: true, note: "N*(C): the size with the least loss at each budget."},
  {id: "token-law", name: "tokens", title: "Compute-optimal tokens", x: "budget", y: "tokens",
    axis: "tokens", log: true, note: "D*(C): the text that this size reads."},
  {id: "loss-law", name: "loss", title: "Loss", x: "budget", y: "loss", axis: "nats per token",
    log: false, note: "L*(C): the least loss at each budget, and where it is heading."},
  {id: "state-law", name: "state", title: "Perplexity against state", x: "cache", y: "perplexity",
    axis: "perplexity", log: true, note: "Each compute-optimal model by the bytes that it keeps "
      + "while it decodes: lower and further left is better. The dotted line goes through all."},
];

// {x, y, low, high, left, right} of an optimum; null where something is not known.
function lawPoint(spec, budget) {
  const bounds = (e, f) => ({low: finite(e.low) ? f(e.low) : null, high: finite(e.high) ? f(e.high) : null});
  if (spec.x === "budget") {
    const e = budget[spec.y];
    return e && finite(e.value) ? {x: budget.budget, y: e.value, ...bounds(e, (v) => v)} : null;
  }
  if (!budget.cache || !budget.loss || !(budget.cache.value > 0)) return null;
  return {x: budget.cache.value, y: Math.exp(budget.loss.value), ...bounds(budget.loss, Math.exp)};
}

const lawLines = (spec) => results.map((result) => ({
  result,
  law: lawOf(result.laws, spec.name),
  points: result.counted.map((b) => ({budget: b, ...lawPoint(spec, b)})).filter((p) => finite(p.x)),
})).filter((l) => l.points.length > 0);

function drawBand(svg, x, y, band, colour) {
  const known = band.filter((p) => finite(p[2]) && finite(p[3]));
  if (known.length < 2) return;
  svg.append("path").attr("class", `band ${colour}`).attr("d", d3.area().x((p) => x(p[0]))
    .y0((p) => y(p[2])).y1((p) => y(p[3]))(known));
}

function drawLawLine(svg, x, y, band, measured, colour) {
  const path = d3.line().x((p) => x(p[0])).y((p) => y(p[1]));
  const inside = (p) => p[0] >= measured[0] / 1.001 && p[0] <= measured[1] * 1.001;
  svg.append("path").attr("class", `law-line beyond ${colour}`).attr("d", path(band));
  svg.append("path").attr("class", `law-line ${colour}`).attr("d", path(band.filter(inside)));
}

function drawLawPoints(svg, inside, x, y, line, colour) {
  const bars = inside.append("g").attr("class", colour), group = svg.append("g").attr("class", colour);
  for (const p of line.points) {
    if (p.low !== null && p.high !== null)
      bars.append("path").attr("class", "error-bar").attr("d", `M${x(p.x)},${y(p.low)}V${y(p.high)}`);
    group.append("circle").attr("class", "law-point").attr("r", 4).attr("cx", x(p.x)).attr("cy", y(p.y));
  }
}

function lawTooltip(line, p) {
  const b = p.budget;
  const rows = [["budget", flopsText(b.budget)], ["parameters", estimateText(b.params, countText)],
    ["tokens", estimateText(b.tokens, countText)], ["loss", estimateText(b.loss, decimals(4))],
    ["cache", estimateText(b.cache, bytesText)]];
  return [el("p", {class: "title"}, shortName(line.result.arch)),
    el("table", null, rows.map(([name, value]) =>
      el("tr", null, el("th", null, name), el("td", null, value))))];
}

const bandOf = (law) => listOf(law && law.band).filter((p) => p[0] > 0 && finite(p[1]));

// Points and lines are shown whole; intervals and bands, which may reach anywhere, as far as they
// leave room for those.
function lawRange(spec, points, bands) {
  const [low, high] = spanOf([...points.map((p) => p.y), ...bands.map((p) => p[1])]);
  const more = (high - low) / 2;
  const [least, most] = spec.log ? [low / 5, high * 5] : [low - more, high + more];
  return spanOf([low, high, ...points.flatMap((p) => [p.low, p.high]).filter(finite)
    .map((v) => Math.max(least, Math.min(most, v)))]);
}

function drawLaw(box, width, spec) {
  const lines = lawLines(spec), shared = spec.x === "cache" && lines.length > 1
    ? bandOf(lawOf(data.shared, "state")) : [];
  box.replaceChildren();
  const plot = {width, height: 340, left: 50, right: 18, top: 26, bottom: 46};
  const points = lines.flatMap((l) => l.points), bands = lines.flatMap((l) => bandOf(l.law));
  const y = scaleOver(lawRange(spec, points, bands), spec.log,
    [plot.height - plot.bottom, plot.top], 0.06);
  const plain = (v) => String(Number(v.toPrecision(6)));
  const counts = spec.y === "params" || spec.y === "tokens";
  const ticksY = spec.log ? ticksOf(spec.y, y, true, 7) : y.ticks(6);
  const textY = counts ? (v) => tickText(spec.y, v) : plain;
  plot.left = tickRoom(ticksY.map(textY));
  const x = scaleOver(spanOf([...points.map((p) => p.x), ...bands.map((p) => p[0])]), true,
    [plot.left, width - plot.right], 0.03);
  const svg = svgIn(box, width, plot.height, spec.title);
  drawAxes(svg, plot,
    {scale: x, ticks: ticksOf(spec.x, x, true, width / (spec.x === "cache" ? 160 : 80)),
      text: spec.x === "budget" ? flopsText : (v) => tickText(spec.x, v),
      title: spec.x === "budget" ? "training FLOPs" : "cache (bytes at the context)"},
    {scale: y, ticks: ticksY, text: textY, title: spec.axis});
  const clip = `${spec.id}-clip`;
  svg.append("clipPath").attr("id", clip).append("rect").attr("x", plot.left).attr("y", plot.top)
    .attr("width", Math.max(0, width - plot.left - plot.right))
    .attr("height", plot.height - plot.top - plot.bottom);
  const inside = svg.append("g").attr("clip-path", `url(#${clip})`);
  const colour = (l) => `arch-${l.result.index % ARCH_COLOURS}`;
  for (const l of lines) drawBand(inside, x, y, bandOf(l.law), colour(l));
  if (shared.length > 1)
    inside.append("path").attr("class", "law-line shared")
      .attr("d", d3.line().x((p) => x(p[0])).y((p) => y(p[1]))(shared));
  for (const l of lines)
    drawLawLine(inside, x, y, bandOf(l.law), spanOf(l.points.map((p) => p.x)), colour(l));
  for (const l of lines) drawLawPoints(svg, inside, x, y, l, colour(l));
  pointAt(svg, lines.flatMap((l) => l.points.map((p) => ({x: x(p.x), y: y(p.y),
    content: () => lawTooltip(l, p)}))));
}

function makeLaw(spec) {
  const section = panel(spec.id), lines = lawLines(spec);
  heading(section, spec.title, spec.note);
  if (lines.length === 0) {
    empty(section, "No budget has its minimum inside the sizes trained.");
    return;
  }
  section.append(el("div", {class: "legend"}, lines.map((l) => el("span", null,
    el("i", {class: `key arch-${l.result.index % ARCH_COLOURS}`}), shortName(l.result.arch)))));
  const box = el("div", {class: "figure"});
  section.append(box);
  figure(box, spec.title, (width) => drawLaw(box, width, spec));
}
