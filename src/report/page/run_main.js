// Puts the page together. window.sartorReport is for scripts and tests.

guarded("the header", drawHeader);
guarded("the choices", makeView);
for (const plot of PLOTS) guarded(plot.title, () => makePlot(plot));
guarded("the growth", makeGrowthTable);
guarded("the runs", makeRunTable);
guarded("the settings", makeSettingsTable);
guarded("the sections", drawNavigation);

window.sartorReport = {errors: () => errorCount};
document.documentElement.dataset.ready = "true";
