/**
 * The data that the charts draw: one series per device over a window of time, which is fixed or ends now. Pure: no DOM.
 * @module view
 */

import { Series } from "./series.js";

/** With more raw readings than this, a device reports faster than expected. History then answers in buckets. */
const MAX_RAW_POINTS = 1_500;
const AGGREGATES = /** @type {const} */ (["avg", "min", "max"]);

export class View {
  /**
   * @param {import("./history.js").History[]} histories one per device, all over the same window
   * @param {{ms: number} | null} range its length if the window ends now; null if the window is fixed
   * @param {import("./history.js").Span} span that was requested
   * @param {string[]} metrics
   */
  constructor(histories, range, span, metrics) {
    this._range = range;
    // The answer covers whole buckets, which may be more than was requested. Only the server can resolve a local time;
    // the window is then that of the answer.
    this._startMs = ("start" in span && Number(span.start)) || histories[0].startMs;
    this._endMs = ("end" in span && Number(span.end)) || histories[0].endMs;
    this.metrics = metrics;
    this.timeZone = histories[0].timeZone;
    this.deviceIds = histories.map((history) => history.deviceId);
    this.cursors = histories.map(({ deviceId, cursor }) => ({ deviceId, cursor }));
    this.series = histories.map((history) => new Series(history, range ? Number.POSITIVE_INFINITY : history.endMs));
    /** Whether readings are missing that only history has. Nothing is appended any more. */
    this.isBroken = false;
  }

  /** Time (ISO) of the newest reading of the first device. */
  get through() {
    return this.series[0].through;
  }

  get isEmpty() {
    return this.series.every((one) => one.newest === null);
  }

  /** Whether history has to be loaded again, in buckets. */
  get isTooFine() {
    return this.series.some((one) => one.stepMs === null && one.times.length > MAX_RAW_POINTS);
  }

  /** The window [from, to) in epoch ms. @param {number} nowMs @returns {[number, number]} */
  window(nowMs) {
    return this._range ? [nowMs - this._range.ms, nowMs] : [this._startMs, this._endMs];
  }

  /**
   * Append live readings of a device.
   * @param {string} deviceId
   * @param {import("wattstream-client").Reading[]} readings at least one, oldest first
   * @returns {boolean} false if history has to be loaded again
   */
  append(deviceId, readings) {
    const series = this.series[this.deviceIds.indexOf(deviceId)];
    if (this.isBroken) return true;
    if (!readings.every((reading) => series.append(reading))) return false;
    if (this._range) series.trim(readings[readings.length - 1].ms - this._range.ms);
    return true;
  }

  /**
   * The points as rows for a CSV file: a header, then one row per device and time (ISO, UTC).
   * @returns {import("../lib/csv.js").Cell[][]}
   */
  rows() {
    const wanted = this.metrics.flatMap((metric) => AGGREGATES.map((aggregate) => ({ metric, aggregate })));
    const head = ["time", "device_id", ...wanted.map(({ metric, aggregate }) => `${metric}_${aggregate}`)];
    const rows = this.series.flatMap((series, number) => {
      const columns = wanted.map(({ metric, aggregate }) => series.column(metric, aggregate));
      return series.times.map((ms, index) => [
        new Date(ms).toISOString(),
        this.deviceIds[number],
        ...columns.map((column) => column[index]),
      ]);
    });
    return [head, ...rows];
  }
}
