/**
 * History as the charts need it: averages, extremes and, to go on from them, how many readings each one is made of.
 * @module history
 */

import { getJson, postJson } from "./api.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const AGGREGATES = ["avg", "min", "max", "count"];
/** What a bucket is called long, where the answer does not say. */
const MONTH_MS = 30.44 * DAY_MS;

/** The ranges that can be chosen. @type {ReadonlyArray<{key: string, label: string, ms: number}>} */
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
 * @typedef {object} Column
 * @property {(number | null)[]} avg
 * @property {(number | null)[]} min
 * @property {(number | null)[]} max
 * @property {number[]} count readings behind each average
 *
 * @typedef {object} History of one device
 * @property {string} deviceId
 * @property {string} resolution "raw", or a step such as "5m"
 * @property {number | null} stepMs nominal length of a bucket; null for raw
 * @property {string} timeZone IANA name
 * @property {number} startMs @property {number} endMs of the window: whole buckets, except for raw
 * @property {string | null} cursor where the live stream goes on; opaque
 * @property {number[]} times epoch ms: of the readings, or of the buckets' starts
 * @property {Map<string, Column>} columns by metric
 */

/**
 * One request, however many devices.
 * @param {string[]} deviceIds
 * @param {Record<string, string>} span `range`, or `start` and `end`
 * @param {string[]} metrics
 * @param {AbortSignal} signal
 * @returns {Promise<History[]>} in the order of `deviceIds`
 * @throws {import("./api.js").Problem}
 */
export async function loadHistories(deviceIds, span, metrics, signal) {
  if (deviceIds.length > 1) {
    const body = { devices: deviceIds, metrics, agg: AGGREGATES, ...span };
    const answer = await postJson("/api/history/query", { body, signal });
    return answer.devices.map((/** @type {any} */ one) => historyOf({ ...answer, ...one }, metrics));
  }
  const query = new URLSearchParams({ ...span, agg: AGGREGATES.join(), metrics: metrics.join() });
  return [historyOf(await getJson(`/api/history/${encodeURIComponent(deviceIds[0])}?${query}`, { signal }), metrics)];
}

/** @param {any} answer @param {string[]} metrics @returns {History} */
function historyOf(answer, metrics) {
  const isRaw = answer.resolution === "raw";
  return {
    deviceId: answer.device_id,
    resolution: answer.resolution,
    stepMs: isRaw ? null : answer.resolution_seconds * 1000 || MONTH_MS,
    timeZone: answer.tz,
    startMs: Date.parse(answer.start),
    endMs: Date.parse(answer.end),
    cursor: answer.cursor,
    times: answer.time,
    columns: new Map(metrics.map((name) => [name, answer.metrics[name]])),
  };
}
