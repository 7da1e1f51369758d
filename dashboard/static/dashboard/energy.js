/**
 * Energy today, this month and this year, from GET /api/energy; what is not measured is said.
 * @module energy
 */

import { Problem, getJson } from "./api.js";
import { byId, element, setText } from "./elements.js";
import { energyText, shareText, quantityText, timeOfDay } from "./format.js";

/** How old figures may get before they are asked for again; a year takes the server longer than a day. */
const PERIODS = [
  { period: "day", label: "Today", refreshMs: 60_000 },
  { period: "month", label: "This month", refreshMs: 10 * 60_000 },
  { period: "year", label: "This year", refreshMs: 30 * 60_000 },
];
/** Less than that measured is worth a word. */
const WHOLE = 0.995;

/**
 * @typedef {Record<string, number | null> & {coverage: number, peak_time: string | null}} Figures as GET /api/energy has
 *   them
 */

/** @type {{name: string, label: string, colour?: string, text: (figures: Figures, timeZone: string) => string}[]} */
export const ROWS = [
  ...[
    ["generated_kwh", "Generated", "solar"],
    ["consumed_kwh", "Used in the house", "load"],
    ["imported_kwh", "From the grid", "grid"],
    ["exported_kwh", "To the grid", "grid"],
    ["charged_kwh", "Into the battery", "battery"],
    ["discharged_kwh", "From the battery", "battery"],
  ].map(([name, label, colour]) => ({ name, label, colour, text: (/** @type {Figures} */ told) => energyText(told[name]) })),
  { name: "self_consumption", label: "Self-consumption", text: (told) => shareText(told.self_consumption) },
  { name: "self_sufficiency", label: "Self-sufficiency", text: (told) => shareText(told.self_sufficiency) },
  { name: "peak_w", label: "Peak", text: (told) => (told.peak_w === null ? "–" : quantityText(told.peak_w, "W")) },
];

export class Energy {
  constructor() {
    this._deviceId = "";
    this._timeZone = "UTC";
    this._asking = new AbortController();
    /** @type {number[]} performance.now() of the figures, by period */
    this._askedAt = PERIODS.map(() => Number.NEGATIVE_INFINITY);
    this._cells = this._build();
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
    ROWS.forEach((row, number) => {
      const cell = this._cells[number][column];
      setText(cell, figures ? row.text(figures, this._timeZone) : "–");
      if (row.name === "peak_w" && figures?.peak_time) cell.title = `at ${timeOfDay(Date.parse(figures.peak_time), this._timeZone)}`;
    });
    const isWhole = !figures || figures.coverage >= WHOLE;
    const cell = this._cells[ROWS.length][column];
    setText(cell, figures ? `${shareText(figures.coverage)} measured` : "");
    cell.classList.toggle("short", !isWhole);
    cell.title = isWhole ? "" : "Readings are missing: the figures are what was measured, not an estimate.";
  }

  /** @returns {HTMLElement[][]} rows of cells; the last row is the coverage */
  _build() {
    const body = byId("energy-rows");
    const cellsOf = (/** @type {HTMLElement} */ row) => PERIODS.map(() => row.appendChild(element("td", "", "–")));
    const cells = ROWS.map(({ label, colour }) => {
      const row = body.appendChild(element("tr", ""));
      const head = row.appendChild(element("th", "", label));
      head.setAttribute("scope", "row");
      if (colour) head.classList.add("mark", `of-${colour}`);
      return cellsOf(row);
    });
    const last = body.appendChild(element("tr", "coverage"));
    last.appendChild(element("th", "", "Coverage")).setAttribute("scope", "row");
    return [...cells, cellsOf(last)];
  }
}
