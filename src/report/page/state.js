// What the reader does, told to whom it concerns: one trial may be selected, one pointed at, and
// ranges of measures may restrict the trials.

const state = {
  selected: null,      // a trial
  pointed: null,       // a trial
  ranges: new Map(),   // measure -> [low, high]
  events: d3.dispatch("select", "point", "filter"),
};

function select(trial) {
  if (!trial || trial === state.selected) return;
  state.selected = trial;
  state.events.call("select");
}

function point(trial) {
  if (trial === state.pointed) return;
  state.pointed = trial;
  state.events.call("point");
}

// Told at most once a frame: dragging changes ranges faster than thousands of marks are drawn.
let filterWaits = false;
function tellFilter() {
  if (filterWaits) return;
  filterWaits = true;
  requestAnimationFrame(() => {
    filterWaits = false;
    state.events.call("filter");
  });
}

function restrict(measure, range) {
  if (range === null) state.ranges.delete(measure);
  else state.ranges.set(measure, range);
  tellFilter();
}

function passes(trial) {
  for (const [measure, [low, high]] of state.ranges) {
    const value = valueOf(trial, measure);
    if (value === null || value < low || value > high) return false;
  }
  return true;
}
