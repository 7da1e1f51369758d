/**
 * CSV files (RFC 4180).
 * @module csv
 */

/** @typedef {string | number | null | undefined} Cell */

/** How long the browser may take to read the file, in ms. */
const REVOKE_AFTER_MS = 10_000;

/**
 * Save rows as a file of the browser.
 * @param {string} name of the file
 * @param {Cell[][]} rows
 */
export function downloadCsv(name, rows) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText(rows)], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_AFTER_MS);
}

/**
 * Format rows as CSV. Each row ends with CRLF; an empty cell stands for null.
 * @param {Cell[][]} rows
 * @returns {string}
 */
export function csvText(rows) {
  return rows.map((row) => `${row.map(cellText).join(",")}\r\n`).join("");
}

/**
 * Quote a text where RFC 4180 requires it. An apostrophe keeps spreadsheets from running a text as a formula.
 * @param {Cell} value
 */
function cellText(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
