// Puts the page together. window.sartorReport is for scripts and tests.

guarded("the header", drawHeader);
guarded("the IsoFLOP curves", makeIsoflop);
for (const spec of LAWS) guarded(spec.title, () => makeLaw(spec));
guarded("the laws", makeLawTable);
guarded("the compute-optimal models", makeOptimaTable);
guarded("the runs", makeRunTable);
guarded("the sections", drawNavigation);

window.sartorReport = {errors: () => errorCount};
document.documentElement.dataset.ready = "true";
