// The reception in the browser: the panel, the search box, keys in lists, tabs on a phone.
(() => {
  const $ = id => document.getElementById(id);
  const panel = $("panel");
  // Where an answer went: a selector, when the server chose the place.
  const into = event => { const target = event.detail.ctx?.target; return typeof target === "string" ? document.querySelector(target) : target; };

  // -- the panel ------------------------------------------------------------------------------------------------------
  let opener = null;
  const focusIn = () => (panel.querySelector("[data-start], [aria-invalid]") ?? panel.querySelector("h2"))?.focus();
  document.addEventListener("htmx:after:swap", event => {
    if (!panel || into(event)?.id !== "panel-body" || !$("panel-body").childElementCount) return;
    if (!panel.open) { opener = document.activeElement; panel.showModal(); panel.scrollTop = 0; }
    focusIn();
  });
  // A link into the panel; with a key held down it opens a page of its own, as links do.
  document.addEventListener("click", event => {
    const link = event.target.closest?.("a[data-panel]");
    if (!panel || !link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    htmx.ajax("GET", link.getAttribute("href"), {target: "#panel-body"});
  });
  // What the server failed at is said by a message; the page stays as it is.
  document.addEventListener("htmx:before:swap", event => { if (event.detail.ctx?.response?.status >= 500) event.preventDefault(); });
  document.addEventListener("desk:close", () => panel?.open && panel.close());
  panel?.addEventListener("close", () => {
    $("panel-body").replaceChildren();
    // What opened it may have been replaced meanwhile; then the same line, or the search.
    const line = opener?.closest?.("[data-line]");
    // After a search the keys are for the page again.
    if (opener === finder) $("main").focus();
    else (opener?.isConnected ? opener : (line && $(line.id)) ?? $("main"))?.focus?.();
  });

  // -- the search box -------------------------------------------------------------------------------------------------
  const finder = $("finder"), hits = $("hits"), box = $("hits-box");
  let chosen = -1, hurried = false;
  const options = () => [...hits.querySelectorAll('[role="option"]')];
  const show = open => { box.hidden = !open; finder.setAttribute("aria-expanded", String(open)); if (!open) finder.removeAttribute("aria-activedescendant"); };
  const choose = at => {
    const all = options();
    chosen = all.length ? (at + all.length) % all.length : -1;
    all.forEach((each, place) => each.setAttribute("aria-selected", String(place === chosen)));
    if (chosen >= 0) { finder.setAttribute("aria-activedescendant", all[chosen].id); all[chosen].scrollIntoView({block: "nearest"}); }
  };
  const open = option => {
    if (!option) return;
    show(false);
    const typed = option.hasAttribute("data-new") ? finder.value : "";
    finder.value = "";
    hits.replaceChildren();
    htmx.ajax("GET", option.dataset.href, {target: "#panel-body"}).then(() => {
      const family = typed && !/\d/.test(typed) && panel.querySelector('input[name="family"]');
      if (family && !family.value) family.value = typed;
    });
  };
  if (finder) {
    document.addEventListener("htmx:after:swap", event => {
      if (into(event) !== hits) return;
      const all = options(), real = all.filter(each => !each.hasAttribute("data-new"));
      show(all.length > 0 && finder.value.trim() !== "");
      choose(0);
      $("hits-said").textContent = real.length || "";
      if (hurried) { hurried = false; if (real.length === 1) open(real[0]); }
    });
    finder.addEventListener("input", () => { hurried = false; if (!finder.value.trim()) { hits.replaceChildren(); show(false); } });
    finder.addEventListener("keydown", event => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (box.hidden && options().length) show(true);
        choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (!box.hidden && chosen >= 0) open(options()[chosen]); else hurried = finder.value.trim().length > 1;
      } else if (event.key === "Escape") {
        if (box.hidden) { finder.value = ""; finder.blur(); }
        show(false);
      }
    });
    // Before the box loses focus, so that it is still there for the click.
    hits.addEventListener("mousedown", event => event.preventDefault());
    hits.addEventListener("click", event => open(event.target.closest('[role="option"]')));
    finder.addEventListener("blur", () => setTimeout(() => show(false), 100));
    finder.addEventListener("focus", () => { if (options().length && finder.value) show(true); });
  }

  // -- keys -----------------------------------------------------------------------------------------------------------
  const lists = () => [...document.querySelectorAll("[data-lines]")].filter(list => list.offsetParent);
  const enter = list => list?.querySelector("[data-line]")?.focus();
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, textarea, select")) return;
    const line = event.target.closest?.("[data-line]");
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (line && step) {
      const all = lists().flatMap(list => [...list.querySelectorAll("[data-line]")]);
      const next = all[all.indexOf(line) + step];
      if (next) { event.preventDefault(); next.focus(); }
    } else if (event.target === line && line && event.key === "Enter") {
      event.preventDefault();
      (line.querySelector("[data-first]") ?? line.querySelector("[data-more]"))?.click();
    } else if (line && event.key === ".") {
      event.preventDefault();
      line.querySelector("[data-more]")?.click();
    } else if (event.key === "r") { event.preventDefault(); finder?.focus(); }
    else if (event.key === "l") { event.preventDefault(); tab("visits"); enter(document.querySelector('[data-lines="visits"]')); }
    else if (event.key === "q") { event.preventDefault(); tab("queues"); enter(document.querySelector("[data-lines][data-main]") ?? lists().find(list => list.closest('[data-pane="queues"]'))); }
  });
  // Only one line of a list is in the order of Tab: the one last used.
  document.addEventListener("focusin", event => {
    const line = event.target.closest?.("[data-line]");
    if (line) for (const each of line.parentElement.querySelectorAll("[data-line]")) each.tabIndex = each === line ? 0 : -1;
  });

  // -- tabs on a phone ------------------------------------------------------------------------------------------------
  const main = document.getElementById("main");
  function tab(name) {
    main.dataset.tabOpen = name;
    for (const each of document.querySelectorAll("[data-tab]")) each.setAttribute("aria-pressed", String(each.dataset.tab === name));
  }
  if ($("day")) tab("visits");
  document.addEventListener("click", event => { const each = event.target.closest?.("[data-tab]"); if (each) tab(each.dataset.tab); });
  document.addEventListener("htmx:after:swap", () => { if ($("day")) tab(main.dataset.tabOpen ?? "visits"); });

  // -- dates and money as they are typed ------------------------------------------------------------------------------
  document.addEventListener("input", event => {
    const field = event.target;
    if (field.closest?.(".date-typed") && event.inputType !== "deleteContentBackward" && /^\d{2}$|^\d{2}\/\d{2}$/.test(field.value)) field.value += "/";
  });
  const digits = text => Number(text.replace(/[٠-٩]/g, each => "٠١٢٣٤٥٦٧٨٩".indexOf(each)).replace(/[\s\u00a0\u202f]/g, "").replace(/[,٫]/g, "."));
  const reckon = form => {
    const places = Number(form.dataset.places), written = value => new Intl.NumberFormat(document.documentElement.lang + "-u-nu-latn", {style: "currency", currency: form.dataset.currency, minimumFractionDigits: places, maximumFractionDigits: places}).format(value);
    const amounts = [...form.querySelectorAll('[name="amount"]')].map(field => digits(field.value || "0"));
    const due = form.dataset.due ? Number(form.dataset.due) : amounts.reduce((sum, each) => sum + (each || 0), 0);
    const total = form.querySelector("[data-total]"), back = form.querySelector("[data-change]"), given = form.querySelector("[data-tendered]");
    if (total) total.textContent = written(due);
    const rest = digits(given?.value || "0") - due;
    if (back) { back.hidden = !(given.value && rest > 0); back.textContent = back.hidden ? "" : `${back.dataset.text} ${written(rest)}`; }
  };
  document.addEventListener("input", event => {
    const form = event.target.closest?.("form[data-money]");
    if (!form) return;
    // A service chosen from the list brings its price along.
    const price = event.target.name === "line" && [...form.querySelectorAll("datalist option")].find(each => each.value === event.target.value);
    const amount = event.target.closest(".money-line")?.querySelector('[name="amount"]');
    if (price && amount && !amount.value) amount.value = price.dataset.amount;
    reckon(form);
  });
  document.addEventListener("htmx:after:swap", () => document.querySelectorAll("form[data-money]").forEach(reckon));
  document.querySelectorAll("form[data-money]").forEach(reckon);
  document.addEventListener("submit", event => { if (event.target.matches?.("[data-at-desk]")) event.preventDefault(); });
})();
