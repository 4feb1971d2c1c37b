/* Before the first paint: the theme that was chosen. */
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  /* without storage the system's theme is shown */
}
