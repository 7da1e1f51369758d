/**
 * What is chosen: devices, time, metrics. It stands in the address (#device=…&range=…), so a view can be kept and sent
 * on. No DOM but the address.
 * @module choice
 */

import { RANGES } from "./history.js";

const DEFAULT_RANGE = "24h";
/** More lines than that cannot be told apart. */
export const MAX_DEVICES = 6;
/** A closer look than that shows nothing more. */
const MIN_SPAN_MS = 5_000;

/**
 * @typedef {{range: string} | {start: string, end: string}} Span as the API takes it: a range up to now, or from and
 *   to, epoch ms or a time of the device's zone
 */

export class Choice {
  constructor() {
    const told = new URLSearchParams(location.hash.slice(1));
    this.deviceId = told.get("device") ?? "";
    /** @type {string[]} compared with it */
    this.others = list(told.get("with"));
    /** @type {string[] | null} null: the usual ones */
    this.metrics = told.has("metrics") ? list(told.get("metrics")) : null;
    this.span = spanOf(told);
    /** @type {Span[]} where zooming came from */
    this._before = [];
  }

  /** The chosen one first. */
  get deviceIds() {
    return [this.deviceId, ...this.others].filter(Boolean);
  }

  /** The range, where it ends now. */
  get range() {
    const { span } = this;
    return "range" in span ? (RANGES.find((range) => range.key === span.range) ?? null) : null;
  }

  get canGoBack() {
    return this._before.length > 0;
  }

  /** Keep to these devices; the first where the chosen one is not among them. @param {string[]} deviceIds */
  keepTo(deviceIds) {
    if (!deviceIds.includes(this.deviceId)) this.deviceId = deviceIds[0] ?? "";
    this.others = this.others.filter((id) => id !== this.deviceId && deviceIds.includes(id)).slice(0, MAX_DEVICES - 1);
  }

  /** @param {Span} span */
  setSpan(span) {
    this.span = span;
    this._before = [];
  }

  /**
   * @param {number} fromMs @param {number} toMs
   * @returns {boolean} whether that is another view
   */
  zoom(fromMs, toMs) {
    const middle = (fromMs + toMs) / 2;
    const half = Math.max(toMs - fromMs, MIN_SPAN_MS) / 2;
    const span = { start: String(Math.max(0, Math.round(middle - half))), end: String(Math.round(middle + half)) };
    if (JSON.stringify(span) === JSON.stringify(this.span)) return false;
    this._before.push(this.span);
    this.span = span;
    return true;
  }

  /** To the view before the last zoom. @returns {boolean} whether there was one */
  back() {
    const span = this._before.pop();
    if (span) this.span = span;
    return span !== undefined;
  }

  /** Put it into the address. */
  keep() {
    if (!this.deviceId) return;
    const told = new URLSearchParams({ device: this.deviceId });
    if (this.others.length > 0) told.set("with", this.others.join());
    for (const [name, value] of Object.entries(this.span)) told.set(name, value);
    if (this.metrics) told.set("metrics", this.metrics.join());
    // Commas and colons may stand in a fragment as they are.
    history.replaceState(null, "", `#${String(told).replaceAll("%2C", ",").replaceAll("%3A", ":")}`);
  }
}

/** @param {URLSearchParams} told @returns {Span} */
function spanOf(told) {
  const [start, end] = [told.get("start"), told.get("end")];
  if (start && end) return { start, end };
  const range = told.get("range") ?? "";
  return { range: RANGES.some(({ key }) => key === range) ? range : DEFAULT_RANGE };
}

/** @param {string | null} text */
function list(text) {
  return (text ?? "").split(",").filter(Boolean);
}
