// The selected trial: values against the baselines, backbone as a strip, genome, relatives.

function copyButton(text) {
  const button = el("button", {type: "button", class: "copy"}, "Copy");
  button.addEventListener("click", () => {
    const told = (word) => {
      button.textContent = word;
      setTimeout(() => (button.textContent = "Copy"), 1500);
    };
    // Pages opened from a file may lack the clipboard: then select, and copy the old way.
    const byHand = () => {
      const area = el("textarea", {class: "offscreen", readonly: true}, text);
      document.body.append(area);
      area.select();
      const good = document.execCommand("copy");
      area.remove();
      told(good ? "Copied" : "Not copied");
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => told("Copied"), byHand);
    else byHand();
  });
  return button;
}

function valueTable(trial) {
  const rivals = baselines.filter((b) => b !== trial).slice(0, 3);
  const head = rivals.length === 0 ? null : el("thead", null, el("tr", null, el("th"), el("th"),
    rivals.map((b) => el("th", {class: "number", scope: "col"}, `vs ${shortName(b.baseline)}`))));
  const rows = measures.map((m) => {
    const value = valueOf(trial, m);
    return el("tr", null, el("th", {scope: "row", title: m}, shortName(m)),
      el("td", {class: "number strong"}, show(m, value)),
      rivals.map((b) => el("td", {class: "number"}, showChange(value, valueOf(b, m)) || "–")));
  });
  return el("div", {class: "scroll"}, el("table", {class: "values"}, head, el("tbody", null, rows)));
}

// One cell for each LIV, in order of depth.
function strip(trial) {
  const names = (backboneOf(trial) || []).map((liv) => liv.class);
  const cells = (names.length > 0 ? names : classNames(trial.names)).slice(0, 256).map((name, i) =>
    el("span", {class: `cell family-${familyOf(name)}`, title: `LIV ${i + 1}: ${name}`}));
  return cells.length === 0 ? null : el("div", {class: "strip"}, cells);
}

const familyLegend = () => el("span", {class: "legend"}, FAMILIES.map((f) =>
  el("span", null, el("i", {class: `cell family-${f}`}), f)));

function relatives(label, numbers) {
  const most = 12;
  if (numbers.length === 0) return null;
  const links = numbers.slice(0, most).map((n) => trialOf.has(n) ? trialLink(trialOf.get(n), `#${n}`)
    : `#${n}`);
  return el("p", {class: "relatives"}, el("span", null, `${label} `),
    links.flatMap((link) => [link, " "]),
    numbers.length > most ? `and ${numbers.length - most} more` : "");
}

function badges(trial) {
  return [
    trial.front ? el("span", {class: "badge front"}, "front") : null,
    isBaseline(trial) ? el("span", {class: "badge baseline"}, "baseline") : null,
    trial.feasible === false ? el("span", {class: "badge limit"}, "beyond a limit") : null,
    trial.state !== "done" ? el("span", {class: `badge ${trial.state}`}, trial.state) : null,
    stoppedText(trial) ? el("span", {class: "badge stopped"}, stoppedText(trial)) : null,
  ];
}

// "trained on 4.1k tokens, with 81 % of its parameters from its parents; with those that it inherits
// from, 5 trials, 38.9k tokens and 9.1G FLOPs"
function trainingNote(trial) {
  const tokens = trainingOf(trial, "tokens"), inherited = trainingOf(trial, "inherited");
  const others = trainingOf(trial, "lineage_trials"), flops = trainingOf(trial, "lineage_flops");
  const count = (value) => withPrefix("number", value, 3, {plain: 1e3});
  if (tokens === null) return null;
  const all = others > 1
    ? `; with those that it inherits from, ${others} trials, `
      + `${count(trainingOf(trial, "lineage_tokens") || 0)} tokens and ${count(flops || 0)} FLOPs` : "";
  return el("p", {class: "note training"}, `trained on ${count(tokens)} tokens`,
    inherited === null ? "" : `, with ${showShare(inherited)} of its parameters from its parents`, all);
}

function drawCard() {
  const section = panel("card"), trial = state.selected;
  heading(section, "Selected trial", null);
  if (!trial) {
    empty(section, "No trial yet.");
    return;
  }
  const changes = trial.mutations > 0
    ? `, ${trial.mutations} ${trial.mutations === 1 ? "integer" : "integers"} mutated` : "";
  section.append(
    el("p", {class: "who"}, el("b", null, titleOf(trial)), badges(trial)),
    el("p", {class: "note"}, `generation ${trial.generation}`,
      trial.operator ? `, by ${trial.operator}` : "", changes),
    trial.reason ? el("p", {class: "reason"}, trial.reason) : "",
    trainingNote(trial) || "",
    valueTable(trial),
    el("h3", null, "Backbone ", familyLegend()),
    strip(trial) || "",
    el("p", {class: "names"}, trial.names),
    el("h3", null, "Genome ", copyButton(trial.genome)),
    el("p", {class: "genome", id: "genome", tabindex: "0"}, trial.genome),
    el("p", {class: "note id"}, `id ${trial.id}`),
    relatives("Parents", [...new Set(trial.parents)]) || "",
    relatives("Children", childrenOf(trial)) || "");
}

state.events.on("select.card", () => guarded("the card", drawCard));
