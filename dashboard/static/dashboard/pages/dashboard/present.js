/**
 * The panels about the first chosen device: its newest reading, connection, energy and report.
 * @module present
 */

import { Problem, getJson } from "../../lib/api.js";
import { Energy } from "./energy.js";
import { Now } from "./now.js";
import { Report } from "./report.js";
import { Status } from "./status.js";

const ENERGY_REFRESH_MS = 15_000;

/** @typedef {import("wattstream-client").Reading} Reading */

export class Present {
  /**
   * @param {string[]} metrics names of the catalogue
   * @param {() => void} onNewest the newest reading was loaded
   */
  constructor(metrics, onNewest) {
    this._onNewest = onNewest;
    this._now = new Now(metrics);
    this._status = new Status();
    this._energy = new Energy();
    this._report = new Report();
    this._deviceId = "";
    this._loading = new AbortController();
    /** @type {Reading | null} of the device; null if none is known */
    this.newest = null;
    setInterval(() => this._energy.refresh(), ENERGY_REFRESH_MS);
  }

  /** Show a device. @param {Api.Device} [device] none if it is missing */
  show(device) {
    const deviceId = device?.device_id ?? "";
    if (deviceId !== this._deviceId) {
      this._loading.abort();
      this.newest = null;
      this._now.show({});
    }
    this._deviceId = deviceId;
    this._energy.show(deviceId);
    this._report.show(deviceId, device?.timezone ?? "UTC");
  }

  /** Load the newest reading if none is known: the live stream may have nothing to send for a long time. */
  async loadNewest() {
    if (this.newest || !this._deviceId) return;
    this._loading.abort();
    const { signal } = (this._loading = new AbortController());
    try {
      /** @type {Api.Latest[]} */
      const [latest] = await getJson(`/api/latest?devices=${encodeURIComponent(this._deviceId)}`, { signal });
      if (signal.aborted || this.newest || !latest.time || !latest.values) return;
      this.newest = { time: latest.time, ms: Date.parse(latest.time), values: latest.values };
      this._onNewest();
    } catch (error) {
      // The request for history, made at the same time, reports problems of the server.
      if (!(error instanceof Problem || signal.aborted)) throw error;
    }
  }

  /** @param {string} deviceId @param {Reading[]} readings oldest first */
  take(deviceId, readings) {
    if (deviceId === this._deviceId) this.newest = readings[readings.length - 1];
  }

  refreshEnergy() {
    this._energy.refresh();
  }

  /** @param {import("wattstream-client").State} state of the connection */
  setState(state) {
    this._status.set(state);
  }

  /** Update the age of the newest reading. @param {import("../../chart/view.js").View | null} view that is drawn */
  tick(view) {
    const newest = this.newest?.time ?? view?.through;
    this._status.tick(newest ? Date.parse(newest) : null, view?.timeZone ?? "UTC");
  }

  draw() {
    if (this.newest) this._now.show(this.newest.values);
  }
}
