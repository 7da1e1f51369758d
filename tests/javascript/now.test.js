import assert from "node:assert/strict";
import { test } from "node:test";

import { batteryText, gridText, loadText, solarText } from "../../dashboard/static/dashboard/pages/dashboard/now.js";

test("the sun covers a share of the house", () => {
  assert.equal(solarText({ solar_power: 3 }), "no sun");
  assert.equal(solarText({ solar_power: 500, load_power: 1000 }), "50\u202f% of the house");
  assert.equal(solarText({ solar_power: 5000, load_power: 1000 }), "100\u202f% of the house");
  assert.equal(solarText({ solar_power: 500, load_power: null }), "");
});

test("the house names its sources", () => {
  assert.equal(loadText({ solar_power: 500, battery_power: -200, grid_power: 100 }), "from sun, battery, grid");
  assert.equal(loadText({ solar_power: 500, battery_power: 200, grid_power: -100 }), "from sun");
  assert.equal(loadText({}), "");
});

test("battery and grid say their direction", () => {
  assert.deepEqual([50, -50, 5, null].map((power) => batteryText({ battery_power: power })), [
    "charging",
    "discharging",
    "idle",
    "idle",
  ]);
  assert.deepEqual([50, -50, -5].map((power) => gridText({ grid_power: power })), ["importing", "exporting", "balanced"]);
});
