/**
 * Readings and events on their way to the handlers: in order, many at a time, never more than a bounded number waiting.
 * @module handover
 */

/**
 * @typedef {object} Item
 * @property {object} subject whose it is; readings that follow those of the same subject are joined to them
 * @property {import("./index.d.ts").Reading[]} [readings]
 * @property {() => void | Promise<void>} deliver
 */

/**
 * They are handed over once a frame, or at once where `max` are waiting. Handlers that return a promise are waited for.
 */
export class HandOver {
  /**
   * @param {number} max readings and events
   * @param {() => void} onEmpty nothing is waiting any more
   */
  constructor(max, onEmpty) {
    this._max = max;
    this._onEmpty = onEmpty;
    /** @type {Item[]} */
    this._items = [];
    this._waiting = 0;
    this._isGiving = false;
    this._isPlanned = false;
  }

  /** As many are waiting as may: whatever comes has to be stopped. */
  get isFull() {
    return this._waiting >= this._max;
  }

  /** @param {Item} item */
  add(item) {
    const last = this._items[this._items.length - 1];
    if (item.readings && last?.readings && last.subject === item.subject) last.readings.push(...item.readings);
    else this._items.push(item);
    this._waiting += sizeOf(item);
    if (this.isFull) this._handOver();
    else this._plan();
  }

  _plan() {
    if (this._isPlanned || this._isGiving) return;
    this._isPlanned = true;
    nextTurn(() => {
      this._isPlanned = false;
      this._handOver();
    });
  }

  async _handOver() {
    if (this._isGiving) return;
    this._isGiving = true;
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
      this._isGiving = false;
      // A handler threw, which is for its author to hear of: the rest is not lost by it.
      if (this._items.length > 0) this._plan();
    }
    this._onEmpty();
  }
}

/** @param {Item} item */
function sizeOf(item) {
  return item.readings?.length ?? 1;
}

/** The next frame where somebody looks at the page; a hidden page has none. @param {() => void} work */
function nextTurn(work) {
  if (typeof document !== "undefined" && !document.hidden) requestAnimationFrame(work);
  else setTimeout(work, 0);
}
