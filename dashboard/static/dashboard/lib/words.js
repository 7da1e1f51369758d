/**
 * Texts of the management pages: problems, dates and times. Times are in the time zone of this browser.
 * @module words
 */

import { serverNow } from "./api.js";

const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** Format a date, such as "23 Nov 2026". @param {string} iso */
export function dayWords(iso) {
  return day.format(Date.parse(iso));
}

/** Format a date and time, such as "23 Nov 2026, 10:32". @param {string} iso */
export function momentWords(iso) {
  return moment.format(Date.parse(iso));
}

/** The IANA name of this browser's time zone. */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/**
 * Describe a problem and what to do about it.
 * @param {import("./api.js").Problem} problem
 * @returns {{field: string, words: string}} `field`: name of the invalid field, "" if the server names none
 */
export function problemWords(problem) {
  const named = problem.detail.match(/^([a-z_]+): ([^]+)$/);
  const field = named?.[1] ?? "";
  return { field, words: sentence(named?.[2] ?? problem.detail) + nextStep(problem) };
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {import("./api.js").Problem} problem */
function nextStep(problem) {
  if (problem.status === 429 && problem.retryAfterS !== null) {
    return ` That is at ${time.format(Date.now() + problem.retryAfterS * 1000)}.`;
  }
  return problem.isTransient ? " Try again in a moment." : "";
}

/** Whether a time has passed by the clock of the server. @param {string} iso */
export function isPast(iso) {
  return Date.parse(iso) <= serverNow();
}
