import assert from "node:assert/strict";
import { test } from "node:test";

import { chartSpecs, present } from "../../dashboard/static/dashboard/chart/metrics.js";

const CATALOGUE = [
  { name: "heat_pump", unit: "W", kind: "power" },
  { name: "battery_soc", unit: "%", kind: "percent" },
  { name: "grid_frequency", unit: "Hz", kind: "frequency" },
  { name: "solar_power", unit: "W", kind: "power" },
];
const [ONE, TWO] = [
  { device_id: "ems_001", name: "" },
  { device_id: "ems_002", name: "House" },
];

test("known metrics come first, in their order; an unknown one gets a label and a colour", () => {
  const metrics = present(CATALOGUE);
  assert.deepEqual(
    metrics.map((metric) => metric.name),
    ["solar_power", "battery_soc", "grid_frequency", "heat_pump"],
  );
  const last = metrics[3];
  assert.deepEqual([last.label, last.colour, last.isFilled, last.isMain], ["heat pump", "further-1", false, true]);
  assert.deepEqual(
    metrics.map((metric) => metric.isMain),
    [true, true, false, true],
  );
});

test("the powers of one device share a chart", () => {
  const specs = chartSpecs(present(CATALOGUE), [ONE]);
  assert.deepEqual(
    specs.map(({ id, axisUnit, bounds, lines }) => [id, axisUnit, bounds, lines.map((line) => line.label)]),
    [
      ["power", "kW", null, ["Solar", "heat pump"]],
      ["battery_soc", "%", [0, 100], ["Battery charge"]],
      ["grid_frequency", "Hz", null, ["Grid frequency"]],
    ],
  );
});

test("compared devices have a line in the chart of each metric", () => {
  const specs = chartSpecs(present(CATALOGUE).slice(0, 2), [ONE, TWO]);
  assert.deepEqual(
    specs.map(({ id, lines }) => [id, lines.map((line) => [line.label, line.colour])]),
    ["solar_power", "battery_soc"].map((id) => [id, [["ems_001", "device-1"], ["House", "device-2"]]]),
  );
});
