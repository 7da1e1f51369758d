/**
 * What went wrong, in words, and trying again: by itself where that may help, or at once by a button.
 * @module notice
 */

import { backoffMs } from "../wattstream-client/index.js";
import { byId, setText } from "./elements.js";

export class Notice {
  constructor() {
    this._root = byId("notice");
    this._failures = 0;
    this._timer = 0;
    this._isPassing = false;
  }

  /**
   * @param {import("./api.js").Problem} problem
   * @param {() => void} again
   */
  problem(problem, again) {
    clearTimeout(this._timer);
    this._isPassing = problem.isPassing;
    const retry = byId("retry");
    retry.hidden = !problem.isPassing;
    retry.onclick = again;
    let words = problem.detail;
    if (problem.isPassing) {
      const ms = Math.max(backoffMs(this._failures++), (problem.retryAfterS ?? 0) * 1000);
      this._timer = setTimeout(again, ms);
      words += " Trying again in a moment.";
    }
    this._root.dataset.status = String(problem.status);
    this._root.hidden = false;
    setText(byId("notice-words"), words);
  }

  /** What was hoped for happened; words about what cannot be mended stay until they were read. */
  clearPassing() {
    if (this._isPassing) this.clear();
  }

  clear() {
    clearTimeout(this._timer);
    this._failures = 0;
    this._root.hidden = true;
  }
}
