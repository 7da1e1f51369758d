/**
 * What a chart draws: history's columns, which live readings are added to. No DOM.
 *
 * Raw: a reading is a point. Buckets: a reading is averaged into its bucket, weighted with the number of readings
 * already in it, so the newest bucket is at all times the true average; buckets in which nothing was measured are
 * null, as in history.
 * @module series
 */

const HOUR_MS = 3_600_000;
/** So many empty buckets are filled in by hand; a longer silence is a matter for history. */
const MAX_EMPTY_BUCKETS = 1_000;

const MIN_GAP_MS = 5_000;

/**
 * The start of the bucket that holds `ms`. Steps below an hour count from the epoch, an hour follows the wall clock
 * of the zone (it begins at half past where the offset is a half hour). Longer steps are not known here.
 * @param {number} ms
 * @param {number} stepMs
 * @param {string} timeZone
 * @returns {number | null} null where only the server can tell
 */
export function bucketStart(ms, stepMs, timeZone) {
  if (stepMs < HOUR_MS) return ms - (ms % stepMs);
  if (stepMs > HOUR_MS) return null;
  const parts = wallClock(timeZone).formatToParts(ms);
  const [minute, second] = ["minute", "second"].map((type) => Number(parts.find((part) => part.type === type)?.value));
  return ms - (minute * 60 + second) * 1000 - (ms % 1000);
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const wallClocks = new Map();

/** @param {string} timeZone */
function wallClock(timeZone) {
  let format = wallClocks.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en", { timeZone, minute: "numeric", second: "numeric" });
    wallClocks.set(timeZone, format);
  }
  return format;
}

export class Series {
  /**
   * Takes over the columns of `history`.
   * @param {import("./history.js").History} history
   */
  constructor(history) {
    this.stepMs = history.stepMs;
    this.resolution = history.resolution;
    this.timeZone = history.timeZone;
    /** Epoch ms of the points, rising. */
    this.times = history.times;
    /** Time (ISO) of the newest reading that is in here. */
    this.through = history.cursor;
    this._columns = history.columns;
  }

  /** @param {string} name @returns {(number | null)[]} */
  column(name) {
    return this._columns.get(name)?.avg ?? [];
  }

  /** Points at which anything was measured. */
  get points() {
    const columns = [...this._columns.values()];
    return this.times.reduce((sum, _, index) => sum + Number(columns.some((column) => column.avg[index] !== null)), 0);
  }

  /** Epoch ms of the newest point at which anything was measured; null without one. @returns {number | null} */
  get newest() {
    const columns = [...this._columns.values()];
    for (let index = this.times.length - 1; index >= 0; index--) {
      if (columns.some((column) => column.avg[index] !== null)) return this.times[index];
    }
    return null;
  }

  /** A longer step from one point to the next is a gap; buckets show theirs as null. */
  get gapMs() {
    if (this.stepMs !== null || this.times.length < 3) return Number.POSITIVE_INFINITY;
    const steps = this.times.slice(1).map((time, index) => time - this.times[index]);
    return Math.max(MIN_GAP_MS, 4 * steps.sort((a, b) => a - b)[steps.length >> 1]);
  }

  /**
   * Add a reading that is newer than all before it.
   * @param {import("../wattstream-client/index.d.ts").Reading} reading
   * @returns {boolean} false where only history can tell where it belongs
   */
  append(reading) {
    const index = this.stepMs === null ? this._push(reading.ms) : this._bucket(reading.ms);
    if (index === null) return false;
    for (const [name, column] of this._columns) {
      const value = reading.values[name] ?? null;
      if (value === null) continue;
      const count = (column.count[index] += 1);
      const before = column.avg[index] ?? 0;
      column.avg[index] = before + (value - before) / count;
    }
    this.through = reading.time;
    return true;
  }

  /**
   * Forget the points before `fromMs`, so that hours of rolling take no more memory than the first view.
   * @param {number} fromMs
   */
  trim(fromMs) {
    const kept = this.times.findIndex((time) => time + (this.stepMs ?? 0) > fromMs);
    const excess = kept < 0 ? this.times.length : kept;
    if (excess === 0) return;
    this.times.splice(0, excess);
    for (const column of this._columns.values()) {
      column.avg.splice(0, excess);
      column.count.splice(0, excess);
    }
  }

  /** An empty point at the end. @param {number} ms @returns {number} its index */
  _push(ms) {
    for (const column of this._columns.values()) {
      column.avg.push(null);
      column.count.push(0);
    }
    return this.times.push(ms) - 1;
  }

  /** The bucket for a time, made where there is none yet. @param {number} ms @returns {number | null} its index */
  _bucket(ms) {
    const step = /** @type {number} */ (this.stepMs);
    const last = this.times.length - 1;
    // Nearly always: the newest bucket.
    if (last >= 0 && ms >= this.times[last] && ms < this.times[last] + step) return last;
    const start = bucketStart(ms, step, this.timeZone);
    if (start === null) return null;
    if (last < 0 || start > this.times[last]) {
      const empty = last < 0 ? 0 : Math.round((start - this.times[last]) / step) - 1;
      if (empty > MAX_EMPTY_BUCKETS) return null;
      for (let number = empty; number > 0; number--) this._push(start - number * step);
      return this._push(start);
    }
    const index = this.times.lastIndexOf(start);
    return index < 0 ? null : index;
  }
}
