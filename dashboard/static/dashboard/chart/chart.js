/**
 * One chart: a figure with a plot, a legend whose buttons show and hide lines, and a table of the same numbers. The data
 * attributes of the figure describe what is drawn: data-points, data-newest and data-through (ISO times),
 * data-resolution.
 * @module chart
 */

import { ChartTable } from "./chart_table.js";
import { button, element, setText } from "../lib/elements.js";
import { duration, moment, quantityText } from "../lib/format.js";
import { emptyTable, joined, makePlot, seriesOf, showLine } from "./plot.js";

/** @typedef {import("./series.js").Series} Series */
/** @typedef {import("./series.js").Aggregate} Aggregate */

/** @type {Aggregate[]} the three columns of a line */
const AGGREGATES = ["avg", "min", "max"];
/** Points by which a key moves the cursor. @type {Record<string, number>} */
const CURSOR_KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 };

/**
 * @typedef {object} Actions
 * @property {(fromMs: number, toMs: number) => void} onZoom
 * @property {() => void} onBack
 */

export class Chart {
  /**
   * @param {HTMLElement} parent
   * @param {import("./metrics.js").ChartSpec} spec
   * @param {Actions} actions
   */
  constructor(parent, spec, actions) {
    this._spec = spec;
    this._actions = actions;
    /** @type {Series[]} */
    this._series = [];
    /** @type {import("./plot.js").Table} */
    this._drawn = emptyTable(spec);
    /** @type {[number, number]} */
    this._window = [0, 1];
    this._values = spec.lines.map(() => element("output", "value"));
    this._when = element("span", "when");
    this._message = element("p", "veil");
    this._area = element("div", "plot");
    this._area.tabIndex = 0;
    this._area.setAttribute("role", "img");
    this._area.setAttribute("aria-label", spec.title);
    this._table = new ChartTable(spec);
    this._figure = element("figure", "chart");
    this._figure.id = spec.id;
    const frame = element("div", "frame");
    frame.append(this._area, this._message);
    this._figure.append(this._caption(), frame, this._table.root);
    parent.append(this._figure);
    const { plot, destroy } = makePlot(this._area, spec, {
      ...actions,
      window: () => this._window,
      timeZone: () => this._timeZone,
      onDraw: () => this._describe(),
      onCursor: () => this._showValues(),
    });
    this._plot = plot;
    this._destroyPlot = destroy;
    this._area.addEventListener("keydown", (event) => this._press(event));
  }

  /**
   * @param {Series[]} series one per device, in the order of the lines
   * @param {number} fromMs
   * @param {number} toMs
   */
  draw(series, fromMs, toMs) {
    this._series = series;
    this._window = [fromMs, toMs];
    const metrics = [...new Set(this._spec.lines.map((line) => line.metric))];
    const wanted = metrics.flatMap((metric) => AGGREGATES.map((aggregate) => ({ metric, aggregate })));
    this._drawn = joined(series.map((one) => one.table(wanted)));
    this._plot.setData(this._drawn);
    this._table.update(this._drawn, this._timeZone, this._stepMs);
  }

  clear() {
    this._series = [];
    this._drawn = emptyTable(this._spec);
    this._plot.setData(this._drawn);
    this._table.update(this._drawn, this._timeZone, this._stepMs);
  }

  destroy() {
    this._destroyPlot();
    this._figure.remove();
  }

  /** Show a message in place of the lines. @param {string} words "" removes it */
  setMessage(words) {
    setText(this._message, words);
    this._message.hidden = words === "";
  }

  get _timeZone() {
    return this._series[0]?.timeZone ?? "UTC";
  }

