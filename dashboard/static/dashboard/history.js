/**
 * GET /api/history as the charts need it: averages and, to go on from them, how many readings each one is made of.
 * @module history
 */

import { getJson } from "./api.js";

/** The ranges that can be chosen. @type {ReadonlyArray<{key: string, label: string, ms: number}>} */
export const RANGES = [
  { key: "10m", label: "10 min", ms: 10 * 60_000 },
  { key: "1h", label: "1 h", ms: 3_600_000 },
  { key: "6h", label: "6 h", ms: 6 * 3_600_000 },
  { key: "24h", label: "24 h", ms: 24 * 3_600_000 },
  { key: "7d", label: "7 d", ms: 7 * 24 * 3_600_000 },
  { key: "30d", label: "30 d", ms: 30 * 24 * 3_600_000 },
];

/**
 * @typedef {object} Column
 * @property {(number | null)[]} avg
 * @property {number[]} count readings behind each average
 */

/**
 * @typedef {object} History
 * @property {string} deviceId
 * @property {string} resolution "raw", or a step such as "5m"
 * @property {number | null} stepMs length of a bucket; null for raw
 * @property {string} timeZone IANA name
 * @property {number} endMs end of the window
 * @property {string | null} cursor where the live stream goes on; opaque
 * @property {number[]} times epoch ms: of the readings, or of the buckets' starts
 * @property {Map<string, Column>} columns by metric
 */

/**
 * @param {string} deviceId
 * @param {string} range a key of RANGES
 * @param {string[]} metrics
 * @param {AbortSignal} signal
 * @returns {Promise<History>}
 * @throws {import("./api.js").Problem}
 */
export async function loadHistory(deviceId, range, metrics, signal) {
  const query = new URLSearchParams({ range, agg: "avg,count", metrics: metrics.join(",") });
  const answer = await getJson(`/api/history/${encodeURIComponent(deviceId)}?${query}`, { signal });
  const isRaw = answer.resolution === "raw";
  return {
    deviceId,
    resolution: answer.resolution,
    stepMs: isRaw ? null : answer.resolution_seconds * 1000,
    timeZone: answer.tz,
    endMs: Date.parse(answer.end),
    cursor: answer.cursor,
    times: answer.time,
    columns: new Map(metrics.map((name) => [name, answer.metrics[name]])),
  };
}
