// Drawing by hand: elements, figures that follow the width of their panel, axes, the tooltip. Text
// from the study becomes text nodes only.

// el("p", {class: "note"}, "text", child): attributes, "on..." listeners, children.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(9))
    if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

const panel = (id) => document.getElementById(id);

// Heading of a panel, with an explanation and controls; replaces what was there.
function heading(section, title, note, ...controls) {
  const noteNode = note === null ? null : el("p", {class: "note"}, note || "");
  section.replaceChildren(
    el("div", {class: "head"}, el("h2", null, title),
      controls.length > 0 ? el("div", {class: "controls"}, controls) : null),
    ...(noteNode ? [noteNode] : []));
  return noteNode;
}

const empty = (section, text) => section.append(el("p", {class: "empty"}, text));

// A checkbox; update() shows what current() says.
function check(label, current, change) {
  const node = el("input", {type: "checkbox", onchange: () => change(node.checked)});
  return {node: el("label", null, node, ` ${label}`), update: () => (node.checked = current())};
}

// One part that fails must not take the rest of the page along.
let errorCount = 0;
function reportError(where, error) {
  const box = document.getElementById("errors");
  errorCount++;
  box.hidden = false;
  box.append(el("p", null, `This page could not draw ${where}: ${error && error.message || error}`));
  if (window.console) console.error(where, error);
}
function guarded(where, action) {
  try {
    return action();
  } catch (error) {
    reportError(where, error);
    return undefined;
  }
}
window.addEventListener("error", (event) => reportError("everything", event.error || event.message));

// Calls draw(width) now and whenever the width of `box` or the colours change.
const redraws = [];
function figure(box, where, draw) {
  let width = 0;
  const redraw = () => guarded(where, () => draw(Math.max(width, 200)));
  const measure = () => {
    const now = Math.floor(box.clientWidth);
    if (now === width || now === 0) return;
    width = now;
    redraw();
  };
  measure();
  new ResizeObserver(() => requestAnimationFrame(measure)).observe(box);
  redraws.push(redraw);
  return redraw;
}
const redrawAll = () => redraws.forEach((redraw) => redraw());
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]])
  window.addEventListener(event, () => {
    document.documentElement.classList.toggle("printing", printing);
    redrawAll();
  });

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

// An <svg> that shrinks with what holds it (print), in CSS pixels otherwise.
function svgIn(box, width, height, label) {
  const svg = d3.select(box).append("svg").attr("viewBox", `0 0 ${width} ${height}`)
    .attr("width", width).attr("height", height).attr("role", "img");
  if (label) svg.attr("aria-label", label);
  return svg;
}

// A canvas behind an svg of the same size, sharp on any display.
function canvasIn(box, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const canvas = el("canvas", {width: Math.round(width * ratio), height: Math.round(height * ratio)});
  box.append(canvas);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

const spanOf = (values) => [d3.min(values), d3.max(values)];

// A scale over [low, high] with a margin; logarithmic where asked and possible.
function scaleOver([low, high], logarithmic, range, margin) {
  if (!(high > low)) {
    const pad = Math.abs(low) * 0.1 || 1;
    [low, high] = logarithmic ? [low / 1.2, low * 1.2] : [low - pad, high + pad];
  } else if (logarithmic) {
    const factor = (high / low) ** margin;
    [low, high] = [low / factor, high * factor];
  } else {
    const pad = (high - low) * margin;
    [low, high] = [low < 0 ? low - pad : Math.max(0, low - pad), high + pad];
  }
  return (logarithmic ? d3.scaleLog() : d3.scaleLinear()).domain([low, high]).range(range);
}

// Whether a logarithmic axis fits: positive values over more than 1.5 decades, or as the objective
// says over half a decade.
function wantsLog(axis, [low, high]) {
  if (PSEUDO.has(axis) || !(low > 0)) return false;
  const objective = objectiveOf.get(axis);
  return high / low > (objective && objective.log ? 3 : 30);
}

// Axes with grid lines and titles. `plot`: {width, height, left, right, top, bottom}.
function drawAxes(svg, plot, x, y) {
  const grid = svg.append("g").attr("class", "grid");
  const bottom = plot.height - plot.bottom, right = plot.width - plot.right;
  const axes = svg.append("g").attr("class", "axes");
  for (const v of x.ticks) {
    grid.append("line").attr("x1", x.scale(v)).attr("x2", x.scale(v)).attr("y1", plot.top)
      .attr("y2", bottom);
    axes.append("text").attr("class", "tick").attr("x", x.scale(v)).attr("y", bottom + 16)
      .attr("text-anchor", "middle").text(x.text(v));
  }
  for (const v of y.ticks) {
    grid.append("line").attr("y1", y.scale(v)).attr("y2", y.scale(v)).attr("x1", plot.left)
      .attr("x2", right);
    axes.append("text").attr("class", "tick").attr("x", plot.left - 8).attr("y", y.scale(v))
      .attr("dy", "0.32em").attr("text-anchor", "end").text(y.text(v));
  }
  axes.append("path").attr("class", "frame")
    .attr("d", `M${plot.left},${plot.top}V${bottom}H${right}`);
  axes.append("text").attr("class", "axis-title").attr("x", right).attr("y", plot.height - 6)
    .attr("text-anchor", "end").text(x.title);
  axes.append("text").attr("class", "axis-title").attr("x", 2).attr("y", 13).text(y.title);
}

// Room for the widest tick text, about 6.6 pixels a character.
const tickRoom = (texts) => 16 + 6.6 * d3.max([3, ...texts.map((t) => t.length)]);

// Moves labels {y, height} apart, in place, within [top, bottom].
function spread(labels, top, bottom) {
  labels.sort((a, b) => a.y - b.y);
  let edge = top;
  for (const label of labels) {
    label.y = Math.max(label.y, edge + label.height / 2);
    edge = label.y + label.height / 2;
  }
  edge = bottom;
  for (const label of [...labels].reverse()) {
    label.y = Math.min(label.y, edge - label.height / 2);
    edge = label.y - label.height / 2;
  }
}

function showTooltip(event, ...content) {
  const box = document.getElementById("tooltip");
  box.replaceChildren(...content.flat(9).filter((c) => c));
  box.hidden = false;
  const gap = 14, {width, height} = box.getBoundingClientRect();
  const x = event.clientX + gap + width > window.innerWidth
    ? Math.max(4, event.clientX - gap - width) : event.clientX + gap;
  const y = Math.max(4, Math.min(event.clientY + gap, window.innerHeight - height - 4));
  box.style.left = `${x}px`;
  box.style.top = `${y}px`;
}
const hideTooltip = () => {
  document.getElementById("tooltip").hidden = true;
};

// What is said of a trial one points at.
function trialTooltip(trial) {
  const rows = measures.map((m) => el("tr", null, el("th", null, shortName(m)),
    el("td", null, show(m, valueOf(trial, m)))));
  return [
    el("p", {class: "title"}, titleOf(trial), el("span", null, [
      ` generation ${trial.generation}`, trial.front ? ", front" : "",
      trial.feasible === false ? ", beyond a limit" : "",
      trial.state !== "done" ? `, ${trial.state}` : "",
      stoppedText(trial) ? `, ${stoppedText(trial)}` : ""])),
    el("table", null, rows),
    el("p", {class: "names"}, trial.names),
    el("p", {class: "genome"}, trial.genome),
  ];
}

// A button that looks like a link and selects a trial.
const trialLink = (trial, text) => el("button", {class: "link", type: "button",
  onclick: () => select(trial)}, text || titleOf(trial));
