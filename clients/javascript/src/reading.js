/**
 * Readings as the frames carry them.
 * @module reading
 */

/** @typedef {import("./index.d.ts").Reading} Reading */

/** @param {string} time @param {Record<string, number | null>} values @returns {Reading} */
export function readingOf(time, values) {
  return { time, ms: Date.parse(time), values };
}

/** @param {string[]} columns the first is "time" @param {any[]} row @returns {Reading} */
export function readingOfRow(columns, row) {
  return readingOf(row[0], Object.fromEntries(columns.slice(1).map((name, index) => [name, row[index + 1]])));
}

/**
 * Whether a time is later than another, to the microsecond, which Date does not have: they differ in nothing but how
 * many digits (three or six) the fraction has.
 * @param {string} time
 * @param {string} other "" is before all
 */
export function isAfter(time, other) {
  return time.slice(0, -1) > other.slice(0, -1);
}
