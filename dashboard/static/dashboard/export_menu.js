/**
 * What is on the screen as CSV, and every reading of that time.
 * @module export_menu
 */

import { serverNow } from "./api.js";
import { downloadCsv, seriesRows } from "./csv.js";
import { byId } from "./elements.js";
import { localInput } from "./format.js";

export class ExportMenu {
  constructor() {
    /** @type {import("./view.js").View | null} */
    this._view = null;
    byId("csv-screen").addEventListener("click", () => this._download());
    // The window rolls on: what is asked for is what is shown when it is asked.
    byId("download").addEventListener("toggle", () => this._point());
    byId("period").addEventListener("toggle", () => this._prefill());
  }

  /** @param {import("./view.js").View} view */
  show(view) {
    this._view = view;
    this._point();
  }

  _download() {
    if (!this._view) return;
    const { series, deviceIds, metrics } = this._view;
    downloadCsv(`${deviceIds.join("_")}_${series[0].resolution}.csv`, seriesRows(series, deviceIds, metrics));
  }

  /** The link to every reading of the chosen device. */
  _point() {
    if (!this._view) return;
    const [from, to] = this._view.window(serverNow()).map(Math.round);
    const query = new URLSearchParams({ start: String(from), end: String(to), format: "csv" });
    byId("csv-raw").href = `/api/history/${encodeURIComponent(this._view.deviceIds[0])}/export?${query}`;
  }

  /** The form for a period begins with the one that is shown. */
  _prefill() {
    if (!this._view || !byId("period").open) return;
    const { timeZone } = this._view;
    const [from, to] = this._view.window(serverNow());
    byId("from").value = localInput(from, timeZone);
    byId("to").value = localInput(to, timeZone);
    byId("period-zone").textContent = timeZone.replaceAll("_", " ");
  }
}
