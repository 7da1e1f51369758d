/**
 * The page /account: API keys, the password, and what happened with the account.
 * @module account
 */

import { Problem, deleteJson, getJson, postJson, serverNow, signIn } from "./api.js";
import { Audit } from "./audit.js";
import { Dialog } from "./dialog.js";
import { byId, element, setText } from "./elements.js";
import { Form } from "./form.js";
import { Notice } from "./notice.js";
import { dayWords, isOver } from "./words.js";

const DAY_MS = 86_400_000;
const SCOPES = ["read", "live", "manage"];

/**
 * @typedef {{id: number, name: string, scopes: string[], created_at: string, expires_at: string}} Key
 *   as GET /api/auth/tokens has it
 */

class Keys {
  constructor() {
    this._notice = new Notice();
    new Form(byId("new-key"), {
      send: (values) => postJson("/api/auth/tokens", { body: newKey(values) }),
      done: (key) => {
        byId("new-key").reset();
        showOnce(key);
        this.load();
      },
    });
    /** @type {Dialog<Key>} */
    this._revoke = new Dialog("revoke", {
      send: (_, key) => deleteJson(`/api/auth/tokens/${key.id}`),
      done: async (_, key) => {
        await this.load();
        setText(byId("told"), `${key.name} is revoked.`);
        byId("keys-title").focus();
      },
    });
  }

  async load() {
    try {
      this._show(await getJson("/api/auth/tokens"));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) return signIn();
      byId("keys").dataset.view = "error";
      this._notice.problem(error, () => this.load());
      return;
    }
    this._notice.clear();
  }

  /** @param {Key[]} keys */
  _show(keys) {
    byId("key-rows").replaceChildren(...keys.map((key) => this._row(key)));
    byId("keys").dataset.view = keys.length > 0 ? "list" : "empty";
  }

  /** @param {Key} key */
  _row(key) {
    const row = element("tr", isOver(key.expires_at) ? "over" : "");
    const name = element("th", "", key.name);
    name.setAttribute("scope", "row");
    const button = /** @type {HTMLButtonElement} */ (element("button", "plain", "Revoke"));
    button.type = "button";
    button.setAttribute("aria-label", `Revoke ${key.name}`);
    button.addEventListener("click", () => this._revoke.open(key, key.name));
    const last = element("td", "");
    last.append(button);
    const expires = isOver(key.expires_at) ? `expired ${dayWords(key.expires_at)}` : dayWords(key.expires_at);
    const may = element("td", "minor", key.scopes.join(", "));
    row.append(name, may, element("td", "minor", dayWords(key.created_at)), element("td", "", expires), last);
    return row;
  }
}

/** @param {Record<string, string>} values the form's */
function newKey({ name, days, ...ticked }) {
  const scopes = SCOPES.filter((scope) => scope in ticked);
  return { name, scopes, expires_at: serverNow() + Number(days) * DAY_MS };
}

/** Show the key, this once. @param {{name: string, token: string}} key */
function showOnce(key) {
  const dialog = byId("key-shown");
  const field = byId("key-text");
  field.value = key.token;
  setText(byId("key-name"), key.name);
  setText(byId("key-told"), "");
  dialog.showModal();
  field.select();
}

function prepareKeyShown() {
  const dialog = byId("key-shown");
  dialog.addEventListener("close", () => (byId("key-text").value = ""));
  byId("key-copy").addEventListener("click", async () => {
    setText(byId("key-told"), (await copy(byId("key-text"))) ? "Copied." : "Select the key and copy it yourself.");
  });
}

/** Pages of another machine without https have no clipboard but the old one. @param {HTMLInputElement} field */
async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.select();
    return document.execCommand("copy");
  }
}

function preparePassword() {
  const again = byId("password-again");
  const compare = () =>
    again.setCustomValidity(again.value === byId("password-new").value ? "" : "This is not the same as above.");
  for (const field of [again, byId("password-new")]) field.addEventListener("input", compare);
  new Form(byId("password"), {
    send: ({ current_password, new_password }) =>
      postJson("/api/auth/password", { body: { current_password, new_password } }),
    done: () => {
      byId("password").reset();
      setText(byId("told"), "The password is changed. Everything else that was signed in is signed out.");
      keys.load();
    },
  });
}

const keys = new Keys();
prepareKeyShown();
preparePassword();
keys.load();
new Audit(byId("activity"), { namesDevice: true }).show("/api/auth/audit");
