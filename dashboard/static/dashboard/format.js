/**
 * Numbers and times for people. Powers in W below a kilowatt, else in kW; times in the device's zone.
 * @module format
 */

const NONE = "–";

/**
 * @param {number | null | undefined} value
 * @param {string} unit
 * @returns {{number: string, unit: string}} to be shown side by side
 */
export function quantity(value, unit) {
  if (value === null || value === undefined) return { number: NONE, unit: "" };
  if (unit === "W" && Math.round(Math.abs(value)) >= 1000) return { number: signed(value / 1000, 2), unit: "kW" };
  const digits = { W: 0, "%": 0, Hz: 2 }[unit] ?? 1;
  return { number: signed(value, digits), unit };
}

/** @param {number | null | undefined} value @param {string} unit */
export function quantityText(value, unit) {
  const told = quantity(value, unit);
  return `${told.number}\u202f${told.unit}`.trim();
}

/** With a real minus sign, and no minus before a zero. @param {number} value @param {number} digits */
function signed(value, digits) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

/** Labels of a value axis. @param {number[]} splits @param {string} unit @param {number} step between two of them */
export function axisNumbers(splits, unit, step) {
  if (unit !== "W")
    return splits.map((value) => signed(value, Math.max(0, Math.min(3, -Math.floor(Math.log10(step))))));
  const digits = step % 1000 === 0 ? 0 : step % 100 === 0 ? 1 : 2;
  return splits.map((value) => signed(value / 1000, digits));
}

/**
 * Labels of a time axis: the time of day, and the date below the first label of each day.
 * @param {number[]} splits epoch ms
 * @param {string} timeZone
 * @param {number} stepMs between two of them
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

/** A moment in full, as far as `stepMs` makes sense. @param {number} ms @param {string} timeZone @param {number} stepMs */
export function moment(ms, timeZone, stepMs) {
  const time = clock(timeZone, stepMs < 60_000).format(ms);
  return `${formatter(timeZone, { weekday: "short", day: "numeric", month: "short" }).format(ms)}, ${time}`;
}

/** @param {number} ms @param {string} timeZone */
export function timeOfDay(ms, timeZone) {
  return clock(timeZone, true).format(ms);
}

/** "12 s", "3 min", "5 h", "2 d". @param {number} ms */
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

/** @type {Map<string, Intl.DateTimeFormat>} making one is slow */
const formatters = new Map();

/** @param {string} timeZone @param {Intl.DateTimeFormatOptions} options */
function formatter(timeZone, options) {
  const key = timeZone + JSON.stringify(options);
  const known = formatters.get(key) ?? new Intl.DateTimeFormat("en-GB", { ...options, timeZone });
  formatters.set(key, known);
  return known;
}

/** Without the unit, for tables that name it once. @param {number | null | undefined} kwh */
export function energyNumber(kwh) {
  if (kwh === null || kwh === undefined) return NONE;
  return signed(kwh, Math.abs(kwh) < 10 ? 2 : Math.abs(kwh) < 1000 ? 1 : 0);
}

/** @param {number | null | undefined} share of 1; never a whole 100 % that is not */
export function shareText(share) {
  if (share === null || share === undefined) return NONE;
  const percent = 100 * share;
  if (percent > 0 && percent < 1) return "< 1\u202f%";
  const isNearly = percent > 99 && percent < 100;
  return `${isNearly ? Math.floor(10 * percent) / 10 : Math.round(percent)}\u202f%`;
}

/** The calendar's day in a zone. @param {number} ms @param {string} timeZone @returns {{year: number, month: number, day: number}} */
export function dateParts(ms, timeZone) {
  const parts = formatter(timeZone, { year: "numeric", month: "numeric", day: "numeric" }).formatToParts(ms);
  const part = (/** @type {string} */ type) => Number(parts.find((one) => one.type === type)?.value);
  return { year: part("year"), month: part("month"), day: part("day") };
}

/** For an input of type datetime-local. @param {number} ms @param {string} timeZone */
export function localInput(ms, timeZone) {
  const { year, month, day } = dateParts(ms, timeZone);
  const date = [year, String(month).padStart(2, "0"), String(day).padStart(2, "0")].join("-");
  return `${date}T${clock(timeZone, false).format(ms)}`;
}
