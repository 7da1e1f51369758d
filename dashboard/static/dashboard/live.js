/**
 * The live stream (protocol wattstream.v1): one connection for any number of devices, that comes back by itself and
 * goes on where it was. No DOM; any page that can get a ticket can use it.
 *
 * @example
 * const live = new LiveStream({ url, ticket, onState, onReadings, onReload, onRevoked });
 * live.subscribe("ems_001", history.cursor); // again, with the newer cursor, whenever history was loaded anew
 * @module live
 */

import { Connection } from "./connection.js";

/**
 * @typedef {{time: string, ms: number, values: Record<string, number | null>}} Reading `time` is a cursor too
 *
 * @typedef {object} State
 * @property {"connecting" | "catching-up" | "live" | "offline" | "ended"} name catching-up: connected, and what was
 *   missed is still coming; offline: waiting to try again; ended: will not try again
 * @property {number} [code] offline, ended: the close code
 * @property {number} [retryMs] offline: until the next attempt
 *
 * @typedef {object} Options
 * @property {string} url ws:// or wss://
 * @property {() => Promise<string>} ticket a fresh single-use ticket; may reject with an error that has a `status`
 * @property {(state: State) => void} onState
 * @property {(deviceId: string, readings: Reading[]) => void} onReadings each reading once, in time order
 * @property {(deviceId: string, isWhole: boolean) => void} onReload history has what this stream will not send: a few
 *   late or dropped readings, or (`isWhole`) so much that it must be loaded and subscribed to again
 * @property {(deviceId: string, message: string) => void} onRevoked no more readings of this device
 *
 * @typedef {{since: string | null, request: number, ping: number, isCurrent: boolean}} Subscription `request` and
 *   `ping`: ids of the frames sent, 0 before that
 */

export class LiveStream {
  /** @param {Options} options */
  constructor(options) {
    this._options = options;
    /** @type {Map<string, Subscription>} */
    this._subscriptions = new Map();
    this._lastId = 0;
    /** @type {State["name"] | ""} */
    this._state = "";
    this._connection = new Connection(options.url, options.ticket, {
      onConnecting: () => this._setState({ name: "connecting" }),
      onFrame: (frame) => this._receive(frame),
      onLost: (code, retryMs) => this._setState({ name: "offline", code, retryMs }),
      onEnd: (code) => this._setState({ name: "ended", code }),
    });
  }

  /**
   * Follow a device from `since` on; replaces an earlier subscription to it. Connects where that was not done yet.
   * @param {string} deviceId
   * @param {string | null} since cursor
   */
  subscribe(deviceId, since) {
    this._subscriptions.set(deviceId, { since, request: 0, ping: 0, isCurrent: false });
    if (this._connection.isOpen) this._request(deviceId);
    else if (this._state === "") this._connection.open();
  }

  /** @param {string} deviceId */
  unsubscribe(deviceId) {
    const known = this._subscriptions.delete(deviceId);
    if (known && this._connection.isOpen) this._send({ type: "unsubscribe", devices: [deviceId] });
  }

  /** Something changed (the tab is looked at again, the network is back): make sure, at once, that all is well. */
  wake() {
    if (this._connection.isWaiting) this._connection.open();
    else if (this._connection.isOpen) this._connection.probe();
  }

  /** Stop for good. */
  close() {
    this._connection.end(1000);
  }

  /** @param {any} frame */
  _receive(frame) {
    const subscription = this._subscriptions.get(frame.device_id);
    switch (frame.type) {
      case "welcome":
        for (const deviceId of this._subscriptions.keys()) this._request(deviceId);
        this._showProgress();
        break;
      case "subscribed":
        if (subscription && subscription.request === frame.id) this._subscribed(frame, subscription);
        break;
      case "reading":
        this._take(frame.device_id, [reading(frame.time, frame.values)]);
        break;
      case "backlog":
        this._take(frame.device_id, frame.rows.map((/** @type {any[]} */ row) => readingOfRow(frame.columns, row)));
        break;
      case "gap":
        if (subscription) this._options.onReload(frame.device_id, false);
        break;
      case "revoked":
        this._revoked(frame.device_id, "Your access to this device has ended.");
        break;
      case "pong":
        this._caughtUp(frame.id);
        break;
      case "error":
        this._refused(frame);
        break;
    }
  }

  /** @param {string} deviceId */
  _request(deviceId) {
    const subscription = /** @type {Subscription} */ (this._subscriptions.get(deviceId));
    Object.assign(subscription, { request: this._nextId(), ping: 0, isCurrent: false });
    this._send({ type: "subscribe", id: subscription.request, devices: [deviceId], since: subscription.since });
    this._showProgress();
  }

  /**
   * What was missed comes right behind this frame, so the answer to a ping that is sent now comes behind all of it.
   * @param {{device_id: string, recovered: boolean, cursor: string | null}} frame
   * @param {Subscription} subscription
   */
  _subscribed(frame, subscription) {
    // Without a cursor nothing is replayed: if there is one by now, a few readings lie between history and it.
    const isLate = subscription.since === null && frame.cursor !== null;
    subscription.since = frame.cursor;
    subscription.ping = this._nextId();
    this._send({ type: "ping", id: subscription.ping });
    if (!frame.recovered || isLate) this._options.onReload(frame.device_id, !frame.recovered);
  }

  /** @param {string} deviceId @param {Reading[]} readings */
  _take(deviceId, readings) {
    const subscription = this._subscriptions.get(deviceId);
    // Before `subscribed` they belong to an earlier subscription, and will come again.
    if (!subscription?.ping || readings.length === 0) return;
    subscription.since = readings[readings.length - 1].time;
    this._options.onReadings(deviceId, readings);
  }

  /** @param {number} ping */
  _caughtUp(ping) {
    for (const subscription of this._subscriptions.values()) {
      if (subscription.ping === ping) subscription.isCurrent = true;
    }
    this._showProgress();
  }

  /** @param {{id: number, message: string}} frame */
  _refused(frame) {
    for (const [deviceId, subscription] of this._subscriptions) {
      if (subscription.request === frame.id) this._revoked(deviceId, frame.message);
    }
  }

  /** @param {string} deviceId @param {string} message */
  _revoked(deviceId, message) {
    if (!this._subscriptions.delete(deviceId)) return;
    this._options.onRevoked(deviceId, message);
    this._showProgress();
  }

  _showProgress() {
    if (!this._connection.isOpen) return;
    const isCurrent = [...this._subscriptions.values()].every((subscription) => subscription.isCurrent);
    if (isCurrent) this._connection.settle();
    this._setState({ name: isCurrent ? "live" : "catching-up" });
  }

  _nextId() {
    return ++this._lastId;
  }

  /** @param {object} frame */
  _send(frame) {
    this._connection.send(frame);
  }

  /** @param {State} state */
  _setState(state) {
    if (state.name === this._state && state.name !== "offline") return;
    this._state = state.name;
    this._options.onState(state);
  }
}

/** @param {string} time @param {Record<string, number | null>} values @returns {Reading} */
function reading(time, values) {
  return { time, ms: Date.parse(time), values };
}

/** @param {string[]} columns the first is "time" @param {any[]} row @returns {Reading} */
function readingOfRow(columns, row) {
  return reading(row[0], Object.fromEntries(columns.slice(1).map((name, index) => [name, row[index + 1]])));
}
