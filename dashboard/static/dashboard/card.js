/**
 * One device in the list. What changes is written into elements that stay, so that the focus stays where it is.
 * @module card
 */

import { serverNow } from "./api.js";
import { element, setText } from "./elements.js";
import { duration } from "./format.js";
import { momentWords } from "./words.js";

/**
 * @typedef {{device_id: string, name: string, role: string, online: boolean, last_seen: string | null, timezone: string,
 *   owner: string, expires_at: string | null}} Device as GET /api/devices has it
 * @typedef {(what: string, device: Device) => void} Choose
 */

/** What an owner may do: key and words. */
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
  /** @param {Device} device @param {Choose} choose an owner's button was pressed */
  constructor(device, choose) {
    this.root = element("li", "device");
    this._name = element("h2", "name");
    this._id = element("p", "id", device.device_id);
    this._state = element("p", "state");
    this._words = element("span", "");
    this._state.append(element("span", "lamp"), this._words);
    this._facts = element("p", "facts");
    this._chart = /** @type {HTMLAnchorElement} */ (element("a", "plain", "Chart"));
    this._chart.href = `/#${new URLSearchParams({ device: device.device_id })}`;
    this._buttons = ACTIONS.map(([key, words]) => this._button(key, words, choose));
    const actions = element("div", "actions");
    actions.append(this._chart, ...this._buttons);
    this.root.append(this._name, this._id, this._state, this._facts, actions);
    this.show(device);
  }

  /** @param {Device} device */
  show(device) {
    this.device = device;
    setText(this._name, nameOf(device));
    this._id.hidden = !device.name;
    this._state.dataset.state = device.online ? "online" : "offline";
    setText(this._words, stateWords(device));
    setText(this._facts, `${roleWords(device)} · ${device.timezone}`);
    for (const target of [this._chart, ...this._buttons]) {
      target.setAttribute("aria-label", `${target.textContent} ${nameOf(device)}`);
    }
    for (const button of this._buttons) button.hidden = device.role !== "owner";
  }

  /** @param {string} key @param {string} words @param {Choose} choose */
  _button(key, words, choose) {
    const button = /** @type {HTMLButtonElement} */ (element("button", "plain", words));
    button.type = "button";
    button.addEventListener("click", () => choose(key, /** @type {Device} */ (this.device)));
    return button;
  }
}

/** @param {Device} device */
function stateWords(device) {
  if (device.online) return "Online";
  if (!device.last_seen) return "Offline, no readings yet";
  return `Offline, last reading ${duration(serverNow() - Date.parse(device.last_seen))} ago`;
}

/** @param {Device} device */
function roleWords(device) {
  if (device.role === "owner") return "Yours";
  const until = device.expires_at ? ` until ${momentWords(device.expires_at)}` : "";
  return `Shared by ${device.owner}${until}`;
}
