/**
 * The power flows between sun, house, battery and grid, and the state of battery and grid. The template contains the
 * drawing. Signs are those of the catalogue: charging and import are positive.
 * @module now
 */

import { byId, find, setText } from "../../lib/elements.js";
import { quantity, quantityText } from "../../lib/format.js";

/** Powers below this count as zero: a battery or a grid connection never measures exactly zero. */
const IDLE_W = 15;

/** @typedef {Api.Values} Values */
/** @typedef {{name: string, inward: 1 | -1, words: (values: Values) => string}} Node `inward`: sign of a power towards the middle */

/** @type {Node[]} */
const NODES = [
  { name: "solar_power", inward: 1, words: solarText },
  { name: "load_power", inward: -1, words: loadText },
  { name: "battery_power", inward: -1, words: batteryText },
  { name: "grid_power", inward: 1, words: gridText },
];

export class Now {
  /** @param {string[]} names the metrics of the catalogue */
  constructor(names) {
    this._nodes = NODES.filter(({ name }) => names.includes(name));
    for (const { name } of NODES) {
      const isHidden = !names.includes(name);
      byId(`now-${name}`).toggleAttribute("hidden", isHidden);
      byId(`flow-${name}`, SVGElement).toggleAttribute("hidden", isHidden);
    }
    this.show({});
  }

  /** @param {Values} values of the newest reading; {} if there is none */
  show(values) {
    for (const node of this._nodes) showNode(node, values);
    showCharge(values.battery_soc ?? null);
    showValue("grid_frequency", values.grid_frequency, "Hz");
    showValue("grid_voltage", values.grid_voltage, "V");
    showValue("battery_voltage", values.battery_voltage, "V");
  }
}

/** @param {Node} node @param {Values} values */
function showNode({ name, inward, words }, values) {
  const power = values[name] ?? null;
  const shown = quantity(power === null ? null : Math.abs(power), "W");
  const root = byId(`now-${name}`);
  setText(find(root, ".number"), shown.number);
  setText(find(root, ".unit"), shown.unit);
  setText(find(root, ".note"), power === null ? "" : words(values));
  const isIdle = power === null || Math.abs(power) < IDLE_W;
  byId(`flow-${name}`, SVGElement).dataset.flow = isIdle ? "none" : Math.sign(power) === inward ? "in" : "out";
}

/** @param {number | null} percent */
function showCharge(percent) {
  const meter = byId("level", HTMLMeterElement);
  meter.hidden = percent === null;
  meter.value = percent ?? 0;
  showValue("battery_soc", percent, "%");
}

/** @param {string} name @param {number | null | undefined} value @param {string} unit */
function showValue(name, value, unit) {
  setText(byId(`now-${name}`), quantityText(value, unit));
}

/** @param {Values} values */
export function solarText({ solar_power: solar, load_power: load }) {
  if ((solar ?? 0) < IDLE_W) return "no sun";
  if (!load || load < IDLE_W) return "";
  return `${Math.min(100, Math.round((100 * (solar ?? 0)) / load))}\u202f% of the house`;
}

/** @param {Values} values */
export function loadText({ solar_power: solar, battery_power: battery, grid_power: grid }) {
  const sources = [];
  if ((solar ?? 0) > IDLE_W) sources.push("sun");
  if ((battery ?? 0) < -IDLE_W) sources.push("battery");
  if ((grid ?? 0) > IDLE_W) sources.push("grid");
  return sources.length > 0 ? `from ${sources.join(", ")}` : "";
}

/** @param {Values} values */
export function batteryText({ battery_power: power }) {
  return byDirection(power ?? 0, "charging", "discharging", "idle");
}

/** @param {Values} values */
export function gridText({ grid_power: power }) {
  return byDirection(power ?? 0, "importing", "exporting", "balanced");
}

/** @param {number} power @param {string} plus @param {string} minus @param {string} idle */
function byDirection(power, plus, minus, idle) {
  if (Math.abs(power) < IDLE_W) return idle;
  return power > 0 ? plus : minus;
}
