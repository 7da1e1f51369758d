/**
 * The page /devices: what I see, in which state, and what an owner does with it.
 * @module devices
 */

import { Problem, deleteJson, getJson, patchJson, postJson, signIn } from "./api.js";
import { Audit } from "./audit.js";
import { Card, nameOf } from "./card.js";
import { Dialog } from "./dialog.js";
import { byId, setText } from "./elements.js";
import { Notice } from "./notice.js";
import { Shares } from "./shares.js";

/** @typedef {import("./card.js").Device} Device */

const REFRESH_MS = 5_000;

class Devices {
  constructor() {
    /** @type {Map<string, Card>} */
    this._cards = new Map();
    this._notice = new Notice();
    this._claim = new Dialog("claim", {
      send: ({ device_id, claim_code }) =>
        postJson("/api/devices/claim", { body: { device_id: device_id.trim(), claim_code } }),
      done: (device) => this._changed(`${nameOf(device)} is yours now.`),
    });
    const settings = new Dialog("settings", {
      send: ({ name, timezone }, device) => patchJson(path(device), { body: { name, timezone } }),
      done: (device) => this._changed(`${nameOf(device)} is saved.`),
    });
    const transfer = new Dialog("transfer", {
      send: ({ username }, device) => postJson(`${path(device)}/transfer`, { body: { username } }),
      done: (_, device, { username }) => this._changed(`${nameOf(device)} belongs to ${username} now.`),
    });
    const release = new Dialog("release", {
      send: (_, device) => deleteJson(path(device)),
      done: (_, device) => this._changed(`${nameOf(device)} is released. Nobody sees it until it is claimed again.`),
    });
    const shares = new Shares();
    const history = byId("history");
    const audit = new Audit(history, { namesDevice: false });
    /** @type {Record<string, (device: Device) => void>} what each button of a card opens */
    this._open = {
      share: (device) => shares.open(device, nameOf(device)),
      settings: (device) => settings.open(device, device.device_id, { name: device.name, timezone: device.timezone }),
      history: (device) => {
        setText(history.querySelector("[data-subject]"), nameOf(device));
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

  /** @param {string} told what has just happened */
  async _changed(told) {
    const before = document.activeElement;
    await this._refresh();
    setText(byId("told"), told);
    // What was opened from a card that has gone gives the focus back to nothing.
    if (!before?.isConnected || document.activeElement === document.body) byId("title").focus();
  }

  async _refresh() {
    try {
      this._show(await getJson("/api/devices"));
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
    return known ?? new Card(device, (what, chosen) => this._open[what](chosen));
  }
}

/** @param {Device} device */
function path(device) {
  return `/api/devices/${encodeURIComponent(device.device_id)}`;
}

function zones() {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

new Devices().start();
