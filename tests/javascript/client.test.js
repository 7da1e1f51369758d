import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";

import { backoffMs } from "../../clients/javascript/src/backoff.js";
import { HandOver } from "../../clients/javascript/src/handover.js";
import { isAfter, readingOfRow } from "../../clients/javascript/src/reading.js";
import { Requests } from "../../clients/javascript/src/requests.js";

test("each retry waits longer, and no two clients wait equally long", () => {
  for (const failures of [0, 1, 2, 3]) {
    const wait = backoffMs(failures);
    assert.ok(500 * 2 ** failures <= wait && wait <= 1000 * 2 ** failures, `${failures}: ${wait}`);
  }
  const waits = [backoffMs(10), backoffMs(20)];
  assert.ok(waits.every((wait) => 15_000 <= wait && wait <= 30_000));
  assert.notEqual(waits[0], waits[1]);
});

test("times are compared to the microsecond", () => {
  const later = "2026-11-23T10:00:00.123001Z";
  assert.equal(isAfter(later, "2026-11-23T10:00:00.123Z"), true);
  assert.equal(isAfter("2026-11-23T10:00:00.123Z", later), false);
  assert.equal(isAfter(later, later), false);
  assert.equal(isAfter(later, ""), true);
});

test("a row of a backlog is a reading", () => {
  const reading = readingOfRow(["time", "a", "b"], ["1970-01-01T00:00:01.000Z", 1, null]);
  assert.deepEqual(reading, { time: "1970-01-01T00:00:01.000Z", ms: 1000, values: { a: 1, b: null } });
});

/** @param {string} deviceId @param {{metrics?: string[]}} [more] */
function subscription(deviceId, more = {}) {
  return { deviceId, more, since: null, newest: "", given: null, request: 0, ping: 0, isCurrent: false };
}

test("requests of the same turn share a frame per set of options", async () => {
  /** @type {any[]} */
  const frames = [];
  const requests = new Requests((frame) => frames.push(frame));
  requests.follow([subscription("a"), subscription("b"), subscription("c", { metrics: ["grid_power"] })]);
  requests.leave("d");
  assert.deepEqual(frames, []);
  await setImmediate();
  assert.deepEqual(
    frames.map(({ type, devices, metrics }) => [type, devices, metrics]),
    [
      ["unsubscribe", ["d"], undefined],
      ["subscribe", ["a", "b"], undefined],
      ["subscribe", ["c"], ["grid_power"]],
    ],
  );
});

test("the last request for a device in a turn replaces the earlier ones", async () => {
  /** @type {any[]} */
  const frames = [];
  const requests = new Requests((frame) => frames.push(frame));
  requests.follow([subscription("a")]);
  requests.leave("a");
  await setImmediate();
  assert.deepEqual(frames, [{ type: "unsubscribe", devices: ["a"] }]);
});

/** @param {number} ms */
function reading(ms) {
  return { time: new Date(ms).toISOString(), ms, values: {} };
}

test("consecutive readings of a subject are delivered together, in order with other events", async () => {
  /** @type {string[]} */
  const delivered = [];
  await new Promise((resolve) => {
    const handOver = new HandOver(100, () => resolve(undefined));
    const subject = {};
    const readings = [reading(1)];
    handOver.add({ subject, readings, deliver: () => void delivered.push(`${readings.length} readings`) });
    handOver.add({ subject, readings: [reading(2)], deliver: () => assert.fail("joined to the first") });
    handOver.add({ subject, deliver: () => void delivered.push("gap") });
  });
  assert.deepEqual(delivered, ["2 readings", "gap"]);
});

test("a full queue is delivered at once, and waits for a handler that returns a promise", async () => {
  let release = () => {};
  /** @type {Promise<void>} */
  const gate = new Promise((resolve) => (release = resolve));
  /** @type {string[]} */
  const delivered = [];
  const handOver = new HandOver(2, () => void delivered.push("empty"));
  handOver.add({ subject: {}, deliver: () => gate });
  handOver.add({ subject: {}, deliver: () => void delivered.push("second") });
  assert.equal(handOver.isFull, true);
  assert.deepEqual(delivered, []);
  release();
  await setImmediate();
  assert.deepEqual([delivered, handOver.isFull], [["second", "empty"], false]);
});
