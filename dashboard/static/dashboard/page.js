/**
 * The page: holds the parts together. Whatever is chosen, history is loaded once and the live stream goes on from its
 * cursor; the live stream says when history has to be loaded again.
 * @module page
 */

import { LiveStream } from "../wattstream-client/index.js";
import { Problem, getJson, liveTicket, serverNow, signIn } from "./api.js";
import { Choice } from "./choice.js";
import { Controls } from "./controls.js";
import { byId, setText } from "./elements.js";
import { Energy } from "./energy.js";
import { ExportMenu } from "./export_menu.js";
import { Figures } from "./figures.js";
import { loadHistories } from "./history.js";
import { present } from "./metrics.js";
import { Notice } from "./notice.js";
import { Now } from "./now.js";
import { Report } from "./report.js";
import { Status } from "./status.js";
import { View } from "./view.js";

const DEVICES_EVERY_MS = 30_000;
const ENERGY_EVERY_MS = 15_000;
/** Late readings come one by one: history is not loaded again for each. */
const LATE_RELOAD_MS = 15_000;
const BROKEN_RELOAD_MS = 500;
const NO_DEVICES = "No devices yet. A device appears here once you have claimed it under Devices, or somebody shares one with you.";

class Page {
  /** @param {import("./metrics.js").Metric[]} catalogue */
  constructor(catalogue) {
    this._choice = new Choice();
    this._notice = new Notice();
    this._controls = new Controls(this._choice, present(catalogue), () => {
      this._notice.clear();
      this._choose();
    });
    this._figures = new Figures(byId("charts"), {
      onZoom: (fromMs, toMs) => this._zoom(fromMs, toMs),
      onBack: () => this._choice.back() && this._spanChanged(),
    });
    this._now = new Now(catalogue.map((metric) => metric.name));
    this._status = new Status();
    this._energy = new Energy();
    this._report = new Report();
    this._export = new ExportMenu();
    this._live = new LiveStream({
      url: `${location.protocol.replace("http", "ws")}//${location.host}/ws/live`,
      ticket: liveTicket,
      onState: (state) => this._setState(state),
      onReadings: (deviceId, readings) => this._take(deviceId, readings),
      onGap: (deviceId) => this._reload(deviceId, false),
      onSubscribed: (deviceId, told) => this._subscribed(deviceId, told),
      onRevoked: (deviceId, message) => this._revoked(deviceId, message),
    });
    /** @type {View | null} what is drawn */
    this._view = null;
    /** @type {import("../wattstream-client/index.d.ts").Reading | null} of the chosen device */
    this._newest = null;
    this._watched = ""; // the device whose present and energy are told
    this._followed = /** @type {string[]} */ ([]);
    this._loading = new AbortController();
    this._reloadTimer = 0;
    this._frame = 0;
  }

  /** @param {import("./controls.js").Device[]} devices */
  start(devices) {
    this._setDevices(devices);
    setInterval(() => this._tick(), 1_000);
    setInterval(() => document.hidden || this._refreshDevices(), DEVICES_EVERY_MS);
    setInterval(() => this._energy.refresh(), ENERGY_EVERY_MS);
    byId("earlier").addEventListener("click", () => this._move(-1, -1));
    byId("closer").addEventListener("click", () => this._move(0.25, -0.25));
    byId("later").addEventListener("click", () => this._move(1, 1));
    // Signing out closes the stream from the other end, which must not send the page elsewhere meanwhile.
    byId("sign-out").addEventListener("submit", () => this._live.close());
  }

  async _refreshDevices() {
    try {
      this._setDevices(await getJson("/api/devices"));
    } catch (error) {
      // Devices that are known stay, and are asked for again before long.
      if (!(error instanceof Problem && error.isPassing)) this._failed(error, () => this._refreshDevices());
    }
  }

  /** @param {import("./controls.js").Device[]} devices */
  _setDevices(devices) {
    const before = this._choice.deviceIds.join();
    this._controls.setDevices(devices);
    if (this._choice.deviceIds.join() !== before || !this._view) this._choose();
  }

  /** @param {number} fromMs @param {number} toMs */
  _zoom(fromMs, toMs) {
    if (this._choice.zoom(fromMs, toMs)) this._spanChanged();
  }

  /** Both ends of the window, by shares of its length, never beyond now. @param {number} from @param {number} to */
  _move(from, to) {
    if (!this._view) return;
    const now = serverNow();
    const [start, end] = this._view.window(now);
    const length = end - start;
    const excess = Math.max(0, end + to * length - Math.max(now, end));
    this._zoom(start + from * length - excess, end + to * length - excess);
  }

  _spanChanged() {
    this._notice.clear();
    this._controls.show();
    this._choose();
  }

  /** Something else: the old lines stay until the new ones are there, unless they are another device's. */
  _choose() {
    const { devices } = this._controls;
    const [first] = devices;
    if (this._view?.deviceIds.join() !== this._choice.deviceIds.join()) this._forget();
    this._figures.arrange(this._controls.metrics, devices);
    this._watch(first);
    if (!first) this._end(NO_DEVICES);
    else this._load();
  }

  /** The device whose present and energy are told. @param {import("./controls.js").Device} [device] none without it */
  _watch(device) {
    const deviceId = device?.device_id ?? "";
    if (deviceId !== this._watched) {
      this._newest = null;
      this._now.show({});
    }
    this._watched = deviceId;
    this._energy.show(deviceId);
    this._report.show(deviceId, device?.timezone ?? "UTC");
  }

