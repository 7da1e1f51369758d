/**
 * A dialog with a form about one subject. The browser keeps the focus inside, closes the dialog on Escape and restores
 * the focus.
 * @module dialog
 */

import { byId, find, setText } from "./elements.js";
import { Form } from "./form.js";

/** @template Subject */
export class Dialog {
  /**
   * @param {string} id of the <dialog>. Elements with `data-subject` show the subject; those with `data-close` close it
   * @param {{
   *   send: (values: Record<string, string>, subject: Subject) => Promise<any>,
   *   done: (answer: any, subject: Subject, values: Record<string, string>) => void,
   *   staysOpen?: boolean,
   * }} options `send` makes the request; `done` is called after it succeeded and, unless `staysOpen`, the dialog closed
   */
  constructor(id, options) {
    this.root = byId(id, HTMLDialogElement);
    /** @type {Subject | null} the subject of the last `open` */
    this.subject = null;
    this._form = new Form(find(this.root, "form", HTMLFormElement), {
      send: (values) => options.send(values, /** @type {Subject} */ (this.subject)),
      done: (answer, values) => {
        if (!options.staysOpen) this.root.close();
        options.done(answer, /** @type {Subject} */ (this.subject), values);
      },
    });
    for (const closer of this.root.querySelectorAll("[data-close]")) {
      closer.addEventListener("click", () => this.root.close());
    }
  }

  /**
   * @param {Subject} subject
   * @param {string} name of the subject
   * @param {Record<string, string>} [values] of the form's fields
   */
  open(subject, name, values = {}) {
    this.subject = subject;
    for (const place of this.root.querySelectorAll("[data-subject]")) setText(place, name);
    this.clear(values);
    this.root.showModal();
  }

  /** Reset the form. @param {Record<string, string>} [values] of its fields */
  clear(values = {}) {
    this._form.fill(values);
  }
}
