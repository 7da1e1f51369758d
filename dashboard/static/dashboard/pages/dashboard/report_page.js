/**
 * The pages of the report: the days of a month, the months of a year, or five years. Pure: no DOM.
 * @module report_page
 */

/**
 * @typedef {"day" | "month" | "year"} Period of one bar
 * @typedef {{year: number, month: number}} At the month, the year, or the last of the years that a page shows
 */

const YEARS = 5;
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** The next page (1) or the previous one (-1). @param {Period} period @param {At} at @param {1 | -1} pages @returns {At} */
export function turned(period, { year, month }, pages) {
  if (period === "year") return { year: year + pages * YEARS, month };
  if (period === "month") return { year: year + pages, month };
  return { year: year + Math.floor((month - 1 + pages) / 12), month: ((month + 11 + pages) % 12) + 1 };
}

/** The window of a page, as local times of the device. @param {Period} period @param {At} at */
export function spanOf(period, { year, month }) {
  if (period === "day")
    return { start: monthStart(year, month), end: month === 12 ? monthStart(year + 1, 1) : monthStart(year, month + 1) };
  return { start: monthStart(period === "year" ? year - YEARS + 1 : year, 1), end: monthStart(year + 1, 1) };
}

/** @param {Period} period @param {At} at */
export function titleOf(period, { year, month }) {
  const titles = { day: `${MONTHS[month - 1]} ${year}`, month: String(year), year: `${year - YEARS + 1} – ${year}` };
  return titles[period];
}

/** The label of one bar. @param {Period} period @param {{year: number, month: number, day: number}} start of the bar */
export function labelOf(period, { year, month, day }) {
  return { day: String(day), month: MONTHS[month - 1].slice(0, 3), year: String(year) }[period];
}

/** Whether all later pages lie in the future. @param {Period} period @param {At} at @param {At} today */
export function isLast(period, { year, month }, today) {
  return year > today.year || (year === today.year && (period !== "day" || month >= today.month));
}

/** @param {number} year @param {number} month */
function monthStart(year, month) {
  return `${year}-${String(month).padStart(2, "0")}-01T00:00`;
}
