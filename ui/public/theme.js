// Runs before the first paint, so that a chosen theme does not flash the other one. See src/parts/theme.ts.
try {
  const theme = localStorage.getItem('agentgateway.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be forbidden: then the system's theme it is.
}
