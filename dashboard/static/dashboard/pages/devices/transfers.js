/**
 * The transfers that wait: devices offered to the user, and by them.
 * @module transfers
 */

import { Problem, deleteJson, postJson, signIn } from "../../lib/api.js";
import { button, byId, element, setText } from "../../lib/elements.js";
import { problemWords } from "../../lib/words.js";

/** @typedef {Api.Transfer} Transfer */

export class Transfers {
  /** @param {(message: string) => void} onChange a transfer has been accepted or has ended */
  constructor(onChange) {
    this._onChange = onChange;
    this._shown = "";
  }

  /** @param {Transfer[]} transfers */
  show(transfers) {
    const shown = JSON.stringify(transfers);
    if (shown === this._shown) return; // keeps the focus on its button
    this._shown = shown;
    byId("transfers").hidden = transfers.length === 0;
    byId("transfer-list").replaceChildren(...transfers.map((transfer) => this._row(transfer)));
  }

  /** @param {Transfer} transfer */
  _row(transfer) {
    const { device_id: device, owner, username, incoming } = transfer;
    const words = element("span", "who", incoming ? `${owner} offers you ${device}` : `${device} is offered to ${username}`);
    words.append(element("small", "", transfer.with_history ? "with all its readings" : "with readings from then on"));
    const end = button("plain", incoming ? "Decline" : "Cancel", () =>
      this._send(() => deleteJson(path(transfer)), `The transfer of ${device} has ended.`),
    );
    const buttons = [end];
    if (incoming) {
      const accept = () => postJson(`${path(transfer)}/accept`, { body: {} });
      buttons.unshift(button("primary", "Accept", () => this._send(accept, `${device} is yours now.`)));
    }
    for (const target of buttons) target.setAttribute("aria-label", `${target.textContent} ${device}`);
    const row = element("li", "row");
    row.append(words, ...buttons);
    return row;
  }

  /** @param {() => Promise<any>} request @param {string} message after it succeeded */
  async _send(request, message) {
    try {
      await request();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) return signIn();
      return setText(byId("told"), problemWords(error).words);
    }
    this._onChange(message);
  }
}

/** @param {Transfer} transfer */
function path(transfer) {
  return `/api/transfers/${transfer.id}`;
}
