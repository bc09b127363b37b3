// The head of the page: what was scaled, how far it is, the best loss at the largest budget.

// "0.512 (0.470 to 0.551)"
function estimateText(estimate, text) {
  if (!estimate || !finite(estimate.value)) return "–";
  const value = text(estimate.value);
  return finite(estimate.low) && finite(estimate.high)
    ? `${value} (${text(estimate.low)} to ${text(estimate.high)})` : value;
}

function bestLossTile(result) {
  const last = result.counted[result.counted.length - 1];
  return el("div", {class: "tile", title: result.pattern},
    el("span", {class: "label"}, el("i", {class: `key arch-${result.index % ARCH_COLOURS}`}),
      ` ${shortName(result.arch)}`),
    el("span", {class: "value"}, last ? decimals(3)(last.loss.value) : "–"),
    el("span", {class: "more"}, last
      ? `nats per token at ${flopsText(last.budget)} FLOPs, with ${countText(last.params.value)} parameters`
      : "no budget has its minimum inside the sizes trained"));
}

function drawHeader() {
  const title = data.title || "scaling laws";
  document.title = `${title}: sartor report`;
  const all = results.flatMap((r) => r.points);
  panel("header").replaceChildren(
    el("div", {class: "titles"},
      el("div", null, el("h1", null, title),
        el("p", {class: "subtitle"}, [
          `scaling laws: ${all.length} ${all.length === 1 ? "run" : "runs"} at ${budgets.length} `,
          budgets.length === 1 ? "budget" : "budgets",
          all.length > 0 ? `, ${flopsText(d3.sum(all, (p) => p.flops))} FLOPs in all` : "",
          data.made ? `, as of ${data.made}` : ""])),
      stateLine()),
    el("div", {class: "tiles"}, results.slice(0, 12).map(bestLossTile)),
    settingsTable() || "");
  drawFooter();
}

const SECTIONS = [["isoflop", "IsoFLOP curves"], ["size-law", "Sizes"], ["token-law", "Tokens"],
  ["loss-law", "Loss"], ["state-law", "State"], ["laws", "Laws"], ["optima", "Optima"],
  ["runs", "Runs"]];
