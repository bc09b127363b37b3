// Which LIV classes a search turns to: a heat map, classes down and generations across. (Seventeen
// stacked areas could not be told apart; rows can be read one by one.)

// {generations: [{from, to, total}], rows: [{name, family, shares: [x]}]}; many generations are
// taken together so that cells stay visible.
function classShares(most) {
  const list = [...data.classes].sort((a, b) => a.generation - b.generation);
  const size = Math.ceil(list.length / most);
  const bins = d3.range(0, list.length, size).map((i) => list.slice(i, i + size));
  const counts = bins.map((bin) => {
    const sum = new Map();
    for (const g of bin)
      for (const [name, n] of Object.entries(g.counts)) sum.set(name, (sum.get(name) || 0) + n);
    return sum;
  });
  const totals = counts.map((sum) => d3.sum([...sum.values()]));
  const names = [...new Set(counts.flatMap((sum) => [...sum.keys()]))];
  const rank = (name) => (FAMILIES.indexOf(familyOf(name)) + 9) % 9;
  names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b, "en", {numeric: true}));
  return {
    generations: bins.map((bin, i) => ({from: bin[0].generation,
      to: bin[bin.length - 1].generation, total: totals[i]})),
    rows: names.map((name) => ({name, family: familyOf(name),
      counts: counts.map((sum) => sum.get(name) || 0),
      shares: counts.map((sum, i) => totals[i] > 0 ? (sum.get(name) || 0) / totals[i] : 0)})),
  };
}

const percent = (share) => `${share > 0 && share < 0.0995 ? (100 * share).toFixed(1)
  : Math.round(100 * share)}\u202f%`;
const binTitle = (g) => g.from === g.to ? `generation ${g.from}` : `generations ${g.from} to ${g.to}`;

function drawClasses(box, width) {
  box.replaceChildren();
  const {generations, rows} = classShares(Math.max(10, Math.floor(width / 12)));
  const row = 19, plot = {left: 112, right: 104, top: 20, bottom: 40, width};
  plot.height = plot.top + rows.length * row + plot.bottom;
  const svg = svgIn(box, width, plot.height, "shares of classes by generation");
  const x = d3.scaleLinear().domain([0, generations.length]).range([plot.left, width - plot.right]);
  // The square root keeps rare classes visible beside one that is half of everything.
  const most = d3.max(rows, (r) => d3.max(r.shares)) || 1;
  const strength = (share) => share === 0 ? 0 : 0.06 + 0.94 * Math.sqrt(share / most);
  const gap = generations.length > 60 ? 0 : 1;

  svg.append("text").attr("class", "tick").attr("x", width - plot.right + 10).attr("y", 13)
    .text("first → last");
  rows.forEach((r, i) => {
    const y = plot.top + i * row, line = svg.append("g").attr("class", `heat family-${r.family}`);
    line.append("rect").attr("class", "swatch").attr("x", 0).attr("y", y + 4).attr("width", 9)
      .attr("height", row - 8);
    line.append("text").attr("class", "row-name").attr("x", 15).attr("y", y + row / 2)
      .attr("dy", "0.34em").text(r.name);
    line.append("rect").attr("class", "ground").attr("x", x(0)).attr("y", y)
      .attr("width", x(generations.length) - x(0)).attr("height", row - 1);
    line.selectAll("rect.heat-cell").data(r.shares).enter().append("rect").attr("class", "heat-cell")
      .attr("x", (s, k) => x(k)).attr("y", y).attr("width", Math.max(1, x(1) - x(0) - gap))
      .attr("height", row - 1).attr("fill-opacity", strength)
      .on("mousemove", (s, k) => showTooltip(d3.event, el("p", {class: "title"}, r.name),
        el("p", null, `${binTitle(generations[k])}: ${r.counts[k]} of ${generations[k].total} LIVs, `
          + percent(s))))
      .on("mouseleave", hideTooltip);
    if (x(1) - x(0) >= 30)
      line.selectAll("text.heat-value").data(r.shares).enter().append("text")
        .attr("class", (s) => `heat-value${strength(s) > 0.6 ? " strong" : ""}`)
        .attr("x", (s, k) => (x(k) + x(k + 1)) / 2).attr("y", y + row / 2).attr("dy", "0.34em")
        .attr("text-anchor", "middle").text((s) => s > 0 ? percent(s).replace(/\s*%/, "") : "");
    svg.append("text").attr("class", "tick").attr("x", width - plot.right + 10)
      .attr("y", y + row / 2).attr("dy", "0.34em")
      .text(`${percent(r.shares[0])} → ${percent(r.shares[r.shares.length - 1])}`);
  });
  const bottom = plot.top + rows.length * row;
  const every = Math.ceil(generations.length / Math.max(2, (width - plot.left - plot.right) / 34));
  generations.forEach((g, i) => {
    if (i % every === 0)
      svg.append("text").attr("class", "tick").attr("x", (x(i) + x(i + 1)) / 2).attr("y", bottom + 14)
        .attr("text-anchor", "middle").text(g.from);
  });
  svg.append("text").attr("class", "axis-title").attr("x", width - plot.right).attr("y", bottom + 32)
    .attr("text-anchor", "end").text("generation");
}

function makeClasses() {
  const section = panel("classes");
  heading(section, "Classes by generation",
    "Share of each class among the LIVs of a generation's trials, in percent: the stronger the "
    + "colour, the more.");
  if (!(data.classes || []).some((g) => Object.keys(g.counts).length > 0)) {
    empty(section, "No generation has trials yet.");
    return;
  }
  section.append(el("p", {class: "legend-row"}, familyLegend()));
  const box = el("div", {class: "figure"});
  section.append(box);
  figure(box, "the classes", (width) => drawClasses(box, width));
}
