// Before the first paint, so that a page in the dark does not flash white. Not a module: those run later.
try {
  const theme = localStorage.getItem("i2i-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the page then follows the system.
}
