/**
 * A form whose submission is one request: locked while it is under way, with what was wrong said in the form and at the
 * field that the server names.
 * @module form
 */

import { Problem, signIn } from "./api.js";
import { setText } from "./elements.js";
import { problemWords } from "./words.js";

/**
 * @typedef {{
 *   send: (values: Record<string, string>) => Promise<any>,
 *   done: (answer: any, values: Record<string, string>) => void,
 * }} Submission `done` is called once `send` has succeeded
 */

export class Form {
  /** @param {HTMLFormElement} root which has an element of the class `problem` @param {Submission} submission */
  constructor(root, submission) {
    this._root = root;
    this._problem = /** @type {HTMLElement} */ (root.querySelector(".problem"));
    this._submission = submission;
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!root.hasAttribute("aria-busy")) this._submit();
    });
  }

  /** Begin anew, with these values. @param {Record<string, string>} [values] */
  fill(values = {}) {
    this._root.reset();
    for (const [name, value] of Object.entries(values)) this._field(name).value = value;
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

  /** @param {string} name @returns {any} */
  _field(name) {
    return name ? this._root.elements.namedItem(name) : null;
  }
}
