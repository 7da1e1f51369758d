/**
 * Loads history for the charts: averages, minimums, maximums and counts. Counts are the weights with which live readings
 * are averaged in.
 * @module history
 */

import { getJson, postJson } from "../lib/api.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const AGGREGATES = ["avg", "min", "max", "count"];
/** Nominal length of a month, whose buckets have no fixed length. */
const MONTH_MS = 30.44 * DAY_MS;

/** The ranges that can be chosen. All of them end now. @type {ReadonlyArray<{key: string, label: string, ms: number}>} */
export const RANGES = [
  { key: "10m", label: "10 min", ms: HOUR_MS / 6 },
  { key: "1h", label: "1 h", ms: HOUR_MS },
  { key: "6h", label: "6 h", ms: 6 * HOUR_MS },
  { key: "24h", label: "24 h", ms: DAY_MS },
  { key: "7d", label: "7 d", ms: 7 * DAY_MS },
  { key: "30d", label: "30 d", ms: 30 * DAY_MS },
  { key: "1y", label: "1 y", ms: 365 * DAY_MS },
];

/**
 * @typedef {{range: string} | {start: string, end: string}} Span parameters of the API: a range that ends now, or two
 *   times, each in epoch ms or as a local time of the device
 *
 * @typedef {object} History of one device
 * @property {string} deviceId
 * @property {string} resolution "raw", or the length of a bucket such as "5m"
 * @property {number | null} stepMs nominal length of a bucket; null for raw readings
 * @property {number} reachMs how far apart two readings may be to belong to one line
 * @property {string} timeZone IANA name
 * @property {number} startMs start of the window, epoch ms; rounded to whole buckets, except for raw readings
 * @property {number} endMs end of the window, likewise
 * @property {string | null} cursor opaque; the live stream continues from it
 * @property {number[]} times epoch ms, ascending: of the readings, or of the starts of the buckets
 * @property {Map<string, Api.HistoryColumn>} columns by metric
 */

/**
 * Load history in one request for any number of devices.
 * @param {string[]} deviceIds at least one
 * @param {Span} span
 * @param {string[]} metrics
 * @param {AbortSignal} signal
 * @returns {Promise<History[]>} in the order of `deviceIds`
 * @throws {import("../lib/api.js").Problem}
 */
export async function loadHistories(deviceIds, span, metrics, signal) {
  if (deviceIds.length > 1) {
    const body = { devices: deviceIds, metrics, agg: AGGREGATES, ...span };
    /** @type {Api.HistoryQuery} */
    const { devices, ...shared } = await postJson("/api/history/query", { body, signal });
    return devices.map((own) => historyOf(/** @type {Api.History} */ ({ ...shared, ...own }), metrics));
  }
  const query = new URLSearchParams({ ...span, agg: AGGREGATES.join(), metrics: metrics.join() });
  return [historyOf(await getJson(`/api/history/${encodeURIComponent(deviceIds[0])}?${query}`, { signal }), metrics)];
}

/** @param {Api.History} answer @param {string[]} metrics @returns {History} */
function historyOf(answer, metrics) {
  const isRaw = answer.resolution === "raw";
  return {
    deviceId: answer.device_id,
    resolution: answer.resolution,
    stepMs: isRaw ? null : answer.resolution_seconds * 1000 || MONTH_MS,
    reachMs: answer.reach_s * 1000,
    timeZone: answer.tz,
    startMs: Date.parse(answer.start),
    endMs: Date.parse(answer.end),
    cursor: answer.cursor,
    times: answer.time,
    columns: new Map(metrics.map((name) => [name, answer.metrics[name]])),
  };
}
