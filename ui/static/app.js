// What all pages share: the forms' token, drafts, sending again, messages, keys, dialogs.
(() => {
  const said = document.body.dataset;
  const token = () => document.querySelector('meta[name="csrf"]')?.content ?? "";

  // -- requests -------------------------------------------------------------------------------------------------------
  document.addEventListener("htmx:config:request", event => {
    const request = event.detail.ctx.request;
    if (token()) request.headers["X-CSRF"] = token();
  });

  // A form that is sent twice has one effect: its key changes only after it was accepted.
  const key = form => {
    const field = form.querySelector('input[name="idempotency_key"]');
    if (field && !field.value) field.value = crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
    return field;
  };
  document.addEventListener("submit", event => key(event.target), true);

  // -- drafts ---------------------------------------------------------------------------------------------------------
  const place = form => `draft:${location.pathname}:${form.dataset.draft}`;
  const secret = field => ["password", "hidden", "file"].includes(field.type) || field.name === "csrf";
  const keep = form => {
    const values = [...form.elements].filter(field => field.name && !secret(field)).map(field =>
      [field.name, field.type === "checkbox" || field.type === "radio" ? [field.value, field.checked] : field.value]);
    try { sessionStorage.setItem(place(form), JSON.stringify(values)); } catch { /* full, or a private window */ }
  };
  const restore = form => {
    let values;
    try { values = JSON.parse(sessionStorage.getItem(place(form)) ?? "null"); } catch { values = null; }
    if (!values || form.dataset.restored) return;
    form.dataset.restored = "1";
    const seen = {};
    // What somebody typed before this script was there is newer than what was kept.
    const touched = field => field.defaultValue !== undefined && field.value !== field.defaultValue;
    for (const [name, value] of values) {
      const fields = [...form.elements].filter(field => field.name === name);
      if (Array.isArray(value)) {
        const field = fields.find(each => each.value === value[0]);
        if (field && field.checked === field.defaultChecked) field.checked = value[1];
      } else {
        const field = fields[seen[name] ??= 0];
        seen[name] += 1;
        if (field && !touched(field)) field.value = value;
      }
    }
    form.dispatchEvent(new CustomEvent("salam:restored", {bubbles: true}));
  };
  const forget = form => { try { sessionStorage.removeItem(place(form)); } catch { /* private window */ } };
  document.addEventListener("input", event => { const form = event.target.form; if (form?.dataset.draft) keep(form); });
  document.addEventListener("change", event => { const form = event.target.form; if (form?.dataset.draft) keep(form); });
  document.addEventListener("reset", event => { if (event.target.dataset.draft) forget(event.target); });
  document.addEventListener("submit", event => {
    // A plain form leaves the page: what it had is kept until the next page shows that it was taken.
    if (event.target.dataset.draft && !event.defaultPrevented && !event.target.matches("[hx-post]")) sessionStorage.setItem("draft-sent", place(event.target));
  });
  const accepted = form => {
    forget(form);
    const field = form.querySelector('input[name="idempotency_key"]');
    if (field) field.value = "";
  };
  document.addEventListener("htmx:after:request", event => {
    const {ctx} = event.detail, form = ctx.request.form;
    if (!form || ctx.request.method === "GET") return;
    // A refusal is shown above the form and swaps nothing; then the form stays as it is.
    if (ctx.response.status < 400 && ctx.response.headers.get("HX-Reswap") !== "none") accepted(form);
  });

  // -- the network ----------------------------------------------------------------------------------------------------
  const bar = document.getElementById("offline");
  const waiting = new Map();
  const offline = lost => {
    if (!bar) return;
    bar.hidden = !lost;
    bar.textContent = lost ? said.saidOffline : "";
  };
  addEventListener("offline", () => offline(true));
  addEventListener("online", () => { offline(false); document.dispatchEvent(new CustomEvent("salam:online")); sendAgain(); });
  if (!navigator.onLine) offline(true);
  const sendAgain = () => {
    const sources = [...waiting.entries()];
    waiting.clear();
    for (const [source, box] of sources) { box.remove(); if (source.isConnected) htmx.trigger(source, source.dataset.again || (source.tagName === "FORM" ? "submit" : "click")); }
  };
  document.addEventListener("htmx:error", event => {
    const source = event.detail.ctx?.sourceElement;
    if (!source) return;
    // What only looks something up was nothing to send: the bar above says that the network is gone.
    if (event.detail.ctx.request?.method === "GET" || source.matches("[data-quiet]")) { document.dispatchEvent(new CustomEvent("salam:lost")); return; }
    if (waiting.has(source)) return;
    waiting.set(source, toast({text: said.saidFailed, kind: "warning", stays: true, action: said.saidAgain, act: sendAgain}));
  });
  document.addEventListener("htmx:response:error", event => {
    if (event.detail.ctx.response.status >= 500) toast({text: said.saidServer, kind: "danger"});
  });

  // -- messages -------------------------------------------------------------------------------------------------------
  const shelf = document.getElementById("toasts");
  function toast({text, kind = "success", undo = null, action = "", act = null, stays = false}) {
    const box = document.createElement("div");
    box.className = `toast-note toast-${kind}`;
    if (kind === "danger" || kind === "warning") box.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.textContent = text;
    box.append(words);
    const button = (label, run, cls) => {
      const made = document.createElement("button");
      made.type = "button"; made.className = cls; made.textContent = label;
      made.addEventListener("click", run);
      box.append(made);
      return made;
    };
    if (undo) button(said.saidUndo, () => { box.remove(); post(undo); }, "toast-action");
    if (act) button(action, () => act(), "toast-action");
    const close = button("×", () => box.remove(), "toast-close");
    close.setAttribute("aria-label", said.saidClose);
    shelf?.append(box);
    // Above a dialog that is open, which stands above everything else.
    if (shelf?.showPopover) { if (shelf.matches(":popover-open")) shelf.hidePopover(); shelf.showPopover(); }
    let timer = null;
    const wait = () => { clearTimeout(timer); if (!stays) timer = setTimeout(() => box.remove(), undo ? 10000 : kind === "danger" ? 12000 : 5000); };
    // Who reads or reaches for the button is given the time for it.
    for (const name of ["mouseenter", "focusin"]) box.addEventListener(name, () => clearTimeout(timer));
    for (const name of ["mouseleave", "focusout"]) box.addEventListener(name, wait);
    wait();
    return box;
  }
  async function post(url) {
    try {
      const answer = await fetch(url, {method: "POST", headers: {"X-CSRF": token(), "HX-Request": "true"}});
      const told = answer.headers.get("HX-Trigger");
      if (told) for (const [name, detail] of Object.entries(JSON.parse(told))) document.body.dispatchEvent(new CustomEvent(name, {detail, bubbles: true}));
      if (answer.headers.get("HX-Redirect")) location.href = answer.headers.get("HX-Redirect");
      document.dispatchEvent(new CustomEvent("salam:refresh"));
    } catch { toast({text: said.saidFailed, kind: "warning", stays: true, action: said.saidAgain, act: event => { event?.target?.closest?.(".toast-note")?.remove(); post(url); }}); }
  }
  document.addEventListener("salam:toast", event => toast(event.detail));

  // -- keys, dialogs, confirmations -----------------------------------------------------------------------------------
  const typing = element => element?.closest?.("input, textarea, select, [contenteditable], dialog[open]");
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const found = document.querySelector(`[data-hotkey="${CSS.escape(event.key)}"]`);
    if (!found || found.disabled || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    found.matches("input, textarea, select") ? found.focus() : found.click();
  });
  // Who selects text and lets go outside did not click there.
  let pressed = null;
  document.addEventListener("mousedown", event => { pressed = event.target; }, true);
  document.addEventListener("click", event => {
    const opener = event.target.closest?.("[data-open]");
    if (opener) document.getElementById(opener.dataset.open)?.showModal();
    if (event.target.closest?.("[data-close]")) event.target.closest("dialog")?.close();
    // A click beside a dialog or menu closes it.
    if (event.target.matches?.("dialog") && pressed === event.target) event.target.close();
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (event.target.closest?.("[data-print]")) print();
  });
  document.addEventListener("keydown", event => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  // The question comes before every other listener: what is not confirmed did not happen.
  const ask = (element, go) => {
    const box = document.createElement("dialog");
    box.className = "sheet";
    const words = document.createElement("p"), row = document.createElement("div");
    words.textContent = element.dataset.confirm;
    words.id = "confirm-words";
    box.setAttribute("aria-labelledby", words.id);
    row.className = "actions";
    const button = (label, cls, run) => {
      const made = document.createElement("button");
      made.type = "button"; made.className = `btn ${cls}`; made.textContent = label;
      made.addEventListener("click", () => { box.close(); run?.(); });
      row.append(made);
      return made;
    };
    const no = button(said.saidCancel, "btn-outline-secondary");
    button(element.dataset.confirmYes || said.saidSure, "btn-danger", go);
    box.append(words, row);
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
    no.focus();
  };
  for (const name of ["click", "submit"]) {
    document.addEventListener(name, event => {
      const element = event.target.closest?.("[data-confirm]");
      if (!element || (name === "click") === (element.tagName === "FORM")) return;
      if (element.dataset.confirmed) { delete element.dataset.confirmed; return; }
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(element, () => { element.dataset.confirmed = "1"; name === "submit" ? element.requestSubmit() : element.click(); });
    }, true);
  }

  // -- what is new on the page ----------------------------------------------------------------------------------------
  const arrive = (root, live = false) => {
    for (const form of root.querySelectorAll?.("form[data-draft]") ?? []) restore(form);
    if (root.matches?.("form[data-draft]")) restore(root);
    // What changes by itself leaves the focus with whoever is typing.
    if (!live && (document.activeElement === document.body || !root.contains(document.activeElement))) root.querySelector?.("[data-focus]")?.focus();
    for (const dialog of root.querySelectorAll?.("dialog[data-show]") ?? []) { delete dialog.dataset.show; if (!dialog.open) dialog.showModal(); }
  };
  document.addEventListener("htmx:after:swap", event => {
    const target = event.detail?.ctx?.target;
    const live = event.detail?.ctx?.sourceEvent?.type === "salam:live";
    arrive(target?.isConnected ? target : (target?.id && document.getElementById(target.id)) || document, live);
  });
  const sent = sessionStorage.getItem("draft-sent");
  if (sent) {
    sessionStorage.removeItem("draft-sent");
    if (!document.querySelector("[aria-invalid], .note-danger")) sessionStorage.removeItem(sent);
  }
  arrive(document);
  document.querySelector(":is(.note-danger, [aria-invalid]):not([data-sample] *)")?.scrollIntoView({block: "center"});

  window.salam = {toast, post, token};
})();
