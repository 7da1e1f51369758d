import assert from "node:assert/strict";
import { test } from "node:test";

import { csvText } from "../../dashboard/static/dashboard/lib/csv.js";

for (const [cell, text] of /** @type {[import("../../dashboard/static/dashboard/lib/csv.js").Cell, string][]} */ ([
  [null, ""],
  [undefined, ""],
  [-1.5, "-1.5"],
  ["plain", "plain"],
  ["a,b", '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ["two\nlines", '"two\nlines"'],
  ["=SUM(A1)", "'=SUM(A1)"],
  ["@cmd", "'@cmd"],
  ["-1", "'-1"],
]))
  test(`the cell ${JSON.stringify(cell)} is written as ${JSON.stringify(text)}`, () => {
    assert.equal(csvText([[cell]]), `${text}\r\n`);
  });

test("rows end with CRLF, and cells are separated by commas", () => {
  assert.equal(
    csvText([
      ["time", "load"],
      ["t", 1],
    ]),
    "time,load\r\nt,1\r\n",
  );
});
