/**
 * The download menu: the drawn points as CSV, and a link to all readings of the window. It also fills the form for a
 * period with the current window.
 * @module export_menu
 */

import { serverNow } from "../../lib/api.js";
import { downloadCsv } from "../../lib/csv.js";
import { byId } from "../../lib/elements.js";
import { localInput } from "../../lib/format.js";

export class ExportMenu {
  constructor() {
    /** @type {import("../../chart/view.js").View | null} */
    this._view = null;
    this._period = byId("period", HTMLDetailsElement);
    byId("csv-screen").addEventListener("click", () => this._download());
    // The window moves on: the link is set again when the menu opens.
    byId("download").addEventListener("toggle", () => this._setLink());
    this._period.addEventListener("toggle", () => this._fillPeriod());
  }

  /** @param {import("../../chart/view.js").View} view */
  show(view) {
    this._view = view;
    this._setLink();
  }

  _download() {
    if (!this._view) return;
    const { series, deviceIds } = this._view;
    downloadCsv(`${deviceIds.join("_")}_${series[0].resolution}.csv`, this._view.rows());
  }

  _setLink() {
    if (!this._view) return;
    const [from, to] = this._view.window(serverNow()).map(Math.round);
    const query = new URLSearchParams({ start: String(from), end: String(to), format: "csv" });
    const path = `/api/history/${encodeURIComponent(this._view.deviceIds[0])}/export`;
    byId("csv-raw", HTMLAnchorElement).href = `${path}?${query}`;
  }

  _fillPeriod() {
    if (!this._view || !this._period.open) return;
    const { timeZone } = this._view;
    const [from, to] = this._view.window(serverNow());
    byId("from", HTMLInputElement).value = localInput(from, timeZone);
    byId("to", HTMLInputElement).value = localInput(to, timeZone);
    byId("period-zone").textContent = timeZone.replaceAll("_", " ");
  }
}
