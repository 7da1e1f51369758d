/**
 * uPlot as this page uses it: theme, axes, gaps, cursor.
 * @module plot
 */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { axisNumbers, axisTimes } from "./format.js";

const HEADROOM = { min: { soft: 0, mode: 1, pad: 0.08 }, max: { soft: 500, mode: 1, pad: 0.08 } };
const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * @typedef {object} Context what the plot asks for whenever it draws
 * @property {() => [number, number]} window the time shown, epoch ms
 * @property {() => import("./series.js").Series | null} series
 * @property {() => void} onDraw
 * @property {() => void} onCursor
 */

/**
 * An empty plot that fills `target`, also when that changes its size, and follows the colour scheme.
 * @param {HTMLElement} target
 * @param {import("./metrics.js").ChartSpec} spec
 * @param {Context} context
 */
export function makePlot(target, spec, context) {
  const size = () => ({ width: target.clientWidth || 300, height: target.clientHeight || 150 });
  const plot = new uPlot({ ...size(), ...options(spec, context) }, emptyData(spec), target);
  new ResizeObserver(() => plot.setSize(size())).observe(target);
  dark.addEventListener("change", () => plot.redraw());
  return plot;
}

/** @param {import("./metrics.js").ChartSpec} spec @returns {[number[], ...(number | null)[][]]} */
export function emptyData(spec) {
  return [[], ...spec.lines.map(() => [])];
}

/** A custom property of the style sheet, as it is now. @param {string} name */
function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** @param {import("./metrics.js").ChartSpec} spec @param {Context} context */
function options({ unit, bounds, lines }, context) {
  const timeZone = () => context.series()?.timeZone ?? "UTC";
  const axis = {
    stroke: () => themed("quiet"),
    grid: { stroke: () => themed("grid-line"), width: 1 },
    ticks: { show: false },
    font: `12px ${themed("font")}`,
  };
  const timeAxis = { ...axis, size: 42, space: 80, values: (_, at, _a, _s, step) => axisTimes(at, timeZone(), step) };
  const valueAxis = { ...axis, size: 44, space: 34, values: (_, at, _a, _s, step) => axisNumbers(at, unit, step) };
  return {
    ms: 1,
    legend: { show: false },
    padding: [10, 14, 0, 0],
    tzDate: (/** @type {number} */ ms) => uPlot.tzDate(new Date(ms), timeZone()),
    cursor: { sync: { key: "time" }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { range: () => context.window() },
      y: { range: bounds ?? ((_, low, high) => uPlot.rangeNum(low ?? 0, high ?? 0, HEADROOM)) },
    },
    axes: [timeAxis, valueAxis],
    series: [{}, ...lines.map((line) => lineOptions(line, context))],
    hooks: { draw: [context.onDraw], setCursor: [context.onCursor], drawAxes: [drawZero] },
  };
}

/** @param {import("./metrics.js").Line} line @param {Context} context */
function lineOptions({ label, colour, isFilled }, context) {
  const gapMs = () => context.series()?.gapMs ?? Number.POSITIVE_INFINITY;
  return {
    label,
    stroke: () => themed(colour),
    fill: isFilled ? () => themed(`${colour}-wash`) : undefined,
    width: 1.75,
    spanGaps: false,
    gaps: (plot, _, first, last, nulls) => [...nulls, ...silences(plot, first, last, gapMs())].sort((a, b) => a[0] - b[0]),
    points: { show: false, size: 4, filter: (plot, index) => lonely(plot.data[0], plot.data[index], gapMs()) },
  };
}

/**
 * Pixel spans between points that are more than `gapMs` apart.
 * @param {any} plot @param {number} first @param {number} last @param {number} gapMs
 */
function silences(plot, first, last, gapMs) {
  const times = plot.data[0];
  const spans = [];
  for (let index = first + 1; index <= last; index++) {
    if (times[index] - times[index - 1] > gapMs) {
      spans.push([times[index - 1], times[index]].map((ms) => Math.round(plot.valToPos(ms, "x", true))));
    }
  }
  return spans;
}

/**
 * Indexes of the values that no line reaches, because there is a gap on either side.
 * @param {number[]} times @param {(number | null)[]} column @param {number} gapMs
 * @returns {number[] | null}
 */
function lonely(times, column, gapMs) {
  const isApart = (a, b) => (column[b] ?? null) === null || Math.abs(times[a] - times[b]) > gapMs;
  const found = [];
  for (let i = 0; i < column.length; i++) {
    if (column[i] !== null && isApart(i, i - 1) && isApart(i, i + 1)) found.push(i);
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
