/**
 * The requests of the client, in as few frames as possible: the server limits the frames per second, but not the devices
 * per frame.
 * @module requests
 */

/** Devices whose subscriptions are confirmed within this time share a ping. */
const PING_DELAY_MS = 20;

/**
 * @typedef {object} Subscription
 * @property {string} deviceId
 * @property {{metrics?: string[], interval_ms?: number}} more options of the request
 * @property {string | null} since cursor of the next request: the newest reading that arrived, delivered or not
 * @property {string} newest time of the newest reading that arrived, "" before the first
 * @property {string | null} given cursor of the newest reading that was delivered
 * @property {number} request id of the request that was sent, 0 before
 * @property {number} ping id of the ping that follows the confirmation, 0 before
 * @property {boolean} isCurrent whether all missed readings have arrived
 */

export class Requests {
  /** @param {(frame: object) => void} send sends a frame, or drops it without a connection */
  constructor(send) {
    this._send = send;
    this._lastId = 0;
    this._nextPing = 0; // 0: no ping is scheduled
    /** @type {Map<string, Subscription | null>} by device: to subscribe, or (null) to unsubscribe, in this turn */
    this._planned = new Map();
  }

  /** Subscribe, together with all other requests of this turn. @param {Iterable<Subscription>} subscriptions */
  follow(subscriptions) {
    for (const subscription of subscriptions) {
      Object.assign(subscription, { request: 0, ping: 0, isCurrent: false });
      this._plan(subscription.deviceId, subscription);
    }
  }

  /** Unsubscribe, together with all other requests of this turn. @param {string} deviceId */
  leave(deviceId) {
    this._plan(deviceId, null);
  }

  /** Send one frame at once. @param {Subscription[]} subscriptions with the same options */
  subscribe(subscriptions) {
    const id = ++this._lastId;
    for (const subscription of subscriptions) subscription.request = id;
    const since = Object.fromEntries(subscriptions.map((each) => [each.deviceId, each.since]));
    this._send({ type: "subscribe", id, devices: Object.keys(since), since, ...subscriptions[0].more });
  }

  /** Schedule a ping, unless one is scheduled already. @returns {number} its id */
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
    const dropped = planned.filter(([, subscription]) => !subscription).map(([deviceId]) => deviceId);
    if (dropped.length > 0) this._send({ type: "unsubscribe", devices: dropped });
    /** @type {Map<string, Subscription[]>} by options, as JSON */
    const groups = new Map();
    for (const [, subscription] of planned) {
      if (!subscription) continue;
      const options = JSON.stringify(subscription.more);
      groups.set(options, [...(groups.get(options) ?? []), subscription]);
    }
    for (const subscriptions of groups.values()) this.subscribe(subscriptions);
  }
}
