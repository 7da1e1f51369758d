/**
 * The page /devices: the devices of the user, their state, and the actions of an owner.
 * @module devices/page
 */

import { Problem, deleteJson, getJson, patchJson, postJson, signIn } from "../../lib/api.js";
import { Audit } from "../../lib/audit.js";
import { Card, nameOf } from "./card.js";
import { Dialog } from "../../lib/dialog.js";
import { byId, find, setText } from "../../lib/elements.js";
import { Notice } from "../../lib/notice.js";
import { Shares } from "./shares.js";
import { Transfers } from "./transfers.js";

/** @typedef {Api.Device} Device */

const REFRESH_MS = 5_000;

class Devices {
  constructor() {
    /** @type {Map<string, Card>} */
    this._cards = new Map();
    this._notice = new Notice();
    /** @type {Dialog<null>} */
    this._claim = new Dialog("claim", {
      send: ({ device_id, claim_code }) =>
        postJson("/api/devices/claim", { body: { device_id: device_id.trim(), claim_code } }),
      done: (/** @type {Device} */ device) => this._changed(`${nameOf(device)} is yours now.`),
    });
    /** @type {Dialog<Device>} */
    const settings = new Dialog("settings", {
      send: ({ name, timezone }, device) => patchJson(path(device), { body: { name, timezone } }),
      done: (/** @type {Device} */ device) => this._changed(`${nameOf(device)} is saved.`),
    });
    /** @type {Dialog<Device>} */
    const transfer = new Dialog("transfer", {
      send: ({ username, with_history }, device) =>
        postJson(`${path(device)}/transfer`, { body: { username, with_history: Boolean(with_history) } }),
      done: (_, device, { username }) =>
        this._changed(`${nameOf(device)} is offered to ${username}. It stays yours until they accept.`),
    });
    /** @type {Dialog<Device>} */
    const release = new Dialog("release", {
      send: (_, device) => deleteJson(path(device)),
      done: (_, device) => this._changed(`${nameOf(device)} is released. Nobody sees it until it is claimed again.`),
    });
    const shares = new Shares();
    this._transfers = new Transfers((message) => this._changed(message));
    const history = byId("history", HTMLDialogElement);
    const audit = new Audit(history, { namesDevice: false });
    /** @type {Record<import("./card.js").Action, (device: Device) => void>} */
    this._open = {
      share: (device) => shares.open(device, nameOf(device)),
      settings: (device) => settings.open(device, device.device_id, { name: device.name, timezone: device.timezone }),
      history: (device) => {
        setText(find(history, "[data-subject]"), nameOf(device));
        audit.show(`${path(device)}/audit`);
        history.showModal();
      },
      transfer: (device) => transfer.open(device, nameOf(device)),
      release: (device) => release.open(device, nameOf(device)),
    };
    for (const button of document.querySelectorAll("[data-open='claim']")) {
      button.addEventListener("click", () => this._claim.open(null, ""));
    }
    byId("zones").replaceChildren(...zones().map((zone) => new Option(zone)));
  }

  start() {
    this._refresh();
    setInterval(() => document.hidden || this._refresh(), REFRESH_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this._refresh());
  }

  /** Load the list again after a change. @param {string} message about the change */
  async _changed(message) {
    const before = document.activeElement;
    await this._refresh();
    setText(byId("told"), message);
    // A dialog returns the focus to its button. The card of the button may be gone.
    if (!before?.isConnected || document.activeElement === document.body) byId("title").focus();
  }

  async _refresh() {
    try {
      const [devices, transfers] = await Promise.all([getJson("/api/devices"), getJson("/api/transfers")]);
      this._show(devices);
      this._transfers.show(transfers);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) return signIn();
      byId("devices").dataset.view = "error";
      this._notice.problem(error, () => this._refresh());
      return;
    }
    this._notice.clear();
  }

  /** @param {Device[]} devices */
  _show(devices) {
    const cards = new Map(devices.map((device) => [device.device_id, this._card(device)]));
    const isSame = [...cards.keys()].join() === [...this._cards.keys()].join();
    this._cards = cards;
    if (!isSame) byId("list").replaceChildren(...[...cards.values()].map((card) => card.root));
    byId("devices").dataset.view = devices.length > 0 ? "list" : "empty";
  }

  /** @param {Device} device */
  _card(device) {
    const known = this._cards.get(device.device_id);
    known?.show(device);
    return known ?? new Card(device, (action, chosen) => this._open[action](chosen));
  }
}

/** @param {Device} device */
function path(device) {
  return `/api/devices/${encodeURIComponent(device.device_id)}`;
}

/** The time zones that the browser knows, UTC first. */
function zones() {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

new Devices().start();
