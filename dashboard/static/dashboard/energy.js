/**
 * Energy today, this month and this year, from GET /api/energy; what is not measured is said.
 * @module energy
 */

import { Problem, getJson } from "./api.js";
import { byId, setText } from "./elements.js";
import { energyNumber, moment, quantityText, shareText } from "./format.js";

/** How old figures may get before they are asked for again; a year takes the server longer than a day. */
const PERIODS = [
  { period: "day", refreshMs: 60_000 },
  { period: "month", refreshMs: 10 * 60_000 },
  { period: "year", refreshMs: 30 * 60_000 },
];
/** Less than that measured is worth a word. */
const WHOLE = 0.995;

/**
 * @typedef {Record<string, number | null> & {coverage: number, peak_time: string | null}} Figures as GET /api/energy has
 *   them
 */

const ENERGIES = ["generated_kwh", "consumed_kwh", "imported_kwh", "exported_kwh", "charged_kwh", "discharged_kwh"];

/** In the order of the template's rows, and of the report's columns. @type {((figures: Figures) => string)[]} */
export const FIGURES = [
  ...ENERGIES.map((name) => (/** @type {Figures} */ told) => energyNumber(told[name])),
  (told) => shareText(told.self_consumption),
  (told) => shareText(told.self_sufficiency),
  (told) => quantityText(told.peak_w, "W"),
  (told) => shareText(told.coverage),
];
const PEAK = FIGURES.length - 2;
const COVERAGE = FIGURES.length - 1;

/** Whether readings are missing. @param {Figures} figures */
export function isShort(figures) {
  return figures.coverage < WHOLE;
}

export class Energy {
  constructor() {
    this._deviceId = "";
    this._timeZone = "UTC";
    this._asking = new AbortController();
    this._isBusy = false;
    /** @type {number[]} performance.now() of the figures, by period */
    this._askedAt = PERIODS.map(() => Number.NEGATIVE_INFINITY);
    /** @type {HTMLElement[][]} cells by row */
    this._cells = [...byId("energy-rows").rows].map((row) => [...row.cells].slice(1));
  }

  /** Another device, or none. @param {string} deviceId */
  show(deviceId) {
    if (deviceId === this._deviceId) return;
    this._asking.abort();
    this._asking = new AbortController();
    this._deviceId = deviceId;
    this._isBusy = false;
    this._askedAt.fill(Number.NEGATIVE_INFINITY);
    PERIODS.forEach((_, column) => this._fill(column, null));
    setText(byId("energy-words"), "");
  }

  /** To be called now and then: asks for what is old, one after the other, so that they do not hold up the charts. */
  async refresh() {
    if (this._isBusy || !this._deviceId || document.hidden) return;
    this._isBusy = true;
    const { signal } = this._asking;
    for (const [column, { period, refreshMs }] of PERIODS.entries()) {
      if (performance.now() - this._askedAt[column] < refreshMs) continue;
      this._askedAt[column] = performance.now();
      try {
        const told = await getJson(`/api/energy/${encodeURIComponent(this._deviceId)}?period=${period}`, { signal });
        this._timeZone = told.tz;
        this._fill(column, told.periods[0]);
        setText(byId("energy-words"), "");
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        setText(byId("energy-words"), `${error.detail} The figures may be old.`);
      }
    }
    this._isBusy = false;
  }

  /** @param {number} column @param {Figures | null} figures */
  _fill(column, figures) {
    FIGURES.forEach((text, row) => setText(this._cells[row][column], figures ? text(figures) : "–"));
    const peakMs = Date.parse(figures?.peak_time ?? "");
    this._cells[PEAK][column].title = Number.isNaN(peakMs) ? "" : moment(peakMs, this._timeZone, 1000);
    const isMissing = figures !== null && isShort(figures);
    const coverage = this._cells[COVERAGE][column];
    coverage.classList.toggle("short", isMissing);
    coverage.title = isMissing ? "Readings are missing: the figures are what was measured, not an estimate." : "";
  }
}
