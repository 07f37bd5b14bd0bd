// The app: whose record it is, what grew, what was measured. It reads, and writes nothing.
import { forget, growthChart, trendChart } from "./chart.js";
import { clinicPages, lastServer, restart } from "./connect.js";
import { action, busy, h, message, show } from "./parts.js";
import { ageInDays, growthSeries, GROWTH, otherSeries, perYear } from "./series.js";
import { ageText, day, language, languageMenu, measureName, number, say, time } from "./texts.js";
import { lms, percentile, zScore } from "./who.js";

const { FHIR } = window;
const MOST = 2000;
const PAGE = 500;
const ADULT = 19 * 365.25;
const PERIODS = { all: Infinity, y5: 5 * 365.25, y1: 365.25, m3: 92 };
let period = "all";

async function run() {
  languageMenu(document.getElementById("languages"));
  busy(say("loading"));
  let client;
  try {
    client = await FHIR.oauth2.ready();
    // The library takes code and state out of the address; what else came along says nothing to people either.
    history.replaceState(null, "", location.pathname);
  } catch (error) {
    return refused(String(error?.message || error));
  }
  await read(client);
}

// -- reading -----------------------------------------------------------------------------------------------------------

async function read(client) {
  // The library forgets a token that was refused.
  if (!client.state.tokenResponse?.access_token) return failed(client, { status: 401 });
  const granted = String(client.state.tokenResponse.scope || "");
  if (!client.patient.id) return message(say("deniedTitle"), say("denied"), ways());
  if (!/Observation|\/\*\./.test(granted)) return message(say("scopeTitle"), say("scope"), ways());
  try {
    const query = `Observation?patient=${encodeURIComponent(client.patient.id)}&_sort=-date&_count=${PAGE}`;
    const [patient, observations, reference, user] = await Promise.all([
      client.patient.read(),
      client.request(query, { pageLimit: MOST / PAGE, flat: true }),
      fetch("who.json").then((answer) => answer.json()),
      client.user.read().catch(() => null),
    ]);
    render({ client, patient, observations: observations.slice(0, MOST), cut: observations.length >= MOST, reference, user, at: Date.now() });
  } catch (error) {
    failed(client, error);
  }
}

function refused(text) {
  if (/access_denied|consent_required/.test(text)) return message(say("deniedTitle"), say("denied"), ways());
  if (/launch/i.test(text)) return message(say("usedTitle"), say("used"), [[say("backHome"), clinicPages(lastServer()) || "./"]]);
  if (!lastServer()) return message(say("startTitle"), say("start"));
  return message(say("failedTitle"), say("failed"), ways());
}

function failed(client, error) {
  const status = error?.statusCode || error?.status || 0;
  const again = [say("again"), () => { busy(say("loading")); read(client); }];
  const kind = status === 401 ? "ended" : status === 403 || status === 404 ? "denied" : status ? "failed" : "offline";
  const next = kind === "ended" ? ways() : [again];
  const banner = document.getElementById("problem");
  if (!banner) return message(say(`${kind}Title`), say(kind), next);
  // What was read before stays on the page; the message stands above it.
  banner.replaceChildren(h("p", { class: "note", role: "alert" }, h("strong", {}, say(`${kind}Title`)), " ", say(kind)),
    h("p", { class: "actions" }, next.map(([words, what]) => action(words, what))));
  document.getElementById("page").setAttribute("aria-busy", "false");
}

function ways() {
  const iss = lastServer();
  if (!iss) return [];
  return [[say("signIn"), () => restart(iss)], [say("backHome"), clinicPages(iss)]];
}

// -- the page ----------------------------------------------------------------------------------------------------------

function render(record) {
  forget();
  const { patient, observations, reference } = record;
  const age = ageInDays(patient.birthDate, Date.now());
  const child = age !== null && age < ADULT && !patient.deceasedBoolean && !patient.deceasedDateTime;
  const growth = growthSection(record, growthSeries(observations), child, reference);
  const results = resultSection(record, otherSeries(observations));
  const sections = (child ? [growth, results] : [results, growth]).filter(Boolean);
  document.title = `${say("title")} – Croissance`;
  show(banner(record, age, child), h("div", { id: "problem" }),
    sections.length ? sections : h("section", { class: "message" }, h("h2", {}, say("emptyTitle")), h("p", {}, say("empty"))),
    record.cut ? h("p", { class: "hint" }, say("cut", { n: MOST })) : null, h("p", { class: "hint" }, say("caution")));
  document.querySelectorAll("[data-chart]").forEach((place) => place.draw?.());
}

