/**
 * Readings in frames.
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
 * Whether a time is later than another, to the microsecond. Date has only milliseconds, so the texts are compared: they
 * have the same format, except that the fraction has three or six digits.
 * @param {string} time
 * @param {string} other "" is earlier than all times
 */
export function isAfter(time, other) {
  return time.slice(0, -1) > other.slice(0, -1);
}
