/**
 * The energy figures of GET /api/energy as texts, in the order in which tables show them.
 * @module figures
 */

import { energyNumber, quantityText, shareText } from "../lib/format.js";

/** @typedef {Api.EnergyFigures} Figures */
/** @typedef {`${"imported" | "exported" | "charged" | "discharged" | "generated" | "consumed"}_kwh`} EnergyField */

/** With a smaller share of measured time, a figure is marked as incomplete. */
const COMPLETE_COVERAGE = 0.995;

/** @type {EnergyField[]} */
const ENERGIES = ["generated_kwh", "consumed_kwh", "imported_kwh", "exported_kwh", "charged_kwh", "discharged_kwh"];

/** The text of each figure: rows of the energy table, columns of the report. @type {((figures: Figures) => string)[]} */
export const FIGURES = [
  ...ENERGIES.map((field) => (/** @type {Figures} */ figures) => energyNumber(figures[field])),
  (figures) => shareText(figures.self_consumption),
  (figures) => shareText(figures.self_sufficiency),
  (figures) => quantityText(figures.peak_w, "W"),
  (figures) => shareText(figures.coverage),
];
/** Indexes into FIGURES. */
export const PEAK = FIGURES.length - 2;
export const COVERAGE = FIGURES.length - 1;

/** Whether readings of the period are missing. @param {Figures} figures */
export function isIncomplete(figures) {
  return figures.coverage < COMPLETE_COVERAGE;
}
