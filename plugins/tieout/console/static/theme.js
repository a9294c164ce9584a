// Airflow's own choice of light or dark, before anything is painted; without one the system's choice counts.
(() => {
  const KEY = "theme"; // where Airflow's pages keep "light", "dark" or "system"
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem(KEY);
    } catch {
      // No storage in this window: as without a choice.
    }
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
  };
  apply();
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) apply();
  });
})();