function banner({ client, patient, user, at }, age, child) {
  const facts = [];
  if (patient.gender === "male" || patient.gender === "female") facts.push(say(child ? `${patient.gender}Child` : patient.gender));
  if (patient.birthDate) facts.push(say("born", { day: patient.birthDate.length === 10 ? day(Date.parse(`${patient.birthDate}T12:00`)) : patient.birthDate }));
  if (age !== null && !patient.deceasedBoolean && !patient.deceasedDateTime) facts.push(ageText(age));
  const number = patient.identifier?.find((each) => each.value)?.value;
  const who = user?.name ? say("openedBy", { name: nameOf(user) }) : say("openedOnly");
  const own = client.user.fhirUser === `Patient/${client.patient.id}`;
  return h("section", { class: "patient" },
    h("div", {}, h("h1", {}, h("bdi", {}, nameOf(patient))),
      h("p", {}, facts.join(" · "), number ? [" · ", h("bdi", { dir: "ltr" }, number)] : null),
      h("p", { class: "hint" }, `${who} · ${say("updated", { time: time(at) })}`)),
    h("div", { class: "actions" },
      action(say("reload"), () => { document.getElementById("page").setAttribute("aria-busy", "true"); read(client); }),
      own ? null : action(say("other"), () => restart(client.state.serverUrl)),
      action(say("backHome"), clinicPages(client.state.serverUrl))));
}

function nameOf(resource) {
  const names = resource.name || [];
  const script = language === "ar" ? names.find((each) => /[\u0600-\u06ff]/.test(`${each.family || ""}${each.text || ""}`)) : null;
  const name = script || names.find((each) => each.use === "official") || names[0] || {};
  return [...(name.given || []), name.family].filter(Boolean).join(" ") || name.text || "–";
}

// -- growth ------------------------------------------------------------------------------------------------------------

function growthSection(record, found, child, reference) {
  const kinds = ["weight", "height", "bmi", "head"].filter((kind) => found[kind].length);
  if (!kinds.length) return null;
  const { patient } = record;
  const sex = patient.gender === "male" || patient.gender === "female" ? patient.gender : null;
  const curves = child && sex && ageInDays(patient.birthDate, Date.now()) !== null;
  const cards = kinds.map((kind) => growthCard(kind, found[kind], patient, curves ? reference[kind][sex] : null));
  return h("section", {}, h("h2", {}, say(child ? "growth" : "measures")),
    child ? h("p", { class: "hint" }, say(curves ? "curves" : "noCurves")) : null, h("div", { class: "cards" }, cards));
}

function growthCard(kind, points, patient, table) {
  const unit = GROWTH[kind].to;
  const rows = points.map((point, index) => growthRow(kind, point, points[index - 1], patient, table));
  const last = rows[rows.length - 1];
  const shown = rows.filter((row) => table && row.row);
  const places = kind === "weight" || kind === "bmi" ? 1 : null;
  const value = (row) => `${number(row.value, places)} ${unit}`;
  const [readout, tell] = readoutOf((row) => [day(row.at), value(row), row.z === null ? null : `z ${signed(row.z)}`], last);
  const make = points.length < 2 && !shown.length ? null : (place) => shown.length
    ? growthChart(place, shown, table, tell)
    : trendChart(place, [{ points }], { told: (at) => tell(rows.find((row) => row.at === at)) });
  const columns = [say("date"), ...(last.days === null ? [] : [say("age")]), say("value"), ...(table ? [say("zscore"), say("percentile")] : []), say("velocity")];
  const body = [...rows].reverse().map((row) => [
    day(row.at), ...(row.days === null ? [] : [ageText(row.days)]), value(row) + (row.computed ? " *" : ""),
    ...(table ? [row.z === null ? "–" : signed(row.z), row.z === null ? "–" : number(percentile(row.z), 0)] : []),
    row.speed === null ? "–" : `${signed(row.speed)} ${unit}`,
  ]);
  const note = rows.some((row) => row.computed) ? `* ${say("computed")}` : "";
  return card(say(kind), value(last), readout, make, columns, body, points, note, last.z === null ? "" : `z ${signed(last.z)} · P${number(percentile(last.z), 0)}`);
}

function growthRow(kind, point, before, patient, table) {
  const days = ageInDays(patient.birthDate, point.at);
  const row = table && days !== null ? lms(table, days) : null;
  return { ...point, days, row, z: row ? zScore(kind, row, point.value) : null, speed: before ? perYear(before, point) : null };
}

// -- results -----------------------------------------------------------------------------------------------------------

