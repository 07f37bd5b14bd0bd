// The calendar: what is shown of whom and when, dragging, and the panel in which visits are booked and changed.
(() => {
  const root = document.getElementById("agenda");
  if (!root) return;
  const data = JSON.parse(document.getElementById("agenda-data").textContent);
  const said = root.dataset, base = `${document.body.dataset.base}/agenda`;
  const box = document.getElementById("ag-calendar");
  const state = document.getElementById("ag-state"), title = document.getElementById("ag-title");
  const columns = new Map(data.columns.map(each => [each.id, each]));
  const narrow = matchMedia("(max-width: 48rem)");
  const bySchedule = new Map(data.columns.flatMap(each => each.schedules.map(name => [name, each.id])));
  const byActor = new Map(data.columns.flatMap(each => [each.id, ...each.also].map(name => [name, each.id])));

  const {dayOf, plus, monday, two, wall, today, words, rtl, clock, local, shade, shades, fit} = window.agendaDays(data, said);
  const {open, show} = window.agendaPanel;

  // -- what is chosen: kept in this browser, and in the address ---------------------------------------------------------
  const place = `agenda:${document.body.dataset.base}`;
  let chosen = {};
  try { chosen = JSON.parse(localStorage.getItem(place) ?? "{}"); } catch { /* a private window */ }
  const known = ids => (ids ?? []).filter(id => columns.has(id));
  chosen.columns = known(chosen.columns);
  if (!chosen.columns.length) chosen.columns = data.mine ? [data.mine] : data.columns.filter(each => each.kind === "person").slice(0, 8).map(each => each.id);
  if (!chosen.columns.length) chosen.columns = data.columns.slice(0, 8).map(each => each.id);
  if (!columns.has(chosen.one)) chosen.one = data.mine || chosen.columns[0] || "";
  let view = data.view || chosen.view || "day", day = data.day;
  const keep = () => { try { localStorage.setItem(place, JSON.stringify({...chosen, view})); } catch { /* a private window */ } };
  const shown = () => (narrow.matches && view !== "list" ? known([chosen.one]) : chosen.columns).map(id => columns.get(id));

  function named() {
    if (view === "day" || (view === "list" && narrow.matches)) return words({weekday: narrow.matches ? "short" : "long", day: "numeric", month: narrow.matches ? "short" : "long", year: narrow.matches ? undefined : "numeric"}).format(dayOf(day));
    const first = monday(day);
    return words({day: "numeric", month: narrow.matches ? "short" : "long", year: narrow.matches ? undefined : "numeric"}).formatRange(dayOf(first), dayOf(plus(first, 6)));
  }

  // -- opening hours, kept for five minutes ----------------------------------------------------------------------------------------------------
  const read = new Map();
  async function hours(start, end, schedules) {
    const key = `${start} ${end} ${schedules}`, before = read.get(key);
    if (before && Date.now() - before.at < 300000) return before.hours;
    const answer = await fetch(`${base}/hours?${new URLSearchParams({start, end, schedules})}`, {headers: {Accept: "application/json"}});
    if (!answer.ok) return before?.hours ?? {};
    const found = (await answer.json()).hours;
    read.set(key, {at: Date.now(), hours: found});
    return found;
  }
  // -- the feed ---------------------------------------------------------------------------------------------------------
  let busy = false, later = false, last = {}, ready = null, fresh = true, limits = {from: 480, to: 1110, min: "08:00", max: "18:30"};
  async function load(start, end) {
    const wanted = shown(), schedules = wanted.flatMap(each => each.schedules).join(",");
    const who = wanted.length === data.columns.length ? "" : wanted.flatMap(each => [each.id, ...each.also]).join(",");
    const query = new URLSearchParams({start, end, who, schedules, ...(document.getElementById("ag-cancelled").checked ? {cancelled: "1"} : {})});
    const [answer, open] = await Promise.all([fetch(`${base}/events?${query}`, {headers: {Accept: "application/json"}}), view === "list" ? {} : hours(start, end, schedules)]);
    if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
    return {start, end, key: `${view} ${query}`, text: await answer.text(), open, wanted};
  }
  async function feed({startStr, endStr}) {
    const start = startStr.slice(0, 10), end = endStr.slice(0, 10);
    try {
      const found = ready?.start === start && ready.end === end ? ready : await load(start, end);
      ready = null;
      last = found;
      state.hidden = true;
      const {visits, blocked, offset} = JSON.parse(found.text);
      if (offset !== data.offset) { data.offset = offset; setTimeout(() => { calendar?.setOption("timeZone", offset); calendar?.setOption("date", start()); }); }
      if (view === "list") return visits.map(entry);
      settle(fit(found.open));
      return [...shades(found.open, start, end, found.wanted), ...blocked.map(block).filter(Boolean), ...visits.map(entry).filter(each => each.resourceIds.length)];
    } catch {
      last = {start, end};
      failed();
      return calendar ? calendar.getEvents().map(event => ({...event, start: wall(event.start), end: wall(event.end)})) : [];
    }
  }
  // What did not change is not drawn again: whoever is about to click finds it where it was.
  async function refetch() {
    if (busy || dropping) { later = true; return; }
    if (!calendar || !last.start) return;
    try {
      const found = await load(last.start, last.end);
      if (busy || dropping) { later = true; return; }
      state.hidden = true;
      if (found.key === last.key && found.text === last.text) return;
      ready = found;
      calendar.refetchEvents();
    } catch { failed(); }
  }
  function failed() {
    state.hidden = false;
    state.textContent = said.saidFailed;
  }
  const block = each => {
    const column = columns.get(bySchedule.get(each.schedule));
    return column && shade(column, each.start, each.end, each.why, each.why === "absence" ? each.text || said.saidAbsent : "");
  };
  const entry = visit => ({
    id: visit.id, start: visit.start, end: visit.end, title: visit.title,
    resourceIds: [...new Set(visit.actors.map(name => byActor.get(name)).filter(Boolean))],
    classNames: ["ag-visit-box", `st-${visit.status}`], editable: data.visits && visit.movable,
    startEditable: data.visits && visit.movable, durationEditable: data.visits && visit.movable, extendedProps: visit,
  });

  // -- what stands in a visit -------------------------------------------------------------------------------------------
  const span = (cls, text, tag = "span") => {
    const made = document.createElement(tag);
    if (cls) made.className = cls;
    made.textContent = text;
    return made;
  };
  const icon = name => document.getElementById(`ag-icon-${name}`)?.content.cloneNode(true) ?? "";
  function content({event}) {
    const visit = event.extendedProps;
    if (event.display === "background") return {domNodes: visit.text ? [span("ag-why", visit.text)] : []};
    const line = span("ag-line", ""), what = data.services[visit.service] ?? visit.kind ?? "";
    line.append(icon(visit.status), span("ag-at numeric", view === "list" ? `${clock(event.start)}–${clock(event.end)}` : clock(event.start)));
    const name = span("ag-name", visit.title || "…", "bdi");
    line.append(name);
    for (const sign of [visit.over && "over", visit.series && "series", ["video", "phone", "home"].includes(visit.mode) && visit.mode]) if (sign) line.append(icon(sign));
    const more = [data.statuses[visit.status], visit.over && said.saidOver, visit.series && said.saidSeries].filter(Boolean).join(", ");
    const parts = [line, span("ag-what", what), span("visually-hidden", `, ${clock(event.start)}–${clock(event.end)}, ${more}`)];
    if (view === "list") parts.splice(1, 0, span("ag-with", event.resourceIds.map(id => columns.get(id)?.title).filter(Boolean).join(", "), "bdi"));
    return {domNodes: parts};
  }

  // -- dragging ---------------------------------------------------------------------------------------------------------
  const pause = () => { busy = true; };
  function resume() {
    busy = false;
    if (later) { later = false; refetch(); }
  }
  const scheduleOf = (column, service) => column.offered[service] ?? column.schedules[0];
  async function moved(info) {
    const {event, oldResource, newResource, revert} = info, visit = event.extendedProps;
    const from = oldResource && columns.get(oldResource.id), to = newResource && columns.get(newResource.id);
    if (from && to && from.kind !== to.kind) {
      revert();
      salam.toast({text: said.saidMixed, kind: "warning"});
      return resume();
    }
    // The column that it left names the Schedule it gives up.
    const form = new URLSearchParams({start: wall(event.start), end: wall(event.end), version: visit.version, csrf: salam.token(),
      ...(from && to ? {from: scheduleOf(from, visit.service), to: scheduleOf(to, visit.service)} : {})});
    let answer, told;
    try {
      answer = await fetch(`${base}/visit/${visit.id}/drag`, {method: "POST", body: form, headers: {Accept: "application/json"}});
      told = await answer.json();
    } catch {
      revert();
      salam.toast({text: answer ? document.body.dataset.saidServer : said.saidExpected, kind: "warning"});
      return resume();
    }
    if (answer.ok) salam.toast({text: told.text, undo: told.undo});
    else {
      revert();
      if (told.form) show(told.form);
      else salam.toast({text: told.text, kind: "danger"});
    }
    later = true;
    resume();
  }

  // -- the calendar -----------------------------------------------------------------------------------------------------
  const step = () => {
    const own = +document.getElementById("ag-grid").value;
    if (own) return own;
    const gcd = (a, b) => b ? gcd(b, a % b) : a;
    return Math.max(5, shown().filter(each => each.kind === "person").map(each => each.step).reduce(gcd, 0) || 15);
  };
  const heights = {5: 16, 10: 22, 15: 28, 20: 30, 30: 36};
  const elements = new WeakMap();
  // What the calendar was told already: to tell it again would have it read everything anew.
  let applied = {};
  let focused = "";
  let calendar = null;
  const minutesText = minutes => `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  function settle(next) {
    const slots = (next.to - next.from) / step();
    // What fits without scrolling fills the screen; otherwise visits stay legible and the calendar scrolls.
    const height = Math.max(heights[step()] ?? 24, Math.floor((box.clientHeight - 64) / slots));
    const options = {slotMinTime: next.min, slotMaxTime: next.max, slotHeight: height};
    for (const [name, value] of Object.entries(options)) if (calendar && applied[name] !== value) calendar.setOption(name, applied[name] = value);
    limits = next;
    if (fresh) { fresh = false; requestAnimationFrame(() => reveal(height)); }
  }
  // Today is shown from an hour ago, other days from their beginning.
  function reveal(height) {
    const main = box.querySelector(".ec-main"), now = today(), week = monday(day) === monday(now.slice(0, 10));
    const here = view === "week" ? week : day === now.slice(0, 10);
    const minute = here ? Math.max(0, +now.slice(11, 13) * 60 + +now.slice(14, 16) - 60 - limits.from) : 30;
    if (main) main.scrollTop = minute / step() * height;
  }
  const kinds = {day: "resourceTimeGridDay", week: "resourceTimeGridWeek", list: () => narrow.matches ? "listDay" : "listWeek"};
  const kind = () => typeof kinds[view] === "function" ? kinds[view]() : kinds[view];
  const resources = () => shown().map(({id, title, short}, _, all) => ({id, title: view === "week" && all.length > 2 ? short : title}));
  const start = () => new Date(+day.slice(0, 4), +day.slice(5, 7) - 1, +day.slice(8, 10), 12);
  function newAt({dateStr, date, resource, end}) {
    const at = dateStr ?? wall(date), minutes = end ? Math.round((end - date) / 60000) : "";
    open(`${base}/new?${new URLSearchParams({date: at.slice(0, 10), time: at.length > 10 ? at.slice(11, 16) : "", who: resource?.id ?? shown()[0]?.id ?? "", minutes})}`);
  }
  function make() {
    box.setAttribute("aria-busy", "true");
    box.dataset.shows = view;
    applied = {slotMinTime: limits.min, slotMaxTime: limits.max};
    calendar = EventCalendar.create(box, {
      view: kind(), date: start(), timeZone: data.offset, locale: data.locale, firstDay: 1, height: "100%",
      headerToolbar: {start: "", center: "", end: ""}, allDaySlot: false, nowIndicator: true, datesAboveResources: view === "week",
      slotDuration: minutesText(step()), snapDuration: minutesText(step() > 15 ? step() / 2 : step()), slotLabelInterval: "01:00",
      slotMinTime: limits.min, slotMaxTime: limits.max, slotEventOverlap: false, flexibleSlotTimeLimits: true,
      columnWidth: `minmax(${view === "day" ? 9 : shown().length > 1 ? 6.5 : 5.5}rem, 1fr)`,
      slotLabelFormat: date => clock(date), eventTimeFormat: date => clock(date),
      dayHeaderFormat: date => local(date, {weekday: "short", day: "numeric", month: narrow.matches ? undefined : "short"}),
      dayHeaderAriaLabelFormat: date => local(date, {weekday: "long", day: "numeric", month: "long", year: "numeric"}),
      listDayFormat: date => local(date, {weekday: "long"}), listDaySideFormat: date => local(date, {day: "numeric", month: "long", year: "numeric"}),
      resourceLabelContent: ({resource}) => ({domNodes: [span("ag-column", resource.title, "bdi")]}),
      noEventsContent: said.saidNone, resources: resources(), eventSources: [{events: feed}],
      selectable: data.visits, selectMinDistance: 8, editable: false, eventStartEditable: true, eventDurationEditable: true,
      longPressDelay: 400, dragScroll: true, pointer: false,
      eventContent: content,
      eventClick: ({event}) => { if (event.display !== "background") open(`${base}/visit/${event.id}`); },
      dateClick: info => { if (data.visits) newAt(info); },
      select: info => { calendar.unselect(); newAt({date: info.start, end: info.end, resource: info.resource}); },
      eventDragStart: pause, eventResizeStart: pause,
      // Nothing moved: no drop follows.
      eventDragStop: () => setTimeout(() => { if (!dropping) resume(); }), eventResizeStop: () => setTimeout(() => { if (!dropping) resume(); }),
      eventDrop: drop, eventResize: drop,
      eventDidMount: ({el, event}) => elements.set(el, event.id), eventAllUpdated: tidy,
    });
    // Where another day is today than at the clinic, the calendar would begin some days off.
    calendar.setOption("date", start());
  }
  let dropping = false;
  async function drop(info) {
    dropping = true;
    pause();
    try { await moved(info); } finally { dropping = false; }
  }
  // The library says "table" without rows of cells, which tells a screen reader nothing.
  let settled = 0;
  function tidy() {
    clearTimeout(settled);
    settled = setTimeout(() => box.setAttribute("aria-busy", String(!last.start)), 150);
    box.querySelector(".ec")?.setAttribute("role", "group");
    box.querySelector(".ec")?.setAttribute("aria-label", title.textContent);
    for (const each of box.querySelectorAll("[role='row'],[role='rowgroup'],[role='columnheader'],[role='rowheader'],[role='cell'],[role='list'],[role='listitem'],[aria-colindex]")) for (const name of ["role", "aria-colindex", "aria-colspan"]) each.removeAttribute(name);
    for (const each of box.querySelectorAll("h4.ec-day-head")) { each.setAttribute("role", "heading"); each.setAttribute("aria-level", "2"); }
    const main = box.querySelector(".ec-main");
    if (main) { main.tabIndex = 0; main.setAttribute("role", "region"); main.setAttribute("aria-label", title.textContent); main.setAttribute("aria-describedby", "ag-hint"); }
    for (const each of box.querySelectorAll(".ec-event.ag-visit-box")) {
      each.setAttribute("role", "button");
      each.tabIndex = 0;
      // Who was on a visit that was drawn anew is on it again.
      if (focused && elements.get(each) === focused && document.activeElement === document.body) each.focus({preventScroll: true});
    }
  }
  // -- the bar ----------------------------------------------------------------------------------------------------------
  function bar() {
    title.textContent = named();
    document.getElementById("ag-date").value = day;
    document.getElementById("ag-count").textContent = String(chosen.columns.length);
    document.getElementById("ag-one").value = chosen.one;
    document.getElementById("ag-list").href = `${base}/list?date=${day}`;
    for (const each of root.querySelectorAll("[data-view]")) each.setAttribute("aria-pressed", String(each.dataset.view === view));
    for (const each of root.querySelectorAll("[data-column]")) each.checked = chosen.columns.includes(each.value);
    const create = document.getElementById("ag-new"), url = `${base}/new?${new URLSearchParams({date: day < today().slice(0, 10) ? today().slice(0, 10) : day, who: shown()[0]?.id ?? ""})}`;
    for (const [link, to] of [[create, url], ...[...root.querySelectorAll("[data-panel='absence']")].map(each => [each, url.replace("/new?", "/absence?")])]) {
      link.href = to;
      link.setAttribute("hx-get", to);
    }
    history.replaceState(null, "", `?${new URLSearchParams({date: day, view})}`);
    keep();
  }
  function change(what) {
    what();
    bar();
    if (!shown().length) { state.hidden = false; state.textContent = said.saidNobody; }
    const before = calendar;
    fresh = true;
    if (before) EventCalendar.destroy(before);
    make();
  }
  function go(days) {
    day = plus(day, days);
    fresh = true;
    bar();
    calendar.setOption("date", start());
  }
  const stride = () => view === "day" || narrow.matches && view === "list" ? 1 : 7;
  root.addEventListener("click", event => {
    const button = event.target.closest("[data-go],[data-view],[data-pick]");
    if (!button) return;
    const {go: where, view: wanted, pick} = button.dataset;
    if (where === "today") { day = today().slice(0, 10); go(0); }
    else if (where) go(where === "next" ? stride() : -stride());
    else if (wanted) change(() => { view = wanted; });
    else change(() => { chosen.columns = pick === "mine" ? [data.mine] : data.columns.map(each => each.id); });
  });
  root.addEventListener("change", event => {
    const {id, value, checked} = event.target;
    if (id === "ag-date" && value) { day = value; go(0); }
    else if (id === "ag-one") change(() => { chosen.one = value; });
    else if (id === "ag-grid") change(() => {});
    else if (id === "ag-cancelled") refetch();
    else if (event.target.matches("[data-column]")) change(() => { chosen.columns = data.columns.map(each => each.id).filter(each => each === value ? checked : chosen.columns.includes(each)); });
  });
  narrow.addEventListener("change", () => change(() => {}));
  let resized = 0;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (view !== "list") settle(limits); }, 200); });

  // -- keys and fingers -------------------------------------------------------------------------------------------------
  box.addEventListener("keydown", event => {
    const visit = event.target.closest?.(".ag-visit-box");
    if (!visit || event.ctrlKey || event.metaKey || event.altKey) return;
    const id = elements.get(visit);
    if (event.key === "m" && id) { event.preventDefault(); event.stopPropagation(); open(`${base}/visit/${id}/move`); }
    if ((event.key === "Enter" || event.key === " ") && id && !event.defaultPrevented) { event.preventDefault(); open(`${base}/visit/${id}`); }
  });
  let touch = null;
  box.addEventListener("focusin", event => { focused = elements.get(event.target.closest?.(".ag-visit-box")) ?? ""; });
  box.addEventListener("touchstart", event => { touch = event.touches.length === 1 ? event.touches[0] : null; }, {passive: true});
  box.addEventListener("touchend", event => {
    if (!touch || busy) return;
    const end = event.changedTouches[0], across = end.clientX - touch.clientX;
    // A week scrolls sideways; a day and a list are swiped.
    if (narrow.matches && view !== "week" && Math.abs(across) > 80 && Math.abs(across) > 2 * Math.abs(end.clientY - touch.clientY)) go((across < 0) !== rtl ? stride() : -stride());
    touch = null;
  });
  root.addEventListener("click", event => { if (event.target.closest("[data-panel]")) for (const menu of root.querySelectorAll("details[open]")) menu.open = false; });
  document.addEventListener("agenda:changed", refetch);
  box.addEventListener("salam:live", refetch);
  document.addEventListener("salam:online", refetch);

  if (!["day", "week", "list"].includes(view)) view = "day";
  bar();
  make();
})();
