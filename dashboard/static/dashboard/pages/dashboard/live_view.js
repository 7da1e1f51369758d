/**
 * The view that the charts draw: loads history once per choice, and extends it by live readings from its cursor. Loads
 * history again when the stream cannot deliver what is missing.
 * @module live_view
 */

import { LiveStream } from "../../../wattstream-client/index.js";
import { loadHistories } from "../../chart/history.js";
import { View } from "../../chart/view.js";
import { liveTicket } from "../../lib/api.js";

/** Late readings arrive one by one. History is not loaded again for each of them. */
const LATE_RELOAD_MS = 15_000;
const BROKEN_RELOAD_MS = 500;

/**
 * @typedef {object} Request for a view
 * @property {string[]} deviceIds at least one
 * @property {import("../../chart/history.js").Span} span
 * @property {{ms: number} | null} range its length if the span ends now
 * @property {string[]} metrics
 *
 * @typedef {object} Handlers
 * @property {() => void} onLoading history is being loaded
 * @property {(view: View) => void} onLoaded
 * @property {(error: unknown) => void} onFailed history could not be loaded
 * @property {(deviceId: string, readings: import("wattstream-client").Reading[]) => void} onReadings they are in the view
 * @property {(deviceId: string, message: string) => void} onRevoked the access to a device has ended
 * @property {(state: import("wattstream-client").State) => void} onState of the connection
 */

export class LiveView {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this._handlers = handlers;
    /** @type {View | null} null before history is loaded, and after `clear` */
    this.view = null;
    /** @type {Request | null} of the last `load` */
    this._request = null;
    /** @type {string[]} the devices that the stream is subscribed to */
    this._subscribed = [];
    this._loading = new AbortController();
    this._reloadTimer = 0; // 0: no reload is scheduled
    this._stream = new LiveStream({
      url: `${location.protocol.replace("http", "ws")}//${location.host}/ws/live`,
      ticket: liveTicket,
      onState: handlers.onState,
      onReadings: (deviceId, readings) => this._append(deviceId, readings),
      onGap: (deviceId) => this._scheduleReload(deviceId, false),
      onSubscribed: (deviceId, answer) => this._onSubscribed(deviceId, answer),
      onRevoked: handlers.onRevoked,
    });
  }

  /**
   * Replace the view. The old one stays until history is loaded. A later call cancels an earlier one.
   * @param {Request} request
   */
  async load(request) {
    this._request = request;
    this._cancelLoading();
    const { signal } = (this._loading = new AbortController());
    const { deviceIds, span, range, metrics } = request;
    this._handlers.onLoading();
    try {
      this.view = new View(await loadHistories(deviceIds, span, metrics, signal), range, span, metrics);
    } catch (error) {
      if (!signal.aborted) this._handlers.onFailed(error);
      return;
    }
    this._subscribe(this.view);
    this._handlers.onLoaded(this.view);
  }

  /** Load the last request again. */
  reload() {
    if (this._request) this.load(this._request);
  }

  /** Drop the view, and follow no device. */
  clear() {
    this._cancelLoading();
    for (const deviceId of this._subscribed) this._stream.unsubscribe(deviceId);
    this._subscribed = [];
    this.view = null;
  }

  /** Close the stream for good. */
  close() {
    this._stream.close();
  }

  _cancelLoading() {
    clearTimeout(this._reloadTimer);
    this._reloadTimer = 0;
    this._loading.abort();
  }

  /** @param {View} view */
  _subscribe(view) {
    for (const deviceId of this._subscribed) {
      if (!view.deviceIds.includes(deviceId)) this._stream.unsubscribe(deviceId);
    }
    this._subscribed = view.deviceIds;
    for (const { deviceId, cursor } of view.cursors) this._stream.subscribe(deviceId, cursor);
  }

  /** @param {string} deviceId @param {import("wattstream-client").Reading[]} readings */
  _append(deviceId, readings) {
    const { view } = this;
    if (!view || !view.deviceIds.includes(deviceId)) return;
    if (!view.append(deviceId, readings)) this._scheduleReload(deviceId, true);
    else if (view.isTooFine) this._scheduleReload(deviceId, false);
    this._handlers.onReadings(deviceId, readings);
  }

  /** @param {string} deviceId @param {import("wattstream-client").Subscribed} answer */
  _onSubscribed(deviceId, { since, cursor, recovered }) {
    // Without a cursor nothing is replayed. Readings may have arrived between the history request and this subscription.
    const isLate = since === null && cursor !== null;
    if (!recovered || isLate) this._scheduleReload(deviceId, !recovered);
  }

  /**
   * Schedule a reload, because history has readings that the stream does not send.
   * @param {string} deviceId
   * @param {boolean} isBroken nothing may be appended before the reload
   */
  _scheduleReload(deviceId, isBroken) {
    if (!this.view?.deviceIds.includes(deviceId)) return;
    this.view.isBroken ||= isBroken;
    if (isBroken) clearTimeout(this._reloadTimer);
    const delayMs = isBroken ? BROKEN_RELOAD_MS : LATE_RELOAD_MS;
    if (isBroken || !this._reloadTimer) this._reloadTimer = setTimeout(() => this.reload(), delayMs);
  }
}
