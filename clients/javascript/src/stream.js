/**
 * The live stream (protocol wattstream.v1): one connection for any number of devices. It reconnects, and continues from
 * the cursor of each device.
 * @module stream
 */

import { Connection } from "./connection.js";
import { HandOver } from "./handover.js";
import { watchPage } from "./page_life.js";
import { isAfter, readingOf, readingOfRow } from "./reading.js";
import { Requests } from "./requests.js";

const MAX_WAITING = 5_000;
const PAUSE_HIDDEN_AFTER_MS = 60_000;

/**
 * @typedef {import("./index.d.ts").Reading} Reading
 * @typedef {import("./index.d.ts").State} State
 * @typedef {import("./requests.js").Subscription} Subscription
 * @typedef {import("./index.d.ts").LiveStream} Declared
 * @typedef {"asked" | "hidden" | "full"} Hold a reason to stay disconnected
 */

/** @implements {Declared} */
export class LiveStream {
  /** @param {import("./index.d.ts").Options} options */
  constructor(options) {
    this._options = options;
    /** @type {Map<string, Subscription>} */
    this._subscriptions = new Map();
    /** @type {Set<Hold>} while it is not empty, the stream stays disconnected */
    this._holds = new Set();
    /** @type {State["name"] | ""} */
    this._state = "";
    this._handOver = new HandOver(options.maxWaiting ?? MAX_WAITING, () => this._release("full"));
    this._connection = new Connection(options.url, options.ticket, options.WebSocket ?? globalThis.WebSocket, {
      onConnecting: () => this._setState({ name: "connecting" }),
      onFrame: (frame) => this._receive(frame),
      onLost: (code, retryMs) => this._setState({ name: "offline", code, retryMs }),
      onEnd: (code) => this._ended(code),
    });
    this._requests = new Requests((frame) => this._connection.send(frame));
    this._stopWatching = watchPage(options.pauseHiddenAfterMs ?? PAUSE_HIDDEN_AFTER_MS, {
      onHidden: () => this._hold("hidden"),
      onShown: () => (this._holds.has("hidden") ? this._release("hidden") : this.wake()),
      onNetwork: () => this.wake(),
    });
  }

  /**
   * @param {string} deviceId
   * @param {string | null} since
   * @param {import("./index.d.ts").SubscribeOptions} [options]
   */
  subscribe(deviceId, since, { metrics, intervalMs } = {}) {
    const more = { ...(metrics && { metrics }), ...(intervalMs && { interval_ms: intervalMs }) };
    const subscription = { deviceId, more, since, newest: "", given: since, request: 0, ping: 0, isCurrent: false };
    this._subscriptions.set(deviceId, subscription);
    if (this._connection.isOpen) this._follow([subscription]);
    else if (["", "paused"].includes(this._state)) this._openUnlessHeld();
  }

  /** @param {string} deviceId */
  unsubscribe(deviceId) {
    const known = this._subscriptions.delete(deviceId);
    if (known && this._connection.isOpen) this._requests.leave(deviceId);
  }

  /** @param {string} deviceId */
  cursor(deviceId) {
    return this._subscriptions.get(deviceId)?.given ?? null;
  }

  wake() {
    if (this._connection.isWaiting) this._connection.open();
    else if (this._connection.isOpen) this._connection.probe();
  }

  pause() {
    this._hold("asked");
  }

  resume() {
    this._release("asked");
  }

  close() {
    this._subscriptions.clear();
    this._connection.end(1000);
  }

  /** @param {Hold} reason */
  _hold(reason) {
    if (this._state === "ended" || this._holds.has(reason)) return;
    this._holds.add(reason);
    this._connection.disconnect();
    this._setState({ name: "paused" });
  }

  /** @param {Hold} reason */
  _release(reason) {
    if (this._holds.delete(reason)) this._openUnlessHeld();
  }

  _openUnlessHeld() {
    if (this._holds.size === 0 && this._subscriptions.size > 0) this._connection.open();
  }

  /** @param {number} code */
  _ended(code) {
    this._stopWatching();
    this._holds.clear();
    this._setState({ name: "ended", code });
  }

