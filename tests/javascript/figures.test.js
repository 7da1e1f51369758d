import assert from "node:assert/strict";
import { test } from "node:test";

import { axisEnd } from "../../dashboard/static/dashboard/chart/bars.js";
import { COVERAGE, FIGURES, PEAK, isIncomplete } from "../../dashboard/static/dashboard/chart/figures.js";

const MEASURED = {
  start: "",
  end: "",
  imported_kwh: 312.4,
  exported_kwh: 8.1,
  charged_kwh: 96,
  discharged_kwh: 88.2,
  generated_kwh: 141.7,
  consumed_kwh: 438.2,
  self_consumption: 0.943,
  self_sufficiency: 0.287,
  peak_w: 7412,
  peak_time: "2026-01-11T17:31:04.000Z",
  coverage: 0.998,
};

test("figures are texts in the order of the table", () => {
  assert.deepEqual(
    FIGURES.map((text) => text(MEASURED)),
    ["141.7", "438.2", "312.4", "8.10", "96.0", "88.2", "94\u202f%", "29\u202f%", "7.41\u202fkW", "99.8\u202f%"],
  );
  assert.equal(FIGURES[PEAK](MEASURED), "7.41\u202fkW");
  assert.equal(FIGURES[COVERAGE](MEASURED), "99.8\u202f%");
});

test("a figure without a measurement is a dash", () => {
  const nothing = { ...MEASURED, generated_kwh: null, peak_w: null, self_consumption: null };
  assert.deepEqual([0, 6, PEAK].map((index) => FIGURES[index](nothing)), ["–", "–", "–"]);
});

test("a period is incomplete if less than 99.5 % of it is measured", () => {
  assert.equal(isIncomplete(MEASURED), false);
  assert.equal(isIncomplete({ ...MEASURED, coverage: 0.99 }), true);
});

for (const [value, end] of [
  [0.001, 0.001],
  [1, 1],
  [1.2, 1.5],
  [7.1, 8],
  [23, 25],
  [812, 1000],
])
  test(`an axis for ${value} kWh ends at ${end} kWh`, () => assert.ok(Math.abs(axisEnd(value) - end) < 1e-9));
