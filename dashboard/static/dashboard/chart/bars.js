/**
 * A bar chart of energy: sources above the zero line, sinks below it.
 * @module bars
 */

import { svg } from "../lib/elements.js";
import { energyNumber } from "../lib/format.js";

/**
 * @typedef {{label: string, figures: import("./figures.js").Figures}} Bar
 * @typedef {{field: import("./figures.js").EnergyField, name: string, colour: string}} Part a segment of a bar
 * @typedef {{x: number, width: number, zero: number, scale: number}} Place where a stack is drawn, in px; `scale` is in
 *   px per kWh, negative upwards
 */

const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 22;
const TOP = 8;
const MAX_BAR_WIDTH = 46;
const MIN_LABEL_DISTANCE = 38;
/** The share of its slot that a bar may fill. */
const FILL = 0.72;
/** The axis is not shorter than this, so that periods without energy have an axis too. */
const MIN_AXIS_KWH = 1e-3;
/** @type {Part[]} from the zero line upwards */
const SOURCES = [
  { field: "generated_kwh", name: "sun", colour: "solar" },
  { field: "discharged_kwh", name: "battery", colour: "battery" },
  { field: "imported_kwh", name: "grid", colour: "grid" },
];
/** @type {Part[]} from the zero line downwards */
const SINKS = [
  { field: "consumed_kwh", name: "house", colour: "load" },
  { field: "charged_kwh", name: "battery", colour: "battery" },
  { field: "exported_kwh", name: "grid", colour: "grid" },
];

/**
 * @param {Bar[]} bars from left to right
 * @param {number} width px
 * @returns {SVGElement}
 */
export function drawBars(bars, width) {
  const up = axisEnd(Math.max(MIN_AXIS_KWH, ...bars.map((bar) => sum(bar, SOURCES))));
  const down = axisEnd(Math.max(MIN_AXIS_KWH, ...bars.map((bar) => sum(bar, SINKS))));
  const scale = (HEIGHT - TOP - BOTTOM) / (up + down);
  const zero = TOP + up * scale;
  const slot = (width - LEFT) / Math.max(1, bars.length);
  const barWidth = Math.min(slot * FILL, MAX_BAR_WIDTH);
  const labelEvery = Math.ceil(MIN_LABEL_DISTANCE / slot);
  const root = svg("svg", {
    width,
    height: HEIGHT,
    class: "bars",
    role: "img",
    "aria-label": "Energy by period; the table below has the numbers",
  });
  for (const value of [up, up / 2, 0, -down / 2, -down]) root.append(...rule(zero - value * scale, value, width));
  bars.forEach((bar, index) => {
    const x = LEFT + (index + 0.5) * slot - barWidth / 2;
    const group = svg("g", {}, svg("title", {}, summary(bar)));
    const place = { x, width: barWidth, zero };
    group.append(
      ...stack(bar, SOURCES, { ...place, scale: -scale }),
      ...stack(bar, SINKS, { ...place, scale }),
    );
    root.append(group);
    if (index % labelEvery === 0)
      root.append(svg("text", { x: x + barWidth / 2, y: HEIGHT - 5, "text-anchor": "middle" }, bar.label));
  });
  return root;
}

/** @param {Bar} bar @param {Part[]} parts */
function sum({ figures }, parts) {
  return parts.reduce((total, { field }) => total + (figures[field] ?? 0), 0);
}

/** @param {Bar} bar */
function summary({ label, figures }) {
  const words = [...SOURCES, ...SINKS].map(
    ({ field, name }) => `${field.replace("_kwh", "")} (${name}) ${energyNumber(figures[field])}`,
  );
  return `${label}, kWh: ${words.join(", ")}`;
}

/** @param {Bar} bar @param {Part[]} parts @param {Place} place */
function stack({ figures }, parts, { x, width, zero, scale }) {
  let at = zero;
  return parts.map(({ field, colour }) => {
    const height = (figures[field] ?? 0) * scale;
    const y = Math.min(at, at + height);
    at += height;
    return svg("rect", { x, y, width, height: Math.max(0, Math.abs(height) - 0.5), class: `of-${colour}`, rx: 1.5 });
  });
}

/** A horizontal line with its value. @param {number} y @param {number} value kWh @param {number} width */
function rule(y, value, width) {
  const at = Math.round(y) + 0.5;
  return [
    svg("line", { x1: LEFT, x2: width, y1: at, y2: at, class: value === 0 ? "zero" : "rule" }),
    svg("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, String(Number(Math.abs(value).toPrecision(3)))),
  ];
}

/**
 * Round up to a value that an axis may end at, and that has a short half.
 * @param {number} value greater than 0
 */
export function axisEnd(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((step) => step >= value) ?? value;
}
