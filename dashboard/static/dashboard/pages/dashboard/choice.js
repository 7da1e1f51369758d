/**
 * What the person has chosen: devices, time and metrics. The fragment of the address stores the choice
 * (device=…&range=…), so that a view can be bookmarked and shared. Pure: no DOM.
 * @module choice
 */

import { RANGES } from "../../chart/history.js";

/** @typedef {import("../../chart/history.js").Span} Span */

const DEFAULT_RANGE = "24h";
/** The colours of more lines could not be told apart. */
export const MAX_DEVICES = 6;
/** A shorter window shows no more detail. */
const MIN_SPAN_MS = 5_000;

export class Choice {
  /** @param {string} fragment of the address, without the leading # */
  constructor(fragment) {
    const stored = new URLSearchParams(fragment);
    this.deviceId = stored.get("device") ?? "";
    /** @type {string[]} devices that are compared with it */
    this.others = listOf(stored.get("with"));
    /** @type {string[] | null} names; null for the main metrics */
    this.metrics = stored.has("metrics") ? listOf(stored.get("metrics")) : null;
    this.span = spanOf(stored);
    /** @type {Span[]} the views before each zoom */
    this._zoomedFrom = [];
  }

  /** The chosen device first, then those compared with it. */
  get deviceIds() {
    return [this.deviceId, ...this.others].filter(Boolean);
  }

  /** The chosen range; null for a fixed window. */
  get range() {
    const { span } = this;
    return "range" in span ? (RANGES.find((range) => range.key === span.range) ?? null) : null;
  }

  get canGoBack() {
    return this._zoomedFrom.length > 0;
  }

  /** The choice as a fragment; "" without a device. Commas and colons need no escape there. */
  get fragment() {
    if (!this.deviceId) return "";
    const stored = new URLSearchParams({ device: this.deviceId });
    if (this.others.length > 0) stored.set("with", this.others.join());
    for (const [name, value] of Object.entries(this.span)) stored.set(name, value);
    if (this.metrics) stored.set("metrics", this.metrics.join());
    return String(stored).replaceAll("%2C", ",").replaceAll("%3A", ":");
  }

  /** Drop devices that are not in this list. Without a chosen device, choose the first. @param {string[]} deviceIds */
  limitTo(deviceIds) {
    if (!deviceIds.includes(this.deviceId)) this.deviceId = deviceIds[0] ?? "";
    this.others = this.others.filter((id) => id !== this.deviceId && deviceIds.includes(id)).slice(0, MAX_DEVICES - 1);
  }

  /** @param {Span} span */
  setSpan(span) {
    this.span = span;
    this._zoomedFrom = [];
  }

  /**
   * Choose a window. `back` returns from it.
   * @param {number} fromMs @param {number} toMs epoch ms
   * @returns {boolean} whether the window differs from the current one
   */
  zoom(fromMs, toMs) {
    const middle = (fromMs + toMs) / 2;
    const half = Math.max(toMs - fromMs, MIN_SPAN_MS) / 2;
    const span = { start: String(Math.max(0, Math.round(middle - half))), end: String(Math.round(middle + half)) };
    if (JSON.stringify(span) === JSON.stringify(this.span)) return false;
    this._zoomedFrom.push(this.span);
    this.span = span;
    return true;
  }

  /** Return to the view before the last zoom. @returns {boolean} whether there was one */
  back() {
    const span = this._zoomedFrom.pop();
    if (span) this.span = span;
    return span !== undefined;
  }
}

/** @param {URLSearchParams} stored @returns {Span} */
function spanOf(stored) {
  const [start, end] = [stored.get("start"), stored.get("end")];
  if (start && end) return { start, end };
  const range = stored.get("range") ?? "";
  return { range: RANGES.some(({ key }) => key === range) ? range : DEFAULT_RANGE };
}

/** @param {string | null} text comma-separated */
function listOf(text) {
  return (text ?? "").split(",").filter(Boolean);
}
