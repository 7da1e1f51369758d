/**
 * The charts that the choice of metrics and devices makes.
 * @module figures
 */

import { Chart } from "./chart.js";
import { chartSpecs } from "./metrics.js";

export class Figures {
  /** @param {HTMLElement} root @param {import("./chart.js").Actions} actions */
  constructor(root, actions) {
    this._root = root;
    this._actions = actions;
    this._arranged = "";
    /** @type {Chart[]} */
    this._charts = [];
  }

  /** @param {import("./metrics.js").Presented[]} metrics @param {{device_id: string, name: string}[]} devices */
  arrange(metrics, devices) {
    const specs = chartSpecs(metrics, devices);
    if (JSON.stringify(specs) === this._arranged) return;
    this._arranged = JSON.stringify(specs);
    for (const chart of this._charts) chart.destroy();
    this._root.replaceChildren();
    this._charts = specs.map((spec) => new Chart(this._root, spec, this._actions));
  }

  /** @param {import("./series.js").Series[]} series one a device @param {number} from epoch ms @param {number} to */
  draw(series, from, to) {
    for (const chart of this._charts) chart.draw(series, from, to);
  }

  clear() {
    for (const chart of this._charts) chart.clear();
  }

  /** @param {string} words in place of the lines */
  say(words) {
    for (const chart of this._charts) chart.say(words);
  }
}
