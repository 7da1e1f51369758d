/**
 * The delay before a retry.
 * @module backoff
 */

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/**
 * The delay doubles with each failure, from 1 s to 30 s. A random half of it is left out, so that the clients of a
 * restarted server do not all reconnect at the same time.
 * @param {number} failures in a row, before this one
 * @returns {number} ms
 */
export function backoffMs(failures) {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.5 + Math.random() / 2);
}
