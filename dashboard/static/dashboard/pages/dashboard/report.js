/**
 * The energy report, as bars and as a table: the days of a month, the months of a year, or years.
 * @module report
 */

import { drawBars } from "../../chart/bars.js";
import { FIGURES, isIncomplete } from "../../chart/figures.js";
import { Problem, getJson, serverNow } from "../../lib/api.js";
import { downloadCsv } from "../../lib/csv.js";
import { byId, element, setText } from "../../lib/elements.js";
import { dateParts } from "../../lib/format.js";
import { isLast, labelOf, spanOf, titleOf, turned } from "./report_page.js";

/** @typedef {import("./report_page.js").Period} Period */

const MIN_WIDTH_PX = 260;
/** How close the report has to be to the visible part of the page before it is loaded. */
const LOAD_MARGIN = "200px";
/** @type {(keyof Api.EnergyFigures)[]} */
const CSV_FIELDS = ["start", "end", "imported_kwh", "exported_kwh", "charged_kwh", "discharged_kwh", "generated_kwh",
  "consumed_kwh", "self_consumption", "self_sufficiency", "peak_w", "peak_time", "coverage"]; // prettier-ignore

export class Report {
  constructor() {
    this._deviceId = "";
    this._timeZone = "UTC";
    /** @type {Period} */
    this._period = "day";
    /** @type {import("./report_page.js").At} */
    this._at = { year: 0, month: 0 };
    this._loading = new AbortController();
    /** @type {import("../../chart/bars.js").Bar[]} */
    this._bars = [];
    this._isVisible = false; // or has been
    this._area = byId("report-bars");
    this._later = byId("report-later", HTMLButtonElement);
    this._csv = byId("report-csv", HTMLButtonElement);
    this._periods = [...byId("report-periods").querySelectorAll("button")];
    for (const button of this._periods) {
      button.addEventListener("click", () => this._setPeriod(/** @type {Period} */ (button.value)));
    }
    byId("report-earlier").addEventListener("click", () => this._turn(-1));
    this._later.addEventListener("click", () => this._turn(1));
    this._csv.addEventListener("click", () => this._download());
    new ResizeObserver(() => this._draw()).observe(this._area);
    const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && this._becomeVisible(), {
      rootMargin: LOAD_MARGIN,
    });
    observer.observe(byId("report"));
  }

  /** Show another device. @param {string} deviceId "" for none @param {string} timeZone of the device */
  show(deviceId, timeZone) {
    if (deviceId === this._deviceId) return;
    this._deviceId = deviceId;
    this._timeZone = timeZone;
    this._at = dateParts(serverNow(), timeZone);
    this._loading.abort();
    this._put([], null);
    if (this._isVisible) this._load();
  }

  _becomeVisible() {
    if (this._isVisible) return;
    this._isVisible = true;
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
    this._at = turned(this._period, this._at, pages);
    this._load();
  }

  async _load() {
    this._loading.abort();
    const { signal } = (this._loading = new AbortController());
    this._showPage();
    if (!this._deviceId) return this._setMessage("");
    this._setMessage("Loading …");
    const query = new URLSearchParams({ period: this._period, ...spanOf(this._period, this._at) });
    try {
      /** @type {Api.Energy} */
      const answer = await getJson(`/api/energy/${encodeURIComponent(this._deviceId)}?${query}`, { signal });
      const now = serverNow();
      const begun = answer.periods.filter(({ start }) => Date.parse(start) < now);
      const bars = begun.map((figures) => ({ label: this._label(figures), figures }));
      const isEmpty = answer.total.coverage === 0;
      this._put(isEmpty ? [] : bars, answer.total);
      this._setMessage(isEmpty ? `No readings in ${titleOf(this._period, this._at)}.` : "");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this._put([], null);
      this._setMessage(error.detail);
    }
  }

  /** Show which page it is, and where the buttons lead. */
  _showPage() {
    setText(byId("report-page"), this._deviceId ? titleOf(this._period, this._at) : "");
    this._later.disabled = isLast(this._period, this._at, dateParts(serverNow(), this._timeZone));
    for (const button of this._periods) button.setAttribute("aria-pressed", String(button.value === this._period));
  }

  /** @param {Api.EnergyFigures} figures */
  _label({ start }) {
    return labelOf(this._period, dateParts(Date.parse(start), this._timeZone));
  }

  /** @param {import("../../chart/bars.js").Bar[]} bars @param {Api.EnergyFigures | null} total */
  _put(bars, total) {
    this._bars = bars;
    const isEmpty = bars.length === 0;
    this._csv.disabled = isEmpty;
    byId("report-rows").replaceChildren(...bars.map(({ label, figures }) => tableRow(label, figures)));
    byId("report-total").replaceChildren(...(total && !isEmpty ? [tableRow("Total", total)] : []));
    byId("report-figures").hidden = isEmpty;
    this._draw();
  }

  _draw() {
    const width = Math.max(MIN_WIDTH_PX, this._area.clientWidth);
    this._area.replaceChildren(...(this._bars.length > 0 ? [drawBars(this._bars, width)] : []));
  }

  _download() {
    const rows = this._bars.map(({ figures }) => CSV_FIELDS.map((field) => figures[field]));
    const page = titleOf(this._period, this._at).replaceAll(/\W+/g, "-");
    downloadCsv(`${this._deviceId}_energy_${page}.csv`, [CSV_FIELDS, ...rows]);
  }

  /** @param {string} words */
  _setMessage(words) {
    setText(byId("report-words"), words);
  }
}

/** @param {string} label @param {Api.EnergyFigures} figures */
function tableRow(label, figures) {
  const row = element("tr", "");
  row.append(element("th", "", label), ...FIGURES.map((text) => element("td", "", text(figures))));
  row.lastElementChild?.classList.toggle("short", isIncomplete(figures));
  return row;
}
