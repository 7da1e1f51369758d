/**
 * The energy table: today, this month and this year, from GET /api/energy. Missing readings are marked.
 * @module energy
 */

import { COVERAGE, FIGURES, PEAK, isIncomplete } from "../../chart/figures.js";
import { Problem, getJson } from "../../lib/api.js";
import { byId, setText } from "../../lib/elements.js";
import { moment } from "../../lib/format.js";

/** The columns, and the age at which each is loaded again: a year costs the server more than a day. */
const PERIODS = [
  { period: "day", refreshMs: 60_000 },
  { period: "month", refreshMs: 10 * 60_000 },
  { period: "year", refreshMs: 30 * 60_000 },
];

export class Energy {
  constructor() {
    this._deviceId = "";
    this._timeZone = "UTC";
    this._loading = new AbortController();
    this._isBusy = false;
    /** performance.now() of the last request per period. */
    this._requestedAt = PERIODS.map(() => Number.NEGATIVE_INFINITY);
    /** @type {HTMLElement[][]} cells by row */
    this._cells = [...byId("energy-rows", HTMLTableSectionElement).rows].map((row) => [...row.cells].slice(1));
  }

  /** Show another device. @param {string} deviceId "" for none */
  show(deviceId) {
    if (deviceId === this._deviceId) return;
    this._loading.abort();
    this._loading = new AbortController();
    this._deviceId = deviceId;
    this._isBusy = false;
    this._requestedAt.fill(Number.NEGATIVE_INFINITY);
    PERIODS.forEach((_, column) => this._fill(column, null));
    setText(byId("energy-words"), "");
  }

  /** Load figures that are too old, one period after the other, so that the charts do not have to wait. Call often. */
  async refresh() {
    if (this._isBusy || !this._deviceId || document.hidden) return;
    this._isBusy = true;
    const { signal } = this._loading;
    for (const [column, { period, refreshMs }] of PERIODS.entries()) {
      if (performance.now() - this._requestedAt[column] < refreshMs) continue;
      this._requestedAt[column] = performance.now();
      try {
        /** @type {Api.Energy} */
        const answer = await getJson(`/api/energy/${encodeURIComponent(this._deviceId)}?period=${period}`, { signal });
        this._timeZone = answer.tz;
        this._fill(column, answer.periods[0]);
        setText(byId("energy-words"), "");
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        setText(byId("energy-words"), `${error.detail} The figures may be old.`);
      }
    }
    this._isBusy = false;
  }

  /** @param {number} column @param {Api.EnergyFigures | null} figures */
  _fill(column, figures) {
    FIGURES.forEach((text, row) => setText(this._cells[row][column], figures ? text(figures) : "–"));
    const peakMs = Date.parse(figures?.peak_time ?? "");
    this._cells[PEAK][column].title = Number.isNaN(peakMs) ? "" : moment(peakMs, this._timeZone, 1000);
    const isMarked = figures !== null && isIncomplete(figures);
    const coverage = this._cells[COVERAGE][column];
    coverage.classList.toggle("short", isMarked);
    coverage.title = isMarked ? "Readings are missing: the figures are what was measured, not an estimate." : "";
  }
}
