// IsoFLOP curves: for each architecture the loss of its sizes, a colour and a parabola for each
// budget, and where the parabola is lowest.

const ARCH_COLOURS = 8;

// From dark to light; the end that would not stand out from the ground is left out.
function budgetColour(budget) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches
    && !document.documentElement.classList.contains("printing");
  const place = budgets.length > 1 ? budgets.indexOf(budget) / (budgets.length - 1) : 0.5;
  return d3.interpolateViridis((dark ? 0.25 : 0.05) + 0.75 * place);
}

function parabolaAt(budget, params) {
  const {log_params: middle, coefficients: [a, b, c]} = budget.parabola;
  const u = Math.log(params) - middle;
  return a + u * (b + u * c);
}

// Points of a parabola over the sizes that were trained.
function parabolaLine(result, budget) {
  const sizes = spanOf(result.done.filter((p) => p.budget === budget.budget).map((p) => p.params));
  return d3.range(0, 41).map((i) => {
    const params = sizes[0] * (sizes[1] / sizes[0]) ** (i / 40);
    return {params, loss: parabolaAt(budget, params)};
  });
}

// A cross with the interval of the size.
function drawOptimum(svg, x, y, budget) {
  const px = x(budget.params.value), py = y(budget.loss.value);
  const mark = svg.append("g").attr("class", "optimum").attr("stroke", budgetColour(budget.budget));
  if (finite(budget.params.low)) {
    const [left, right] = [budget.params.low, budget.params.high]
      .map((v) => Math.max(x.range()[0], Math.min(x.range()[1], x(v))));
    mark.append("path").attr("class", "interval").attr("d", `M${left},${py}H${right}`);
  }
  mark.append("path").attr("class", "cross")
    .attr("d", `M${px - 5},${py - 5}l10,10M${px - 5},${py + 5}l10,-10`);
}

function runTooltip(result, p) {
  const rows = [["budget", flopsText(p.budget)], ["loss", decimals(4)(p.loss)],
    ["parameters", countText(p.params)], ["tokens", countText(p.tokens)],
    ["width", String(p.width)], ["LIVs", String(p.livs)], ["cache", bytesText(p.cache)]];
  return [el("p", {class: "title"}, shortName(result.arch)),
    el("table", null, rows.map(([name, value]) =>
      el("tr", null, el("th", null, name), el("td", null, value))))];
}

// Shows the tooltip of the nearest of `marks`: {x, y in pixels, content()}.
function pointAt(svg, marks) {
  const tree = d3.quadtree(marks, (m) => m.x, (m) => m.y);
  svg.on("mousemove", () => {
    const hit = tree.find(...d3.mouse(svg.node()), 30);
    if (hit) showTooltip(d3.event, hit.content());
    else hideTooltip();
  }).on("mouseleave", hideTooltip);
}

function drawIsoflop(box, width, result) {
  box.replaceChildren();
  const fitted = result.budgets.filter((b) => b.parabola);
  const plot = {width, height: 330, left: 50, right: 58, top: 26, bottom: 46};
  const y = scaleOver(spanOf(result.done.map((p) => p.loss).concat(
    result.counted.map((b) => b.loss.value))), false, [plot.height - plot.bottom, plot.top], 0.06);
  const ticksY = y.ticks(6), textY = (v) => String(Number(v.toPrecision(6)));
  plot.left = tickRoom(ticksY.map(textY));
  const x = scaleOver(spanOf(result.done.map((p) => p.params)), true,
    [plot.left, width - plot.right], 0.05);
  const svg = svgIn(box, width, plot.height, `IsoFLOP curves of ${result.arch}`);
  drawAxes(svg, plot,
    {scale: x, ticks: ticksOf("params", x, true, width / 80), text: (v) => tickText("params", v),
      title: "parameters"},
    {scale: y, ticks: ticksY, text: textY, title: "loss (nats per token)"});
  const path = d3.line().x((p) => x(p.params)).y((p) => y(p.loss));
  for (const budget of fitted)
    svg.append("path").attr("class", "parabola").attr("stroke", budgetColour(budget.budget))
      .attr("d", path(parabolaLine(result, budget)));
  svg.append("g").selectAll("circle").data(result.done).enter().append("circle")
    .attr("class", "iso-point").attr("r", 3.5).attr("fill", (p) => budgetColour(p.budget))
    .attr("cx", (p) => x(p.params)).attr("cy", (p) => y(p.loss));
  for (const budget of result.counted) drawOptimum(svg, x, y, budget);
  const names = budgets.map((b) => result.done.filter((p) => p.budget === b))
    .filter((points) => points.length > 0).map((points) => {
      const last = points.reduce((a, b) => b.params > a.params ? b : a);
      return {height: 14, y: y(last.loss), budget: last.budget};
    });
  spread(names, plot.top, plot.height - plot.bottom);
  for (const n of names)
    svg.append("text").attr("class", "budget-name").attr("x", width - plot.right + 8)
      .attr("y", n.y).attr("dy", "0.32em").style("fill", budgetColour(n.budget))
      .text(flopsText(n.budget));
  pointAt(svg, result.done.map((p) => ({x: x(p.params), y: y(p.loss),
    content: () => runTooltip(result, p)})));
}

function makeIsoflop() {
  const section = panel("isoflop");
  heading(section, "IsoFLOP curves", "Every model of one colour was trained with the same FLOPs: "
    + "small ones on much text, large ones on little. Crosses mark the lowest point of each parabola, "
    + "with the 95 % interval of the size.");
  const shown = results.filter((r) => r.done.length > 0);
  if (shown.length === 0) empty(section, "No run has finished yet.");
  const grid = el("div", {class: "multiples"});
  section.append(grid);
  for (const result of shown) {
    const box = el("div", {class: "figure"});
    grid.append(el("div", {class: "multiple"}, el("h3", null,
      el("i", {class: `key arch-${result.index % ARCH_COLOURS}`}), shortName(result.arch)), box));
    figure(box, `the curves of ${shortName(result.arch)}`,
      (width) => drawIsoflop(box, width, result));
  }
}
