/**
 * One WebSocket at a time: gets a ticket, connects, detects a dead connection, and reconnects with a jittered back-off.
 * stream.js interprets the frames.
 * @module connection
 */

import { backoffMs } from "./backoff.js";

const PROTOCOL = "wattstream.v1";
/** Close codes that forbid a reconnect: malformed frame, not authenticated, no access. */
const FINAL_CODES = new Set([4400, 4401, 4403]);
const UNAUTHENTICATED = 4401;
const ABNORMAL = 1006;
/** Time allowed until `welcome`. */
const OPENING_TIMEOUT_MS = 10_000;
/** Time allowed until the answer to a ping. */
const PONG_TIMEOUT_MS = 5_000;
const OPEN = 1; // WebSocket.OPEN, which does not exist without a global WebSocket

/**
 * @typedef {object} Handlers
 * @property {() => void} onConnecting
 * @property {(frame: any) => void} onFrame the first is always `welcome`
 * @property {(code: number, retryMs: number) => void} onLost the connection is retried after `retryMs`
 * @property {(code: number) => void} onEnd the connection is not retried
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
    this._attempt = 0; // number of the current attempt, which identifies late answers to earlier ones
    this._failures = 0; // in a row
    this._ticketExpiresAt = Number.POSITIVE_INFINITY; // epoch ms
    this._heartbeatMs = OPENING_TIMEOUT_MS;
    /** @type {any} a number in browsers, an object in Node.js */
    this._retryTimer = 0;
    /** @type {any} */
    this._silenceTimer = 0;
    /** Whether `welcome` has arrived, so that frames may be sent. */
    this.isOpen = false;
    /** Whether a retry is scheduled. */
    this.isWaiting = false;
  }

  /** Connect. Replaces a current connection or a scheduled retry. */
  async open() {
    const attempt = this._abandon();
    this._handlers.onConnecting();
    /** @type {import("./index.d.ts").Ticket} */
    let ticket;
    try {
      ticket = await this._ticket();
    } catch (error) {
      if (attempt === this._attempt) this._ticketFailed(/** @type {any} */ (error));
      return;
    }
    if (attempt !== this._attempt) return;
    this._ticketExpiresAt = Date.now() + ticket.expires_in * 1000;
    const socket = new this._Socket(this._url, [PROTOCOL, `ticket.${ticket.ticket}`]);
    this._socket = socket;
    this._expect(OPENING_TIMEOUT_MS);
    socket.onmessage = (event) => this._receive(JSON.parse(event.data));
    socket.onclose = (event) => this._closed(event.code);
    socket.onerror = () => {}; // a close event follows and is handled
  }

  /** Send a frame. Without an open connection the frame is lost, and `onLost` reports that. @param {object} frame */
  send(frame) {
    if (this._socket?.readyState === OPEN) this._socket.send(JSON.stringify(frame));
  }

  /** Reset the back-off after the connection has proved to work. */
  resetBackoff() {
    this._failures = 0;
  }

  /** Send a ping. Without an answer the connection is dead, even if the browser reports it as open. */
  probe() {
    this._expect(PONG_TIMEOUT_MS);
    this.send({ type: "ping" });
  }

  /** Disconnect, and do not retry until `open` is called. */
  disconnect() {
    this._abandon();
  }

  /** Disconnect for good. @param {number} code */
  end(code) {
    this._abandon();
    this._handlers.onEnd(code);
  }

  /** Drop the connection and a scheduled retry. @returns {number} the number of the next attempt */
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
  _ticketFailed(error) {
    if (error.status === 401) this.end(UNAUTHENTICATED);
    else this._lost(ABNORMAL, (error.retryAfterS ?? 0) * 1000);
  }

  /** @param {number} code */
  _closed(code) {
    // An expired ticket, because the machine slept before the handshake, does not mean that the user is signed out.
    const isExpired = code === UNAUTHENTICATED && !this.isOpen && Date.now() >= this._ticketExpiresAt;
    if (FINAL_CODES.has(code) && !isExpired) this.end(code);
    else this._lost(code);
  }

  /** Schedule a retry. @param {number} code @param {number} [atLeastMs] minimum delay */
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

  /** Treat the connection as lost unless a frame arrives within `ms`. @param {number} ms */
  _expect(ms) {
    clearTimeout(this._silenceTimer);
    this._silenceTimer = setTimeout(() => this._lost(ABNORMAL), ms);
  }
}