function resultSection(record, series) {
  if (!series.length) return null;
  const cards = h("div", { class: "cards" });
  const fill = () => cards.replaceChildren(...series.map((each) => resultCard(each)));
  fill();
  const choose = (name) => {
    period = name;
    buttons.querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", String(each.value === name)));
    fill();
    cards.querySelectorAll("[data-chart]").forEach((place) => place.draw?.());
  };
  const buttons = h("div", { class: "choice", role: "group", "aria-label": say("range") },
    Object.keys(PERIODS).map((name) => h("button", { type: "button", value: name, "aria-pressed": String(period === name), onclick: () => choose(name) }, say(name))));
  return h("section", {}, h("div", { class: "head" }, h("h2", {}, say("results")), buttons), cards);
}

function resultCard(series) {
  const since = Date.now() - PERIODS[period] * 86400000;
  const lines = series.lines.map((line) => ({ ...line, points: line.points.filter((each) => each.at >= since) })).filter((line) => line.points.length);
  const title = measureName(series.code, series.text);
  if (!lines.length) return h("article", { class: "card" }, h("h3", {}, title), h("p", { class: "hint" }, say("emptyRange")));
  const times = [...new Set(lines.flatMap((line) => line.points.map((each) => each.at)))].sort((a, b) => b - a);
  const at = (line, when) => line.points.find((each) => each.at === when);
  const shown = (point) => (point ? `${point.comparator || ""}${number(point.value)}` : "–");
  const together = (when) => `${lines.map((line) => shown(at(line, when))).join(" / ")} ${series.unit}`.trim();
  const [readout, point] = readoutOf((when) => [day(when), together(when)], times[0]);
  const tell = (when) => point(times.includes(when) ? when : null);
  const make = times.length < 2 ? null : (place) => trendChart(place, lines, { low: series.low, high: series.high, told: tell });
  const columns = [say("date"), ...lines.map((line) => (lines.length > 1 ? measureName(line.code, line.text) : say("value")))];
  const body = times.map((when) => [day(when), ...lines.map((line) => `${shown(at(line, when))} ${series.unit}`.trim())]);
  const low = series.low === null ? "" : number(series.low);
  const high = series.high === null ? "" : number(series.high);
  const range = low && high ? `${low}–${high}` : low ? `≥ ${low}` : high ? `≤ ${high}` : "";
  const note = range ? say("normal", { range: `${range} ${series.unit}`.trim() }) : "";
  const legend = lines.length > 1 ? h("p", { class: "legend" }, lines.map((line, index) => h("span", { class: `line line-${index}` }, measureName(line.code, line.text)))) : null;
  const all = lines.flatMap((line) => line.points).sort((a, b) => a.at - b.at);
  return card(title, together(times[0]), readout, make, columns, body, all, note, "", legend);
}

// -- a card ------------------------------------------------------------------------------------------------------------

function card(title, value, readout, make, columns, body, points, note, aside, legend = null) {
  const span = { what: title, count: body.length, from: day(points[0].at), to: day(points[points.length - 1].at), last: value };
  const place = make && h("div", { class: "chart", dir: "ltr", role: "img", "aria-label": say("chart", span), "data-chart": true });
  if (place) place.draw = () => { place.replaceChildren(); make(place); };
  return h("article", { class: "card" },
    h("div", { class: "head" }, h("h3", {}, title), h("p", { class: "latest" }, h("bdi", {}, value), aside ? h("small", {}, h("bdi", { dir: "ltr" }, aside)) : null)),
    legend, place, readout, note ? h("p", { class: "hint" }, note) : null, place && valueTable(title, columns, body));
}

function valueTable(title, columns, body) {
  const row = ([first, ...others]) => h("tr", {}, h("th", { scope: "row" }, first), others.map((text) => h("td", {}, h("bdi", {}, text))));
  const head = h("thead", {}, h("tr", {}, columns.map((text) => h("th", { scope: "col" }, text))));
  const around = { class: "scroll", tabindex: "0", role: "region", "aria-label": `${say("table")}: ${title}` };
  return h("details", {}, h("summary", {}, say("table")), h("div", around, h("table", {}, head, h("tbody", {}, body.map(row)))));
}

// What the pointer is at, in words below the chart: [element, function that shows another point].
function readoutOf(words, first) {
  const place = h("p", { class: "readout" });
  const tell = (point) => {
    if (point === null || point === undefined) return;
    place.replaceChildren(...words(point).filter(Boolean).flatMap((each, index) => [index ? " · " : "", h("bdi", { dir: "auto" }, each)]));
  };
  tell(first);
  return [place, tell];
}

function signed(value) {
  const text = number(Math.abs(value), 1);
  return value < -0.05 ? `−${text}` : value > 0.05 ? `+${text}` : text;
}

run();
