/**
 * What is drawn: the series of the devices over a window of time, rolling or fixed. No DOM.
 * @module view
 */

import { Series } from "./series.js";

/** Raw readings of a device that began to send faster than expected: history then chooses buckets. */
const MAX_RAW_POINTS = 1_500;

export class View {
  /**
   * @param {import("./history.js").History[]} histories one a device, all over the same window
   * @param {{ms: number} | null} range null: the window is fixed
   * @param {import("./choice.js").Span} span what was asked for
   * @param {string[]} metrics
   */
  constructor(histories, range, span, metrics) {
    this._range = range;
    // Whole buckets are answered: what was asked for is a little less. Times of the zone only the server can read.
    this._startMs = ("start" in span && Number(span.start)) || histories[0].startMs;
    this._endMs = ("end" in span && Number(span.end)) || histories[0].endMs;
    this.metrics = metrics;
    this.timeZone = histories[0].timeZone;
    this.deviceIds = histories.map((history) => history.deviceId);
    this.cursors = histories.map(({ deviceId, cursor }) => ({ deviceId, cursor }));
    this.series = histories.map((history) => new Series(history, range ? Number.POSITIVE_INFINITY : history.endMs));
    /** Something is missing that only history has: nothing is added any more. */
    this.isBroken = false;
  }

  /** Time (ISO) of the newest reading of the first device. */
  get through() {
    return this.series[0].through;
  }

  get isEmpty() {
    return this.series.every((one) => one.newest === null);
  }

  get isTooFine() {
    return this.series.some((one) => one.stepMs === null && one.times.length > MAX_RAW_POINTS);
  }

  /** The time that is shown, [from, to), epoch ms. @param {number} nowMs @returns {[number, number]} */
  window(nowMs) {
    return this._range ? [nowMs - this._range.ms, nowMs] : [this._startMs, this._endMs];
  }

  /**
   * @param {string} deviceId
   * @param {import("../wattstream-client/index.d.ts").Reading[]} readings
   * @returns {boolean} false where history has to be loaded anew
   */
  take(deviceId, readings) {
    const series = this.series[this.deviceIds.indexOf(deviceId)];
    if (this.isBroken) return true;
    if (!readings.every((reading) => series.append(reading))) return false;
    if (this._range) series.trim(readings[readings.length - 1].ms - this._range.ms);
    return true;
  }
}
