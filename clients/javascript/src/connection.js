/**
 * One websocket at a time, made anew whenever it is lost: ticket, opening, signs of life, jittered back-off.
 * What goes over it is the matter of stream.js.
 * @module connection
 */

import { backoffMs } from "./backoff.js";

const PROTOCOL = "wattstream.v1";
/** Close codes after which coming back would be wrong: malformed frame, not signed in, not yours. */
const FINAL_CODES = new Set([4400, 4401, 4403]);
const UNAUTHENTICATED = 4401;
const ABNORMAL = 1006;
/** How long the server may take to greet, and to answer a ping. */
const OPENING_DEADLINE_MS = 10_000;
const PONG_DEADLINE_MS = 5_000;
const OPEN = 1; // WebSocket.OPEN, also where there is no global WebSocket

/**
 * @typedef {object} Handlers
 * @property {() => void} onConnecting
 * @property {(frame: any) => void} onFrame the first is always `welcome`
 * @property {(code: number, retryMs: number) => void} onLost the next attempt comes by itself
 * @property {(code: number) => void} onEnd there will be no other attempt
 */

export class Connection {
  /**
   * @param {string} url ws:// or wss://
   * @param {() => Promise<import("./index.d.ts").Ticket>} ticket
   * @param {typeof WebSocket} Socket
   * @param {Handlers} handlers
   */
  constructor(url, ticket, Socket, handlers) {
    this._url = url;
    this._ticket = ticket;
    this._Socket = Socket;
    this._handlers = handlers;
    /** @type {WebSocket | null} */
    this._socket = null;
    this._attempt = 0; // numbers the connections, so that a late answer to an earlier one is known as such
    this._failures = 0; // in a row
    this._ticketEnds = Number.POSITIVE_INFINITY; // epoch ms
    this._heartbeatMs = OPENING_DEADLINE_MS;
    /** @type {any} a number in browsers, an object in Node.js */
    this._retryTimer = 0;
    /** @type {any} */
    this._silenceTimer = 0;
    /** Whether the server has greeted, so that frames may be sent. */
    this.isOpen = false;
    /** Whether it is waiting before the next attempt. */
    this.isWaiting = false;
  }

  async open() {
    const attempt = this._abandon();
    this._handlers.onConnecting();
    let told;
    try {
      told = await this._ticket();
    } catch (error) {
      if (attempt === this._attempt) this._noTicket(/** @type {any} */ (error));
      return;
    }
    if (attempt !== this._attempt) return;
    this._ticketEnds = Date.now() + told.expires_in * 1000;
    const socket = new this._Socket(this._url, [PROTOCOL, `ticket.${told.ticket}`]);
    this._socket = socket;
    this._expect(OPENING_DEADLINE_MS);
    socket.onmessage = (event) => this._receive(JSON.parse(event.data));
    socket.onclose = (event) => this._closed(event.code);
    socket.onerror = () => {}; // a close event follows
  }

  /** @param {object} frame lost where the connection is; whoever sent it hears of that by `onLost` */
  send(frame) {
    if (this._socket?.readyState === OPEN) this._socket.send(JSON.stringify(frame));
  }

  /** All is as it should be: the next failure is the first again. */
  settle() {
    this._failures = 0;
  }

  /** Ask for a sign of life: a connection that gives none is dead, whatever the browser believes. */
  probe() {
    this._expect(PONG_DEADLINE_MS);
    this.send({ type: "ping" });
  }

  /** Let go of the connection, and make no other attempt until `open`. */
  rest() {
    this._abandon();
  }

  /** @param {number} code */
  end(code) {
    this._abandon();
    this._handlers.onEnd(code);
  }

  /** Let go of the connection, if any. @returns {number} the number of the next attempt */
  _abandon() {
    clearTimeout(this._retryTimer);
    clearTimeout(this._silenceTimer);
    if (this._socket) {
      this._socket.onmessage = this._socket.onclose = null;
      this._socket.close();
      this._socket = null;
    }
    this.isOpen = this.isWaiting = false;
    return ++this._attempt;
  }

  /** @param {{status?: number, retryAfterS?: number | null}} error */
  _noTicket(error) {
    if (error.status === 401) this.end(UNAUTHENTICATED);
    else this._lost(ABNORMAL, (error.retryAfterS ?? 0) * 1000);
  }

  /** @param {number} code */
  _closed(code) {
    // The machine slept between ticket and handshake: that says nothing about who this is.
    const isTicketOld = code === UNAUTHENTICATED && !this.isOpen && Date.now() >= this._ticketEnds;
    if (FINAL_CODES.has(code) && !isTicketOld) this.end(code);
    else this._lost(code);
  }

  /** @param {number} code @param {number} [atLeastMs] before the next attempt */
  _lost(code, atLeastMs = 0) {
    this._abandon();
    const retryMs = Math.max(backoffMs(this._failures++), atLeastMs);
    this._retryTimer = setTimeout(() => this.open(), retryMs);
    this.isWaiting = true;
    this._handlers.onLost(code, retryMs);
  }

  /** @param {any} frame */
  _receive(frame) {
    if (frame.type === "welcome") {
      this.isOpen = true;
      this._heartbeatMs = frame.heartbeat_s * 1000;
    }
    clearTimeout(this._silenceTimer);
    this._silenceTimer = setTimeout(() => this.probe(), this._heartbeatMs);
    this._handlers.onFrame(frame);
  }

  /** Unless something comes within `ms`, the connection is lost. @param {number} ms */
  _expect(ms) {
    clearTimeout(this._silenceTimer);
    this._silenceTimer = setTimeout(() => this._lost(ABNORMAL), ms);
  }
}
