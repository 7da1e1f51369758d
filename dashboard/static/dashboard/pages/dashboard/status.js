/**
 * The state of the live connection, and the age of the newest reading.
 * @module status
 */

import { serverNow } from "../../lib/api.js";
import { byId, setText } from "../../lib/elements.js";
import { duration, timeOfDay } from "../../lib/format.js";

/** @typedef {import("wattstream-client").State} State */

/** The age of the newest reading from which a device counts as silent. */
const SILENT_MS = 15_000;
/** How long catching up may take before it is shown. */
const CATCH_UP_MS = 300;
/** @type {Record<State["name"], string>} */
const WORDS = {
  connecting: "Connecting",
  "catching-up": "Catching up",
  live: "Live",
  offline: "Offline",
  paused: "Paused",
  ended: "Stopped",
};

export class Status {
  constructor() {
    this._root = byId("status");
    /** @type {State} */
    this._state = { name: "connecting" };
    this._retryAt = 0; // performance.now()
    this._timer = 0;
  }

  /** @param {State} state */
  set(state) {
    clearTimeout(this._timer);
    // Every change of view subscribes again, which usually takes too short a time to be read.
    const isBrief = state.name === "catching-up" && this._state.name === "live";
    if (isBrief) this._timer = setTimeout(() => this._show(state), CATCH_UP_MS);
    else this._show(state);
  }

  /** @param {State} state */
  _show(state) {
    this._state = state;
    this._retryAt = performance.now() + (state.retryMs ?? 0);
    this._root.dataset.state = state.name;
    setText(byId("status-words"), WORDS[state.name]);
  }

  /**
   * Update the age. Call every second.
   * @param {number | null} newestMs time of the newest reading
   * @param {string} timeZone
   */
  tick(newestMs, timeZone) {
    const ageMs = newestMs === null ? Number.POSITIVE_INFINITY : serverNow() - newestMs;
    const isSilent = this._state.name === "live" && ageMs > SILENT_MS;
    this._root.classList.toggle("silent", isSilent);
    setText(byId("status-age"), this._age(newestMs, ageMs, timeZone));
  }

  /** @param {number | null} newestMs @param {number} ageMs @param {string} timeZone */
  _age(newestMs, ageMs, timeZone) {
    if (this._state.name === "offline") {
      return `trying again in ${duration(Math.max(1000, this._retryAt - performance.now()))}`;
    }
    if (this._state.name !== "live") return "";
    if (newestMs === null) return "no readings yet";
    return ageMs > SILENT_MS ? `last reading ${duration(ageMs)} ago` : timeOfDay(newestMs, timeZone);
  }
}
