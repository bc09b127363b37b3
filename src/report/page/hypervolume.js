// How the front grew: hypervolume by generation.

function drawHypervolume(box, width) {
  const points = data.hypervolume.map((value, generation) => ({generation, value}))
    .filter((p) => Number.isFinite(p.value));
  box.replaceChildren();
  const plot = {width, height: 250, left: 60, right: 16, top: 26, bottom: 46};
  const y = scaleOver(spanOf(points.map((p) => p.value)), false,
    [plot.height - plot.bottom, plot.top], 0.08);
  const ticksY = y.ticks(6), text = y.tickFormat(6);
  plot.left = tickRoom(ticksY.map(text));
  const last = Math.max(1, data.hypervolume.length - 1);
  const x = d3.scaleLinear().domain([0, last]).range([plot.left + 8, width - plot.right]);
  const svg = svgIn(box, width, plot.height, "hypervolume by generation");
  drawAxes(svg, plot,
    {scale: x, ticks: x.ticks(Math.min(last, Math.max(2, width / 60))).filter(Number.isInteger),
      text: String, title: "generation"},
    {scale: y, ticks: ticksY, text, title: "hypervolume, of scaled objectives"});
  const line = d3.line().x((p) => x(p.generation)).y((p) => y(p.value));
  svg.append("path").attr("class", "hypervolume-line").attr("d", line(points));
  if (points.length <= 80)
    svg.append("g").selectAll("circle").data(points).enter().append("circle")
      .attr("class", "hypervolume-point").attr("r", 3)
      .attr("cx", (p) => x(p.generation)).attr("cy", (p) => y(p.value));
  svg.on("mousemove", () => {
    const g = x.invert(d3.mouse(svg.node())[0]);
    const p = points.reduce((a, b) => Math.abs(b.generation - g) < Math.abs(a.generation - g) ? b : a);
    showTooltip(d3.event, el("p", {class: "title"}, `generation ${p.generation}`),
      el("p", null, `hypervolume ${significant(p.value, 5)}`));
  }).on("mouseleave", hideTooltip);
}

function makeHypervolume() {
  const section = panel("hypervolume");
  heading(section, "Hypervolume", "The part of objective space that the front dominates: more is better.");
  if (!(data.hypervolume || []).some(Number.isFinite)) {
    empty(section, "No generation has finished yet.");
    return;
  }
  const box = el("div", {class: "figure"});
  section.append(box);
  figure(box, "the hypervolume", (width) => drawHypervolume(box, width));
}
