/**
 * uPlot with the theme, axes, bands, gaps, cursor and zoom of this page. Each line of a chart is three series of uPlot:
 * its average, then its minimum and maximum, which bound the band.
 *
 * The page loads uPlot as a classic script, because its ES module is not minified and twice as large.
 * @module plot
 */

import { axisNumbers, axisTimes } from "../lib/format.js";
import { onThemeChange, themed } from "./colours.js";

const SERIES_PER_LINE = 3;
/** A shorter drag is a click. */
const MIN_DRAG_PX = 6;
/** @type {uPlot.Range.Config} */
const POWER_HEADROOM = { min: { soft: 0, mode: 1, pad: 0.08 }, max: { soft: 500, mode: 1, pad: 0.08 } };
/** Charts share the position of the cursor, not the selection. */
const SHARED_EVENTS = ["mousemove", "mouseleave"];

/**
 * @typedef {[number[], ...(number | null | undefined)[][]]} Table times in epoch ms, then three columns per line
 *
 * @typedef {object} Context what the plot reads when it draws, and its callbacks
 * @property {() => [number, number]} window the time shown, epoch ms
 * @property {() => string} timeZone
 * @property {() => void} onDraw
 * @property {() => void} onCursor
 * @property {(fromMs: number, toMs: number) => void} onZoom
 * @property {() => void} onBack
 */

/**
 * Create an empty plot that follows the size of `target` and the colour scheme.
 * @param {HTMLElement} target
 * @param {import("./metrics.js").ChartSpec} spec
 * @param {Context} context
 * @returns {{plot: uPlot, destroy: () => void}}
 */
export function makePlot(target, spec, context) {
  const size = () => ({ width: target.clientWidth || 300, height: target.clientHeight || 150 });
  const plot = new uPlot({ ...size(), ...options(spec, context) }, emptyTable(spec), target);
  const observer = new ResizeObserver(() => plot.setSize(size()));
  observer.observe(target);
  const removeListener = onThemeChange(() => plot.redraw());
  const destroy = () => {
    observer.disconnect();
    removeListener();
    plot.destroy();
  };
  return { plot, destroy };
}

/** @param {import("./metrics.js").ChartSpec} spec @returns {Table} */
export function emptyTable(spec) {
  return [[], ...spec.lines.flatMap(() => [[], [], []])];
}

/**
 * Join the tables of several devices. A device without a point at a time has undefined there: its lines continue.
 * @param {Table[]} tables
 * @returns {Table}
 */
export function joined(tables) {
  return tables.length === 1 ? tables[0] : /** @type {Table} */ (uPlot.join(tables));
}

/** The index of a line's average among the series of uPlot and the columns of a table. @param {number} line */
export function seriesOf(line) {
  return 1 + SERIES_PER_LINE * line;
}

/** @param {uPlot} plot @param {number} line @param {boolean} show */
export function showLine(plot, line, show) {
  plot.batch(() => {
    for (let part = 0; part < SERIES_PER_LINE; part++) plot.setSeries(seriesOf(line) + part, { show });
  });
}

/** @param {import("./metrics.js").ChartSpec} spec @param {Context} context @returns {Omit<uPlot.Options, "width" | "height">} */
function options({ unit, bounds, lines }, context) {
  const axis = {
    stroke: () => themed("quiet"),
    grid: { stroke: () => themed("grid-line"), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  return {
    ms: 1,
    legend: { show: false },
    padding: [10, 22, 0, 0],
    tzDate: (ms) => uPlot.tzDate(new Date(ms), context.timeZone()),
    cursor: cursorOptions(context),
    scales: { x: { range: () => context.window() }, y: { range: bounds ?? valueRange(unit) } },
    axes: [
      { ...axis, size: 42, space: 80, values: (_, at, _axis, _space, step) => axisTimes(at, context.timeZone(), step) },
      { ...axis, size: 52, space: 34, values: (_, at, _axis, _space, step) => axisNumbers(at, unit, step) },
    ],
    series: [{}, ...lines.flatMap(lineOptions)],
    bands: lines.map(({ colour }, line) => ({
      series: [seriesOf(line) + 2, seriesOf(line) + 1],
      fill: () => themed(`${colour}-band`),
    })),
    hooks: {
      draw: [context.onDraw],
      setCursor: [context.onCursor],
      setSelect: [zoomToSelection(context)],
      drawAxes: [drawZero],
    },
  };
}

/** @param {Context} context @returns {uPlot.Cursor} */
function cursorOptions({ onBack }) {
  return {
    sync: { key: "time", filters: { pub: (type) => SHARED_EVENTS.includes(type) } },
    y: false,
    drag: { x: true, y: false, setScale: false },
    points: { size: 7, show: cursorPoint },
    bind: {
      dblclick: () => () => {
        onBack();
        return null;
      },
    },
  };
}

/**
 * The point of the cursor on an average. Minimums and maximums have none, which uPlot accepts but does not declare.
 * @param {uPlot} _ @param {number} series
 */
function cursorPoint(_, series) {
  const isAverage = series % SERIES_PER_LINE === 1;
  return /** @type {HTMLElement} */ (isAverage ? document.createElement("div") : null);
}

/**
 * The range of the value axis: powers and currents include zero; other values, such as 50 Hz, are magnified.
 * @param {string} unit
 * @returns {uPlot.Range.Function}
 */
function valueRange(unit) {
  // Without data the limits are null, contrary to their declaration.
  if (unit === "W" || unit === "A") return (_, low, high) => uPlot.rangeNum(low ?? 0, high ?? 0, POWER_HEADROOM);
  return (_, low, high) => (low === null || high === null ? [0, 1] : uPlot.rangeNum(low, high, 0.1, false));
}

/** @param {Context} context @returns {(plot: uPlot) => void} */
function zoomToSelection({ onZoom }) {
  return (plot) => {
    const { left, width } = plot.select;
    if (width === 0) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (width >= MIN_DRAG_PX) onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  };
}

/** @param {import("./metrics.js").Line} line @returns {uPlot.Series[]} */
function lineOptions({ label, colour, isFilled }) {
  const bound = { width: 0, points: { show: false } };
  return [
    {
      label,
      stroke: () => themed(colour),
      fill: isFilled ? () => themed(`${colour}-wash`) : undefined,
      width: 1.75,
      spanGaps: false,
      points: { show: false, size: 4, filter: (plot, index) => isolatedPoints(plot.data[index]) },
    },
    bound,
    { ...bound },
  ];
}

/**
 * Indexes of the values with a gap on either side. No line reaches them, so they are drawn as points.
 * @param {ArrayLike<number | null | undefined>} column undefined: a point of another device
 * @returns {number[] | null} null if there are none
 */
export function isolatedPoints(column) {
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

/** Draw a stronger line at zero, where powers change their direction. @param {uPlot} plot */
function drawZero(plot) {
  const { min = 0, max = 0 } = plot.scales.y;
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
