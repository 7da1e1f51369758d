import assert from "node:assert/strict";
import { test } from "node:test";

import { View } from "../../dashboard/static/dashboard/chart/view.js";

/** Raw history of one metric, a reading per second. @param {string} deviceId @param {number} count */
function history(deviceId, count) {
  const times = Array.from({ length: count }, (_, second) => second * 1000);
  const list = times.map(() => 1);
  const column = { avg: [...list], min: [...list], max: [...list], count: [...list] };
  return {
    deviceId,
    resolution: "raw",
    stepMs: null,
    reachMs: 60_000,
    timeZone: "Europe/Berlin",
    startMs: 0,
    endMs: 60_000,
    cursor: "c",
    times,
    columns: new Map([["load_power", column]]),
  };
}

/** @param {number} ms */
function reading(ms) {
  return { ms, time: new Date(ms).toISOString(), values: { load_power: 5 } };
}

test("a range ends now, and drops readings that leave it", () => {
  const view = new View([history("a", 3)], { ms: 10_000 }, { range: "10s" }, ["load_power"]);
  assert.deepEqual(view.window(50_000), [40_000, 50_000]);
  assert.equal(view.append("a", [reading(11_500)]), true);
  assert.deepEqual(view.series[0].times, [2_000, 11_500]);
  assert.equal(view.through, "1970-01-01T00:00:11.500Z");
});

test("a fixed window is the one that was requested", () => {
  const view = new View([history("a", 3)], null, { start: "500", end: "1500" }, ["load_power"]);
  assert.deepEqual(view.window(50_000), [500, 1_500]);
});

test("local times are resolved by the server", () => {
  const span = { start: "1970-01-01T01:00", end: "1970-01-01T01:01" };
  const view = new View([history("a", 3)], null, span, ["load_power"]);
  assert.deepEqual(view.window(50_000), [0, 60_000]);
});

test("a fixed window takes no readings after its end", () => {
  const view = new View([history("a", 3)], null, { start: "0", end: "60000" }, ["load_power"]);
  assert.equal(view.append("a", [reading(60_000)]), true);
  assert.equal(view.series[0].times.length, 3);
});

test("a broken view appends nothing", () => {
  const view = new View([history("a", 3)], { ms: 10_000 }, { range: "10s" }, ["load_power"]);
  view.isBroken = true;
  assert.equal(view.append("a", [reading(11_500)]), true);
  assert.equal(view.series[0].times.length, 3);
});

test("readings belong to their device", () => {
  const view = new View([history("a", 3), history("b", 0)], { ms: 60_000 }, { range: "1m" }, ["load_power"]);
  assert.equal(view.isEmpty, false);
  view.append("b", [reading(4_000)]);
  assert.deepEqual(
    view.series.map((series) => series.times.length),
    [3, 1],
  );
  assert.deepEqual(view.cursors, [
    { deviceId: "a", cursor: "c" },
    { deviceId: "b", cursor: "c" },
  ]);
});

test("a view without measurements is empty, and one with many raw readings is too fine", () => {
  const empty = new View([history("a", 0)], { ms: 10_000 }, { range: "10s" }, ["load_power"]);
  assert.deepEqual([empty.isEmpty, empty.isTooFine], [true, false]);
  const fine = new View([history("a", 1_501)], { ms: 10_000 }, { range: "10s" }, ["load_power"]);
  assert.deepEqual([fine.isEmpty, fine.isTooFine], [false, true]);
});

test("rows have the aggregates of each metric per device and time", () => {
  const view = new View([history("a", 1), history("b", 2)], null, { start: "0", end: "60000" }, ["load_power"]);
  assert.deepEqual(view.rows(), [
    ["time", "device_id", "load_power_avg", "load_power_min", "load_power_max"],
    ["1970-01-01T00:00:00.000Z", "a", 1, 1, 1],
    ["1970-01-01T00:00:00.000Z", "b", 1, 1, 1],
    ["1970-01-01T00:00:01.000Z", "b", 1, 1, 1],
  ]);
});
