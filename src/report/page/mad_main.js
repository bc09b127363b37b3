// Puts the page together. window.sartorReport is for scripts and tests.

guarded("the header", drawHeader);
guarded("the scores", makeScores);
guarded("the table of scores", makeScoreTable);
guarded("the published scores", makePublishedTable);
guarded("the settings", makeRunTable);
guarded("the sections", drawNavigation);

window.sartorReport = {errors: () => errorCount};
document.documentElement.dataset.ready = "true";
