/**
 * The controls of what is chosen.
 * @module controls
 */

import { MAX_DEVICES } from "./choice.js";
import { byId, checkbox, setText } from "./elements.js";
import { makeMenu } from "./menu.js";

/**
 * @typedef {{device_id: string, name: string, role: string, online: boolean, last_seen: string | null, owner: string,
 *   timezone: string}} Device as GET /api/devices has it
 */

export class Controls {
  /**
   * @param {import("./choice.js").Choice} choice
   * @param {import("./metrics.js").Presented[]} metrics
   * @param {() => void} onChange the person has chosen something else
   */
  constructor(choice, metrics, onChange) {
    this._choice = choice;
    this._metrics = metrics;
    this._onChange = onChange;
    /** @type {Map<string, Device>} */
    this._devices = new Map();
    this._select = /** @type {HTMLSelectElement} */ (byId("device"));
    /** @type {HTMLButtonElement[]} */
    this._buttons = [...byId("ranges").querySelectorAll("button.range")];
    for (const button of this._buttons) {
      button.disabled = false; // clicks are heard from now on
      button.addEventListener("click", () => this._chooseRange(button.value));
    }
    for (const id of ["compare", "metrics", "period", "download"]) makeMenu(byId(id));
    this._fillMetrics();
    this._select.addEventListener("change", () => this._changed({ deviceId: this._select.value }));
    byId("period-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => this._choosePeriod(event));
    byId("back").addEventListener("click", () => choice.back() && this._changed());
  }

  /** @returns {Device[]} the chosen ones that there are */
  get devices() {
    return this._choice.deviceIds.flatMap((id) => this._devices.get(id) ?? []);
  }

  /** @returns {import("./metrics.js").Presented[]} the chosen ones */
  get metrics() {
    const { metrics } = this._choice;
    return this._metrics.filter((metric) => (metrics ? metrics.includes(metric.name) : metric.isMain));
  }

  /**
   * Show these devices. Keeps the choice where it is still among them, else takes the first.
   * @param {Device[]} devices
   */
  setDevices(devices) {
    this._devices = new Map(devices.map((device) => [device.device_id, device]));
    this._choice.keepTo([...this._devices.keys()]);
    const options = devices.map((device) => new Option(deviceText(device), device.device_id));
    // A list that is open is left alone unless something in it changed.
    const isSame = [...this._select.options].map((option) => option.text).join() === options.map((o) => o.text).join();
    if (!isSame) this._select.replaceChildren(...(options.length > 0 ? options : [new Option("No devices", "")]));
    this._select.disabled = devices.length === 0;
    this.show();
  }

  /** The controls as the choice is. */
  show() {
    const { deviceId, others, range, canGoBack } = this._choice;
    for (const button of this._buttons) button.setAttribute("aria-pressed", String(button.value === range?.key));
    byId("period-toggle").setAttribute("aria-current", String(range === null));
    this._select.value = deviceId;
    byId("back").hidden = !canGoBack;
    const device = this._devices.get(deviceId);
    byId("role").hidden = !device;
    setText(byId("role"), device?.role === "owner" ? "yours" : `shared by ${device?.owner}`);
    byId("compare").hidden = this._devices.size < 2;
    setText(byId("compare-toggle"), others.length > 0 ? `Compared with ${others.length}` : "Compare");
    this._fillCompare();
    this._choice.keep();
  }

  /** @param {Partial<import("./choice.js").Choice>} [changes] */
  _changed(changes = {}) {
    Object.assign(this._choice, changes);
    this._choice.keepTo([...this._devices.keys()]);
    this.show();
    this._onChange();
  }

  /** @param {string} range a key of RANGES */
  _chooseRange(range) {
    if (this._choice.range?.key === range) return;
    this._choice.setSpan({ range });
    this._changed();
  }

  /** @param {SubmitEvent} event */
  _choosePeriod(event) {
    event.preventDefault();
    const [start, end] = ["from", "to"].map((id) => /** @type {HTMLInputElement} */ (byId(id)).value);
    const isOrdered = start < end;
    byId("to").setCustomValidity(isOrdered ? "" : "The end has to be after the beginning.");
    if (!isOrdered) return byId("to").reportValidity();
    byId("period").open = false;
    this._choice.setSpan({ start, end });
    this._changed();
  }

  _fillMetrics() {
    const boxes = this._metrics.map((metric) => {
      const isShown = this.metrics.includes(metric);
      return checkbox(metric.label, isShown, (isOn) => {
        const names = this.metrics.map(({ name }) => name).filter((name) => name !== metric.name);
        this._changed({ metrics: isOn ? [...names, metric.name] : names });
      });
    });
    byId("metrics-list").replaceChildren(...boxes);
  }

  _fillCompare() {
    const { deviceId, others } = this._choice;
    const list = byId("compare-list");
    const state = JSON.stringify([
      [...this._devices.values()].map(({ name, device_id }) => [name, device_id]),
      deviceId,
      others,
    ]);
    if (list.dataset.state === state) return;
    list.dataset.state = state;
    const isFull = others.length >= MAX_DEVICES - 1;
    const boxes = [...this._devices.values()]
      .filter(({ device_id }) => device_id !== deviceId)
      .map((device) => {
        const isOn = others.includes(device.device_id);
        const box = checkbox(device.name || device.device_id, isOn, (on) => {
          const rest = this._choice.others.filter((id) => id !== device.device_id);
          this._changed({ others: on ? [...rest, device.device_id] : rest });
        });
        box.querySelector("input").disabled = isFull && !isOn;
        return box;
      });
    list.replaceChildren(...boxes);
  }
}

/** @param {Device} device */
function deviceText(device) {
  return `${device.name || device.device_id} · ${device.online ? "online" : "offline"}`;
}
