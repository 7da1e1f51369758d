/**
 * What is chosen: device and range. Both stand in the address (#device=…&range=…), so a view can be kept and sent on.
 * @module controls
 */

import { byId, element, setText } from "./elements.js";
import { RANGES } from "./history.js";

const DEFAULT_RANGE = "24h";

/**
 * @typedef {{device_id: string, name: string, role: string, online: boolean, last_seen: string | null, owner: string}} Device
 *   as GET /api/devices has it
 */

export class Controls {
  /** @param {() => void} onChange the person has chosen something else */
  constructor(onChange) {
    const told = new URLSearchParams(location.hash.slice(1));
    this.deviceId = told.get("device") ?? "";
    this.range = RANGES.find((range) => range.key === told.get("range")) ?? rangeOf(DEFAULT_RANGE);
    /** @type {Map<string, Device>} */
    this._devices = new Map();
    this._select = /** @type {HTMLSelectElement} */ (byId("device"));
    this._buttons = RANGES.map((range) => this._rangeButton(range, onChange));
    byId("ranges").replaceChildren(...this._buttons);
    this._select.addEventListener("change", () => {
      this.deviceId = this._select.value;
      this._show();
      onChange();
    });
  }

  /** @returns {Device | undefined} the chosen one */
  get device() {
    return this._devices.get(this.deviceId);
  }

  /**
   * Show these devices. Keeps the choice where it is still among them, else takes the first.
   * @param {Device[]} devices
   */
  setDevices(devices) {
    this._devices = new Map(devices.map((device) => [device.device_id, device]));
    if (!this._devices.has(this.deviceId)) this.deviceId = devices[0]?.device_id ?? "";
    const options = devices.map((device) => new Option(deviceText(device), device.device_id));
    // A list that is open is left alone unless something in it changed.
    const isSame = [...this._select.options].map((option) => option.text).join() === options.map((o) => o.text).join();
    if (!isSame) this._select.replaceChildren(...(options.length > 0 ? options : [new Option("No devices", "")]));
    this._select.disabled = devices.length === 0;
    this._show();
  }

  /** @param {import("./history.js").RANGES[number]} range @param {() => void} onChange */
  _rangeButton(range, onChange) {
    const button = /** @type {HTMLButtonElement} */ (element("button", "range", range.label));
    button.type = "button";
    button.value = range.key;
    button.addEventListener("click", () => {
      if (this.range === range) return;
      this.range = range;
      this._show();
      onChange();
    });
    return button;
  }

  _show() {
    for (const button of this._buttons) {
      button.setAttribute("aria-pressed", String(button.value === this.range.key));
    }
    this._select.value = this.deviceId;
    const role = this.device?.role ?? "";
    const badge = byId("role");
    badge.hidden = role === "";
    setText(badge, role === "owner" ? "yours" : `shared by ${this.device?.owner}`);
    const chosen = new URLSearchParams({ device: this.deviceId, range: this.range.key });
    if (this.deviceId) history.replaceState(null, "", `#${chosen}`);
  }
}

/** @param {string} key */
function rangeOf(key) {
  return /** @type {typeof RANGES[number]} */ (RANGES.find((range) => range.key === key));
}

/** @param {Device} device */
function deviceText(device) {
  return `${device.name || device.device_id} · ${device.online ? "online" : "offline"}`;
}
