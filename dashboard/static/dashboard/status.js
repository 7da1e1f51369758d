/**
 * The state of the connection in words, and how old what is shown is.
 * @module status
 */

import { serverNow } from "./api.js";
import { byId, setText } from "./elements.js";
import { duration, timeOfDay } from "./format.js";

/** A device that was silent for longer is called silent. */
const SILENT_MS = 15_000;
const BRIEF_MS = 300;
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
    /** @type {import("../wattstream-client/index.d.ts").State} */
    this._state = { name: "connecting" };
    this._retryAt = 0;
    this._timer = 0;
  }

  /** @param {import("../wattstream-client/index.d.ts").State} state */
  set(state) {
    clearTimeout(this._timer);
    // Every change of view subscribes anew: that is over before anybody could read it.
    const isBrief = state.name === "catching-up" && this._state.name === "live";
    if (isBrief) this._timer = setTimeout(() => this._show(state), BRIEF_MS);
    else this._show(state);
  }

  /** @param {import("../wattstream-client/index.d.ts").State} state */
  _show(state) {
    this._state = state;
    this._retryAt = performance.now() + (state.retryMs ?? 0);
    this._root.dataset.state = state.name;
    setText(byId("status-words"), WORDS[state.name]);
  }

  /**
   * To be called every second.
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
