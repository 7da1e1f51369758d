import assert from "node:assert/strict";
import { test } from "node:test";

import { Series, bucketStart } from "../../dashboard/static/dashboard/chart/series.js";

const HOUR_MS = 3_600_000;

/** @param {Partial<import("../../dashboard/static/dashboard/chart/history.js").History>} changes @param {Partial<Api.HistoryColumn>} load */
function history(changes, load) {
  const column = { avg: [], min: [], max: [], count: [], ...load };
  return {
    deviceId: "ems_001",
    resolution: "5s",
    stepMs: 5_000,
    reachMs: 60_000,
    timeZone: "UTC",
    startMs: 0,
    endMs: 10_000,
    cursor: null,
    times: [0, 5_000],
    columns: new Map([["load_power", column]]),
    ...changes,
  };
}

/** @param {number} ms @param {number | null} load @param {string} [time] */
function reading(ms, load, time = "") {
  return { ms, time, values: { load_power: load } };
}

for (const [at, stepMs, zone, start] of /** @type {[string, number, string, string][]} */ ([
  ["2026-11-23T10:07:33.250Z", 5_000, "UTC", "2026-11-23T10:07:30.000Z"],
  ["2026-11-23T10:07:33.250Z", 900_000, "Asia/Kolkata", "2026-11-23T10:00:00.000Z"],
  ["2026-11-23T10:07:33.250Z", HOUR_MS, "Europe/Berlin", "2026-11-23T10:00:00.000Z"],
  ["2026-11-23T10:07:33.250Z", HOUR_MS, "Asia/Kolkata", "2026-11-23T09:30:00.000Z"],
  ["2026-11-23T10:47:33.250Z", HOUR_MS, "Asia/Kathmandu", "2026-11-23T10:15:00.000Z"],
  ["2026-10-25T01:30:00.000Z", HOUR_MS, "Europe/Berlin", "2026-10-25T01:00:00.000Z"],
]))
  test(`the bucket of ${stepMs} ms that contains ${at} in ${zone} starts at ${start}`, () => {
    assert.equal(new Date(bucketStart(Date.parse(at), stepMs, zone) ?? Number.NaN).toISOString(), start);
  });

test("the start of a bucket longer than an hour is unknown", () => {
  assert.equal(bucketStart(0, 24 * HOUR_MS, "UTC"), null);
});

test("a reading is averaged into its bucket with its weight", () => {
  const series = new Series(history({}, { avg: [10, 100], min: [10, 90], max: [10, 110], count: [5, 4] }));
  series.append(reading(9_900, 200, "a"));
  series.append(reading(9_950, null, "b"));
  series.append(reading(21_000, 7, "c"));
  assert.deepEqual(series.times, [0, 5_000, 10_000, 15_000, 20_000]);
  assert.deepEqual(series.column("load_power"), [10, 120, null, null, 7]);
  assert.deepEqual(series.column("load_power", "min"), [10, 90, null, null, 7]);
  assert.deepEqual(series.column("load_power", "max"), [10, 200, null, null, 7]);
  assert.deepEqual([series.points, series.newest, series.through], [3, 20_000, "c"]);
});

test("a late device fills the bucket before the newest", () => {
  const series = new Series(history({}, { avg: [10, null], min: [10, null], max: [10, null], count: [1, 0] }));
  series.append(reading(4_000, 20));
  assert.deepEqual(series.column("load_power"), [15, null]);
});

test("history has to place a reading before the first bucket or after a long silence", () => {
  const late = new Series(history({ times: [5_000] }, { avg: [1], min: [1], max: [1], count: [1] }));
  assert.equal(late.append(reading(4_000, 20)), false);
  assert.equal(late.append(reading(10 * HOUR_MS, 20)), false);
});

for (const [stepMs, longest] of /** @type {[number | null, number][]} */ ([
  [null, 601],
  [5_000, 122],
]))
  test(`three hours of readings in steps of ${stepMs} leave no more points than the window`, () => {
    const series = new Series(history({ stepMs, endMs: 0, times: [] }, {}));
    let most = 0;
    for (let ms = 0; ms < 3 * HOUR_MS; ms += 1000) {
      series.append(reading(ms, 1));
      series.trim(ms - 600_000);
      most = Math.max(most, series.times.length);
    }
    assert.ok(most <= longest, `${most} points`);
    for (const aggregate of /** @type {const} */ (["avg", "min", "max"])) {
      assert.equal(series.column("load_power", aggregate).length, series.times.length);
    }
  });

test("a silence between raw readings is a gap", () => {
  const times = [0, 1_000, 61_000, 121_001];
  const series = new Series(history({ stepMs: null, times }, { avg: [1, 2, 3, 4] }));
  assert.equal(series.gapMs, 60_000);
  const table = series.table([{ metric: "load_power", aggregate: "avg" }]);
  assert.deepEqual(table, [
    [0, 1_000, 61_000, 61_001, 121_001],
    [1, 2, 3, null, 4],
  ]);
});

test("a table of buckets or of an unknown metric has no gaps", () => {
  const series = new Series(history({}, { avg: [1, 2] }));
  assert.equal(series.gapMs, Number.POSITIVE_INFINITY);
  assert.deepEqual(series.table([{ metric: "load_power", aggregate: "avg" }]), [
    [0, 5_000],
    [1, 2],
  ]);
  assert.deepEqual(series.column("unknown"), []);
});

test("the last bucket ends when the server says: a day may have 25 hours", () => {
  const day = { stepMs: 24 * HOUR_MS, endMs: 25 * HOUR_MS, resolution: "1d", times: [0] };
  const series = new Series(history(day, { avg: [10], min: [10], max: [10], count: [1] }));
  assert.equal(series.append(reading(24.5 * HOUR_MS, 30)), true);
  assert.deepEqual(series.column("load_power"), [20]);
  assert.equal(series.append(reading(25 * HOUR_MS, 30)), false);
});

test("a fixed window ignores later readings", () => {
  const series = new Series(history({ endMs: 5_000, times: [0] }, { avg: [10], count: [1] }), 5_000);
  assert.equal(series.append(reading(5_000, 7, "a")), true);
  assert.deepEqual([series.times, series.through], [[0], "a"]);
});
