/**
 * How long to wait before the next attempt.
 * @module backoff
 */

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/**
 * Doubling, and anywhere between half and all of it, so that the clients of a server that restarted do not all come
 * back in the same instant.
 * @param {number} failures in a row, before this one
 */
export function backoffMs(failures) {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.5 + Math.random() / 2);
}
