// The record: notes that save themselves, vital signs that are looked at while they are written.
(() => {
  const QUIET = 2500;
  const saving = new WeakSet(), timers = new WeakMap();

  // -- notes ----------------------------------------------------------------------------------------------------------
  const button = form => form.querySelector("[data-save-now]");
  const later = form => {
    clearTimeout(timers.get(form));
    timers.set(form, setTimeout(() => save(form), QUIET));
  };
  const save = form => {
    if (!form.isConnected) return;
    // One at a time: each save is over the version that the one before it made.
    if (saving.has(form)) { later(form); return; }
    button(form)?.click();
  };
  document.addEventListener("input", event => { const form = event.target.form; if (form?.dataset.save) later(form); });
  document.addEventListener("salam:restored", event => { if (event.target.dataset?.save) later(event.target); });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) for (const form of document.querySelectorAll("form[data-save]")) if (timers.get(form)) save(form);
  });
  const formOf = event => event.detail.ctx?.sourceElement?.closest?.("form[data-save]");
  document.addEventListener("htmx:before:request", event => {
    const form = formOf(event);
    if (!form) return;
    clearTimeout(timers.get(form));
    timers.delete(form);
    saving.add(form);
  });
  document.addEventListener("htmx:finally:request", event => { const form = formOf(event); if (form) saving.delete(form); });
  // Whoever signs while a save is under way signs what that save made.
  document.addEventListener("submit", event => {
    const form = event.target;
    if (!form.dataset?.save || !saving.has(form) || event.submitter?.dataset.saveNow !== undefined) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    setTimeout(() => form.requestSubmit(), 150);
  }, true);
  document.addEventListener("click", event => {
    const away = event.target.closest?.("[data-discard]");
    if (!away) return;
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(`draft:${location.pathname}:${away.dataset.discard}`)) sessionStorage.removeItem(key);
  });

  // What is shown beforehand was not sent: the draft is kept.
  document.addEventListener("htmx:after:request", event => {
    const source = event.detail.ctx?.sourceElement;
    if (source?.dataset?.quiet !== undefined) source.closest("form")?.querySelector('[name="idempotency_key"]')?.dispatchEvent(new Event("input", {bubbles: true}));
  });

  // -- vital signs ----------------------------------------------------------------------------------------------------
  const number = text => { const plain = text.trim().replace(/[,٫]/, "."); return plain === "" ? NaN : Number(plain); };
  const look = form => {
    for (const field of form.querySelectorAll("[data-low]")) {
      const value = number(field.value), factor = field.name === "glucose" ? unit(form) : 1;
      const odd = !Number.isNaN(value) && (value * factor < Number(field.dataset.low) || value * factor > Number(field.dataset.high));
      const box = field.closest(".vital"), words = box.querySelector(".doubt");
      box.classList.toggle("vital-doubt", odd);
      words.hidden = !odd;
      if (odd && !words.querySelector("span").textContent) words.querySelector("span").textContent = form.dataset.saidDoubtful;
    }
    const weight = number(form.elements.weight.value), height = number(form.elements.height.value) || Number(form.dataset.height);
    const index = weight / (height / 100) ** 2, line = form.querySelector("[data-bmi]");
    line.hidden = !(index > 8 && index < 80);
    line.querySelector("output").textContent = line.hidden ? "" : index.toFixed(1);
  };
  const unit = form => ({"g/L": 100, "mmol/L": 18}[form.elements.glucose_unit.value] ?? 1);
  for (const name of ["input", "change"]) document.addEventListener(name, event => { if (event.target.form?.dataset.vitals !== undefined) look(event.target.form); });
  document.addEventListener("salam:restored", event => { if (event.target.dataset?.vitals !== undefined) look(event.target); });

  // -- what was opened stays open when the summary is read anew --------------------------------------------------------
  let opened = [];
  document.addEventListener("htmx:before:swap", () => { opened = [...document.querySelectorAll("details[id][open]")].map(each => each.id); });
  document.addEventListener("htmx:after:swap", () => { for (const id of opened) { const found = document.getElementById(id); if (found) found.open = true; } });
})();
