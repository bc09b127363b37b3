// How the front grew: hypervolume by generation, or by what training had cost until then.

const growth = {byCost: false};
const costs = Array.isArray(data.training_flops) ? data.training_flops : [];

function drawHypervolume(box, width) {
  const points = data.hypervolume.map((value, generation) => ({generation, value, cost: costs[generation]}))
    .filter((p) => Number.isFinite(p.value) && (!growth.byCost || Number.isFinite(p.cost)));
  const at = (p) => growth.byCost ? p.cost : p.generation;
  const count = (value) => withPrefix("number", value, 3, {plain: 1e3});
  box.replaceChildren();
  const plot = {width, height: 250, left: 60, right: 16, top: 26, bottom: 46};
  const y = scaleOver(spanOf(points.map((p) => p.value)), false,
    [plot.height - plot.bottom, plot.top], 0.08);
  const ticksY = y.ticks(6), text = y.tickFormat(6);
  plot.left = tickRoom(ticksY.map(text));
  const last = growth.byCost ? d3.max(points, at) || 1 : Math.max(1, data.hypervolume.length - 1);
  const x = d3.scaleLinear().domain([0, last]).range([plot.left + 8, width - plot.right]);
  const svg = svgIn(box, width, plot.height, "hypervolume");
  const ticksX = growth.byCost ? x.ticks(Math.max(2, Math.floor(width / 110)))
    : x.ticks(Math.min(last, Math.max(2, width / 60))).filter(Number.isInteger);
  drawAxes(svg, plot,
    {scale: x, ticks: ticksX, text: growth.byCost ? count : String,
      title: growth.byCost ? "FLOPs of all training until then" : "generation"},
    {scale: y, ticks: ticksY, text, title: "hypervolume, of scaled objectives"});
  const line = d3.line().x((p) => x(at(p))).y((p) => y(p.value));
  svg.append("path").attr("class", "hypervolume-line").attr("d", line(points));
  if (points.length <= 80)
    svg.append("g").selectAll("circle").data(points).enter().append("circle")
      .attr("class", "hypervolume-point").attr("r", 3)
      .attr("cx", (p) => x(at(p))).attr("cy", (p) => y(p.value));
  svg.on("mousemove", () => {
    const here = x.invert(d3.mouse(svg.node())[0]);
    const p = points.reduce((a, b) => Math.abs(at(b) - here) < Math.abs(at(a) - here) ? b : a);
    showTooltip(d3.event, el("p", {class: "title"}, `generation ${p.generation}`),
      el("p", null, `hypervolume ${significant(p.value, 5)}`),
      Number.isFinite(p.cost) ? el("p", null, `${count(p.cost)} FLOPs of training`) : null);
  }).on("mouseleave", hideTooltip);
}

function makeHypervolume() {
  const section = panel("hypervolume");
  const told = "The part of objective space that the front dominates: more is better.";
  const node = el("select", {onchange: () => {
    growth.byCost = node.selectedIndex === 1;
    redraw();
  }}, ["generation", "training FLOPs"].map((t) => el("option", null, t)));
  if (costs.some(Number.isFinite)) heading(section, "Hypervolume", told, el("label", null, "By ", node));
  else heading(section, "Hypervolume", told);
  if (!(data.hypervolume || []).some(Number.isFinite)) {
    empty(section, "No generation has finished yet.");
    return;
  }
  const box = el("div", {class: "figure"});
  section.append(box);
  const redraw = figure(box, "the hypervolume", (width) => drawHypervolume(box, width));
}
