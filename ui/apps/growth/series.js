// From FHIR Observations to series of numbers. Nothing here knows a page or a network.
// https://hl7.org/fhir/R4/observation-vitalsigns.html
const LOINC = "http://loinc.org";
const UCUM = "http://unitsofmeasure.org";
const COUNTED = new Set(["final", "amended", "corrected", "preliminary"]);

// What grows, by LOINC code. `to`: the unit shown; `factors`: to it from other UCUM units.
export const GROWTH = {
  weight: { codes: ["29463-7", "3141-9", "8341-0"], to: "kg", factors: { kg: 1, g: 0.001, "[lb_av]": 0.45359237 } },
  height: { codes: ["8302-2", "8306-3", "8308-9"], to: "cm", factors: { cm: 1, m: 100, "[in_i]": 2.54 } },
  head: { codes: ["9843-4", "8287-5"], to: "cm", factors: { cm: 1, mm: 0.1, m: 100, "[in_i]": 2.54 } },
  bmi: { codes: ["39156-5"], to: "kg/m²", factors: { "kg/m2": 1 } },
};
const DAY = 86400000;

/** The moment (ms) of an Observation, or null; a date alone counts as noon, so that no time zone moves the day. */
export function moment(observation) {
  const text = observation.effectiveDateTime || observation.effectiveInstant || observation.effectivePeriod?.start;
  if (!text || text.length < 10) return null;
  const found = Date.parse(text.length === 10 ? `${text}T12:00:00` : text);
  return Number.isNaN(found) ? null : found;
}

/** Age in days at a moment, for a whole birth date (`2021-04-09`); null where it is not known to the day. */
export function ageInDays(birthDate, at) {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(birthDate || "")) return null;
  const [year, month, day] = birthDate.split("-").map(Number);
  const then = new Date(at);
  return Math.round((Date.UTC(then.getFullYear(), then.getMonth(), then.getDate()) - Date.UTC(year, month - 1, day)) / DAY);
}

/** The series of growth: {weight, height, head, bmi}, each a list of {at, value, computed} by time. Body mass index is
 * computed where weight and height were measured within a day and nobody recorded it. */
export function growthSeries(observations) {
  const found = { weight: [], height: [], head: [], bmi: [] };
  for (const each of observations.filter(counts)) {
    const at = moment(each);
    const kind = Object.keys(GROWTH).find((name) => codes(each.code).some((code) => GROWTH[name].codes.includes(code)));
    const factor = kind && GROWTH[kind].factors[each.valueQuantity?.code || each.valueQuantity?.unit];
    if (at === null || !factor || !exact(each.valueQuantity)) continue;
    found[kind].push({ at, value: round(each.valueQuantity.value * factor, 2), computed: false });
  }
  for (const list of Object.values(found)) list.sort((a, b) => a.at - b.at);
  for (const { at, value } of found.weight) {
    const height = found.height.find((other) => Math.abs(other.at - at) < DAY);
    if (height && !found.bmi.some((other) => Math.abs(other.at - at) < DAY))
      found.bmi.push({ at, value: round(value / (height.value / 100) ** 2, 1), computed: true });
  }
  found.bmi.sort((a, b) => a.at - b.at);
  return found;
}

/** All other numeric series, the most often measured first: {key, code, text, unit, lines: [{key, code, text, points}],
 * low, high}. One Observation with components (blood pressure) is one series of several lines. Different units are
 * different series: nothing is converted that could be converted wrongly. */
export function otherSeries(observations) {
  const grown = new Set(Object.values(GROWTH).flatMap((each) => each.codes));
  const found = new Map();
  for (const each of observations.filter(counts)) {
    const at = moment(each);
    if (at === null || codes(each.code).some((code) => grown.has(code))) continue;
    const values = [{ code: each.code, quantity: each.valueQuantity, range: each.referenceRange }];
    for (const part of each.component || [])
      values.push({ code: part.code, quantity: part.valueQuantity, range: part.referenceRange });
    for (const { code, quantity, range } of values) {
      if (!exact(quantity)) continue;
      const unit = quantity.unit || quantity.code || "";
      const series = entry(found, `${key(each.code)}|${unit}`, () => ({
        code: codes(each.code)[0] || "", text: words(each.code), unit, lines: new Map(), low: null, high: null,
      }));
      const line = entry(series.lines, key(code), () => ({ code: codes(code)[0] || "", text: words(code), points: [] }));
      line.points.push({ at, value: quantity.value, comparator: quantity.comparator || "" });
      limits(series, range, quantity, at);
    }
  }
  const made = [...found].map(([id, series]) => ({ ...series, key: id, lines: [...series.lines.values()] }));
  for (const { lines } of made) for (const line of lines) line.points.sort((a, b) => a.at - b.at);
  const size = (series) => Math.max(...series.lines.map((line) => line.points.length));
  return made.sort((a, b) => size(b) - size(a) || a.text.localeCompare(b.text));
}

/** Change per year between two points; null when they lie less than 14 days apart, where it says nothing. */
export function perYear(before, after) {
  const days = (after.at - before.at) / DAY;
  return days < 14 ? null : ((after.value - before.value) / days) * 365.25;
}

// The latest reference range that holds in general (no age, no other type than "normal").
function limits(series, range, quantity, at) {
  const plain = (range || []).find((each) => !each.appliesTo && !each.age);
  const same = (end) => end && (end.code || end.unit) === (quantity.code || quantity.unit) && typeof end.value === "number";
  if (!plain || (series.rangeAt || 0) > at) return;
  series.rangeAt = at;
  series.low = same(plain.low) ? plain.low.value : null;
  series.high = same(plain.high) ? plain.high.value : null;
}

function counts(observation) {
  return observation.resourceType === "Observation" && COUNTED.has(observation.status);
}

function exact(quantity) {
  return typeof quantity?.value === "number" && Number.isFinite(quantity.value) && (!quantity.system || quantity.system === UCUM);
}

function codes(concept) {
  return (concept?.coding || []).filter((each) => each.system === LOINC && each.code).map((each) => each.code);
}

function key(concept) {
  const coding = concept?.coding?.[0];
  return coding?.code ? `${coding.system || ""}|${coding.code}` : words(concept);
}

function words(concept) {
  return concept?.text || concept?.coding?.find((each) => each.display)?.display || concept?.coding?.[0]?.code || "?";
}

function entry(map, name, make) {
  if (!map.has(name)) map.set(name, make());
  return map.get(name);
}

function round(value, places) {
  return Number(value.toFixed(places));
}
