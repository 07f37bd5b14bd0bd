// The panel beside the calendar: what htmx brings into it is shown, focused, and leaves without a trace when it closes.
window.agendaPanel = (() => {
  const sheet = document.getElementById("sheet"), body = document.getElementById("sheet-body");
  if (!sheet) return null;
  let opener = null;

  const open = url => htmx.ajax("GET", url, {target: "#sheet-body", swap: "innerHTML"});
  // Who changed a field stands in it again; otherwise what is wrong comes first, then where to begin.
  function present(field = "") {
    if (!sheet.open) { opener = document.activeElement; sheet.showModal(); }
    const places = [field && `[id="${CSS.escape(field)}"]`, ".note-danger", "[data-focus]", "#sheet-title"].filter(Boolean);
    const place = places.map(each => body.querySelector(each)).find(Boolean);
    if (place?.matches(".note-danger")) place.tabIndex = -1;
    place?.focus();
  }
  function show(html) {
    body.innerHTML = html;
    htmx.process(body);
    present();
  }
  document.addEventListener("htmx:after:swap", event => {
    const {target, sourceElement: source} = event.detail?.ctx ?? {};
    if (target !== body || !body.childElementCount) return;
    present(sheet.open && source?.matches?.("input, select") ? source.id : "");
  });
  sheet.addEventListener("close", () => {
    body.replaceChildren();
    if (opener?.isConnected) opener.focus();
    document.dispatchEvent(new CustomEvent("agenda:changed"));
  });
  document.addEventListener("agenda:close", () => sheet.close());
  sheet.addEventListener("click", event => {
    const free = event.target.closest("[data-free]");
    if (free) {
      // Here it is only chosen; without this script it is booked at once.
      event.preventDefault();
      const [date, time] = free.dataset.free.split("T"), form = free.closest("form");
      form.elements.date.value = date;
      form.elements.time.value = time.slice(0, 5);
      for (const each of form.querySelectorAll("[data-free]")) each.setAttribute("aria-pressed", String(each === free));
    }
    if (event.target.closest("[data-other-patient]")) {
      sheet.querySelector(".ag-chosen").remove();
      const search = sheet.querySelector(".ag-search");
      search.hidden = false;
      search.querySelector("#q").focus();
    }
  });
  return {open, show};
})();
