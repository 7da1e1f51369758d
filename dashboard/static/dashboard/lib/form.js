/**
 * A form that sends one request per submission. It is locked while the request runs. An error is shown in the form, and
 * the field that the server names gets the focus.
 * @module form
 */

import { Problem, signIn } from "./api.js";
import { find, setText } from "./elements.js";
import { problemWords } from "./words.js";

/**
 * @typedef {{
 *   send: (values: Record<string, string>) => Promise<any>,
 *   done: (answer: any, values: Record<string, string>) => void,
 * }} Submission `done` is called after `send` succeeded
 */

export class Form {
  /** @param {HTMLFormElement} root contains an element of the class `problem` @param {Submission} submission */
  constructor(root, submission) {
    this._root = root;
    this._problem = find(root, ".problem");
    this._submission = submission;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!root.hasAttribute("aria-busy")) this._submit();
    });
  }

  /** Reset the form. @param {Record<string, string>} [values] of its fields */
  fill(values = {}) {
    this._root.reset();
    for (const [name, value] of Object.entries(values)) {
      const field = this._field(name);
      if (field) field.value = value;
    }
    this._clear();
  }

  async _submit() {
    const values = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(this._root)));
    this._clear();
    this._root.setAttribute("aria-busy", "true");
    try {
      const answer = await this._submission.send(values);
      this._submission.done(answer, values);
    } catch (error) {
      this._failed(error);
    } finally {
      this._root.removeAttribute("aria-busy");
    }
  }

  /** @param {unknown} error */
  _failed(error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) return signIn();
    const { field, words } = problemWords(error);
    this._problem.hidden = false;
    setText(this._problem, words);
    const input = this._field(field);
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }

  _clear() {
    this._problem.hidden = true;
    setText(this._problem, "");
    for (const input of this._root.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }

  /** @param {string} name "" for none @returns {HTMLInputElement | HTMLSelectElement | null} */
  _field(name) {
    const field = name ? this._root.elements.namedItem(name) : null;
    return field instanceof HTMLInputElement || field instanceof HTMLSelectElement ? field : null;
  }
}
