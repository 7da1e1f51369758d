/**
 * The message about a failure at the top of a page. It retries what may succeed later: after a delay, or at once by a
 * button.
 * @module notice
 */

import { backoffMs } from "../../wattstream-client/index.js";
import { byId, setText } from "./elements.js";

export class Notice {
  constructor() {
    this._root = byId("notice");
    this._failures = 0; // in a row
    this._timer = 0;
    this._isTransient = false;
  }

  /**
   * Show a failure.
   * @param {import("./api.js").Problem} problem
   * @param {() => void} retry called after a delay if the problem is transient
   */
  problem(problem, retry) {
    clearTimeout(this._timer);
    this._isTransient = problem.isTransient;
    const retryButton = byId("retry");
    retryButton.hidden = !problem.isTransient;
    retryButton.onclick = retry;
    let words = problem.detail;
    if (problem.isTransient) {
      const delayMs = Math.max(backoffMs(this._failures++), (problem.retryAfterS ?? 0) * 1000);
      this._timer = setTimeout(retry, delayMs);
      words += " Trying again in a moment.";
    }
    this._root.dataset.status = String(problem.status);
    this._root.hidden = false;
    setText(byId("notice-words"), words);
  }

  /** Hide a transient problem after a success. Others stay, so that they can be read. */
  clearTransient() {
    if (this._isTransient) this.clear();
  }

  clear() {
    clearTimeout(this._timer);
    this._failures = 0;
    this._root.hidden = true;
  }
}
