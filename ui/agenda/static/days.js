// Days, wall times and opening hours of the agenda: text such as 2026-11-23, always of the clinic's calendar and clock.
window.agendaDays = (data, said) => {
  const dayOf = text => new Date(`${text}T12:00:00Z`);
  const plus = (text, days) => new Date(dayOf(text).getTime() + days * 86400000).toISOString().slice(0, 10);
  const monday = text => plus(text, -((dayOf(text).getUTCDay() + 6) % 7));
  const two = number => String(number).padStart(2, "0");
  // The calendar gives dates whose local parts are what the clinic's clock shows.
  const wall = date => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
  const today = () => {
    const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(data.offset);
    return new Date(Date.now() + (sign === "-" ? -1 : 1) * (hours * 60 + +minutes) * 60000).toISOString();
  };
  const words = options => new Intl.DateTimeFormat(data.locale, {timeZone: "UTC", ...options});
  const rtl = document.documentElement.dir === "rtl";
  const clock = date => `${two(date.getHours())}:${two(date.getMinutes())}`;
  const local = (date, options) => new Intl.DateTimeFormat(data.locale, options).format(date);

  // -- opening hours ----------------------------------------------------------------------------------------------------
  const union = spans => {
    const out = [];
    for (const [lo, hi] of [...spans].sort()) {
      if (out.length && lo <= out.at(-1)[1]) out.at(-1)[1] = hi > out.at(-1)[1] ? hi : out.at(-1)[1];
      else out.push([lo, hi]);
    }
    return out;
  };
  function* shades(found, start, end, shownColumns) {
    for (const column of shownColumns) {
      const spans = union(column.schedules.flatMap(name => found[name]?.open ?? []));
      const free = new Set(column.schedules.flatMap(name => found[name]?.holidays ?? []));
      for (let at = start; at < end; at = plus(at, 1)) {
        let from = `${at}T00:00:00`;
        const last = `${plus(at, 1)}T00:00:00`;
        const text = free.has(at) && !spans.some(([lo, hi]) => lo < last && hi > from) ? said.saidHoliday : "";
        for (const [lo, hi] of spans) {
          if (hi <= from || lo >= last) continue;
          if (lo > from) yield shade(column, from, lo, "closed", text);
          from = hi;
        }
        if (from < last) yield shade(column, from, last, "closed", text);
      }
    }
  }
  const shade = (column, start, end, why, text) => ({
    id: `${why} ${column.id} ${start}`, resourceIds: [column.id], start, end, display: "background",
    title: text, classNames: ["ag-shade", `ag-${why}`], extendedProps: {why, text},
  });
  function fit(found) {
    // From the hour before somebody opens until the one after the last one closes.
    let first = 24 * 60, last = 0;
    const minutes = text => +text.slice(11, 13) * 60 + +text.slice(14, 16);
    for (const {open} of Object.values(found)) for (const [lo, hi] of open) {
      first = Math.min(first, minutes(lo));
      last = Math.max(last, minutes(hi) || 24 * 60, lo.slice(0, 10) === hi.slice(0, 10) ? 0 : 24 * 60);
    }
    if (first >= last) [first, last] = [8 * 60, 18 * 60];
    const from = Math.max(0, Math.floor((first - 30) / 60) * 60), to = Math.min(24 * 60, Math.ceil((last + 30) / 60) * 60);
    const text = value => `${two(Math.floor(value / 60))}:${two(value % 60)}`;
    return {from, to, min: text(from), max: text(to)};
  }
  return {dayOf, plus, monday, two, wall, today, words, rtl, clock, local, shade, shades, fit};
};
