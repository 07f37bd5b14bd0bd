// Charts by uPlot, in the colours of the style sheet. They stand from left to right in every language, as time does on
// paper; what they show is also said in words and stands in a table.
import { lms, valueAt } from "./who.js";
import { ageText, number } from "./texts.js";

const { uPlot } = window;
const Z = [-3, -2, 0, 2, 3];
const ENDS = [183, 365, 730, 1096, 1856, 3653, 6940];
const YEAR = 365.25;
const drawn = new Set();

/** A child's measures over age, among the WHO curves. `points`: {days, value}; `table`: the rows of who.json. */
export function growthChart(place, points, table, told) {
  const last = Math.max(...points.map((each) => each.days));
  const first = Math.min(...points.map((each) => each.days));
  const end = ENDS.find((each) => each >= last) || last;
  const start = first > 1856 ? Math.floor((first - YEAR) / YEAR) * YEAR : 0;
  const grid = Array.from({ length: 81 }, (_, index) => Math.round(start + ((end - start) * index) / 80));
  const xs = [...new Set([...grid, ...points.map((each) => each.days)])].sort((a, b) => a - b);
  const rows = xs.map((x) => lms(table, x));
  const curves = Z.map((z) => rows.map((row) => (row ? valueAt(row, z) : null)));
  const mine = xs.map((x) => points.find((each) => each.days === x)?.value ?? null);
  draw(place, [xs, ...curves, mine], (color) => ({
    scales: { x: { time: false, range: [start, end] } },
    axes: [axis(color, { values: (_, ticks) => ticks.map(axisAge), incrs: [30.4375, 91.3125, 182.625, YEAR, 2 * YEAR, 5 * YEAR], space: 76, size: 30 }),
      axis(color, { values: (_, ticks) => ticks.map((each) => number(each)) })],
    series: [{}, ...Z.map((z) => ({ stroke: color.curve, width: z === 0 ? 1.6 : 1, dash: Math.abs(z) === 3 ? [4, 4] : undefined, points: { show: false }, pxAlign: 0 })),
      own(color.first)],
    bands: [{ series: [4, 2], fill: color.band }],
    told: (index) => told(points.find((each) => each.days === xs[index])),
  }));
}

/** Numbers over time. `lines`: [{points: {at, value}}]; `low`, `high`: the reference range, or null; `from`, `to`: ms. */
export function trendChart(place, lines, { low = null, high = null, told }) {
  const xs = [...new Set(lines.flatMap((line) => line.points.map((each) => each.at / 1000)))].sort((a, b) => a - b);
  const ys = lines.map((line) => xs.map((x) => line.points.find((each) => each.at / 1000 === x)?.value ?? null));
  const pad = xs.length > 1 ? (xs[xs.length - 1] - xs[0]) * 0.04 : 30 * 86400;
  const limits = [low, high].filter((each) => each !== null);
  const flat = limits.map((limit) => [limit, limit]);
  const x = [xs[0] - pad, ...xs, xs[xs.length - 1] + pad];
  const spread = ys.flat().concat(limits).filter((each) => each !== null);
  const [least, most] = [Math.min(...spread), Math.max(...spread)];
  const room = (most - least || Math.abs(most) || 1) * 0.12;
  draw(place, [x, ...limits.map((limit) => x.map(() => limit)), ...ys.map((list) => [null, ...list, null])], (color) => ({
    scales: { x: { time: true, range: [x[0], x[x.length - 1]] }, y: { range: [least - room, most + room] } },
    axes: [axis(color, { values: (_, ticks, __, ___, step) => ticks.map((tick) => axisDay(tick * 1000, step)), space: 76, size: 30 }),
      axis(color, { values: (_, ticks) => ticks.map((each) => number(each)) })],
    series: [{}, ...flat.map(() => ({ stroke: color.curve, width: 1, dash: [5, 4], points: { show: false } })),
      ...lines.map((_, index) => own(index ? color.second : color.first, index ? [7, 4] : undefined))],
    bands: flat.length === 2 ? [{ series: [2, 1], fill: color.band }] : [],
    told: (index) => told(Math.round(x[index] * 1000)),
  }));
}

/** Forget every chart that is no longer on the page. */
export function forget() {
  for (const each of drawn) each.end();
  drawn.clear();
}

function draw(place, data, options) {
  const make = () => {
    const style = getComputedStyle(document.documentElement);
    const color = Object.fromEntries(["text", "grid", "curve", "band", "first", "second", "ground"].map((name) => [name, style.getPropertyValue(`--chart-${name}`).trim()]));
    const { told, ...chosen } = options(color);
    const width = Math.max(place.clientWidth, 200);
    return new uPlot({
      ...chosen, width, height: Math.round(Math.min(320, Math.max(200, width * 0.55))),
      legend: { show: false }, padding: [12, 26, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 9 } },
      hooks: { setCursor: [(chart) => told && chart.cursor.idx !== null && chart.cursor.idx !== undefined && told(chart.cursor.idx)] },
    }, data, place);
  };
  let chart = make();
  let width = place.clientWidth;
  const again = () => {
    chart.destroy();
    chart = make();
  };
  const seen = new ResizeObserver(() => {
    if (Math.abs(place.clientWidth - width) < 2) return;
    width = place.clientWidth;
    again();
  });
  seen.observe(place);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", again);
  drawn.add({ end: () => { seen.disconnect(); dark.removeEventListener("change", again); chart.destroy(); } });
}

function axis(color, more) {
  const font = '12px system-ui, "Noto Sans", "Noto Sans Arabic", sans-serif';
  return { stroke: color.text, font, grid: { stroke: color.grid, width: 1 }, ticks: { stroke: color.grid, width: 1, size: 4 }, size: 46, ...more };
}

function own(stroke, dash) {
  return { stroke, width: 2, dash, spanGaps: true, pxAlign: 0, points: { show: true, size: 8, fill: stroke, stroke } };
}

function axisAge(days) {
  const months = Math.round(days / 30.4375);
  return months === 0 ? "0" : ageText(months * 30.44);
}

function axisDay(at, step) {
  const form = step >= 300 * 86400 ? { year: "numeric" } : step >= 27 * 86400 ? { month: "short", year: "2-digit" } : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(`${document.documentElement.lang}-u-nu-latn`, form).format(at);
}
