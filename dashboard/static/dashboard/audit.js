/**
 * Who did what and when: a page of an audit log, newest first, and the pages before it on demand.
 * @module audit
 */

import { Problem, getJson, signIn } from "./api.js";
import { element, setText } from "./elements.js";
import { momentWords, problemWords } from "./words.js";

/**
 * @typedef {{time: string, event: string, user: string, device_id: string, detail: string, address: string,
 *   count: number}} Entry as the audit routes have it
 */

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
  transferred: "Transferred",
  shared: "Shared",
  unshared: "Share removed",
  share_expired: "Share expired",
  denied: "Refused",
};

export class Audit {
  /**
   * @param {HTMLElement} root which includes _audit.html
   * @param {{namesDevice: boolean}} options `namesDevice`: the log is not that of one device
   */
  constructor(root, options) {
    this._options = options;
    this._root = /** @type {HTMLElement} */ (root.querySelector(".audit"));
    this._rows = /** @type {HTMLElement} */ (this._root.querySelector("tbody"));
    this._problem = /** @type {HTMLElement} */ (this._root.querySelector(".problem"));
    this._more = /** @type {HTMLButtonElement} */ (this._root.querySelector(".more"));
    this._path = "";
    this._cursor = /** @type {number | null} */ (null);
    this._more.addEventListener("click", () => this._load(this._path, this._cursor));
  }

  /** Show the newest entries of this log. @param {string} path */
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

  /** @param {Entry[]} entries @param {number | null} next */
  _append(entries, next) {
    const first = this._rows.children.length;
    this._rows.append(...entries.map((entry) => row(entry, this._options.namesDevice)));
    this._cursor = next;
    this._more.hidden = next === null;
    this._root.dataset.view = this._rows.children.length > 0 ? "list" : "empty";
    if (first > 0) /** @type {HTMLElement | undefined} */ (this._rows.children[first])?.focus();
  }
}

/** @param {Entry} entry @param {boolean} namesDevice */
function row(entry, namesDevice) {
  const line = element("tr", "");
  line.tabIndex = -1; // where reading goes on after "Show more"
  const what = element("td", "");
  what.append(element("span", "", whatWords(entry, namesDevice)), element("small", "", whoWords(entry)));
  line.append(element("td", "", momentWords(entry.time)), what);
  return line;
}

/** @param {Entry} entry @param {boolean} namesDevice */
function whatWords(entry, namesDevice) {
  const words = [EVENTS[entry.event] ?? entry.event, namesDevice && entry.device_id, entry.detail];
  if (entry.count > 1) words.push(`${entry.count} times`);
  return words.filter(Boolean).join(" · ");
}

/** @param {Entry} entry */
function whoWords(entry) {
  return [entry.user && `by ${entry.user}`, entry.address && `from ${entry.address}`].filter(Boolean).join(" ");
}
