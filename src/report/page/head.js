// What every page has: how far the study is, its settings, links to the panels, and the foot.

function stateLine() {
  const counts = data.state || {};
  const parts = [["done", "done"], ["running", "running"], ["waiting", "waiting"], ["failed", "failed"]]
    .map(([key, text]) => ({key, text, count: Number(own(counts, key)) || 0}));
  const total = d3.sum(parts, (p) => p.count);
  const bar = el("div", {class: "progress", role: "img",
    "aria-label": parts.map((p) => `${p.count} ${p.text}`).join(", ")});
  for (const p of parts) {
    if (p.count === 0) continue;
    const piece = el("span", {class: p.key});
    piece.style.flexGrow = p.count / total;
    bar.append(piece);
  }
  const words = parts.filter((p) => p.count > 0 || p.key === "done").map((p) =>
    el("span", {class: `count ${p.key}`}, el("b", null, String(p.count)), ` ${p.text}`));
  return el("div", {class: "state"}, total > 0 ? bar : null, el("p", null, words));
}

function settingsTable() {
  const rows = Object.entries(data.settings || {});
  if (rows.length === 0) return null;
  const text = (v) => typeof v === "boolean" ? (v ? "yes" : "no") : v === null ? "–"
    : typeof v === "object" ? (Object.keys(v).length > 0 ? JSON.stringify(v) : "–") : String(v);
  return el("details", {class: "settings"},
    el("summary", null, `Settings (${rows.length})`),
    el("dl", null, rows.map(([name, value]) =>
      el("div", null, el("dt", null, name), el("dd", null, text(value))))));
}

function drawFooter() {
  panel("made").textContent = `Made by sartor ${data.sartor || ""}${data.made ? `, ${data.made}` : ""}.`
    + " All of this page is in this one file; it loads nothing.";
}

// Links to the panels that are shown.
function drawNavigation() {
  panel("sections").replaceChildren(...SECTIONS.filter(([id]) => !panel(id).hidden)
    .map(([id, text]) => el("a", {href: `#${id}`}, text)));
}
