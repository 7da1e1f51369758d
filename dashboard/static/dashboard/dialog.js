/**
 * A dialog with a form, about one subject. The browser keeps the focus inside, closes on Escape and gives the focus back.
 * @module dialog
 */

import { Form } from "./form.js";
import { byId, setText } from "./elements.js";

/** @template Subject */
export class Dialog {
  /**
   * @param {string} id of the <dialog>; elements inside with `data-subject` show the subject, with `data-close` close it
   * @param {{
   *   send: (values: Record<string, string>, subject: Subject) => Promise<any>,
   *   done: (answer: any, subject: Subject, values: Record<string, string>) => void,
   *   staysOpen?: boolean,
   * }} options `done` is called after it was closed
   */
  constructor(id, options) {
    this.root = /** @type {HTMLDialogElement} */ (byId(id));
    /** @type {Subject | any} */
    this.subject = null;
    this._form = new Form(/** @type {HTMLFormElement} */ (this.root.querySelector("form")), {
      send: (values) => options.send(values, this.subject),
      done: (answer, values) => {
        if (!options.staysOpen) this.root.close();
        options.done(answer, this.subject, values);
      },
    });
    for (const button of this.root.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => this.root.close());
    }
  }

  /**
   * @param {Subject} subject
   * @param {string} words the subject's name
   * @param {Record<string, string>} [values] what stands in the form
   */
  open(subject, words, values = {}) {
    this.subject = subject;
    for (const place of this.root.querySelectorAll("[data-subject]")) setText(place, words);
    this.clear(values);
    this.root.showModal();
  }

  /** @param {Record<string, string>} [values] */
  clear(values = {}) {
    this._form.fill(values);
  }
}