  get _stepMs() {
    return this._series[0]?.stepMs ?? null;
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

  /** The button of a line in the legend. @param {import("./metrics.js").Line} line @param {number} index */
  _key(line, index) {
    const swatch = element("span", "swatch");
    swatch.style.background = `var(--${line.colour})`;
    const key = button("key", "", () => {
      const show = !this._plot.series[seriesOf(index)].show;
      showLine(this._plot, index, show);
      key.setAttribute("aria-pressed", String(show));
    });
    key.append(swatch, element("span", "name", line.label), this._values[index]);
    key.setAttribute("aria-label", line.label);
    key.setAttribute("aria-pressed", "true");
    return key;
  }

  /** Update the data attributes and the texts. */
  _describe() {
    const newest = Math.max(...this._series.map((one) => one.newest ?? Number.NEGATIVE_INFINITY));
    const through = this._series.map((one) => one.through ?? "").sort();
    const drawn = {
      points: String(this._series.reduce((sum, one) => sum + one.points, 0)),
      newest: Number.isFinite(newest) ? new Date(newest).toISOString() : "",
      through: through[through.length - 1] ?? "",
      resolution: this._series[0]?.resolution ?? "",
    };
    Object.assign(this._figure.dataset, drawn);
    // While the plot has the focus, its summary stays: a screen reader would repeat it with each reading.
    if (document.activeElement !== this._area) this._area.setAttribute("aria-label", this._summary());
    this._showValues();
  }

  /** Show the time and the values at the cursor. Without a cursor, show what a point stands for. */
  _showValues() {
    if (!this._plot) return; // uPlot draws while it is being constructed
    const { idx, idxs } = this._plot.cursor;
    const ms = this._drawn[0][idx ?? -1];
    setText(this._when, this._series.length > 0 ? whenText(this._stepMs, this._timeZone, ms) : "");
    this._spec.lines.forEach((line, number) => {
      const index = idxs?.[seriesOf(number)] ?? -1;
      const value = this._drawn[seriesOf(number)]?.[index];
      setText(this._values[number], ms === undefined ? "" : quantityText(value, this._spec.unit));
    });
  }

  /** The label of the plot for screen readers. */
  _summary() {
    const parts = this._spec.lines.map((line, number) => {
      /** @type {(number | null | undefined)[]} */
      const column = this._drawn[seriesOf(number)] ?? [];
      const values = column.filter((value) => value !== null && value !== undefined);
      if (values.length === 0) return `${line.label}: nothing measured`;
      const [low, high, last] = [Math.min(...values), Math.max(...values), values[values.length - 1]].map((value) =>
        quantityText(value, this._spec.unit),
      );
      return `${line.label}: from ${low} to ${high}, last ${last}`;
    });
    return `${this._spec.title}. ${parts.join("; ")}`;
  }

  /** Arrows move the cursor from point to point; + and - zoom around it; Escape goes back. @param {KeyboardEvent} event */
  _press(event) {
    const step = CURSOR_KEYS[event.key];
    if (step) this._moveCursor(step);
    else if (event.key === "+" || event.key === "=") this._zoom(0.5);
    else if (event.key === "-") this._zoom(2);
    else if (event.key === "Escape") this._actions.onBack();
    else return;
    event.preventDefault();
  }

  /** @param {number} step */
  _moveCursor(step) {
    const times = this._drawn[0];
    if (times.length === 0) return;
    const index = Math.min(times.length - 1, Math.max(0, (this._plot.cursor.idx ?? times.length - 1) + step));
    this._plot.setCursor({ left: this._plot.valToPos(times[index], "x"), top: 0 });
  }

  /** @param {number} factor */
  _zoom(factor) {
    const [from, to] = this._window;
    const middle = this._drawn[0][this._plot.cursor.idx ?? -1] ?? (from + to) / 2;
    const half = ((to - from) * factor) / 2;
    this._actions.onZoom(middle - half, middle + half);
  }
}

/**
 * The time at the cursor. Without a cursor: what a point stands for, and the time zone of the axis.
 * @param {number | null} stepMs @param {string} timeZone @param {number | undefined} ms
 */
function whenText(stepMs, timeZone, ms) {
  if (ms !== undefined) return moment(ms, timeZone, stepMs ?? 1000);
  const what = stepMs === null ? "every reading" : `averages of ${duration(stepMs)}`;
  return `${what} · ${timeZone.replaceAll("_", " ")}`;
}
