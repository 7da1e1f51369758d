import assert from "node:assert/strict";
import { test } from "node:test";

import { Problem } from "../../dashboard/static/dashboard/lib/api.js";
import { dayWords, isPast, momentWords, problemWords } from "../../dashboard/static/dashboard/lib/words.js";

test("a problem names its field", () => {
  const problem = new Problem(400, "invalid", "device_id: this device does not exist.");
  assert.deepEqual(problemWords(problem), { field: "device_id", words: "This device does not exist." });
});

test("a problem without a field is a sentence", () => {
  assert.deepEqual(problemWords(new Problem(403, "forbidden", "not yours.")), { field: "", words: "Not yours." });
});

test("a transient problem asks for a retry", () => {
  const { words } = problemWords(new Problem(503, "unavailable", "The database is away."));
  assert.equal(words, "The database is away. Try again in a moment.");
});

test("a limit says when to retry", () => {
  const { words } = problemWords(new Problem(429, "too_many", "Too many attempts.", 60));
  assert.match(words, /^Too many attempts\. That is at \d\d:\d\d:\d\d\.$/);
});

for (const [status, isTransient] of /** @type {[number, boolean][]} */ ([
  [0, true],
  [400, false],
  [401, false],
  [403, false],
  [429, true],
  [503, true],
]))
  test(`status ${status} is ${isTransient ? "" : "not "}transient`, () => {
    assert.equal(new Problem(status, "", "").isTransient, isTransient);
  });

test("dates are written out", () => {
  assert.match(dayWords("2026-11-23T12:00:00Z"), /^23 Nov 2026$/);
  assert.match(momentWords("2026-11-23T12:00:00Z"), /^23 Nov 2026, \d\d:\d\d$/);
});

test("a time is past or not", () => {
  assert.equal(isPast(new Date(Date.now() - 60_000).toISOString()), true);
  assert.equal(isPast(new Date(Date.now() + 60_000).toISOString()), false);
});
