/**
 * Energy as bars: above the line where it came from, below it where it went.
 * @module bars
 */

import { svg } from "./elements.js";
import { energyNumber } from "./format.js";

const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 22;
const TOP = 8;
/** @type {[string, string, string][]} field, name, colour */
const SOURCES = [
  ["generated_kwh", "sun", "solar"],
  ["discharged_kwh", "battery", "battery"],
  ["imported_kwh", "grid", "grid"],
];
/** @type {[string, string, string][]} */
const SINKS = [
  ["consumed_kwh", "house", "load"],
  ["charged_kwh", "battery", "battery"],
  ["exported_kwh", "grid", "grid"],
];

/** @typedef {{label: string, figures: import("./energy.js").Figures}} Bar */

/**
 * @param {Bar[]} bars
 * @param {number} width px
 * @returns {SVGElement}
 */
export function drawBars(bars, width) {
  const sum = (/** @type {Bar} */ { figures }, /** @type {[string, string, string][]} */ parts) =>
    parts.reduce((total, [field]) => total + (figures[field] ?? 0), 0);
  const up = roundUp(Math.max(1e-3, ...bars.map((bar) => sum(bar, SOURCES))));
  const down = roundUp(Math.max(1e-3, ...bars.map((bar) => sum(bar, SINKS))));
  const scale = (HEIGHT - TOP - BOTTOM) / (up + down);
  const zero = TOP + up * scale;
  const slot = (width - LEFT) / Math.max(1, bars.length);
  const root = svg("svg", {
    width,
    height: HEIGHT,
    class: "bars",
    role: "img",
    "aria-label": "Energy by period; the table below has the numbers",
  });
  for (const value of [up, up / 2, 0, -down / 2, -down]) root.append(...rule(zero - value * scale, value, width));
  const everyNth = Math.ceil(38 / slot);
  bars.forEach((bar, index) => {
    const x = LEFT + index * slot + slot * 0.14;
    const size = Math.min(slot * 0.72, 46);
    const start = x + (slot * 0.72 - size) / 2;
    const words = [...SOURCES, ...SINKS].map(
      ([field, name]) => `${field.replace("_kwh", "")} (${name}) ${energyNumber(bar.figures[field])}`,
    );
    const group = svg("g", {}, svg("title", {}, `${bar.label}, kWh: ${words.join(", ")}`));
    group.append(...stack(bar, SOURCES, start, size, zero, -scale), ...stack(bar, SINKS, start, size, zero, scale));
    root.append(group);
    if (index % everyNth === 0)
      root.append(svg("text", { x: start + size / 2, y: HEIGHT - 5, "text-anchor": "middle" }, bar.label));
  });
  return root;
}

/** @param {Bar} bar @param {[string, string, string][]} parts @param {number} x @param {number} width @param {number} zero @param {number} scale px a kWh, upwards negative */
function stack({ figures }, parts, x, width, zero, scale) {
  let at = zero;
  return parts.map(([field, , colour]) => {
    const height = (figures[field] ?? 0) * scale;
    const y = Math.min(at, at + height);
    at += height;
    return svg("rect", { x, y, width, height: Math.max(0, Math.abs(height) - 0.5), class: `of-${colour}`, rx: 1.5 });
  });
}

/** @param {number} y @param {number} value @param {number} width */
function rule(y, value, width) {
  const at = Math.round(y) + 0.5;
  return [
    svg("line", { x1: LEFT, x2: width, y1: at, y2: at, class: value === 0 ? "zero" : "rule" }),
    svg("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, String(Number(Math.abs(value).toPrecision(3)))),
  ];
}

/** To 1, 2, 2.5 or 5 times a power of ten. @param {number} value */
function roundUp(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((step) => step >= value) ?? value;
}
