// The study's data, indexed. Nothing here draws. Names of measures, classes and settings come from
// the study and may be anything ("constructor" too): they are looked up as own properties or in a
// Map, never put into markup, ids or selectors.

const trials = data.trials;
const objectives = data.objectives;
const objectiveOf = new Map(objectives.map((o) => [o.name, o]));
const trialOf = new Map(trials.map((t) => [t.trial, t]));
const finals = Array.isArray(data.finals) ? data.finals : [];

// A measure's value, or null.
function valueOf(trial, measure) {
  const value = own(trial.values, measure);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

// Measures of which something is known; all where nothing is.
const measures = (() => {
  const all = [...new Set([...objectives.map((o) => o.name), ...data.measures])];
  const known = all.filter((m) => trials.some((t) => valueOf(t, m) !== null));
  return known.length > 0 ? known : all;
})();
const quality = measures[0]; // what lists are sorted by; undefined where nothing is measured

// By the first measure, unknown last.
function byQuality(a, b) {
  const x = valueOf(a, quality), y = valueOf(b, quality);
  return (x === null) - (y === null) || x - y || a.trial - b.trial;
}

const isBaseline = (trial) => trial.baseline !== null && trial.baseline !== undefined;
const front = trials.filter((t) => t.front).sort(byQuality);
const baselines = trials.filter(isBaseline).sort(byQuality);
const failed = trials.filter((t) => t.state === "failed");
// Those that get lines, drawings and rows of their own.
const distinguished = [...front, ...baselines.filter((t) => !t.front)];

const childrenOf = (() => {
  const children = new Map();
  for (const t of trials)
    for (const p of new Set(t.parents)) {
      if (!children.has(p)) children.set(p, []);
      children.get(p).push(t.trial);
    }
  return (trial) => children.get(trial.trial) || [];
})();

const backboneOf = (trial) => own(data.backbones, String(trial.trial)) || null;
const curveOf = (trial) => own(data.curves, String(trial.trial)) || null;

// How a trial was trained: a number, or null.
function trainingOf(trial, name) {
  const value = own(trial.training, name);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
// "stopped at 25 %" for a trial that ended at a rung; "" for others.
function stoppedText(trial) {
  const share = trainingOf(trial, "stopped");
  return share === null ? "" : `stopped at ${showShare(share)}`;
}

// "#12", and the name where it has one.
const titleOf = (trial) =>
  isBaseline(trial) ? `${shortName(trial.baseline)} (#${trial.trial})` : `#${trial.trial}`;

// The class names of a names list such as "(SA-3 GMemless)x3 GConv-1", repeats written out.
function classNames(text) {
  const most = 4096, stack = [[]];
  for (const [token] of (text || "").matchAll(/\(|\)(?:x\d+)?|[^\s()]+/g)) {
    if (token === "(") {
      stack.push([]);
    } else if (token.startsWith(")")) {
      const block = stack.length > 1 ? stack.pop() : [];
      const times = Math.min(Number(token.slice(2)) || 1, most);
      for (let i = 0; i < times && stack[stack.length - 1].length < most; i++)
        stack[stack.length - 1].push(...block);
    } else {
      stack[stack.length - 1].push(token);
    }
  }
  return stack[0];
}

// The family of a class: as the backbones tell, else by its name.
const FAMILIES = ["SA", "Rec", "GConv", "GMemless"];
const familyOf = (() => {
  const known = new Map();
  for (const livs of Object.values(data.backbones || {}))
    for (const liv of livs) known.set(liv.class, liv.family);
  return (name) => known.get(name) || FAMILIES.find((f) => String(name).startsWith(f)) || "other";
})();
