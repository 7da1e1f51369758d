/**
 * Numbers and times as texts. Powers are in W below 1 kW, else in kW. Times are in the time zone of the device.
 * @module format
 */

const NONE = "–";

/** Digits after the decimal point by unit; 1 for other units. @type {Record<string, number>} */
const DIGITS = { W: 0, "%": 0, Hz: 2 };

/**
 * Format a value as a number and a unit.
 * @param {number | null | undefined} value
 * @param {string} unit
 * @returns {{number: string, unit: string}} without a value: a dash and ""
 */
export function quantity(value, unit) {
  if (value === null || value === undefined) return { number: NONE, unit: "" };
  if (unit === "W" && Math.round(Math.abs(value)) >= 1000) return { number: signed(value / 1000, 2), unit: "kW" };
  return { number: signed(value, DIGITS[unit] ?? 1), unit };
}

/** Format a value with its unit. @param {number | null | undefined} value @param {string} unit */
export function quantityText(value, unit) {
  const shown = quantity(value, unit);
  return `${shown.number}\u202f${shown.unit}`.trim();
}

/** Format with the minus sign U+2212, and without a sign before zero. @param {number} value @param {number} digits */
function signed(value, digits) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

/** The labels of a value axis; powers are in kW. @param {number[]} splits @param {string} unit @param {number} step between two splits */
export function axisNumbers(splits, unit, step) {
  if (unit !== "W")
    return splits.map((value) => signed(value, Math.max(0, Math.min(3, -Math.floor(Math.log10(step))))));
  const digits = step % 1000 === 0 ? 0 : step % 100 === 0 ? 1 : 2;
  return splits.map((value) => signed(value / 1000, digits));
}

/**
 * The labels of a time axis: the time of day, and the date below the first label of each day.
 * @param {number[]} splits epoch ms
 * @param {string} timeZone
 * @param {number} stepMs between two splits
 */
export function axisTimes(splits, timeZone, stepMs) {
  const day = formatter(timeZone, { day: "numeric", month: "short" });
  if (stepMs >= 86_400_000) return splits.map((ms) => day.format(ms));
  const time = clock(timeZone, stepMs < 60_000);
  let shown = "";
  return splits.map((ms) => {
    const before = shown;
    shown = day.format(ms);
    return shown === before ? time.format(ms) : `${time.format(ms)}\n${shown}`;
  });
}

/** Format a date and time; seconds are shown for steps shorter than a minute. @param {number} ms @param {string} timeZone @param {number} stepMs */
export function moment(ms, timeZone, stepMs) {
  const time = clock(timeZone, stepMs < 60_000).format(ms);
  return `${formatter(timeZone, { weekday: "short", day: "numeric", month: "short" }).format(ms)}, ${time}`;
}

/** Format a time of day with seconds. @param {number} ms @param {string} timeZone */
export function timeOfDay(ms, timeZone) {
  return clock(timeZone, true).format(ms);
}

/** Format a duration, such as "12 s", "3 min", "5 h" or "2 d". @param {number} ms */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** @param {string} timeZone @param {boolean} withSeconds */
function clock(timeZone, withSeconds) {
  const second = withSeconds ? /** @type {const} */ ("2-digit") : undefined;
  return formatter(timeZone, { hour: "2-digit", minute: "2-digit", second, hourCycle: "h23" });
}

/** @type {Map<string, Intl.DateTimeFormat>} cached, because creating a formatter is slow */
const formatters = new Map();

/** @param {string} timeZone @param {Intl.DateTimeFormatOptions} options */
function formatter(timeZone, options) {
  const key = timeZone + JSON.stringify(options);
  const known = formatters.get(key) ?? new Intl.DateTimeFormat("en-GB", { ...options, timeZone });
  formatters.set(key, known);
  return known;
}

/** Format an energy without its unit, which tables show once. @param {number | null | undefined} kwh */
export function energyNumber(kwh) {
  if (kwh === null || kwh === undefined) return NONE;
  return signed(kwh, Math.abs(kwh) < 10 ? 2 : Math.abs(kwh) < 1000 ? 1 : 0);
}

/** Format a share as a percentage. Only an exact share is shown as 0 % or 100 %. @param {number | null | undefined} share between 0 and 1 */
export function shareText(share) {
  if (share === null || share === undefined) return NONE;
  const percent = 100 * share;
  if (percent > 0 && percent < 1) return "< 1\u202f%";
  const isNearly = percent > 99 && percent < 100;
  return `${isNearly ? Math.floor(10 * percent) / 10 : Math.round(percent)}\u202f%`;
}

/** The date in a time zone. @param {number} ms @param {string} timeZone @returns {{year: number, month: number, day: number}} */
export function dateParts(ms, timeZone) {
  const parts = formatter(timeZone, { year: "numeric", month: "numeric", day: "numeric" }).formatToParts(ms);
  const part = (/** @type {string} */ type) => Number(parts.find((one) => one.type === type)?.value);
  return { year: part("year"), month: part("month"), day: part("day") };
}

/** Format a time as the value of a datetime-local field. @param {number} ms @param {string} timeZone */
export function localInput(ms, timeZone) {
  const { year, month, day } = dateParts(ms, timeZone);
  const date = [year, String(month).padStart(2, "0"), String(day).padStart(2, "0")].join("-");
  return `${date}T${clock(timeZone, false).format(ms)}`;
}
