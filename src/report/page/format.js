// Numbers as people write them: 1.25M parameters, 3.4 MiB, 1.7 ms. What a measure counts is told by
// its objective's unit, or by its name where it is no objective.

const GUESSES = [
  [/cache|memory|bytes|rss/i, "bytes"],
  [/prefill|decode|seconds|time|latency/i, "seconds"],
];

// {kind: "bytes"|"seconds"|"number", unit: what to say beside the numbers}
const measureKind = (() => {
  const kinds = new Map();
  function find(name) {
    const unit = ((objectiveOf.get(name) || {}).unit || "").trim();
    if (/^bytes?\b/i.test(unit)) return {kind: "bytes", unit: unit.replace(/^bytes?\s*/i, "")};
    const time = /^(?:s|sec|seconds?)(?![a-z])\s*(.*)$/i.exec(unit);
    if (time) return {kind: "seconds", unit: time[1].replace(/^\//, "per ")};
    if (unit) return {kind: "number", unit: unit === name ? "" : unit};
    const guess = GUESSES.find(([pattern]) => pattern.test(name));
    return {kind: guess ? guess[1] : "number", unit: ""};
  }
  return (name) => {
    if (!kinds.has(name)) kinds.set(name, find(name));
    return kinds.get(name);
  };
})();

const PREFIXES = {
  bytes: {base: 1024, names: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], first: 0, gap: "\u202f"},
  seconds: {base: 1000, names: ["ns", "µs", "ms", "s"], first: -3, gap: "\u202f"},
  number: {base: 1000, names: ["", "k", "M", "G", "T", "P", "E"], first: 0, gap: ""},
};

// The power of the base that a value is shown in. Numbers stay plain below `plain`.
function powerOf(kind, value, plain = 1e4) {
  const {base, names, first} = PREFIXES[kind];
  const size = Math.abs(value);
  if (size === 0) return 0;
  if (kind === "number" && size < plain) return 0;
  const power = Math.floor(Math.log(size) / Math.log(base) + 1e-9);
  return Math.max(first, Math.min(first + names.length - 1, power));
}

// Without an exponent where a person would not write one. `keep`: with all its digits, so that
// numbers in a column have equal length.
function significant(value, digits, keep) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(Math.max(0, digits - 2));
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  const text = value.toFixed(Math.min(places, 12));
  return text.includes(".") && !keep ? text.replace(/\.?0+$/, "") : text;
}

function withPrefix(kind, value, digits, {keep = false, plain = 1e4} = {}) {
  const power = powerOf(kind, value, plain), {base, names, first, gap} = PREFIXES[kind];
  const name = names[power - first] || "";
  const scaled = value / base ** power;
  const shown = Number.isInteger(scaled) ? String(scaled) : significant(scaled, digits, keep);
  return (shown + (name ? gap + name : "")).replace("-", "\u2212");
}

// A value in a table or tooltip.
function show(measure, value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return withPrefix(measureKind(measure).kind, value, 4, {keep: true});
}

// Mean and standard deviation to the same decimal place, two digits of the latter.
function showSpread(measure, mean, std) {
  const {kind} = measureKind(measure);
  if (kind !== "number" || powerOf(kind, mean) !== 0 || !(std > 0))
    return `${show(measure, mean)} ± ${show(measure, std)}`;
  const places = Math.max(0, Math.min(4, 1 - Math.floor(Math.log10(std))));
  return `${mean.toFixed(places)} ± ${std.toFixed(places)}`.replace("-", "\u2212");
}

// A share of a whole.
const showShare = (share) => `${significant(100 * share, 3)}\u202f%`;

// A difference in percent of `from`, with sign; "" where it says nothing.
function showChange(value, from) {
  if (value === null || from === null || from === 0) return "";
  const percent = 100 * (value - from) / Math.abs(from);
  if (!Number.isFinite(percent)) return "";
  const size = Math.abs(percent);
  const text = size >= 1000 ? `${significant(percent / 100 + 1, 2)}×`
    : `${percent > 0 ? "+" : "\u2212"}${size.toFixed(size < 9.95 ? 1 : 0)}\u202f%`;
  return size < 0.05 ? "±0\u202f%" : text;
}

// Names may be long: for heads of columns and rows.
const shortName = (name) => name.length > 24 ? `${name.slice(0, 23)}…` : name || "(no name)";

// What stands beside an axis: the name, and the unit where the ticks do not say it.
function axisTitle(measure) {
  if (PSEUDO.has(measure)) return PSEUDO.get(measure).title;
  const {unit} = measureKind(measure), name = shortName(measure);
  return unit ? `${name} (${shortName(unit)})` : name;
}

// Axes that are no measures.
const TRIAL_AXIS = Symbol("trial"), GENERATION_AXIS = Symbol("generation");
const PSEUDO = new Map([
  [TRIAL_AXIS, {title: "trial number", value: (t) => t.trial}],
  [GENERATION_AXIS, {title: "generation", value: (t) => t.generation}],
]);
const coordinate = (trial, axis) =>
  PSEUDO.has(axis) ? PSEUDO.get(axis).value(trial) : valueOf(trial, axis);

// Round tick values: powers of two for bytes, 1-2-5 else.
function ticksOf(axis, scale, logarithmic, count) {
  const [low, high] = scale.domain();
  const kind = PSEUDO.has(axis) ? "number" : measureKind(axis).kind;
  if (logarithmic && high / low > (kind === "bytes" ? 6 : 12)) {
    const base = kind === "bytes" ? 2 : 10, steps = kind === "bytes" ? [1] : [1, 2, 5];
    let values = [];
    for (let e = Math.floor(Math.log(low) / Math.log(base)); base ** e <= high; e++)
      for (const s of steps) values.push(s * base ** e);
    values = values.filter((v) => v >= low && v <= high);
    if (values.length > count && base === 10 && values.length > 2 * count)
      values = values.filter((v) => Math.abs(Math.log10(v) % 1) < 1e-6);
    const every = Math.ceil(values.length / Math.max(2, count));
    return values.filter((v, i) => i % every === 0);
  }
  const unit = kind === "bytes" ? 1024 ** powerOf(kind, Math.max(Math.abs(low), Math.abs(high))) : 1;
  const values = d3.ticks(low / unit, high / unit, count).map((v) => v * unit);
  return PSEUDO.has(axis) ? values.filter(Number.isInteger) : values;
}

function tickText(axis, value) {
  if (PSEUDO.has(axis)) return String(value);
  return withPrefix(measureKind(axis).kind, Number(value.toPrecision(12)), 6, {plain: 1e3});
}

// Numbers whose kind is known; a dash for none.
const flopsText = (x) => finite(x) ? x.toExponential(2).replace(/\.?0+e\+?/, "e") : "–";
const countText = (x) => finite(x) ? withPrefix("number", x, 3, {plain: 1e3}) : "–";
const bytesText = (x) => finite(x) ? withPrefix("bytes", x, 3) : "–";
const decimals = (places) => (x) => x.toFixed(places).replace("-", "\u2212");
