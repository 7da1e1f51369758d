/**
 * Now: which way power flows between sun, house, battery and grid, and how the battery and the grid are. The drawing
 * stands in the template; signs as in the catalogue: + charging, + import.
 * @module now
 */

import { byId, setText } from "./elements.js";
import { quantity, quantityText } from "./format.js";

/** Less than this is rest: a battery or a grid connection is never at exactly zero. */
const REST_W = 15;

/** @typedef {Record<string, number | null>} Values */
/** @typedef {{name: string, inward: 1 | -1, words: (values: Values) => string}} Node `inward`: the sign of its power when it flows to the middle */

/** @type {Node[]} */
const NODES = [
  { name: "solar_power", inward: 1, words: solarWords },
  { name: "load_power", inward: -1, words: loadWords },
  {
    name: "battery_power",
    inward: -1,
    words: ({ battery_power: power }) => direction(power, "charging", "discharging", "at rest"),
  },
  {
    name: "grid_power",
    inward: 1,
    words: ({ grid_power: power }) => direction(power, "importing", "exporting", "balanced"),
  },
];

export class Now {
  /** @param {string[]} names the metrics there are */
  constructor(names) {
    this._nodes = NODES.filter(({ name }) => names.includes(name));
    for (const { name } of NODES) {
      const isHere = names.includes(name);
      byId(`now-${name}`).toggleAttribute("hidden", !isHere);
      byId(`flow-${name}`).toggleAttribute("hidden", !isHere);
    }
    this.show({});
  }

  /** @param {Values} values of the newest reading; {} where nothing is known */
  show(values) {
    for (const node of this._nodes) showNode(node, values);
    showLevel(values.battery_soc ?? null);
    showStat("grid_frequency", values.grid_frequency, "Hz");
    showStat("grid_voltage", values.grid_voltage, "V");
    showStat("battery_voltage", values.battery_voltage, "V");
  }
}

/** @param {Node} node @param {Values} values */
function showNode({ name, inward, words }, values) {
  const power = values[name] ?? null;
  const told = quantity(power === null ? null : Math.abs(power), "W");
  const root = byId(`now-${name}`);
  setText(root.querySelector(".number"), told.number);
  setText(root.querySelector(".unit"), told.unit);
  setText(root.querySelector(".note"), power === null ? "" : words(values));
  const isResting = power === null || Math.abs(power) < REST_W;
  byId(`flow-${name}`).dataset.flow = isResting ? "none" : Math.sign(power) === inward ? "in" : "out";
}

/** @param {number | null} percent */
function showLevel(percent) {
  const meter = /** @type {HTMLMeterElement} */ (byId("level"));
  meter.hidden = percent === null;
  meter.value = percent ?? 0;
  setText(byId("now-battery_soc"), percent === null ? "–" : quantityText(percent, "%"));
}

/** @param {string} name @param {number | null | undefined} value @param {string} unit */
function showStat(name, value, unit) {
  setText(byId(`now-${name}`), value === undefined || value === null ? "–" : quantityText(value, unit));
}

/** @param {Values} values */
function solarWords({ solar_power: solar, load_power: load }) {
  if ((solar ?? 0) < REST_W) return "no sun";
  if (!load || load < REST_W) return "";
  return `${Math.min(100, Math.round((100 * (solar ?? 0)) / load))}\u202f% of the house`;
}

/** @param {Values} values */
function loadWords({ solar_power: solar, battery_power: battery, grid_power: grid }) {
  const sources = [];
  if ((solar ?? 0) > REST_W) sources.push("sun");
  if ((battery ?? 0) < -REST_W) sources.push("battery");
  if ((grid ?? 0) > REST_W) sources.push("grid");
  return sources.length > 0 ? `from ${sources.join(", ")}` : "";
}

/** @param {number | null} power @param {string} plus @param {string} minus @param {string} rest */
function direction(power, plus, minus, rest) {
  if (Math.abs(power ?? 0) < REST_W) return rest;
  return (power ?? 0) > 0 ? plus : minus;
}
