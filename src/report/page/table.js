// A table that sorts by a click on a column's head. columns: {title, value(row), cell(row), number};
// rows may be thinned out by the filter through mark(row, tr).
function sortable(columns, rows, first, onRow) {
  const sorting = {column: first, down: false};
  const body = el("tbody");
  const heads = columns.map((c, i) => el("th", {scope: "col", class: c.number ? "number" : null},
    el("button", {type: "button", title: c.hint || `sort by ${c.title}`, onclick: () => {
      sorting.down = sorting.column === i && !sorting.down;
      sorting.column = i;
      fill();
    }}, c.title)));
  function fill() {
    const {value} = columns[sorting.column], sign = sorting.down ? -1 : 1;
    const known = (v) => v !== null && v !== undefined && v !== "";
    const order = (a, b) => {
      const u = value(a), v = value(b);
      if (!known(u) || !known(v)) return known(v) - known(u);
      return sign * (typeof u === "number" ? u - v
        : String(u).localeCompare(String(v), "en", {numeric: true}));
    };
    heads.forEach((h, i) => h.setAttribute("aria-sort",
      i !== sorting.column ? "none" : sorting.down ? "descending" : "ascending"));
    body.replaceChildren(...[...rows].sort(order).map((row) => {
      const tr = el("tr", null, columns.map((c) =>
        el("td", {class: [c.number ? "number" : "", c.kind || ""].join(" ").trim() || null}, c.cell(row))));
      onRow(row, tr);
      return tr;
    }));
  }
  fill();
  return {node: el("div", {class: "scroll"},
    el("table", {class: "sortable"}, el("thead", null, el("tr", null, heads)), body)), fill};
}

// A column of numbers, a dash where there is none.
const numberColumn = (title, value, text, hint) => ({title, number: true, value, hint,
  cell: (row) => finite(value(row)) ? text(value(row)) : "–"});
