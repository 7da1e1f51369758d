/**
 * What a chart draws of one device: history's columns, which live readings are added to. No DOM.
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

/** @typedef {"avg" | "min" | "max"} Aggregate */

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
  const known =
    wallClocks.get(timeZone) ?? new Intl.DateTimeFormat("en", { timeZone, minute: "numeric", second: "numeric" });
  wallClocks.set(timeZone, known);
  return known;
}

export class Series {
  /**
   * Takes over the columns of `history`.
   * @param {import("./history.js").History} history
   * @param {number} [untilMs] readings from then on are not of this view; without it the view goes on
   */
  constructor(history, untilMs = Number.POSITIVE_INFINITY) {
    this.stepMs = history.stepMs;
    this.resolution = history.resolution;
    this.timeZone = history.timeZone;
    /** Epoch ms of the points, rising. */
    this.times = history.times;
    /** Time (ISO) of the newest reading that is in here, or that the view has no place for. */
    this.through = history.cursor;
    this._columns = history.columns;
    this._untilMs = untilMs;
    this._endMs = history.endMs; // of the newest bucket, which the calendar may make longer or shorter than the step
  }

  /** Points at which anything was measured. */
  get points() {
    return this.times.reduce((sum, _, index) => sum + Number(this._isMeasured(index)), 0);
  }

  /** Epoch ms of the newest point at which anything was measured; null without one. @returns {number | null} */
  get newest() {
    for (let index = this.times.length - 1; index >= 0; index--) {
      if (this._isMeasured(index)) return this.times[index];
    }
    return null;
  }

  /** In raw readings a longer step from one to the next is a gap; buckets show theirs as null. */
  get gapMs() {
    if (this.stepMs !== null || this.times.length < 3) return Number.POSITIVE_INFINITY;
    const steps = this.times.slice(1).map((time, index) => time - this.times[index]);
    return Math.max(MIN_GAP_MS, 4 * steps.sort((a, b) => a - b)[steps.length >> 1]);
  }

  /** @param {string} name @param {Aggregate} [aggregate] @returns {(number | null)[]} */
  column(name, aggregate = "avg") {
    return this._columns.get(name)?.[aggregate] ?? [];
  }

  /**
   * For drawing: the times, then the columns asked for. Every gap has a null in it.
   * @param {[string, Aggregate][]} wanted
   * @returns {[number[], ...(number | null)[][]]}
   */
  table(wanted) {
    const columns = wanted.map(([name, aggregate]) => this.column(name, aggregate));
    const { gapMs, times } = this;
    const ends = Number.isFinite(gapMs) ? times.flatMap((time, i) => (times[i + 1] - time > gapMs ? [i] : [])) : [];
    if (ends.length === 0) return [times, ...columns];
    const widened = (/** @type {any[]} */ list, /** @type {(index: number) => any} */ between) => {
      const pieces = [0, ...ends.map((end) => end + 1)].map((start, i) =>
        list.slice(start, (ends[i] ?? list.length) + 1),
      );
      return pieces.flatMap((piece, i) => (i < ends.length ? [...piece, between(ends[i])] : piece));
    };
    return [widened(times, (end) => times[end] + 1), ...columns.map((column) => widened(column, () => null))];
  }

  /**
   * Add a reading that is newer than all before it.
   * @param {import("../wattstream-client/index.d.ts").Reading} reading
   * @returns {boolean} false where only history can tell where it belongs
   */
  append(reading) {
    this.through = reading.time;
    if (reading.ms >= this._untilMs) return true;
    const index = this.stepMs === null ? this._push(reading.ms) : this._bucket(reading.ms);
    if (index === null) return false;
    for (const [name, column] of this._columns) {
      const value = reading.values[name] ?? null;
      if (value === null) continue;
      const count = (column.count[index] += 1);
      const before = column.avg[index] ?? 0;
      column.avg[index] = before + (value - before) / count;
      column.min[index] = Math.min(column.min[index] ?? value, value);
      column.max[index] = Math.max(column.max[index] ?? value, value);
    }
    return true;
  }

  /**
   * Forget the points before `fromMs`, so that hours of rolling take no more memory than the first view.
   * @param {number} fromMs
   */
  trim(fromMs) {
    const ends = (/** @type {number} */ index) =>
      this.stepMs === null ? this.times[index] + 1 : (this.times[index + 1] ?? this._endMs);
    let excess = 0;
    while (excess < this.times.length && ends(excess) <= fromMs) excess++;
    if (excess === 0) return;
    this.times.splice(0, excess);
    for (const column of this._columns.values())
      for (const list of Object.values(column)) {
        if (Array.isArray(list)) list.splice(0, excess);
      }
  }

  /** @param {number} index */
  _isMeasured(index) {
    for (const column of this._columns.values()) if (column.avg[index] !== null) return true;
    return false;
  }

  /** An empty point at the end. @param {number} ms @returns {number} its index */
  _push(ms) {
    for (const column of this._columns.values()) {
      column.avg.push(null);
      column.min.push(null);
      column.max.push(null);
      column.count.push(0);
    }
    return this.times.push(ms) - 1;
  }

  /** The bucket for a time, made where there is none yet. @param {number} ms @returns {number | null} its index */
  _bucket(ms) {
    if (ms < this._endMs) {
      let index = this.times.length - 1;
      while (index >= 0 && this.times[index] > ms) index--;
      return index < 0 ? null : index;
    }
    const step = /** @type {number} */ (this.stepMs);
    const start = bucketStart(ms, step, this.timeZone);
    if (start === null) return null;
    const empty = Math.round((start - this._endMs) / step);
    if (empty > MAX_EMPTY_BUCKETS) return null;
    for (let number = empty; number > 0; number--) this._push(start - number * step);
    this._endMs = start + step;
    return this._push(start);
  }
}
