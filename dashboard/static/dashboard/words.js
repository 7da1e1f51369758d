/**
 * What the pages for managing things say: problems, days and moments, in words. Times are this browser's own.
 * @module words
 */

import { serverNow } from "./api.js";

const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** "23 Nov 2026" @param {string} iso */
export function dayWords(iso) {
  return day.format(Date.parse(iso));
}

/** "23 Nov 2026, 10:32" @param {string} iso */
export function momentWords(iso) {
  return moment.format(Date.parse(iso));
}

/** The name of this browser's time zone. */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/**
 * @param {import("./api.js").Problem} problem
 * @returns {{field: string, words: string}} `field`: the one that the server names, "" where it names none
 */
export function problemWords(problem) {
  const named = problem.detail.match(/^([a-z_]+): ([^]+)$/);
  const field = named?.[1] ?? "";
  return { field, words: sentence(named?.[2] ?? problem.detail) + whatNow(problem) };
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {import("./api.js").Problem} problem */
function whatNow(problem) {
  if (problem.status === 429 && problem.retryAfterS !== null) {
    return ` That is at ${time.format(Date.now() + problem.retryAfterS * 1000)}.`;
  }
  return problem.isPassing ? " Try again in a moment." : "";
}

/** Whether it is over by the server's clock. @param {string} iso */
export function isOver(iso) {
  return Date.parse(iso) <= serverNow();
}
