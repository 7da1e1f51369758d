/**
 * The dialog for sharing a device: add a viewer, with an optional end, and remove viewers.
 * @module shares
 */

import { Problem, deleteJson, getJson, postJson, signIn } from "../../lib/api.js";
import { Dialog } from "../../lib/dialog.js";
import { button, byId, element, setText } from "../../lib/elements.js";
import { momentWords, ownZone, problemWords } from "../../lib/words.js";

/**
 * @typedef {Api.Share} Share
 * @typedef {Api.Device} Device
 */

export class Shares {
  constructor() {
    /** @type {Dialog<Device>} */
    this._dialog = new Dialog("share", {
      send: ({ username, until }, device) =>
        postJson(path(device), { body: { username, expires_at: until ? localToIso(until) : null } }),
      done: (/** @type {Share} */ share, device) => {
        this._dialog.clear();
        this._load(device, `${share.username} sees it ${untilText(share)}.`);
      },
      staysOpen: true,
    });
    setText(byId("share-zone"), ownZone());
  }

  /** @param {Device} device @param {string} name */
  open(device, name) {
    byId("share-list").replaceChildren();
    setText(byId("share-told"), "");
    this._dialog.open(device, name);
    this._load(device, "");
  }

  /** @param {Device} device @param {string} message about what has just happened */
  async _load(device, message) {
    try {
      const shares = await getJson(path(device));
      if (device === this._dialog.subject) this._show(device, shares, message);
    } catch (error) {
      showFailure(error);
    }
  }

  /** @param {Device} device @param {Share[]} shares @param {string} message */
  _show(device, shares, message) {
    byId("share-list").replaceChildren(...shares.map((share) => this._row(device, share)));
    byId("share-none").hidden = shares.length > 0;
    setText(byId("share-told"), message);
  }

  /** @param {Device} device @param {Share} share */
  _row(device, share) {
    const remove = button("plain", "Remove", () => this._remove(device, share.username));
    remove.setAttribute("aria-label", `Remove ${share.username}`);
    const words = element("span", "who", share.username);
    words.append(element("small", "", untilText(share)));
    const row = element("li", "row");
    row.append(words, remove);
    return row;
  }

  /** @param {Device} device @param {string} username */
  async _remove(device, username) {
    try {
      await deleteJson(`${path(device)}/${encodeURIComponent(username)}`);
    } catch (error) {
      return showFailure(error);
    }
    // The button that has the focus is about to be removed.
    byId("share-username").focus();
    return this._load(device, `${username} does not see it any more.`);
  }
}

/** @param {unknown} error */
function showFailure(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) signIn();
  else setText(byId("share-told"), problemWords(error).words);
}

/** @param {Device} device */
function path(device) {
  return `/api/devices/${encodeURIComponent(device.device_id)}/shares`;
}

/** @param {Share} share */
function untilText(share) {
  return share.expires_at ? `until ${momentWords(share.expires_at)}` : "until you remove it";
}

/** @param {string} local value of a datetime-local field, in the time zone of this browser */
function localToIso(local) {
  return new Date(local).toISOString();
}
