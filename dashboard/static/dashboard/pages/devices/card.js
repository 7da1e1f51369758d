/**
 * The card of a device in the list. Updates keep its elements, so that the focus stays where it is.
 * @module card
 */

import { serverNow } from "../../lib/api.js";
import { button, element, setText } from "../../lib/elements.js";
import { duration } from "../../lib/format.js";
import { momentWords } from "../../lib/words.js";

/**
 * @typedef {Api.Device} Device
 * @typedef {"share" | "settings" | "history" | "transfer" | "release"} Action
 */

/** The actions of an owner, with their labels. @type {[Action, string][]} */
const ACTIONS = [
  ["share", "Share"],
  ["settings", "Settings"],
  ["history", "History"],
  ["transfer", "Transfer"],
  ["release", "Release"],
];

/** @param {Device} device */
export function nameOf(device) {
  return device.name || device.device_id;
}

export class Card {
  /** @param {Device} device @param {(action: Action, device: Device) => void} onAction a button was pressed */
  constructor(device, onAction) {
    this.root = element("li", "device");
    this._device = device;
    this._name = element("h2", "name");
    this._id = element("p", "id", device.device_id);
    this._state = element("p", "state");
    this._words = element("span", "");
    this._state.append(element("span", "lamp"), this._words);
    this._facts = element("p", "facts");
    this._chart = element("a", "plain", "Chart");
    this._chart.href = `/#${new URLSearchParams({ device: device.device_id })}`;
    this._buttons = ACTIONS.map(([action, label]) => button("plain", label, () => onAction(action, this._device)));
    const actions = element("div", "actions");
    actions.append(this._chart, ...this._buttons);
    this.root.append(this._name, this._id, this._state, this._facts, actions);
    this.show(device);
  }

  /** @param {Device} device */
  show(device) {
    this._device = device;
    setText(this._name, nameOf(device));
    this._id.hidden = !device.name;
    this._state.dataset.state = device.online ? "online" : "offline";
    setText(this._words, stateText(device));
    setText(this._facts, `${roleText(device)} · ${device.timezone}`);
    for (const target of [this._chart, ...this._buttons]) {
      target.setAttribute("aria-label", `${target.textContent} ${nameOf(device)}`);
    }
    for (const action of this._buttons) action.hidden = device.role !== "owner";
  }
}

/** @param {Device} device */
function stateText(device) {
  if (device.online) return "Online";
  if (!device.last_seen) return "Offline, no readings yet";
  return `Offline, last reading ${duration(serverNow() - Date.parse(device.last_seen))} ago`;
}

/** @param {Device} device */
function roleText(device) {
  if (device.role === "owner") return "Yours";
  const until = device.expires_at ? ` until ${momentWords(device.expires_at)}` : "";
  return `Shared by ${device.owner}${until}`;
}
