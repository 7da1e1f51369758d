/**
 * What the client asks of the server: as few frames as possible, because the server limits frames, not devices a frame.
 * @module requests
 */

/** Devices that begin within this time share a ping. */
const PING_DELAY_MS = 20;

/**
 * @typedef {object} Subscription
 * @property {string} deviceId
 * @property {{metrics?: string[], interval_ms?: number}} more of the request
 * @property {string | null} since of the next request: the newest that came, whether it was handed over or not
 * @property {string} newest time of the newest reading that came, "" before
 * @property {string | null} given cursor of what was handed over
 * @property {number} request id of the request sent, 0 before
 * @property {number} ping id of the ping that is sent after the answer to it, 0 before
 * @property {boolean} isCurrent what was missed has come
 */

export class Requests {
  /** @param {(frame: object) => void} send lost where nothing is connected */
  constructor(send) {
    this._send = send;
    this._lastId = 0;
    this._nextPing = 0; // 0: none is planned
    /** @type {Map<string, Subscription | null>} by device, to be asked for or (null) to be let go, together */
    this._planned = new Map();
  }

  /** Follow, with whatever else this turn brings. @param {Iterable<Subscription>} subscriptions */
  follow(subscriptions) {
    for (const subscription of subscriptions) {
      Object.assign(subscription, { request: 0, ping: 0, isCurrent: false });
      this._plan(subscription.deviceId, subscription);
    }
  }

  /** @param {string} deviceId */
  leave(deviceId) {
    this._plan(deviceId, null);
  }

  /** One frame, at once. @param {Subscription[]} subscriptions with the same options */
  subscribe(subscriptions) {
    const id = ++this._lastId;
    for (const subscription of subscriptions) subscription.request = id;
    const since = Object.fromEntries(subscriptions.map((each) => [each.deviceId, each.since]));
    this._send({ type: "subscribe", id, devices: Object.keys(since), since, ...subscriptions[0].more });
  }

  /** The id of the ping that goes out before long. */
  ping() {
    if (this._nextPing === 0) {
      this._nextPing = ++this._lastId;
      setTimeout(() => {
        this._send({ type: "ping", id: this._nextPing });
        this._nextPing = 0;
      }, PING_DELAY_MS);
    }
    return this._nextPing;
  }

  /** @param {string} deviceId @param {Subscription | null} subscription */
  _plan(deviceId, subscription) {
    if (this._planned.size === 0) queueMicrotask(() => this._sendPlanned());
    this._planned.set(deviceId, subscription);
  }

  _sendPlanned() {
    const planned = [...this._planned];
    this._planned.clear();
    const left = planned.filter(([, subscription]) => !subscription).map(([deviceId]) => deviceId);
    if (left.length > 0) this._send({ type: "unsubscribe", devices: left });
    /** @type {Map<string, Subscription[]>} by their options */
    const kinds = new Map();
    for (const [, subscription] of planned) {
      if (!subscription) continue;
      const kind = JSON.stringify(subscription.more);
      kinds.set(kind, [...(kinds.get(kind) ?? []), subscription]);
    }
    for (const subscriptions of kinds.values()) this.subscribe(subscriptions);
  }
}
