/**
 * The bounded queue of readings and events for the handlers. Delivers in order, and joins consecutive readings.
 * @module handover
 */

/**
 * @typedef {object} Item
 * @property {object} subject consecutive readings of the same subject are joined
 * @property {import("./index.d.ts").Reading[]} [readings]
 * @property {() => void | Promise<void>} deliver
 */

/** Delivers once per frame of the page, or at once if `max` items wait. Waits for handlers that return a promise. */
export class HandOver {
  /**
   * @param {number} max number of readings and events that may wait
   * @param {() => void} onEmpty everything is delivered
   */
  constructor(max, onEmpty) {
    this._max = max;
    this._onEmpty = onEmpty;
    /** @type {Item[]} */
    this._items = [];
    this._waiting = 0;
    this._isDelivering = false;
    this._isScheduled = false;
  }

  /** Whether the queue has reached its limit, so that the source has to be stopped. */
  get isFull() {
    return this._waiting >= this._max;
  }

  /** @param {Item} item */
  add(item) {
    const last = this._items[this._items.length - 1];
    if (item.readings && last?.readings && last.subject === item.subject) last.readings.push(...item.readings);
    else this._items.push(item);
    this._waiting += sizeOf(item);
    if (this.isFull) this._deliverAll();
    else this._schedule();
  }

  _schedule() {
    if (this._isScheduled || this._isDelivering) return;
    this._isScheduled = true;
    nextTurn(() => {
      this._isScheduled = false;
      this._deliverAll();
    });
  }

  async _deliverAll() {
    if (this._isDelivering) return;
    this._isDelivering = true;
    try {
      for (let item; (item = this._items.shift());) {
        try {
          const pending = item.deliver();
          if (pending) await pending;
        } finally {
          this._waiting -= sizeOf(item);
        }
      }
    } finally {
      this._isDelivering = false;
      // After an exception of a handler, which is not caught here, the rest is delivered in the next turn.
      if (this._items.length > 0) this._schedule();
    }
    this._onEmpty();
  }
}

/** @param {Item} item */
function sizeOf(item) {
  return item.readings?.length ?? 1;
}

/** Run in the next frame of a visible page, else in the next task: a hidden page has no frames. @param {() => void} work */
function nextTurn(work) {
  if (typeof document !== "undefined" && !document.hidden) requestAnimationFrame(work);
  else setTimeout(work, 0);
}
