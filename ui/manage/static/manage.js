// The manager's pages: rows of hours, and the chart of the last two weeks.
document.documentElement.classList.add("has-js");
const here = document.querySelector(".sections [aria-current]"), row = here?.closest("ul");
if (row) row.scrollLeft += here.getBoundingClientRect().left - row.getBoundingClientRect().left - 16;

function emptied(row) {
  const made = row.cloneNode(true);
  made.querySelectorAll("input").forEach((input) => { input.value = ""; input.removeAttribute("aria-invalid"); });
  made.querySelectorAll(".field-error").forEach((told) => told.remove());
  return made;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add], [data-remove], [data-copy]");
  if (!button) return;
  const group = button.closest("fieldset, section"), form = button.closest("form");
  const rows = group.querySelector("[data-rows]");
  if (button.hasAttribute("data-add")) {
    const made = emptied(rows.querySelector("[data-row]"));
    rows.append(made);
    made.querySelector("input").focus();
  } else if (button.hasAttribute("data-remove")) {
    const row = button.closest("[data-row]");
    const all = [...rows.querySelectorAll("[data-row]")];
    const next = all[all.indexOf(row) + 1] || all[all.indexOf(row) - 1];
    if (all.length > 1) row.remove(); else row.replaceWith(emptied(row));
    (next || rows.querySelector("[data-row]")).querySelector("input").focus();
  } else {
    copyDown(group);
  }
  form.dispatchEvent(new Event("input", { bubbles: true }));
});

// The hours of a day on all days below it that are working days by their place in the list.
function copyDown(day) {
  const source = [...day.querySelectorAll("[data-row]")];
  for (let other = day.nextElementSibling; other && other.matches("[data-day]"); other = other.nextElementSibling) {
    const rows = other.querySelector("[data-rows]");
    const pattern = rows.querySelector("[data-row]");
    const made = source.map((row) => {
      const copy = emptied(pattern);
      const from = row.querySelectorAll("input"), to = copy.querySelectorAll("input");
      from.forEach((input, number) => { to[number].value = input.value; });
      return copy;
    });
    rows.replaceChildren(...made);
  }
}

function drawTrends() {
  for (const place of document.querySelectorAll("[data-trend]:not([data-drawn])")) {
    if (!window.uPlot) continue;
    place.dataset.drawn = "1";
    const rows = place.dataset.trend.split(";").filter(Boolean).map((row) => row.split(","));
    const times = rows.map((row) => Date.parse(`${row[0]}T12:00:00Z`) / 1000);
    const style = getComputedStyle(document.body);
    const ink = style.getPropertyValue("--soft"), line = style.getPropertyValue("--line");
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
    const days = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", timeZone: "UTC", numberingSystem: "latn" });
    const options = {
      width: place.clientWidth, height: 200, legend: { show: true },
      tzDate: (seconds) => new Date(seconds * 1000),
      axes: [{ ...axis, values: (_, splits) => splits.map((at) => days.format(new Date(at * 1000))) }, axis],
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(4, high)] } },
      series: [{ label: place.dataset.day, value: (_, at) => (at ? days.format(new Date(at * 1000)) : "–") },
        { label: place.dataset.served, stroke: "#0b8a5c", width: 2 },
        { label: place.dataset.missed, stroke: "#c0392b", width: 2, dash: [6, 4] }],
    };
    const plot = new uPlot(options, [times, rows.map((row) => +row[1]), rows.map((row) => +row[2])], place);
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: 200 })).observe(place);
  }
}
document.addEventListener("DOMContentLoaded", drawTrends);
document.addEventListener("htmx:after:swap", drawTrends);