  /** @param {any} frame */
  _receive(frame) {
    const subscription = this._subscriptions.get(frame.device_id);
    switch (frame.type) {
      case "welcome":
        this._follow(this._subscriptions.values());
        break;
      case "subscribed":
        if (subscription && subscription.request === frame.id) this._subscribed(frame, subscription);
        break;
      case "reading":
        if (subscription) this._take(subscription, [readingOf(frame.time, frame.values)]);
        break;
      case "backlog":
        if (subscription)
          this._take(
            subscription,
            frame.rows.map((/** @type {any[]} */ row) => readingOfRow(frame.columns, row)),
          );
        break;
      case "gap":
        if (subscription) this._tell(subscription, "onGap", { from: frame.from, to: frame.to });
        break;
      case "revoked":
        if (subscription) this._revoked(subscription, "Your access to this device has ended.");
        break;
      case "pong":
        this._caughtUp(frame.id);
        break;
      case "error":
        this._refused(frame);
        break;
    }
  }

  /** @param {Iterable<Subscription>} subscriptions */
  _follow(subscriptions) {
    this._requests.follow(subscriptions);
    this._showProgress();
  }

  /**
   * The missed readings follow this frame. The answer to a ping that is sent now follows them.
   * @param {{recovered: boolean, cursor: string | null}} frame
   * @param {Subscription} subscription
   */
  _subscribed({ recovered, cursor }, subscription) {
    const { since } = subscription;
    subscription.since = cursor ?? since;
    subscription.ping = this._requests.ping();
    this._tell(subscription, "onSubscribed", { since, cursor, recovered });
  }

  /** @param {Subscription} subscription @param {Reading[]} received oldest first */
  _take(subscription, received) {
    // Readings before `subscribed` belong to an earlier subscription. The server sends them again.
    if (!subscription.ping) return;
    const readings = received.filter((reading) => isAfter(reading.time, subscription.newest));
    if (readings.length === 0) return;
    subscription.newest = subscription.since = readings[readings.length - 1].time;
    const deliver = () => {
      if (!this._isWanted(subscription)) return;
      subscription.given = readings[readings.length - 1].time;
      return this._options.onReadings(subscription.deviceId, readings);
    };
    this._handOver.add({ subject: subscription, readings, deliver });
    if (this._handOver.isFull) this._hold("full");
  }

  /**
   * Call a handler after all earlier readings are delivered.
   * @param {Subscription} subscription
   * @param {"onGap" | "onSubscribed"} handler
   * @param {any} what
   */
  _tell(subscription, handler, what) {
    const { deviceId } = subscription;
    const deliver = () => (this._isWanted(subscription) ? this._options[handler]?.(deviceId, what) : undefined);
    this._handOver.add({ subject: subscription, deliver });
  }

  /** Whether the subscription is neither replaced nor ended. @param {Subscription} subscription */
  _isWanted(subscription) {
    return this._subscriptions.get(subscription.deviceId) === subscription;
  }

  /** @param {number} ping */
  _caughtUp(ping) {
    for (const subscription of this._subscriptions.values()) {
      if (subscription.ping === ping) subscription.isCurrent = true;
    }
    this._showProgress();
  }

  /**
   * An error names the devices that are refused, and the request holds for the others; without names all are refused.
   * @param {{id: number, message: string, devices?: string[]}} frame
   */
  _refused({ id, message, devices }) {
    const pending = [...this._subscriptions.values()].filter(({ request, ping }) => request === id && ping === 0);
    for (const subscription of pending) {
      if (!devices || devices.includes(subscription.deviceId)) this._revoked(subscription, message);
    }
  }

  /** @param {Subscription} subscription @param {string} message */
  _revoked(subscription, message) {
    const { deviceId } = subscription;
    this._subscriptions.delete(deviceId);
    this._handOver.add({ subject: subscription, deliver: () => this._options.onRevoked?.(deviceId, message) });
    this._showProgress();
  }

  _showProgress() {
    if (!this._connection.isOpen) return;
    const isCurrent = [...this._subscriptions.values()].every((subscription) => subscription.isCurrent);
    if (isCurrent) this._connection.resetBackoff();
    this._setState({ name: isCurrent ? "live" : "catching-up" });
  }

  /** @param {State} state */
  _setState(state) {
    if (state.name === this._state && state.name !== "offline") return;
    this._state = state.name;
    this._options.onState?.(state);
  }
}
