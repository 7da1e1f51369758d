/**
 * The controls for devices, time and metrics.
 * @module controls
 */

import { byId, checkbox, setText } from "../../lib/elements.js";
import { makeMenu } from "../../lib/menu.js";
import { MAX_DEVICES } from "./choice.js";

/**
 * @typedef {Api.Device} Device
 * @typedef {import("../../chart/metrics.js").Presented} Presented
 */

const MENUS = ["compare", "metrics", "period", "download"];

export class Controls {
  /**
   * @param {import("./choice.js").Choice} choice
   * @param {Presented[]} metrics
   * @param {() => void} onChange the person has changed the choice
   */
  constructor(choice, metrics, onChange) {
    this._choice = choice;
    this._metrics = metrics;
    this._onChange = onChange;
    /** @type {Map<string, Device>} */
    this._devices = new Map();
    this._select = byId("device", HTMLSelectElement);
    this._period = byId("period", HTMLDetailsElement);
    /** @type {HTMLButtonElement[]} */
    this._ranges = [...byId("ranges").querySelectorAll(/** @type {"button"} */ ("button.range"))];
    for (const button of this._ranges) {
      button.disabled = false; // the template disables it until its clicks are handled
      button.addEventListener("click", () => this._chooseRange(button.value));
    }
    for (const id of MENUS) makeMenu(byId(id, HTMLDetailsElement));
    this._fillMetrics();
    this._select.addEventListener("change", () => this._change({ deviceId: this._select.value }));
    byId("period-form").addEventListener("submit", (event) => this._choosePeriod(event));
    byId("back").addEventListener("click", () => choice.back() && this._change());
  }

  /** @returns {Device[]} the chosen devices that exist */
  get devices() {
    return this._choice.deviceIds.flatMap((id) => this._devices.get(id) ?? []);
  }

  /** @returns {Presented[]} the chosen metrics */
  get metrics() {
    const { metrics } = this._choice;
    return this._metrics.filter((metric) => (metrics ? metrics.includes(metric.name) : metric.isMain));
  }

  /** Offer these devices. Devices that are no longer offered are dropped from the choice. @param {Device[]} devices */
  setDevices(devices) {
    this._devices = new Map(devices.map((device) => [device.device_id, device]));
    this._choice.limitTo([...this._devices.keys()]);
    const options = devices.map((device) => new Option(optionText(device), device.device_id));
    // An unchanged list is left alone, because it may be open.
    const isSame = [...this._select.options].map((option) => option.text).join() === options.map((o) => o.text).join();
    if (!isSame) this._select.replaceChildren(...(options.length > 0 ? options : [new Option("No devices", "")]));
    this._select.disabled = devices.length === 0;
    this.show();
  }

  /** Make the controls and the address show the choice. */
  show() {
    const { deviceId, others, range, canGoBack, fragment } = this._choice;
    for (const button of this._ranges) button.setAttribute("aria-pressed", String(button.value === range?.key));
    byId("period-toggle").setAttribute("aria-current", String(range === null));
    this._select.value = deviceId;
    byId("back").hidden = !canGoBack;
    const device = this._devices.get(deviceId);
    byId("role").hidden = !device;
    setText(byId("role"), device?.role === "owner" ? "yours" : `shared by ${device?.owner}`);
    byId("compare").hidden = this._devices.size < 2;
    setText(byId("compare-toggle"), others.length > 0 ? `Compared with ${others.length}` : "Compare");
    this._fillCompare();
    if (fragment) history.replaceState(null, "", `#${fragment}`);
  }

  /** @param {Partial<Pick<import("./choice.js").Choice, "deviceId" | "others" | "metrics">>} [changes] */
  _change(changes = {}) {
    Object.assign(this._choice, changes);
    this._choice.limitTo([...this._devices.keys()]);
    this.show();
    this._onChange();
  }

  /** @param {string} range a key of RANGES */
  _chooseRange(range) {
    if (this._choice.range?.key === range) return;
    this._choice.setSpan({ range });
    this._change();
  }

  /** @param {SubmitEvent} event */
  _choosePeriod(event) {
    event.preventDefault();
    const to = byId("to", HTMLInputElement);
    const [start, end] = [byId("from", HTMLInputElement).value, to.value];
    const isOrdered = start < end;
    to.setCustomValidity(isOrdered ? "" : "The end must be after the start.");
    if (!isOrdered) return to.reportValidity();
    this._period.open = false;
    this._choice.setSpan({ start, end });
    return this._change();
  }

  _fillMetrics() {
    const boxes = this._metrics.map((metric) => {
      const isChecked = this.metrics.includes(metric);
      return checkbox(metric.label, { isChecked }, (isOn) => {
        const names = this.metrics.map(({ name }) => name).filter((name) => name !== metric.name);
        this._change({ metrics: isOn ? [...names, metric.name] : names });
      });
    });
    byId("metrics-list").replaceChildren(...boxes);
  }

  _fillCompare() {
    const { deviceId, others } = this._choice;
    const list = byId("compare-list");
    const names = [...this._devices.values()].map(({ name, device_id }) => [name, device_id]);
    const state = JSON.stringify([names, deviceId, others]);
    if (list.dataset.state === state) return;
    list.dataset.state = state;
    const isFull = others.length >= MAX_DEVICES - 1;
    const boxes = [...this._devices.values()]
      .filter(({ device_id }) => device_id !== deviceId)
      .map((device) => {
        const isChecked = others.includes(device.device_id);
        const isDisabled = isFull && !isChecked;
        return checkbox(device.name || device.device_id, { isChecked, isDisabled }, (isOn) => {
          const rest = this._choice.others.filter((id) => id !== device.device_id);
          this._change({ others: isOn ? [...rest, device.device_id] : rest });
        });
      });
    list.replaceChildren(...boxes);
  }
}

/** @param {Device} device */
function optionText(device) {
  return `${device.name || device.device_id} · ${device.online ? "online" : "offline"}`;
}
