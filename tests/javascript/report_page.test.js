import assert from "node:assert/strict";
import { test } from "node:test";

import { isLast, labelOf, spanOf, titleOf, turned } from "../../dashboard/static/dashboard/pages/dashboard/report_page.js";

const DECEMBER = { year: 2026, month: 12 };

test("a page covers a month, a year or five years", () => {
  assert.deepEqual(spanOf("day", DECEMBER), { start: "2026-12-01T00:00", end: "2027-01-01T00:00" });
  assert.deepEqual(spanOf("day", { year: 2026, month: 2 }), { start: "2026-02-01T00:00", end: "2026-03-01T00:00" });
  assert.deepEqual(spanOf("month", DECEMBER), { start: "2026-01-01T00:00", end: "2027-01-01T00:00" });
  assert.deepEqual(spanOf("year", DECEMBER), { start: "2022-01-01T00:00", end: "2027-01-01T00:00" });
});

test("pages are turned across the end of a year", () => {
  assert.deepEqual(turned("day", DECEMBER, 1), { year: 2027, month: 1 });
  assert.deepEqual(turned("day", { year: 2026, month: 1 }, -1), { year: 2025, month: 12 });
  assert.deepEqual(turned("month", DECEMBER, -1), { year: 2025, month: 12 });
  assert.deepEqual(turned("year", DECEMBER, -1), { year: 2021, month: 12 });
});

test("pages and bars have titles", () => {
  const start = { year: 2026, month: 12, day: 3 };
  assert.deepEqual([titleOf("day", DECEMBER), labelOf("day", start)], ["December 2026", "3"]);
  assert.deepEqual([titleOf("month", DECEMBER), labelOf("month", start)], ["2026", "Dec"]);
  assert.deepEqual([titleOf("year", DECEMBER), labelOf("year", start)], ["2022 – 2026", "2026"]);
});

test("the page with today is the last", () => {
  const today = { year: 2026, month: 11 };
  assert.equal(isLast("day", { year: 2026, month: 10 }, today), false);
  assert.equal(isLast("day", { year: 2026, month: 11 }, today), true);
  assert.equal(isLast("month", { year: 2026, month: 1 }, today), true);
  assert.equal(isLast("year", { year: 2021, month: 1 }, today), false);
});
