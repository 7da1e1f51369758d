/**
 * The page /account: API keys, the password, and the audit log of the account.
 * @module account/page
 */

import { Problem, deleteJson, getJson, postJson, serverNow, signIn } from "../../lib/api.js";
import { Audit } from "../../lib/audit.js";
import { Dialog } from "../../lib/dialog.js";
import { button, byId, element, setText } from "../../lib/elements.js";
import { Form } from "../../lib/form.js";
import { Notice } from "../../lib/notice.js";
import { dayWords, isPast } from "../../lib/words.js";

const DAY_MS = 86_400_000;
const SCOPES = ["read", "live", "manage"];

/** @typedef {Api.Key} Key */

class Keys {
  constructor() {
    this._notice = new Notice();
    const form = byId("new-key", HTMLFormElement);
    new Form(form, {
      send: (values) => postJson("/api/auth/tokens", { body: newKey(values) }),
      done: (/** @type {Api.NewKey} */ key) => {
        form.reset();
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
    const row = element("tr", isPast(key.expires_at) ? "over" : "");
    const name = element("th", "", key.name);
    name.setAttribute("scope", "row");
    const revoke = button("plain", "Revoke", () => this._revoke.open(key, key.name));
    revoke.setAttribute("aria-label", `Revoke ${key.name}`);
    const last = element("td", "");
    last.append(revoke);
    const expires = isPast(key.expires_at) ? `expired ${dayWords(key.expires_at)}` : dayWords(key.expires_at);
    const may = element("td", "minor", key.scopes.join(", "));
    row.append(name, may, element("td", "minor", dayWords(key.created_at)), element("td", "", expires), last);
    return row;
  }
}

/** The body of the request. @param {Record<string, string>} values of the form: a checkbox is missing unless ticked */
function newKey({ name, days, ...ticked }) {
  const scopes = SCOPES.filter((scope) => scope in ticked);
  return { name, scopes, expires_at: serverNow() + Number(days) * DAY_MS };
}

/** Show a new key. The server does not reveal it again. @param {Api.NewKey} key */
function showOnce(key) {
  const field = byId("key-text", HTMLInputElement);
  field.value = key.token;
  setText(byId("key-name"), key.name);
  setText(byId("key-told"), "");
  byId("key-shown", HTMLDialogElement).showModal();
  field.select();
}

function prepareKeyShown() {
  const field = byId("key-text", HTMLInputElement);
  byId("key-shown").addEventListener("close", () => (field.value = ""));
  byId("key-copy").addEventListener("click", async () => {
    setText(byId("key-told"), (await copy(field)) ? "Copied." : "Select the key and copy it yourself.");
  });
}

/**
 * Copy the value of a field. Without TLS, browsers offer `navigator.clipboard` to localhost only; the older command
 * works there too.
 * @param {HTMLInputElement} field
 * @returns {Promise<boolean>} whether it was copied
 */
async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.select();
    return document.execCommand("copy");
  }
}

/** @param {() => void} onChange the server accepted a new password */
function preparePassword(onChange) {
  const form = byId("password", HTMLFormElement);
  const password = byId("password-new", HTMLInputElement);
  const again = byId("password-again", HTMLInputElement);
  const compare = () => again.setCustomValidity(again.value === password.value ? "" : "The two passwords are not the same.");
  for (const field of [again, password]) field.addEventListener("input", compare);
  new Form(form, {
    send: ({ current_password, new_password }) =>
      postJson("/api/auth/password", { body: { current_password, new_password } }),
    done: () => {
      form.reset();
      setText(byId("told"), "The password is changed. All other sessions are signed out.");
      onChange();
    },
  });
}

const keys = new Keys();
prepareKeyShown();
preparePassword(() => keys.load());
keys.load();
new Audit(byId("activity"), { namesDevice: true }).show("/api/auth/audit");
