/**
 * The newest values, each with a word on what it means. Signs as in the catalogue: + charging, + import.
 * @module tiles
 */

import { byId, element, setText } from "./elements.js";
import { quantity, quantityText } from "./format.js";

/** Less than this is rest: a battery or a grid connection is never at exactly zero. */
const REST_W = 15;

/** @typedef {Record<string, number | null>} Values */
/** @typedef {{name: string, label: string, unit: string, colour: string, isMagnitude?: boolean, note: (values: Values) => string}} TileSpec */

/** @type {TileSpec[]} */
const TILES = [
  { name: "solar_power", label: "Solar", unit: "W", colour: "solar", note: solarNote },
  { name: "load_power", label: "House", unit: "W", colour: "load", note: loadNote },
  { name: "battery_power", label: "Battery", unit: "W", colour: "battery", isMagnitude: true, note: batteryNote },
  { name: "grid_power", label: "Grid", unit: "W", colour: "grid", isMagnitude: true, note: gridNote },
  { name: "grid_frequency", label: "Frequency", unit: "Hz", colour: "quiet", note: frequencyNote },
];

export class Tiles {
  /** @param {string[]} names the metrics there are */
  constructor(names) {
    this._tiles = TILES.filter((spec) => names.includes(spec.name)).map((spec) => ({ spec, ...tileElements(spec) }));
    byId("tiles").replaceChildren(...this._tiles.map((tile) => tile.root));
    this.show({});
  }

  /** @param {Values} values */
  show(values) {
    for (const { spec, number, unit, note, level } of this._tiles) {
      const value = values[spec.name] ?? null;
      const told = quantity(value !== null && spec.isMagnitude ? Math.abs(value) : value, spec.unit);
      setText(number, told.number);
      setText(unit, told.unit);
      setText(note, value === null ? "" : spec.note(values));
      if (level) {
        level.value = values.battery_soc ?? 0;
        level.hidden = (values.battery_soc ?? null) === null;
      }
    }
  }
}

/** @param {TileSpec} spec */
function tileElements(spec) {
  const root = element("article", "tile");
  root.id = `now-${spec.name}`;
  root.style.setProperty("--tile", `var(--${spec.colour})`);
  const number = element("span", "number");
  const unit = element("span", "unit");
  const reading = element("p", "reading");
  reading.append(number, unit);
  const note = element("p", "note");
  root.append(element("h2", "label", spec.label), reading, note);
  const level = spec.name === "battery_power" ? /** @type {HTMLMeterElement} */ (element("meter", "level")) : null;
  if (level) {
    Object.assign(level, { min: 0, max: 100 });
    level.setAttribute("aria-label", "State of charge");
    root.append(level);
  }
  return { root, number, unit, note, level };
}

/** @param {Values} values */
function solarNote({ solar_power: solar, load_power: load }) {
  if ((solar ?? 0) < REST_W) return "no sun";
  if (!load || load < REST_W) return "";
  return `${Math.min(100, Math.round((100 * (solar ?? 0)) / load))}\u202f% of the house`;
}

/** @param {Values} values */
function loadNote({ solar_power: solar, battery_power: battery, grid_power: grid }) {
  const sources = [];
  if ((solar ?? 0) > REST_W) sources.push("sun");
  if ((battery ?? 0) < -REST_W) sources.push("battery");
  if ((grid ?? 0) > REST_W) sources.push("grid");
  return sources.length > 0 ? `from ${sources.join(" + ")}` : "";
}

/** @param {Values} values */
function batteryNote({ battery_power: power, battery_soc: charge }) {
  const word = direction(power, "charging", "discharging", "at rest");
  return (charge ?? null) === null ? word : `${quantityText(charge, "%")} · ${word}`;
}

/** @param {Values} values */
function gridNote({ grid_power: power }) {
  return direction(power, "importing", "exporting", "balanced");
}

/** @param {Values} values */
function frequencyNote({ grid_voltage: voltage }) {
  return (voltage ?? null) === null ? "" : quantityText(voltage, "V");
}

/** @param {number | null} power @param {string} plus @param {string} minus @param {string} rest */
function direction(power, plus, minus, rest) {
  if (Math.abs(power ?? 0) < REST_W) return rest;
  return (power ?? 0) > 0 ? plus : minus;
}
