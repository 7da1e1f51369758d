/**
 * One websocket at a time, made anew whenever it is lost: ticket, opening, signs of life, jittered back-off. No DOM.
 * What goes over it is the matter of live.js.
 * @module connection
 */

const PROTOCOL = "wattstream.v1";
/** Close codes after which coming back would be wrong: malformed frame, not signed in, not yours. */
const FINAL_CODES = new Set([4400, 4401, 4403]);
const UNAUTHENTICATED = 4401;
const ABNORMAL = 1006;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** How long the server may take to greet, and to answer a ping. */
const OPENING_DEADLINE_MS = 10_000;
const PONG_DEADLINE_MS = 5_000;

/**
 * How long to wait before the next attempt: doubling, and anywhere between half and all of it, so that the clients of
 * a server that restarted do not all come back in the same instant.
 * @param {number} failures in a row, before this one
 */
export function backoffMs(failures) {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** failures) * (0.5 + Math.random() / 2);
}

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
   * @param {() => Promise<string>} ticket a fresh single-use ticket; may reject with an error that has a `status`
   * @param {Handlers} handlers
   */
  constructor(url, ticket, handlers) {
    this._url = url;
    this._ticket = ticket;
    this._handlers = handlers;
    /** @type {WebSocket | null} */
    this._socket = null;
    this._attempt = 0; // numbers the connections, so that a late answer to an earlier one is known as such
    this._failures = 0; // in a row
    this._heartbeatMs = OPENING_DEADLINE_MS;
    this._retryTimer = 0;
    this._silenceTimer = 0;
    /** Whether the server has greeted, so that frames may be sent. */
    this.isOpen = false;
    /** Whether it is waiting before the next attempt. */
    this.isWaiting = false;
  }

  async open() {
    const attempt = this._abandon();
    this._handlers.onConnecting();
    let ticket;
    try {
      ticket = await this._ticket();
    } catch (error) {
      const isSignedOut = /** @type {{status?: number}} */ (error).status === 401;
      if (attempt === this._attempt) this._lost(isSignedOut ? UNAUTHENTICATED : ABNORMAL);
      return;
    }
    if (attempt !== this._attempt) return;
    const socket = new WebSocket(this._url, [PROTOCOL, `ticket.${ticket}`]);
    this._socket = socket;
    this._expect(OPENING_DEADLINE_MS);
    socket.onmessage = (event) => this._receive(JSON.parse(event.data));
    socket.onclose = (event) => this._lost(event.code);
  }

  /** @param {object} frame lost where the connection is; whoever sent it hears of that by `onLost` */
  send(frame) {
    if (this._socket?.readyState === WebSocket.OPEN) this._socket.send(JSON.stringify(frame));
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

  /** @param {number} code */
  _lost(code) {
    if (FINAL_CODES.has(code)) {
      this.end(code);
      return;
    }
    this._abandon();
    const retryMs = backoffMs(this._failures++);
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
