/**
 * The numbers of a chart as a table, for people who cannot see or use the plot. Filled when it is opened.
 * @module chart_table
 */

import { element } from "../lib/elements.js";
import { moment, quantityText } from "../lib/format.js";
import { seriesOf } from "./plot.js";

export class ChartTable {
  /** @param {import("./metrics.js").ChartSpec} spec */
  constructor(spec) {
    this._spec = spec;
    this._shown = "";
    /** @type {() => void} */
    this._fill = () => {};
    this.root = element("details", "numbers");
    this._body = element("div", "scroll");
    this._body.tabIndex = 0;
    this._body.setAttribute("role", "region");
    this._body.setAttribute("aria-label", `${spec.title} as a table`);
    this.root.append(element("summary", "quiet", "As a table"), this._body);
    this.root.addEventListener("toggle", () => this._fill());
  }

  /**
   * @param {import("./plot.js").Table} table
   * @param {string} timeZone
   * @param {number | null} stepMs length of a bucket; null for raw readings
   */
  update(table, timeZone, stepMs) {
    this._fill = () => {
      const times = table[0];
      const state = `${times.length} ${times[0]} ${stepMs} ${this.root.open}`;
      // New rows are shown. A row that changes every second is not: that would disturb whoever reads the table.
      if (!this.root.open || state === this._shown) return;
      this._shown = state;
      this._body.replaceChildren(this._table(table, timeZone, stepMs ?? 1000));
    };
    this._fill();
  }

  /** @param {import("./plot.js").Table} table @param {string} timeZone @param {number} stepMs */
  _table(table, timeZone, stepMs) {
    const { lines, unit } = this._spec;
    const head = element("tr", "");
    head.append(...["Time", ...lines.map((line) => line.label)].map((text) => element("th", "", text)));
    const rows = table[0].map((ms, index) => {
      const row = element("tr", "");
      const values = lines.map((_, line) => element("td", "", quantityText(table[seriesOf(line)][index], unit)));
      row.append(element("th", "", moment(ms, timeZone, stepMs)), ...values);
      return row;
    });
    const [thead, tbody] = [element("thead", ""), element("tbody", "")];
    thead.append(head);
    tbody.append(...rows.reverse());
    const root = element("table", "figures");
    root.append(thead, tbody);
    return root;
  }
}
