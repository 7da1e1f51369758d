/**
 * The page /: connects the controls, the view, the charts and the panels.
 * @module dashboard/page
 */

import { Charts } from "../../chart/charts.js";
import { present } from "../../chart/metrics.js";
import { Problem, getJson, serverNow, signIn } from "../../lib/api.js";
import { byId, setText } from "../../lib/elements.js";
import { Notice } from "../../lib/notice.js";
import { Choice } from "./choice.js";
import { Controls } from "./controls.js";
import { ExportMenu } from "./export_menu.js";
import { LiveView } from "./live_view.js";
import { Present } from "./present.js";

const DEVICES_REFRESH_MS = 30_000;
const TICK_MS = 1_000;
const NO_DEVICES = "No devices yet. A device appears here after you claim it under Devices, or after somebody shares one with you.";

class Page {
  /** @param {Api.Metric[]} catalogue */
  constructor(catalogue) {
    this._root = byId("view");
    this._frame = 0; // 0: no drawing is scheduled
    this._notice = new Notice();
    this._choice = new Choice(location.hash.slice(1));
    this._controls = new Controls(this._choice, present(catalogue), () => this._changed());
    this._charts = new Charts(byId("charts"), {
      onZoom: (fromMs, toMs) => this._zoom(fromMs, toMs),
      onBack: () => this._choice.back() && this._spanChanged(),
    });
    this._present = new Present(
      catalogue.map((metric) => metric.name),
      () => this._scheduleDraw(),
    );
    this._export = new ExportMenu();
    this._live = new LiveView({
      onLoading: () => this._onLoading(),
      onLoaded: (view) => this._onLoaded(view),
      onFailed: (error) => this._failed(error, () => this._live.reload()),
      onReadings: (deviceId, readings) => {
        this._present.take(deviceId, readings);
        this._scheduleDraw();
      },
      onRevoked: (deviceId, message) => this._onRevoked(deviceId, message),
      onState: (state) => this._setState(state),
    });
  }

  /** @param {Api.Device[]} devices */
  start(devices) {
    this._setDevices(devices);
    setInterval(() => this._tick(), TICK_MS);
    setInterval(() => document.hidden || this._refreshDevices(), DEVICES_REFRESH_MS);
    byId("earlier").addEventListener("click", () => this._move(-1, -1));
    byId("closer").addEventListener("click", () => this._move(0.25, -0.25));
    byId("later").addEventListener("click", () => this._move(1, 1));
    // The server closes the stream of a session that ends. The page must not go to the login form because of that.
    byId("sign-out").addEventListener("submit", () => this._live.close());
  }

  async _refreshDevices() {
    try {
      this._setDevices(await getJson("/api/devices"));
    } catch (error) {
      // After a transient problem the known devices stay until the next refresh.
      if (!(error instanceof Problem && error.isTransient)) this._failed(error, () => this._refreshDevices());
    }
  }

  /** @param {Api.Device[]} devices */
  _setDevices(devices) {
    const before = this._choice.deviceIds.join();
    this._controls.setDevices(devices);
    if (this._choice.deviceIds.join() !== before || !this._live.view) this._choose();
  }

  /** @param {number} fromMs @param {number} toMs */
  _zoom(fromMs, toMs) {
    if (this._choice.zoom(fromMs, toMs)) this._spanChanged();
  }

  /** Move both ends of the window by shares of its length, but not beyond now. @param {number} from @param {number} to */
  _move(from, to) {
    if (!this._live.view) return;
    const now = serverNow();
    const [start, end] = this._live.view.window(now);
    const length = end - start;
    const excess = Math.max(0, end + to * length - Math.max(now, end));
    this._zoom(start + from * length - excess, end + to * length - excess);
  }

  _spanChanged() {
    this._controls.show();
    this._changed();
  }

  _changed() {
    this._notice.clear();
    this._choose();
  }

  /** Load the choice. The old lines stay until the new ones are loaded, unless they are those of other devices. */
  _choose() {
    const { devices, metrics } = this._controls;
    const { deviceIds, span, range } = this._choice;
    if (this._live.view?.deviceIds.join() !== deviceIds.join()) this._clear();
    this._charts.arrange(metrics, devices);
    this._present.show(devices[0]);
    if (devices.length > 0) {
      this._live.load({ deviceIds, span, range, metrics: metrics.map((metric) => metric.name) });
    } else {
      this._root.dataset.view = "empty";
      this._charts.setMessage(NO_DEVICES);
    }
  }

  /** Drop the lines, and follow no device. */
  _clear() {
    this._live.clear();
    this._charts.clear();
  }

  _onLoading() {
    this._root.dataset.view = "loading";
    if (!this._live.view) this._charts.setMessage("Loading …");
    this._present.loadNewest();
  }

  /** @param {import("../../chart/view.js").View} view */
  _onLoaded(view) {
    this._notice.clearTransient();
    this._export.show(view);
    this._draw();
    Object.assign(this._root.dataset, { view: "ready", range: this._choice.range?.key ?? "custom" });
    this._present.refreshEnergy();
  }

  /** @param {string} deviceId @param {string} message */
  _onRevoked(deviceId, message) {
    const device = this._controls.devices.find(({ device_id }) => device_id === deviceId);
    if (this._live.view?.deviceIds.includes(deviceId)) {
      const problem = new Problem(403, "forbidden", `${device?.name || deviceId}: ${message}`);
      this._failed(problem, () => this._live.reload());
    }
    this._refreshDevices();
  }

  /** @param {import("wattstream-client").State} state */
  _setState(state) {
    if (state.name === "ended" && state.code === 4401) signIn();
    this._present.setState(state);
    this._tick();
  }

  /** @param {unknown} error @param {() => void} retry */
  _failed(error, retry) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) return signIn();
    this._root.dataset.view = "error";
    this._notice.problem(error, retry);
    if (error.status === 403) {
      this._clear();
      this._present.show();
    }
    if (!this._live.view) this._charts.setMessage("");
  }

  _tick() {
    this._present.tick(this._live.view);
    this._scheduleDraw();
  }

  /** Draw once per frame, however many readings arrive. A hidden page has no frames. */
  _scheduleDraw() {
    this._frame ||= requestAnimationFrame(() => this._draw());
  }

  _draw() {
    this._frame = 0;
    this._present.draw();
    const { view } = this._live;
    if (!view) return;
    // The window ends now, or at the newest reading if the clock of the device is ahead.
    const [from, to] = view.window(Math.max(serverNow(), this._present.newest?.ms ?? 0));
    this._charts.draw(view.series, from, to);
    const { range } = this._choice;
    const when = range ? `in the last ${range.label}` : "in this time";
    this._charts.setMessage(view.isEmpty ? `No readings ${when}.` : "");
  }
}

async function main() {
  try {
    const [catalogue, devices] = await Promise.all([getJson("/api/metrics"), getJson("/api/devices")]);
    setText(byId("notice-words"), "");
    byId("notice").hidden = true;
    new Page(catalogue).start(devices);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) signIn();
    else new Notice().problem(error, main);
  }
}

main();
