// The head of the page, and the scores as a chart: a row for each task, a mark for each model.

const ARCH_COLOURS = 8;
const scoreText = (x) => finite(x) ? x.toFixed(3) : "–";

function drawHeader() {
  const title = data.title || "MAD";
  const settings = results.length > 0 ? results[0].settings.length : 0;
  document.title = `${title}: sartor report`;
  panel("header").replaceChildren(
    el("div", {class: "titles"},
      el("div", null, el("h1", null, title),
        el("p", {class: "subtitle"}, [
          `MAD: ${results.length} ${results.length === 1 ? "architecture" : "architectures"} on `,
          `${settings} ${settings === 1 ? "setting" : "settings"}`,
          data.made ? `, as of ${data.made}` : ""])),
      stateLine()),
    el("div", {class: "tiles"}, results.slice(0, 12).map((r) =>
      el("div", {class: "tile", title: r.arch},
        el("span", {class: "label"}, el("i", {class: `key arch-${r.index % ARCH_COLOURS}`}),
          ` ${shortName(r.arch)}`),
        el("span", {class: "value"}, scoreText(r.mad)),
        el("span", {class: "more"}, "mean over tasks")))),
    settingsTable() || "");
  drawFooter();
}

const SECTIONS = [["scores", "Scores"], ["score-table", "Table"], ["published", "Published"],
  ["runs", "Runs"]];

// The chance of a task: the mean over its settings.
function chanceOf(task) {
  const all = results.flatMap((r) => r.settings).filter((s) => s.task === TASKS[task][1] && finite(s.chance));
  return all.length > 0 ? d3.mean(all, (s) => s.chance) : null;
}

function drawScores(box, width) {
  const row = 38;
  const plot = {width, height: 26 + row * tasksHere.length + 46, left: 110, right: 20, top: 26, bottom: 46};
  const x = d3.scaleLinear().domain([0, 1]).range([plot.left, width - plot.right]);
  const y = d3.scalePoint().domain(tasksHere).range([plot.top, plot.height - plot.bottom]).padding(0.5);
  box.replaceChildren();
  const svg = svgIn(box, width, plot.height, "scores by task");
  drawAxes(svg, plot, {scale: x, ticks: x.ticks(6), text: String, title: "score"},
    {scale: y, ticks: tasksHere, text: (t) => TASKS[t][1], title: ""});
  for (const t of tasksHere) {
    const chance = chanceOf(t), middle = y(t);
    if (finite(chance))
      svg.append("path").attr("class", "interval").attr("stroke", "currentColor").attr("opacity", 0.5)
        .attr("d", `M${x(chance)},${middle - 13}V${middle + 13}`)
        .append("title").text(`chance: ${scoreText(chance)}`);
    results.forEach((r) => {
      if (!finite(r.scores[t])) return;
      // Models apart from each other in the row, in the order of the table.
      const offset = results.length > 1 ? (r.index / (results.length - 1) - 0.5) * 22 : 0;
      svg.append("circle").attr("class", `arch-${r.index % ARCH_COLOURS}`).attr("cx", x(r.scores[t]))
        .attr("cy", middle + offset).attr("r", 4.5).attr("fill", "var(--arch)")
        .on("mousemove", () => showTooltip(d3.event, el("p", {class: "title"}, shortName(r.arch)),
          el("p", null, `${TASKS[t][1]}: ${scoreText(r.scores[t])}`)))
        .on("mouseleave", hideTooltip);
    });
  }
}

function makeScores() {
  const section = panel("scores");
  heading(section, "Scores", "The best run of each setting, averaged over the settings of a task. "
    + "The upright mark is what a guess among the classes scores.");
  if (tasksHere.length === 0) {
    empty(section, "No run is there yet.");
    return;
  }
  const box = el("div", null);
  section.append(box, el("p", {class: "legend"}, results.map((r) => el("span", null,
    el("i", {class: `key arch-${r.index % ARCH_COLOURS}`}), ` ${shortName(r.arch)} `))));
  figure(box, "the scores", (width) => drawScores(box, width));
}
