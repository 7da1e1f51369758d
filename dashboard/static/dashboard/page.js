/**
 * The page: holds the parts together. Whatever is chosen, history is loaded once and the live stream goes on from its
 * cursor; the live stream says when history has to be loaded again.
 * @module page
 */

import { LiveStream } from "../wattstream-client/index.js";
import { Problem, getJson, liveTicket, serverNow } from "./api.js";
import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { byId } from "./elements.js";
import { loadHistory } from "./history.js";
import { chartSpecs } from "./metrics.js";
import { Notice } from "./notice.js";
import { Series } from "./series.js";
import { Status } from "./status.js";
import { Tiles } from "./tiles.js";

const DEVICES_EVERY_MS = 30_000;
/** Late readings come one by one: history is not loaded again for each. */
const LATE_RELOAD_MS = 15_000;
/** Raw readings of a device that began to send faster than expected: history then chooses buckets. */
const MAX_RAW_POINTS = 1_500;
const NO_DEVICES = "No devices yet. A device appears here once you have claimed it, or somebody shares one with you.";

class Page {
  /** @param {import("./metrics.js").Metric[]} catalogue */
  constructor(catalogue) {
    const specs = chartSpecs(catalogue);
    this._metrics = specs.flatMap((spec) => spec.lines.map((line) => line.name));
    this._charts = specs.map((spec) => new Chart(byId("charts"), spec));
    this._tiles = new Tiles(catalogue.map((metric) => metric.name));
    this._status = new Status();
    this._notice = new Notice();
    this._controls = new Controls(() => {
      this._notice.clear();
      this._choose();
    });
    this._live = new LiveStream({
      url: `${location.protocol.replace("http", "ws")}//${location.host}/ws/live`,
      ticket: liveTicket,
      onState: (state) => this._setState(state),
      onReadings: (deviceId, readings) => this._take(deviceId, readings),
      onGap: (deviceId) => this._reload(deviceId, false),
      onSubscribed: (deviceId, told) => this._subscribed(deviceId, told),
      onRevoked: (deviceId, message) => this._revoked(deviceId, message),
    });
    /** @type {{series: Series, deviceId: string, rangeMs: number, isBroken: boolean} | null} what is drawn */
    this._shown = null;
    /** @type {import("../wattstream-client/index.d.ts").Reading | null} */
    this._newest = null;
    this._loading = new AbortController();
    this._reloadTimer = 0;
    this._frame = 0;
  }

  async start() {
    await this._refreshDevices();
    setInterval(() => this._tick(), 1_000);
    setInterval(() => document.hidden || this._refreshDevices(), DEVICES_EVERY_MS);
    // Signing out closes the stream from the other end, which must not send the page elsewhere meanwhile.
    byId("sign-out").addEventListener("submit", () => this._live.close());
  }

  async _refreshDevices() {
    const before = this._controls.device?.device_id;
    try {
      this._controls.setDevices(await getJson("/api/devices"));
    } catch (error) {
      // Devices that are known stay, and are asked for again before long.
      if (!before || !(error instanceof Problem && error.isPassing)) this._failed(error, () => this._refreshDevices());
      return;
    }
    if (!before) this._notice.clear();
    if (this._controls.device?.device_id !== before) this._choose();
    else if (!before) this._say(NO_DEVICES);
  }

  /** Another device or range: the old lines stay until the new ones are there, unless they are another device's. */
  _choose() {
    const { deviceId } = this._controls;
    if (this._shown?.deviceId !== deviceId) this._forget();
    if (!deviceId) this._say(NO_DEVICES);
    else this._load();
  }

  /** Show nothing. */
  _forget() {
    if (this._shown) this._live.unsubscribe(this._shown.deviceId);
    this._shown = this._newest = null;
    this._tiles.show({});
    for (const chart of this._charts) chart.clear();
  }

