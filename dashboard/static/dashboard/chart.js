/**
 * One chart: a figure with a legend whose buttons show and hide lines, and a plot below it. What is drawn stands in
 * the figure's data attributes: data-points, data-newest, data-through (ISO times), data-resolution.
 * @module chart
 */

import { element } from "./elements.js";
import { duration, moment, quantityText } from "./format.js";
import { emptyData, makePlot } from "./plot.js";

/** @typedef {import("./series.js").Series} Series */

const KEY_STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };

export class Chart {
  /**
   * @param {HTMLElement} parent
   * @param {import("./metrics.js").ChartSpec} spec
   */
  constructor(parent, spec) {
    this._spec = spec;
    /** @type {Series | null} */
    this._series = null;
    /** @type {[number, number]} */
    this._window = [0, 1];
    this._values = spec.lines.map(() => element("output", "value"));
    this._when = element("span", "when");
    this._veil = element("p", "veil");
    this._area = element("div", "plot");
    this._area.tabIndex = 0;
    this._area.setAttribute("role", "img");
    this._figure = element("figure", "chart");
    this._figure.id = spec.id;
    this._figure.append(this._caption(), this._area, this._veil);
    parent.append(this._figure);
    this._plot = makePlot(this._area, spec, {
      window: () => this._window,
      series: () => this._series,
      onDraw: () => this._drawn(),
      onCursor: () => this._showValues(),
    });
    this._area.addEventListener("keydown", (event) => this._moveCursor(event));
  }

  /**
   * @param {Series} series
   * @param {number} fromMs
   * @param {number} toMs
   */
  draw(series, fromMs, toMs) {
    this._series = series;
    this._window = [fromMs, toMs];
    this._plot.setData([series.times, ...this._spec.lines.map((line) => series.column(line.name))]);
  }

  clear() {
    this._series = null;
    this._plot.setData(emptyData(this._spec));
  }

  /** Words in place of the lines; none with "". @param {string} words */
  say(words) {
    this._veil.textContent = words;
    this._veil.hidden = words === "";
  }

  _caption() {
    const title = element("h2", "title", `${this._spec.title} `);
    title.append(element("span", "unit", this._spec.axisUnit));
    const legend = element("div", "legend");
    legend.append(...this._spec.lines.map((line, index) => this._key(line, index)));
    const caption = element("figcaption", "caption");
    caption.append(title, this._when, legend);
    return caption;
  }

  /** A line's button in the legend. @param {import("./metrics.js").Line} line @param {number} index */
  _key(line, index) {
    const button = element("button", "key");
    const swatch = element("span", "swatch");
    swatch.style.background = `var(--${line.colour})`;
    button.append(swatch, line.label, this._values[index]);
    button.setAttribute("type", "button");
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const show = !this._plot.series[index + 1].show;
      this._plot.setSeries(index + 1, { show });
      button.setAttribute("aria-pressed", String(show));
    });
    return button;
  }

  _drawn() {
    const series = this._series;
    const newest = series?.newest ?? null;
    const told = {
      points: String(series?.points ?? 0),
      newest: newest === null ? "" : new Date(newest).toISOString(),
      through: series?.through ?? "",
      resolution: series?.resolution ?? "",
    };
    Object.assign(this._figure.dataset, told);
    const names = this._spec.lines.map((line) => line.label).join(", ");
    this._area.setAttribute("aria-label", `${this._spec.title}: ${names}; ${told.points} points`);
    this._showValues();
  }

  /** The values under the cursor and when that is; without a cursor, what the points are. */
  _showValues() {
    const series = this._series;
    const index = this._plot?.cursor.idx ?? -1;
    const ms = series?.times[index];
    this._when.textContent = series ? whenText(series, ms) : "";
    this._spec.lines.forEach((line, number) => {
      const value = series?.column(line.name)[index];
      this._values[number].textContent = ms === undefined ? "" : quantityText(value, this._spec.unit);
    });
  }

  /** Arrow keys move the cursor from point to point. @param {KeyboardEvent} event */
  _moveCursor(event) {
    const step = KEY_STEPS[event.key];
    const times = this._series?.times ?? [];
    if (!step || times.length === 0) return;
    event.preventDefault();
    const index = Math.min(times.length - 1, Math.max(0, (this._plot.cursor.idx ?? times.length - 1) + step));
    this._plot.setCursor({ left: this._plot.valToPos(times[index], "x"), top: 0 });
  }
}

/**
 * The moment under the cursor, else what a point is and whose clock the axis follows.
 * @param {Series} series @param {number | undefined} ms
 */
function whenText({ stepMs, timeZone }, ms) {
  if (ms !== undefined) return moment(ms, timeZone, stepMs ?? 1000);
  const what = stepMs === null ? "every reading" : `averages of ${duration(stepMs)}`;
  return `${what} · ${timeZone.replaceAll("_", " ")}`;
}
