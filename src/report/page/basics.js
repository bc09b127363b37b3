// What every page begins with: the data, and ways to look at what may be anything in it.

const data = JSON.parse(document.getElementById("data").textContent);

const own = (object, name) =>
  object && Object.prototype.hasOwnProperty.call(object, name) ? object[name] : undefined;

const finite = (x) => typeof x === "number" && Number.isFinite(x);
const listOf = (x) => Array.isArray(x) ? x : [];
