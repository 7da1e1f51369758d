/**
 * The charts of the chosen metrics and devices.
 * @module charts
 */

import { Chart } from "./chart.js";
import { chartSpecs } from "./metrics.js";

export class Charts {
  /** @param {HTMLElement} root @param {import("./chart.js").Actions} actions */
  constructor(root, actions) {
    this._root = root;
    this._actions = actions;
    this._arranged = ""; // the specifications of the charts, as JSON
    /** @type {Chart[]} */
    this._charts = [];
  }

  /** Replace the charts if the choice requires others. @param {import("./metrics.js").Presented[]} metrics @param {Api.Device[]} devices */
  arrange(metrics, devices) {
    const specs = chartSpecs(metrics, devices);
    if (JSON.stringify(specs) === this._arranged) return;
    this._arranged = JSON.stringify(specs);
    for (const chart of this._charts) chart.destroy();
    this._root.replaceChildren();
    this._charts = specs.map((spec) => new Chart(this._root, spec, this._actions));
  }

  /** @param {import("./series.js").Series[]} series one per device @param {number} fromMs @param {number} toMs */
  draw(series, fromMs, toMs) {
    for (const chart of this._charts) chart.draw(series, fromMs, toMs);
  }

  clear() {
    for (const chart of this._charts) chart.clear();
  }

  /** Show a message in place of the lines. @param {string} words "" removes it */
  setMessage(words) {
    for (const chart of this._charts) chart.setMessage(words);
  }
}
