/**
 * Reports: the days of a month, the months of a year, the years; as bars and as a table.
 * @module report
 */

import { Problem, getJson, serverNow } from "./api.js";
import { drawBars } from "./bars.js";
import { downloadCsv } from "./csv.js";
import { byId, element, setText } from "./elements.js";
import { FIGURES, isShort } from "./energy.js";
import { dateParts } from "./format.js";

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
const CSV_FIELDS = ["imported_kwh", "exported_kwh", "charged_kwh", "discharged_kwh", "generated_kwh", "consumed_kwh",
  "self_consumption", "self_sufficiency", "peak_w", "peak_time", "coverage"]; // prettier-ignore

/** @typedef {"day" | "month" | "year"} Period */

export class Report {
  constructor() {
    this._deviceId = "";
    this._timeZone = "UTC";
    this._period = /** @type {Period} */ ("day");
    /** Of the page that is shown: a month, a year, or the last of the years. */
    this._at = { year: 0, month: 0 };
    this._asking = new AbortController();
    /** @type {import("./bars.js").Bar[]} */
    this._bars = [];
    this._isWanted = false;
    for (const button of byId("report-periods").children) {
      button.addEventListener("click", () => this._setPeriod(/** @type {Period} */ (button.value)));
    }
    byId("report-earlier").addEventListener("click", () => this._turn(-1));
    byId("report-later").addEventListener("click", () => this._turn(1));
    byId("report-csv").addEventListener("click", () => this._download());
    new ResizeObserver(() => this._draw()).observe(byId("report-bars"));
    // Nobody has to wait for figures that nobody looks at.
    new IntersectionObserver(([entry]) => entry.isIntersecting && this._want(), { rootMargin: "200px" }).observe(
      byId("report"),
    );
  }

  /** Another device, or none. @param {string} deviceId @param {string} timeZone */
  show(deviceId, timeZone) {
    if (deviceId === this._deviceId) return;
    this._deviceId = deviceId;
    this._timeZone = timeZone;
    this._at = dateParts(serverNow(), timeZone);
    this._asking.abort();
    this._put([], null);
    if (this._isWanted) this._load();
  }

  _want() {
    if (this._isWanted) return;
    this._isWanted = true;
    this._load();
  }

  /** @param {Period} period */
  _setPeriod(period) {
    this._period = period;
    this._at = dateParts(serverNow(), this._timeZone);
    this._load();
  }

  /** @param {1 | -1} pages */
  _turn(pages) {
    const { year, month } = this._at;
    if (this._period === "day")
      this._at = { year: year + Math.floor((month - 1 + pages) / 12), month: ((month + 11 + pages) % 12) + 1 };
    else this._at = { year: year + pages * (this._period === "year" ? YEARS : 1), month };
    this._load();
  }

  async _load() {
    this._asking.abort();
    const { signal } = (this._asking = new AbortController());
    this._showPage();
    if (!this._deviceId) return this._say("");
    this._say("Loading …");
    const query = new URLSearchParams({ period: this._period, ...this._span() });
    try {
      const told = await getJson(`/api/energy/${encodeURIComponent(this._deviceId)}?${query}`, { signal });
      const now = serverNow();
      const periods = told.periods.filter((/** @type {any} */ one) => Date.parse(one.start) < now);
      const bars = periods.map((/** @type {any} */ one) => ({ label: this._label(one), figures: one }));
      const isEmpty = told.total.coverage === 0;
      this._put(isEmpty ? [] : bars, told.total);
      this._say(isEmpty ? `No readings in ${byId("report-page").textContent}.` : "");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this._put([], null);
      this._say(error.detail);
    }
  }

  _span() {
    const { year, month } = this._at;
    const first = (/** @type {number} */ y, /** @type {number} */ m) => `${y}-${String(m).padStart(2, "0")}-01T00:00`;
    if (this._period === "day")
      return { start: first(year, month), end: month === 12 ? first(year + 1, 1) : first(year, month + 1) };
    return { start: first(this._period === "year" ? year - YEARS + 1 : year, 1), end: first(year + 1, 1) };
  }

  /** What the page is, and where one can turn to. */
  _showPage() {
    const { year, month } = this._at;
    const today = dateParts(serverNow(), this._timeZone);
    const words = { day: `${MONTHS[month - 1]} ${year}`, month: String(year), year: `${year - YEARS + 1} – ${year}` };
    setText(byId("report-page"), this._deviceId ? words[this._period] : "");
    byId("report-later").disabled =
      year > today.year || (year === today.year && (this._period !== "day" || month >= today.month));
    for (const button of byId("report-periods").children)
      button.setAttribute("aria-pressed", String(button.value === this._period));
  }

  /** @param {{start: string}} period */
  _label(period) {
    const { year, month, day } = dateParts(Date.parse(period.start), this._timeZone);
    return { day: String(day), month: MONTHS[month - 1].slice(0, 3), year: String(year) }[this._period];
  }

  /** @param {import("./bars.js").Bar[]} bars @param {import("./energy.js").Figures | null} total */
  _put(bars, total) {
    this._bars = bars;
    byId("report-csv").disabled = bars.length === 0;
    const rows = bars.map(({ label, figures }) => this._row(label, figures));
    byId("report-rows").replaceChildren(...rows);
    byId("report-total").replaceChildren(...(total && bars.length > 0 ? [this._row("Total", total)] : []));
    byId("report-figures").hidden = bars.length === 0;
    this._draw();
  }

  /** @param {string} label @param {import("./energy.js").Figures} figures */
  _row(label, figures) {
    const row = element("tr", "");
    row.append(element("th", "", label), ...FIGURES.map((text) => element("td", "", text(figures))));
    row.lastElementChild?.classList.toggle("short", isShort(figures));
    return row;
  }

  _draw() {
    const area = byId("report-bars");
    area.replaceChildren(...(this._bars.length > 0 ? [drawBars(this._bars, Math.max(260, area.clientWidth))] : []));
  }

  _download() {
    const rows = this._bars.map(({ figures }) => [
      figures.start,
      figures.end,
      ...CSV_FIELDS.map((field) => figures[field]),
    ]);
    const page = String(byId("report-page").textContent).replaceAll(/\W+/g, "-");
    downloadCsv(`${this._deviceId}_energy_${page}.csv`, [["start", "end", ...CSV_FIELDS], ...rows]);
  }

  /** @param {string} words */
  _say(words) {
    setText(byId("report-words"), words);
  }
}
