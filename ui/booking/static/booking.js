// Booking: how long a time is still held, and choices that show their times at once.
(() => {
  for (const field of document.querySelectorAll("[data-submit]")) {
    field.addEventListener("change", () => field.form.requestSubmit());
  }
  // Without a network the form waits for it: a page that cannot be loaded would take what was typed along.
  let waiting = null;
  document.addEventListener("submit", event => {
    if (navigator.onLine || event.defaultPrevented) return;
    event.preventDefault();
    waiting = {form: event.target, button: event.submitter};
  });
  addEventListener("online", () => {
    if (waiting?.form.isConnected) waiting.form.requestSubmit(waiting.button);
    waiting = null;
  });
  // What was said is kept in this tab until the visit is booked: for another time, a correction, a page loaded anew.
  const store = (name, value) => { try { return value === undefined ? JSON.parse(sessionStorage.getItem(name) ?? "{}") : sessionStorage.setItem(name, JSON.stringify(value)); } catch { return {}; } };
  const kept = document.querySelector("[data-keep]"), over = document.querySelector("[data-forget]");
  if (over) try { sessionStorage.removeItem(over.dataset.forget); } catch { /* a private window */ }
  if (kept) {
    const fields = [...kept.elements].filter(field => field.name && field.type !== "hidden" && field.type !== "submit");
    const before = store(kept.dataset.keep);
    for (const field of fields) {
      if (field.type === "checkbox") field.checked ||= before[field.name] === true;
      else if (!field.value && before[field.name]) field.value = before[field.name];
    }
    kept.addEventListener("input", () => store(kept.dataset.keep, Object.fromEntries(fields.map(field => [field.name, field.type === "checkbox" ? field.checked : field.value]))));
  }
  const shown = document.querySelector(".countdown");
  if (!shown) return;
  const until = Date.parse(shown.dataset.until), left = shown.querySelector(".countdown-left");
  let told = false;
  const tick = () => {
    const seconds = Math.max(0, Math.round((until - Date.now()) / 1000));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    shown.classList.toggle("is-soon", seconds < 60);
    if (seconds < 60 && !told) {
      told = true;
      document.getElementById("countdown-said").textContent = shown.dataset.saidSoon;
    }
    // The page says what can be done now; what was typed is kept.
    if (seconds === 0) location.replace(shown.dataset.over);
    else setTimeout(tick, 1000);
  };
  tick();
})();