  /** There is nothing to load. @param {string} words */
  _end(words) {
    byId("view").dataset.view = "empty";
    this._figures.say(words);
  }

  /** No lines, and nothing to follow. */
  _forget() {
    this._loading.abort();
    for (const deviceId of this._followed) this._live.unsubscribe(deviceId);
    this._followed = [];
    this._view = null;
    this._figures.clear();
  }

  async _load() {
    clearTimeout(this._reloadTimer);
    this._reloadTimer = 0;
    this._loading.abort();
    const { signal } = (this._loading = new AbortController());
    const { deviceIds, span, range } = this._choice;
    byId("view").dataset.view = "loading";
    if (!this._view) this._figures.say("Loading …");
    if (!this._newest) this._loadLatest(deviceIds[0], signal);
    try {
      const names = this._controls.metrics.map((metric) => metric.name);
      this._view = new View(await loadHistories(deviceIds, span, names, signal), range, span, names);
    } catch (error) {
      if (!signal.aborted) this._failed(error, () => this._load());
      return;
    }
    this._follow(this._view);
    this._notice.clearPassing();
    this._export.show(this._view);
    this._draw();
    Object.assign(byId("view").dataset, { view: "ready", range: range?.key ?? "custom" });
    this._energy.refresh();
  }

  /** Live goes on where history ended. @param {View} view */
  _follow(view) {
    for (const deviceId of this._followed.filter((id) => !view.deviceIds.includes(id)))
      this._live.unsubscribe(deviceId);
    this._followed = view.deviceIds;
    for (const { deviceId, cursor } of view.cursors) this._live.subscribe(deviceId, cursor);
  }

  /** What the device said last, be it long ago: live may have nothing to say. @param {string} deviceId @param {AbortSignal} signal */
  async _loadLatest(deviceId, signal) {
    try {
      const [told] = await getJson(`/api/latest?devices=${encodeURIComponent(deviceId)}`, { signal });
      if (signal.aborted || this._newest || !told.time) return;
      this._newest = { time: told.time, ms: Date.parse(told.time), values: told.values };
      this._scheduleDraw();
    } catch (error) {
      // History asks the same server at the same moment, and says what is wrong.
      if (!(error instanceof Problem || signal.aborted)) throw error;
    }
  }

  /** @param {string} deviceId @param {import("../wattstream-client/index.d.ts").Reading[]} readings */
  _take(deviceId, readings) {
    const view = this._view;
    if (!view || !view.deviceIds.includes(deviceId)) return;
    if (deviceId === view.deviceIds[0]) this._newest = readings[readings.length - 1];
    if (!view.take(deviceId, readings)) this._reload(deviceId, true);
    else if (view.isTooFine) this._reload(deviceId, false);
    this._scheduleDraw();
  }

  /** @param {string} deviceId @param {import("../wattstream-client/index.d.ts").Subscribed} told */
  _subscribed(deviceId, { since, cursor, recovered }) {
    // Without a cursor nothing is replayed: if there is one by now, a few readings lie between history and it.
    const isLate = since === null && cursor !== null;
    if (!recovered || isLate) this._reload(deviceId, !recovered);
  }

  /** History has what live does not send. @param {string} deviceId @param {boolean} isBroken nothing may be added until then */
  _reload(deviceId, isBroken) {
    if (!this._view?.deviceIds.includes(deviceId)) return;
    this._view.isBroken ||= isBroken;
    if (isBroken) clearTimeout(this._reloadTimer);
    const delayMs = isBroken ? BROKEN_RELOAD_MS : LATE_RELOAD_MS;
    if (isBroken || !this._reloadTimer) this._reloadTimer = setTimeout(() => this._load(), delayMs);
  }

  /** @param {string} deviceId @param {string} message */
  _revoked(deviceId, message) {
    const [name] = this._controls.devices
      .filter((device) => device.device_id === deviceId)
      .map((device) => device.name);
    if (this._view?.deviceIds.includes(deviceId)) {
      this._failed(new Problem(403, "forbidden", `${name || deviceId}: ${message}`), () => this._load());
    }
    this._refreshDevices();
  }

  /** @param {import("../wattstream-client/index.d.ts").State} state */
  _setState(state) {
    if (state.name === "ended" && state.code === 4401) signIn();
    this._status.set(state);
    this._tick();
  }

  /** @param {unknown} error @param {() => void} again */
  _failed(error, again) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) return signIn();
    byId("view").dataset.view = "error";
    this._notice.problem(error, again);
    if (error.status === 403) {
      this._forget();
      this._watch();
    }
    if (!this._view) this._figures.say("");
  }

  _tick() {
    const newest = this._newest?.time ?? this._view?.through;
    this._status.tick(newest ? Date.parse(newest) : null, this._view?.timeZone ?? "UTC");
    this._scheduleDraw();
  }

  /** Many readings, one drawing; none while nobody looks. */
  _scheduleDraw() {
    this._frame ||= requestAnimationFrame(() => this._draw());
  }

  _draw() {
    this._frame = 0;
    if (this._newest) this._now.show(this._newest.values);
    if (!this._view) return;
    // Now, or the newest reading, should the device's clock be ahead.
    const [from, to] = this._view.window(Math.max(serverNow(), this._newest?.ms ?? 0));
    this._figures.draw(this._view.series, from, to);
    const { range } = this._choice;
    const when = range ? `in the last ${range.label}` : "in this time";
    this._figures.say(this._view.isEmpty ? `No readings ${when}.` : "");
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
