/**
 * A view of an audit log: the newest entries first, older pages on demand.
 * @module audit
 */

import { Problem, getJson, signIn } from "./api.js";
import { element, find, setText } from "./elements.js";
import { momentWords, problemWords } from "./words.js";

/** @type {Record<string, string>} */
const EVENTS = {
  registered: "Account made",
  login: "Signed in",
  login_failed: "Sign-in refused",
  logout: "Signed out",
  password_changed: "Password changed",
  key_made: "API key made",
  key_revoked: "API key revoked",
  claimed: "Claimed",
  released: "Released",
  transfer_offered: "Transfer offered",
  transfer_ended: "Transfer ended",
  transferred: "Transferred",
  shared: "Shared",
  unshared: "Share removed",
  share_expired: "Share expired",
  denied: "Refused",
};

export class Audit {
  /**
   * @param {HTMLElement} root contains the template _audit.html
   * @param {{namesDevice: boolean}} options `namesDevice`: show the device of each entry
   */
  constructor(root, options) {
    this._options = options;
    this._root = find(root, ".audit");
    this._rows = find(this._root, "tbody");
    this._problem = find(this._root, ".problem");
    this._more = find(this._root, ".more", HTMLButtonElement);
    this._path = "";
    /** @type {number | null} */
    this._cursor = null;
    this._more.addEventListener("click", () => this._load(this._path, this._cursor));
  }

  /** Show the newest entries of a log. @param {string} path of the log in the API */
  show(path) {
    this._path = path;
    this._rows.replaceChildren();
    this._more.hidden = true;
    this._root.dataset.view = "loading";
    return this._load(path, null);
  }

  /** @param {string} path @param {number | null} cursor */
  async _load(path, cursor) {
    this._problem.hidden = true;
    try {
      /** @type {Api.AuditPage} */
      const page = await getJson(cursor === null ? path : `${path}?cursor=${cursor}`);
      if (path === this._path) this._append(page.entries, page.next_cursor);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) return signIn();
      if (path !== this._path) return;
      this._root.dataset.view = "error";
      this._problem.hidden = false;
      setText(this._problem, problemWords(error).words);
    }
  }

  /** @param {Api.AuditEntry[]} entries @param {number | null} next */
  _append(entries, next) {
    const rows = entries.map((entry) => entryRow(entry, this._options.namesDevice));
    const isFirstPage = this._rows.children.length === 0;
    this._rows.append(...rows);
    this._cursor = next;
    this._more.hidden = next === null;
    this._root.dataset.view = this._rows.children.length > 0 ? "list" : "empty";
    if (!isFirstPage) rows[0]?.focus();
  }
}

/** @param {Api.AuditEntry} entry @param {boolean} namesDevice */
function entryRow(entry, namesDevice) {
  const row = element("tr", "");
  row.tabIndex = -1; // "Show more" moves the focus to the first new row
  const what = element("td", "");
  what.append(element("span", "", eventText(entry, namesDevice)), element("small", "", originText(entry)));
  row.append(element("td", "", momentWords(entry.time)), what);
  return row;
}

/** @param {Api.AuditEntry} entry @param {boolean} namesDevice */
function eventText(entry, namesDevice) {
  const words = [EVENTS[entry.event] ?? entry.event, namesDevice && entry.device_id, entry.detail];
  if (entry.count > 1) words.push(`${entry.count} times`);
  return words.filter(Boolean).join(" · ");
}

/** @param {Api.AuditEntry} entry */
function originText(entry) {
  return [entry.user && `by ${entry.user}`, entry.address && `from ${entry.address}`].filter(Boolean).join(" ");
}
