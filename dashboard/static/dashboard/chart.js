/**
 * One chart: a figure with a legend whose buttons show and hide lines, and a uPlot below it. What is drawn stands in
 * the figure's data attributes: data-points, data-newest, data-through (ISO times), data-resolution.
 * @module chart
 */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { axisNumbers, axisTimes, moment, quantityText } from "./format.js";

const FONT = "12px system-ui, sans-serif";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** A custom property of the style sheet, as it is now. @param {string} name */
function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** @param {string} tag @param {string} className @param {string} [text] */
function element(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

export class Chart {
  /**
   * @param {HTMLElement} parent
   * @param {import("./metrics.js").ChartSpec} spec
   */
  constructor(parent, spec) {
    this._spec = spec;
    /** @type {import("./series.js").Series | null} */
    this._series = null;
    this._window = [0, 1];
    this._values = spec.lines.map(() => element("output", "value"));
    this._when = element("span", "when");
    this._veil = element("p", "veil");
    this._plot = element("div", "plot");
    this._plot.tabIndex = 0;
    this._plot.setAttribute("role", "img");
    this.figure = element("figure", "chart");
    this.figure.id = spec.id;
    this.figure.append(this._caption(), this._plot, this._veil);
    parent.append(this.figure);
    this._uplot = new uPlot(this._options(), [[], ...spec.lines.map(() => [])], this._plot);
    this._plot.addEventListener("keydown", (event) => this._moveCursor(event));
    new ResizeObserver(() => this._uplot.setSize(this._size())).observe(this._plot);
    dark.addEventListener("change", () => this._uplot.redraw());
  }

  /**
   * @param {import("./series.js").Series} series
   * @param {number} fromMs
   * @param {number} toMs
   */
  draw(series, fromMs, toMs) {
    this._series = series;
    this._window = [fromMs, toMs];
    this._uplot.setData([series.times, ...this._spec.lines.map((line) => series.column(line.name))]);
  }

  clear() {
    this._series = null;
    this._uplot.setData([[], ...this._spec.lines.map(() => [])]);
  }

  /** Words in place of the lines; none with "". @param {string} words */
  say(words) {
    this._veil.textContent = words;
    this._veil.hidden = words === "";
  }

  _caption() {
    const caption = element("figcaption", "caption");
    const title = element("h2", "title", this._spec.title);
    title.append(element("span", "unit", this._spec.axisUnit));
    const legend = element("div", "legend");
    legend.append(...this._spec.lines.map((line, index) => this._legendButton(line, index)));
    caption.append(title, legend, this._when);
    return caption;
  }

  /** @param {import("./metrics.js").Line} line @param {number} index */
  _legendButton(line, index) {
    const button = element("button", "key");
    const swatch = element("span", "swatch");
    swatch.style.background = `var(--${line.colour})`;
    button.append(swatch, line.label, this._values[index]);
    button.setAttribute("type", "button");
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const show = !this._uplot.series[index + 1].show;
      this._uplot.setSeries(index + 1, { show });
      button.setAttribute("aria-pressed", String(show));
    });
    return button;
  }

  _options() {
    const { unit, bounds, lines } = this._spec;
    const axis = { stroke: () => themed("quiet"), font: FONT, grid: { stroke: () => themed("grid-line"), width: 1 } };
    const roomy = { min: { soft: 0, mode: 1, pad: 0.08 }, max: { soft: 500, mode: 1, pad: 0.08 } };
    return {
      ...this._size(),
      ms: 1,
      legend: { show: false },
      padding: [10, 14, 0, 0],
      tzDate: (/** @type {number} */ ms) => uPlot.tzDate(new Date(ms), this._timeZone),
      cursor: { sync: { key: "time" }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { range: () => this._window },
        y: { range: bounds ?? ((_, low, high) => uPlot.rangeNum(low ?? 0, high ?? 0, roomy)) },
      },
      axes: [
        {
          ...axis,
          size: 40,
          space: 76,
          ticks: { show: false },
          values: (_, splits, _axis, _space, step) => axisTimes(splits, this._timeZone, step),
        },
        {
          ...axis,
          size: 44,
          space: 34,
          ticks: { show: false },
          values: (_, splits, _axis, _space, step) => axisNumbers(splits, unit, step),
        },
      ],
      series: [{}, ...lines.map((line) => this._lineOptions(line))],
      hooks: { draw: [() => this._drawn()], setCursor: [() => this._showValues()], drawAxes: [drawZero] },
    };
  }

  /** @param {import("./metrics.js").Line} line */
  _lineOptions(line) {
    return {
      label: line.label,
      stroke: () => themed(line.colour),
      fill: line.isFilled ? () => themed(`${line.colour}-wash`) : undefined,
      width: 1.75,
      spanGaps: false,
      gaps: (plot, _index, first, last, nulls) => [...nulls, ...this._silences(plot, first, last)].sort((a, b) => a[0] - b[0]),
      points: { show: false, size: 4, filter: (plot, index) => this._lonely(plot.data[index]) },
    };
  }

  /** Pixel spans in which no raw reading came. @param {any} plot @param {number} first @param {number} last */
  _silences(plot, first, last) {
    const gapMs = this._series?.gapMs ?? Number.POSITIVE_INFINITY;
    const times = plot.data[0];
    const spans = [];
    for (let index = first + 1; index <= last; index++) {
      if (times[index] - times[index - 1] > gapMs) {
        spans.push([times[index - 1], times[index]].map((ms) => Math.round(plot.valToPos(ms, "x", true))));
      }
    }
    return spans;
  }

  /** Indexes of points with a gap on either side, which no line would show. @param {(number | null)[]} column */
  _lonely(column) {
    const times = this._series?.times ?? [];
    const gapMs = this._series?.gapMs ?? Number.POSITIVE_INFINITY;
    const isApart = (a, b) => (column[b] ?? null) === null || Math.abs(times[a] - times[b]) > gapMs;
    const found = [...column.keys()].filter((i) => column[i] !== null && isApart(i, i - 1) && isApart(i, i + 1));
    return found.length > 0 ? found : null;
  }

  get _timeZone() {
    return this._series?.timeZone ?? "UTC";
  }

  _size() {
    return { width: this._plot.clientWidth || 300, height: this._plot.clientHeight || 150 };
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
    Object.assign(this.figure.dataset, told);
    const names = this._spec.lines.map((line) => line.label).join(", ");
    this._plot.setAttribute("aria-label", `${this._spec.title}: ${names}. ${told.points} points, ${told.resolution}.`);
    this._showValues();
  }

  /** The values under the cursor, and when that is; without a cursor neither. */
  _showValues() {
    const index = this._uplot?.cursor.idx ?? null;
    const series = this._series;
    const ms = index === null ? undefined : series?.times[index];
    this._when.textContent = ms === undefined || !series ? "" : moment(ms, series.timeZone, series.stepMs ?? 1000);
    this._spec.lines.forEach((line, number) => {
      const value = ms === undefined ? null : series?.column(line.name)[index];
      this._values[number].textContent = ms === undefined ? "" : quantityText(value, this._spec.unit);
    });
  }

  /** Arrow keys move the cursor from point to point. @param {KeyboardEvent} event */
  _moveCursor(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    const times = this._series?.times ?? [];
    if (!step || times.length === 0) return;
    event.preventDefault();
    const index = Math.min(times.length - 1, Math.max(0, (this._uplot.cursor.idx ?? times.length - 1) + step));
    this._uplot.setCursor({ left: this._uplot.valToPos(times[index], "x"), top: 0 });
  }
}

/** A firmer line at zero, where powers change their direction. @param {any} plot */
function drawZero(plot) {
  const { min, max } = plot.scales.y;
  if (!(min < 0 && max > 0)) return;
  const y = Math.round(plot.valToPos(0, "y", true)) + 0.5;
  plot.ctx.save();
  plot.ctx.strokeStyle = themed("zero-line");
  plot.ctx.beginPath();
  plot.ctx.moveTo(plot.bbox.left, y);
  plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
  plot.ctx.stroke();
  plot.ctx.restore();
}
