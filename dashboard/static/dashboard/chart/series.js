/**
 * The points of one device: the columns of history, to which live readings are appended. Pure: no DOM.
 *
 * Raw history: a reading is a point. Buckets: a reading is averaged into its bucket with the weight of the readings that
 * the bucket already contains, so the newest bucket is always the true average. A bucket without a measurement is null,
 * as in history.
 * @module series
 */

const HOUR_MS = 3_600_000;
/** After a longer silence, history has to be loaded again instead of filling in empty buckets. */
const MAX_EMPTY_BUCKETS = 1_000;

/** @typedef {"avg" | "min" | "max"} Aggregate */

/**
 * The start of the bucket that contains `ms`. Buckets shorter than an hour are aligned to the epoch. A bucket of an hour
 * is aligned to the wall clock, which differs where the offset of the zone is not a whole hour.
 * @param {number} ms epoch ms
 * @param {number} stepMs length of a bucket
 * @param {string} timeZone IANA name
 * @returns {number | null} epoch ms; null for longer buckets, whose start only the server knows
 */
export function bucketStart(ms, stepMs, timeZone) {
  if (stepMs < HOUR_MS) return ms - (ms % stepMs);
  if (stepMs > HOUR_MS) return null;
  const parts = wallClock(timeZone).formatToParts(ms);
  const [minute, second] = ["minute", "second"].map((type) => Number(parts.find((part) => part.type === type)?.value));
  return ms - (minute * 60 + second) * 1000 - (ms % 1000);
}

/** @type {Map<string, Intl.DateTimeFormat>} cached, because creating a formatter is slow */
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
   * Takes over the arrays of `history` without copying them.
   * @param {import("./history.js").History} history
   * @param {number} [untilMs] end of a fixed window: later readings are ignored. Without it the series keeps growing
   */
  constructor(history, untilMs = Number.POSITIVE_INFINITY) {
    this.stepMs = history.stepMs;
    this.resolution = history.resolution;
    this.timeZone = history.timeZone;
    /** Epoch ms of the points, ascending. */
    this.times = history.times;
    /** Time (ISO) of the newest reading that was appended or ignored. */
    this.through = history.cursor;
    this._columns = history.columns;
    this._reachMs = history.reachMs;
    this._untilMs = untilMs;
    this._endMs = history.endMs; // of the newest bucket, which may be longer or shorter than a step (clock changes)
  }

  /** The number of points with at least one measurement. */
  get points() {
    return this.times.reduce((sum, _, index) => sum + Number(this._isMeasured(index)), 0);
  }

  /** Epoch ms of the newest point with a measurement; null if there is none. @returns {number | null} */
  get newest() {
    for (let index = this.times.length - 1; index >= 0; index--) {
      if (this._isMeasured(index)) return this.times[index];
    }
    return null;
  }

  /** A longer distance between two raw readings is a gap. Infinite for buckets, whose gaps are nulls. */
  get gapMs() {
    return this.stepMs === null ? this._reachMs : Number.POSITIVE_INFINITY;
  }

  /** @param {string} name @param {Aggregate} [aggregate] @returns {(number | null)[]} empty for an unknown metric */
  column(name, aggregate = "avg") {
    return this._columns.get(name)?.[aggregate] ?? [];
  }

  /**
   * The times and the requested columns, with a null in every gap, so that no line crosses it.
   * @param {{metric: string, aggregate: Aggregate}[]} wanted
   * @returns {[number[], ...(number | null)[][]]}
   */
  table(wanted) {
    const columns = wanted.map(({ metric, aggregate }) => this.column(metric, aggregate));
    const { gapMs, times } = this;
    const ends = Number.isFinite(gapMs) ? times.flatMap((time, i) => (times[i + 1] - time > gapMs ? [i] : [])) : [];
    if (ends.length === 0) return [times, ...columns];
    const gapTimes = ends.map((end) => times[end] + 1);
    const nulls = ends.map(() => null);
    return [withGaps(times, ends, gapTimes), ...columns.map((column) => withGaps(column, ends, nulls))];
  }

  /**
   * Append a reading that is newer than all others.
   * @param {import("wattstream-client").Reading} reading
   * @returns {boolean} false if only history can tell which bucket the reading belongs to
   */
  append(reading) {
    this.through = reading.time;
    if (reading.ms >= this._untilMs) return true;
    const index = this.stepMs === null ? this._push(reading.ms) : this._bucket(reading.ms, this.stepMs);
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

  /** Drop the points that end before `fromMs`, so that memory does not grow with time. @param {number} fromMs */
  trim(fromMs) {
    const ends = (/** @type {number} */ index) =>
      this.stepMs === null ? this.times[index] + 1 : (this.times[index + 1] ?? this._endMs);
    let excess = 0;
    while (excess < this.times.length && ends(excess) <= fromMs) excess++;
    if (excess === 0) return;
    this.times.splice(0, excess);
    for (const { avg, min, max, count } of this._columns.values()) {
      for (const list of [avg, min, max, count]) list.splice(0, excess);
    }
  }

  /** @param {number} index */
  _isMeasured(index) {
    for (const column of this._columns.values()) if (column.avg[index] !== null) return true;
    return false;
  }

  /** Append an empty point. @param {number} ms @returns {number} its index */
  _push(ms) {
    for (const column of this._columns.values()) {
      column.avg.push(null);
      column.min.push(null);
      column.max.push(null);
      column.count.push(0);
    }
    return this.times.push(ms) - 1;
  }

  /**
   * Find the bucket of a time, or append it and the empty buckets before it.
   * @param {number} ms @param {number} stepMs
   * @returns {number | null} its index; null if only history can tell
   */
  _bucket(ms, stepMs) {
    if (ms < this._endMs) {
      const index = this.times.findLastIndex((start) => start <= ms);
      return index < 0 ? null : index;
    }
    const start = bucketStart(ms, stepMs, this.timeZone);
    if (start === null) return null;
    const empty = Math.round((start - this._endMs) / stepMs);
    if (empty > MAX_EMPTY_BUCKETS) return null;
    for (let number = empty; number > 0; number--) this._push(start - number * stepMs);
    this._endMs = start + stepMs;
    return this._push(start);
  }
}

/**
 * Insert a value after each of the given indexes.
 * @template Value
 * @param {Value[]} list
 * @param {number[]} ends ascending indexes into `list`
 * @param {Value[]} between one value per index
 * @returns {Value[]}
 */
function withGaps(list, ends, between) {
  const pieces = [0, ...ends.map((end) => end + 1)].map((start, i) => list.slice(start, (ends[i] ?? list.length) + 1));
  return pieces.flatMap((piece, i) => (i < ends.length ? [...piece, between[i]] : piece));
}
