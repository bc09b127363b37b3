// Puts the page together. window.sartorReport is for scripts and tests: what the page shows, and
// the reader's actions.

guarded("the header", drawHeader);
guarded("the scatter plot", makeScatter);
guarded("the card", drawCard);
guarded("the lineage", makeLineage);
guarded("the learning curves", makeCurves);
guarded("the measures", makeParallel);
guarded("the front", makeFrontTable);
guarded("the finals", makeFinals);
guarded("the hypervolume", makeHypervolume);
guarded("the classes", makeClasses);
guarded("the backbones", makeBackbones);
guarded("the failed trials", makeFailed);
guarded("the sections", drawNavigation);
select(front.find((t) => !isBaseline(t)) || front[0]
  || trials.find((t) => t.state === "done") || trials[0]);

window.sartorReport = {
  select: (number) => select(trialOf.get(number)),
  selected: () => state.selected && state.selected.trial,
  pointed: () => state.pointed && state.pointed.trial,
  axes: (x, y) => scatter.show(x, y),
  restrict(measure, range) {
    restrict(measure, range);
    parallelRedraw();
  },
  matches: () => trials.filter(passes).length,
  errors: () => errorCount,
};
document.documentElement.dataset.ready = "true";
