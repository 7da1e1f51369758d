import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../dashboard/static/dashboard/lib/format.js";

const NOON = Date.parse("2026-11-23T11:00:00Z"); // 12:00 in Berlin

for (const [value, unit, text] of /** @type {[number | null | undefined, string, string][]} */ ([
  [null, "W", "–"],
  [undefined, "V", "–"],
  [0, "W", "0\u202fW"],
  [-0.3, "W", "0\u202fW"],
  [999.4, "W", "999\u202fW"],
  [999.6, "W", "1.00\u202fkW"],
  [-2345, "W", "\u22122.35\u202fkW"],
  [53.24, "V", "53.2\u202fV"],
  [49.987, "Hz", "49.99\u202fHz"],
  [87.6, "%", "88\u202f%"],
]))
  test(`${value} ${unit} is shown as ${text}`, () => assert.equal(format.quantityText(value, unit), text));

for (const [kwh, text] of /** @type {[number | null, string][]} */ ([
  [null, "–"],
  [0, "0.00"],
  [9.876, "9.88"],
  [12.34, "12.3"],
  [1234.5, "1235"],
  [-0.001, "0.00"],
]))
  test(`${kwh} kWh is shown as ${text}`, () => assert.equal(format.energyNumber(kwh), text));

for (const [share, text] of /** @type {[number | null, string][]} */ ([
  [null, "–"],
  [0, "0\u202f%"],
  [0.001, "< 1\u202f%"],
  [0.287, "29\u202f%"],
  [0.9999, "99.9\u202f%"],
  [1, "100\u202f%"],
]))
  test(`a share of ${share} is shown as ${text}`, () => assert.equal(format.shareText(share), text));

for (const [ms, text] of /** @type {[number, string][]} */ ([
  [-5, "0 s"],
  [59_400, "59 s"],
  [60_000, "1 min"],
  [3_600_000, "1 h"],
  [86_399_000, "23 h"],
  [172_800_000, "2 d"],
]))
  test(`${ms} ms are ${text}`, () => assert.equal(format.duration(ms), text));

test("the labels of a power axis are in kW with as many digits as the step requires", () => {
  assert.deepEqual(format.axisNumbers([-1000, 0, 1000], "W", 1000), ["\u22121", "0", "1"]);
  assert.deepEqual(format.axisNumbers([0, 500], "W", 500), ["0.0", "0.5"]);
  assert.deepEqual(format.axisNumbers([0, 50], "W", 50), ["0.00", "0.05"]);
});

test("the labels of other axes have as many digits as the step requires", () => {
  assert.deepEqual(format.axisNumbers([49.95, 50], "Hz", 0.05), ["49.95", "50.00"]);
  assert.deepEqual(format.axisNumbers([0, 20], "%", 20), ["0", "20"]);
});

test("the first label of each day on a time axis has the date, in the time zone of the device", () => {
  const evening = Date.parse("2026-11-23T22:00:00Z");
  const labels = format.axisTimes([evening, evening + 3_600_000, evening + 7_200_000], "Europe/Berlin", 3_600_000);
  assert.deepEqual(labels, ["23:00\n23 Nov", "00:00\n24 Nov", "01:00"]);
  assert.deepEqual(format.axisTimes([NOON], "Europe/Berlin", 86_400_000), ["23 Nov"]);
});

test("seconds are shown for short steps", () => {
  assert.equal(format.moment(NOON, "Europe/Berlin", 1_000), "Mon 23 Nov, 12:00:00");
  assert.equal(format.moment(NOON, "Europe/Berlin", 60_000), "Mon 23 Nov, 12:00");
  assert.equal(format.timeOfDay(NOON, "UTC"), "11:00:00");
});

test("dates and fields are in the time zone of the device", () => {
  const late = Date.parse("2026-12-31T23:30:00Z");
  assert.deepEqual(format.dateParts(late, "Europe/Berlin"), { year: 2027, month: 1, day: 1 });
  assert.equal(format.localInput(late, "Europe/Berlin"), "2027-01-01T00:30");
});
