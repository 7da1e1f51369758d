/**
 * Who else sees a device: a dialog to let somebody in, until a time if wanted, and to end that again.
 * @module shares
 */

import { Problem, deleteJson, getJson, postJson, signIn } from "./api.js";
import { Dialog } from "./dialog.js";
import { byId, element, setText } from "./elements.js";
import { momentWords, ownZone, problemWords } from "./words.js";

/**
 * @typedef {{username: string, role: string, expires_at: string | null}} Share as GET …/shares has it
 * @typedef {import("./card.js").Device} Device
 */

export class Shares {
  constructor() {
    /** @type {Dialog<Device>} */
    this._dialog = new Dialog("share", {
      send: ({ username, until }, device) =>
        postJson(path(device), { body: { username, expires_at: until ? iso(until) : null } }),
      done: (share, device) => {
        this._dialog.clear();
        this._load(device, `${share.username} sees it ${untilWords(share)}.`);
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

  /** @param {Device} device @param {string} told what has just happened */
  async _load(device, told) {
    try {
      const shares = await getJson(path(device));
      if (device === this._dialog.subject) this._show(device, shares, told);
    } catch (error) {
      failed(error);
    }
  }

  /** @param {Device} device @param {Share[]} shares @param {string} told */
  _show(device, shares, told) {
    byId("share-list").replaceChildren(...shares.map((share) => this._row(device, share)));
    byId("share-none").hidden = shares.length > 0;
    setText(byId("share-told"), told);
  }

  /** @param {Device} device @param {Share} share */
  _row(device, share) {
    const row = element("li", "row");
    const remove = /** @type {HTMLButtonElement} */ (element("button", "plain", "Remove"));
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${share.username}`);
    remove.addEventListener("click", () => this._remove(device, share.username));
    const words = element("span", "who", share.username);
    words.append(element("small", "", untilWords(share)));
    row.append(words, remove);
    return row;
  }

  /** @param {Device} device @param {string} username */
  async _remove(device, username) {
    try {
      await deleteJson(`${path(device)}/${encodeURIComponent(username)}`);
    } catch (error) {
      return failed(error);
    }
    // The button that had the focus goes.
    byId("share-username").focus();
    return this._load(device, `${username} does not see it any more.`);
  }
}

/** @param {unknown} error */
function failed(error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) signIn();
  else setText(byId("share-told"), problemWords(error).words);
}

/** @param {Device} device */
function path(device) {
  return `/api/devices/${encodeURIComponent(device.device_id)}/shares`;
}

/** @param {Share} share */
function untilWords(share) {
  return share.expires_at ? `until ${momentWords(share.expires_at)}` : "until you remove it";
}

/** @param {string} local the value of a datetime-local field */
function iso(local) {
  return new Date(local).toISOString();
}
