// Before anything is painted: light or dark, as was chosen here or as the device says.
(() => {
  const root = document.documentElement;
  const device = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("salam-theme"); } catch { return null; } };
  const asked = new URLSearchParams(location.search).get("theme");
  const apply = () => { root.dataset.bsTheme = asked || stored() || (device.matches ? "dark" : "light"); };
  device.addEventListener("change", apply);
  document.addEventListener("click", event => {
    const choice = event.target.closest?.("[data-theme-choice]")?.dataset.themeChoice;
    if (!choice) return;
    try { choice === "auto" ? localStorage.removeItem("salam-theme") : localStorage.setItem("salam-theme", choice); } catch { /* private window */ }
    apply();
  });
  apply();
  // For what belongs to these pages without being one of them: the bundled app, the offline page.
  try { localStorage.setItem("salam-language", root.lang); } catch { /* private window */ }
})();
