/**
 * Files to take away.
 * @module csv
 */

/** @param {string} name @param {(string | number | null | undefined)[][]} rows */
export function downloadCsv(name, rows) {
  const text = rows.map((row) => row.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text, "\r\n"], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * What is drawn: a row for each device and time, times in UTC; average, least and greatest of each metric.
 * @param {import("./series.js").Series[]} series
 * @param {string[]} deviceIds
 * @param {string[]} metrics
 */
export function seriesRows(series, deviceIds, metrics) {
  const aggregates = /** @type {const} */ (["avg", "min", "max"]);
  const head = [
    "time",
    "device_id",
    ...metrics.flatMap((name) => aggregates.map((aggregate) => `${name}_${aggregate}`)),
  ];
  const rows = series.flatMap((one, number) => {
    const columns = metrics.flatMap((name) => aggregates.map((aggregate) => one.column(name, aggregate)));
    return one.times.map((ms, index) => [
      new Date(ms).toISOString(),
      deviceIds[number],
      ...columns.map((c) => c[index]),
    ]);
  });
  return [head, ...rows];
}

/** Quoted where it has to be; what a spreadsheet would take for a formula is not one. @param {string | number | null | undefined} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
