import assert from "node:assert/strict";
import { test } from "node:test";

import { Choice, MAX_DEVICES } from "../../dashboard/static/dashboard/pages/dashboard/choice.js";

test("an empty fragment is the last day of no device", () => {
  const choice = new Choice("");
  assert.deepEqual([choice.deviceIds, choice.range?.key, choice.metrics, choice.fragment], [[], "24h", null, ""]);
});

for (const fragment of [
  "device=a&range=1h",
  "device=a&with=b,c&range=7d",
  "device=a&start=1000&end=7000&metrics=grid_power,battery_soc",
  "device=a&start=2026-10-26T00:00&end=2026-10-27T00:00",
])
  test(`${fragment} is restored`, () => assert.equal(new Choice(fragment).fragment, fragment));

test("an unknown range is replaced by the last day", () => {
  assert.equal(new Choice("device=a&range=nonsense").range?.key, "24h");
});

test("a fixed window has no range", () => {
  assert.equal(new Choice("device=a&start=1000&end=7000").range, null);
});

test("devices that are not offered are dropped", () => {
  const choice = new Choice("device=gone&with=b,c,gone");
  choice.limitTo(["b", "c"]);
  assert.deepEqual(choice.deviceIds, ["b", "c"]);
  choice.limitTo([]);
  assert.deepEqual(choice.deviceIds, []);
});

test("no more devices are compared than there are colours", () => {
  const ids = Array.from({ length: 9 }, (_, index) => `d${index}`);
  const choice = new Choice(`device=d0&with=${ids.slice(1).join()}`);
  choice.limitTo(ids);
  assert.equal(choice.deviceIds.length, MAX_DEVICES);
});

test("zooming can be undone step by step", () => {
  const choice = new Choice("device=a&range=1h");
  assert.equal(choice.zoom(100_000, 200_000), true);
  assert.equal(choice.zoom(120_000, 140_000), true);
  assert.deepEqual([choice.span, choice.canGoBack], [{ start: "120000", end: "140000" }, true]);
  assert.equal(choice.back(), true);
  assert.deepEqual(choice.span, { start: "100000", end: "200000" });
  assert.equal(choice.back(), true);
  assert.deepEqual([choice.range?.key, choice.canGoBack, choice.back()], ["1h", false, false]);
});

test("a window is never shorter than five seconds, and the same window is not a zoom", () => {
  const choice = new Choice("device=a");
  assert.equal(choice.zoom(100_000, 100_010), true);
  assert.deepEqual(choice.span, { start: "97505", end: "102505" });
  assert.equal(choice.zoom(97_505, 102_505), false);
});

test("another span forgets the zooms", () => {
  const choice = new Choice("device=a");
  choice.zoom(100_000, 200_000);
  choice.setSpan({ range: "7d" });
  assert.equal(choice.canGoBack, false);
});