  async _load() {
    clearTimeout(this._reloadTimer);
    this._reloadTimer = 0;
    this._loading.abort();
    const { signal } = (this._loading = new AbortController());
    const { deviceId, range } = this._controls;
    byId("view").dataset.view = "loading";
    if (!this._shown) this._say("Loading …");
    try {
      const history = await loadHistory(deviceId, range.key, this._metrics, signal);
      this._shown = { series: new Series(history), deviceId, rangeMs: range.ms, isBroken: false };
      this._live.subscribe(deviceId, history.cursor);
    } catch (error) {
      if (!signal.aborted) this._failed(error, () => this._load());
      return;
    }
    this._notice.clearPassing();
    this._draw();
    byId("view").dataset.view = "ready";
    byId("view").dataset.range = range.key;
  }

  /** @param {string} deviceId @param {import("../wattstream-client/index.d.ts").Reading[]} readings */
  _take(deviceId, readings) {
    const shown = this._shown;
    if (!shown || shown.deviceId !== deviceId) return;
    this._newest = readings[readings.length - 1];
    if (!shown.isBroken && !readings.every((reading) => shown.series.append(reading))) this._reload(deviceId, true);
    shown.series.trim(this._end() - shown.rangeMs);
    if (shown.series.stepMs === null && shown.series.times.length > MAX_RAW_POINTS) this._reload(deviceId, false);
    this._scheduleDraw();
  }

  /** @param {string} deviceId @param {import("../wattstream-client/index.d.ts").Subscribed} told */
  _subscribed(deviceId, { since, cursor, recovered }) {
    // Without a cursor nothing is replayed: if there is one by now, a few readings lie between history and it.
    const isLate = since === null && cursor !== null;
    if (!recovered || isLate) this._reload(deviceId, !recovered);
  }

  /** @param {string} deviceId @param {boolean} isWhole */
  _reload(deviceId, isWhole) {
    if (this._shown?.deviceId !== deviceId) return;
    // Nothing is added to lines with a hole in them.
    this._shown.isBroken ||= isWhole;
    if (isWhole) clearTimeout(this._reloadTimer);
    if (isWhole || !this._reloadTimer) this._reloadTimer = setTimeout(() => this._load(), isWhole ? 500 : LATE_RELOAD_MS);
  }

  /** @param {string} deviceId @param {string} message */
  _revoked(deviceId, message) {
    if (deviceId === this._shown?.deviceId) this._failed(new Problem(403, "forbidden", message), () => this._load());
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
    if (error.status === 403) this._forget();
    if (!this._shown) this._say("");
  }

  /** When the time that is shown ends: now, or the newest reading, should the device's clock be ahead. */
  _end() {
    return Math.max(serverNow(), this._newest?.ms ?? 0);
  }

  _tick() {
    const series = this._shown?.series;
    const newest = this._newest?.time ?? series?.through;
    this._status.tick(newest ? Date.parse(newest) : null, series?.timeZone ?? "UTC");
    this._scheduleDraw();
  }

  /** Many readings, one drawing; none while nobody looks. */
  _scheduleDraw() {
    this._frame ||= requestAnimationFrame(() => this._draw());
  }

  _draw() {
    this._frame = 0;
    if (!this._shown) return;
    const { series, rangeMs } = this._shown;
    const end = this._end();
    for (const chart of this._charts) chart.draw(series, end - rangeMs, end);
    if (this._newest) this._tiles.show(this._newest.values);
    this._say(series.newest === null ? `No readings in the last ${this._controls.range.label}.` : "");
  }

  /** @param {string} words in place of the lines */
  _say(words) {
    for (const chart of this._charts) chart.say(words);
  }
}

function signIn() {
  location.assign(`/login?${new URLSearchParams({ next: location.pathname + location.hash })}`);
}

async function main() {
  try {
    await new Page(await getJson("/api/metrics")).start();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) signIn();
    else new Notice().problem(error, main);
  }
}

main();
