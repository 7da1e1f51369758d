/**
 * Client of the HTTP API. The browser session is the credential. Bodies are JSON; failures are `Problem` errors.
 * @module api
 */

const TIMEOUT_MS = 20_000;
/** A smaller difference between the clocks is ignored: a Date header has a resolution of one second. */
const CLOCK_TOLERANCE_MS = 2_000;
let clockOffsetMs = 0;

/** The time of the server in epoch ms. Correct even if the clock of this machine is wrong. */
export function serverNow() {
  return Date.now() + clockOffsetMs;
}

/** An error response (RFC 9457). Without any response, `status` is 0 and `code` is "unreachable". */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} code stable, for programs
   * @param {string} detail for people
   * @param {number | null} [retryAfterS] the Retry-After header, in seconds
   */
  constructor(status, code, detail, retryAfterS = null) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may succeed a little later. */
  get isTransient() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * @param {string} path
 * @param {{signal?: AbortSignal}} [options] after `signal` aborts, the promise rejects with its AbortError
 * @returns {Promise<any>} the body
 * @throws {Problem}
 */
export function getJson(path, options = {}) {
  return request(path, { signal: options.signal });
}

/**
 * @param {string} path
 * @param {{body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the body, null if the response has none
 * @throws {Problem}
 */
export function postJson(path, options) {
  return change("POST", path, options);
}

/**
 * @param {string} path
 * @param {{body: object}} options
 * @returns {Promise<any>} the body
 * @throws {Problem}
 */
export function patchJson(path, options) {
  return change("PATCH", path, options);
}

/** @param {string} path @returns {Promise<null>} @throws {Problem} */
export function deleteJson(path) {
  return change("DELETE", path);
}

/** Go to the login form, which leads back to this page. */
export function signIn() {
  location.assign(`/login?${new URLSearchParams({ next: location.pathname + location.hash })}`);
}

/**
 * Get a ticket for one WebSocket handshake.
 * @returns {Promise<import("wattstream-client").Ticket>}
 * @throws {Problem}
 */
export function liveTicket() {
  return postJson("/api/auth/ws-ticket");
}

/** @param {string} method @param {string} path @param {{body?: object, signal?: AbortSignal}} [options] */
function change(method, path, { body, signal } = {}) {
  const headers = { "X-CSRFToken": csrfToken(), ...(body && { "Content-Type": "application/json" }) };
  return request(path, { method, signal, headers, body: body && JSON.stringify(body) });
}

/** @param {string} path @param {RequestInit} options @returns {Promise<any>} */
async function request(path, options) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    const headers = { Accept: "application/json", ...options.headers };
    const response = await fetch(path, { ...options, signal, headers });
    readClock(response);
    if (!response.ok) throw await problemOf(response);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof Problem || options.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The server cannot be reached.");
  }
}

/** @param {Response} response @returns {Promise<Problem>} */
async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const retryAfterS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const detail = body.detail || `The server answered ${response.status}.`;
  return new Problem(response.status, body.code ?? "unknown", detail, Number.isNaN(retryAfterS) ? null : retryAfterS);
}

/** @param {Response} response */
function readClock(response) {
  const offsetMs = Date.parse(response.headers.get("Date") ?? "") + 500 - Date.now();
  if (!Number.isNaN(offsetMs)) clockOffsetMs = Math.abs(offsetMs) > CLOCK_TOLERANCE_MS ? offsetMs : 0;
}

/** The current CSRF token. The name of the cookie has a prefix over TLS. */
function csrfToken() {
  return document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=([^;]*)/)?.[1] ?? "";
}
