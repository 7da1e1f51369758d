/**
 * uPlot as this page uses it: theme, axes, bands, gaps, cursor, zoom. A line is three of uPlot's series: its average,
 * then its minimum and maximum, which the band is drawn between.
 * @module plot
 */

import { axisNumbers, axisTimes } from "./format.js";
import { onThemeChange, themed } from "./colours.js";

/** The page loads it as a classic script: as a module it comes unminified, twice the size. */
const { uPlot } = /** @type {any} */ (globalThis);
const SERIES_PER_LINE = 3;
/** A shorter drag is a click. */
const MIN_DRAG_PX = 6;
const POWER_HEADROOM = { min: { soft: 0, mode: 1, pad: 0.08 }, max: { soft: 500, mode: 1, pad: 0.08 } };
/** What charts tell each other: where the cursor is, not what is selected. */
const SHARED_EVENTS = ["mousemove", "mouseleave"];

/**
 * @typedef {[number[], ...(number | null | undefined)[][]]} Table times, and three columns a line
 *
 * @typedef {object} Context what the plot asks for whenever it draws, and whom it tells
 * @property {() => [number, number]} window the time shown, epoch ms
 * @property {() => string} timeZone
 * @property {() => void} onDraw
 * @property {() => void} onCursor
 * @property {(fromMs: number, toMs: number) => void} onZoom
 * @property {() => void} onBack
 */

/**
 * An empty plot that fills `target`, also when that changes its size, and follows the colour scheme.
 * @param {HTMLElement} target
 * @param {import("./metrics.js").ChartSpec} spec
 * @param {Context} context
 * @returns {{plot: any, destroy: () => void}}
 */
export function makePlot(target, spec, context) {
  const size = () => ({ width: target.clientWidth || 300, height: target.clientHeight || 150 });
  const plot = new uPlot({ ...size(), ...options(spec, context) }, emptyTable(spec), target);
  const observer = new ResizeObserver(() => plot.setSize(size()));
  observer.observe(target);
  const forget = onThemeChange(() => plot.redraw());
  const destroy = () => {
    observer.disconnect();
    forget();
    plot.destroy();
  };
  return { plot, destroy };
}

/** @param {import("./metrics.js").ChartSpec} spec @returns {Table} */
export function emptyTable(spec) {
  return [[], ...spec.lines.flatMap(() => [[], [], []])];
}

/** One table of several devices' tables: where one has no point at a time, its lines go on. @param {Table[]} tables @returns {Table} */
export function joined(tables) {
  return tables.length === 1 ? tables[0] : uPlot.join(tables);
}

/** Where a line's average is among uPlot's series. @param {number} line */
export function seriesOf(line) {
  return 1 + SERIES_PER_LINE * line;
}

/** @param {any} plot @param {number} line @param {boolean} show */
export function showLine(plot, line, show) {
  plot.batch(() => {
    for (let part = 0; part < SERIES_PER_LINE; part++) plot.setSeries(seriesOf(line) + part, { show });
  });
}

/** @param {import("./metrics.js").ChartSpec} spec @param {Context} context */
function options({ unit, bounds, lines }, context) {
  const axis = {
    stroke: () => themed("quiet"),
    grid: { stroke: () => themed("grid-line"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  const times = (_, at, _a, _s, step) => axisTimes(at, context.timeZone(), step);
  const numbers = (_, at, _a, _s, step) => axisNumbers(at, unit, step);
  return {
    ms: 1,
    legend: { show: false },
    padding: [10, 22, 0, 0],
    tzDate: (/** @type {number} */ ms) => uPlot.tzDate(new Date(ms), context.timeZone()),
    cursor: cursorOptions(context),
    scales: { x: { range: () => context.window() }, y: { range: bounds ?? valueRange(unit) } },
    axes: [
      { ...axis, size: 42, space: 80, values: times },
      { ...axis, size: 52, space: 34, values: numbers },
    ],
    series: [{}, ...lines.flatMap(lineOptions)],
    bands: lines.map(({ colour }, line) => ({
      series: [seriesOf(line) + 2, seriesOf(line) + 1],
      fill: () => themed(`${colour}-band`),
    })),
    hooks: {
      draw: [context.onDraw],
      setCursor: [context.onCursor],
      setSelect: [select(context)],
      drawAxes: [drawZero],
    },
  };
}

/** @param {Context} context */
function cursorOptions({ onBack }) {
  return {
    sync: { key: "time", filters: { pub: (/** @type {string} */ type) => SHARED_EVENTS.includes(type) } },
    y: false,
    drag: { x: true, y: false, setScale: false },
    points: { size: 7, show: (_, index) => (index % SERIES_PER_LINE === 1 ? document.createElement("div") : null) },
    bind: { dblclick: () => () => onBack() },
  };
}

/** Powers are seen against zero; what hardly changes (50 Hz) is seen close. @param {string} unit */
function valueRange(unit) {
  if (unit === "W" || unit === "A") return (_, low, high) => uPlot.rangeNum(low ?? 0, high ?? 0, POWER_HEADROOM);
  return (_, low, high) => (low === null || high === null ? [0, 1] : uPlot.rangeNum(low, high, 0.1, false));
}

/** @param {Context} context */
function select({ onZoom }) {
  return (/** @type {any} */ plot) => {
    const { left, width } = plot.select;
    if (width === 0) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (width >= MIN_DRAG_PX) onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  };
}

/** @param {import("./metrics.js").Line} line */
function lineOptions({ label, colour, isFilled }) {
  const bound = { stroke: null, width: 0, points: { show: false } };
  return [
    {
      label,
      stroke: () => themed(colour),
      fill: isFilled ? () => themed(`${colour}-wash`) : undefined,
      width: 1.75,
      spanGaps: false,
      points: { show: false, size: 4, filter: (plot, index) => lonely(plot.data[index]) },
    },
    bound,
    { ...bound },
  ];
}

/**
 * Indexes of the values that no line reaches, because there is a gap on either side.
 * @param {(number | null | undefined)[]} column undefined: another device's point
 * @returns {number[] | null}
 */
function lonely(column) {
  const found = [];
  let before = null;
  for (let i = 0; i < column.length; i++) {
    if (column[i] === undefined) continue;
    let next = i + 1;
    while (next < column.length && column[next] === undefined) next++;
    if (column[i] !== null && before === null && (column[next] ?? null) === null) found.push(i);
    before = column[i];
  }
  return found.length > 0 ? found : null;
}

/** A firmer line at zero, where powers change their direction. @param {any} plot */
function drawZero(plot) {
  const { min, max } = plot.scales.y;
  if (!(min < 0 && max > 0)) return;
  const y = Math.round(plot.valToPos(0, "y", true)) + 0.5;
  plot.ctx.save();
  plot.ctx.strokeStyle = themed("zero-line");
  plot.ctx.beginPath();
  plot.ctx.moveTo(plot.bbox.left, y);
  plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
  plot.ctx.stroke();
  plot.ctx.restore();
}
