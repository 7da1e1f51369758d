/**
 * The HTTP API with the browser session as credential: JSON in, JSON or a `Problem` out.
 * @module api
 */

const DEADLINE_MS = 20_000;
/** A clock that differs by less counts as right: a Date header has whole seconds. */
const CLOCK_TOLERANCE_MS = 2_000;
let clockOffsetMs = 0;

/** The server's time, epoch ms: what "the last ten minutes" ends at, also where this machine's clock is wrong. */
export function serverNow() {
  return Date.now() + clockOffsetMs;
}

/** An answer that is not a success (RFC 9457), or none at all: then `status` is 0 and `code` "unreachable". */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} code stable, for programs
   * @param {string} detail for people
   * @param {number | null} [retryAfterS] what the server asked for
   */
  constructor(status, code, detail, retryAfterS = null) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may well succeed a little later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * @param {string} path
 * @param {{signal?: AbortSignal}} [options] `signal` aborts: the promise then rejects with its AbortError
 * @returns {Promise<any>} the body
 * @throws {Problem}
 */
export function getJson(path, options = {}) {
  return request(path, { signal: options.signal });
}

/**
 * With the CSRF token as it stands now.
 * @param {string} path
 * @param {{body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the body, null where there is none
 * @throws {Problem}
 */
export function postJson(path, options) {
  return change("POST", path, options);
}

/** @param {string} path @param {{body: object}} options @returns {Promise<any>} @throws {Problem} */
export function patchJson(path, options) {
  return change("PATCH", path, options);
}

/** @param {string} path @returns {Promise<null>} @throws {Problem} */
export function deleteJson(path) {
  return change("DELETE", path);
}

/** Leave for the form, to come back to this page once signed in. */
export function signIn() {
  location.assign(`/login?${new URLSearchParams({ next: location.pathname + location.hash })}`);
}

/** A ticket for one websocket handshake. @throws {Problem} */
export function liveTicket() {
  return postJson("/api/auth/ws-ticket");
}

/** @param {string} method @param {string} path @param {{body?: object, signal?: AbortSignal}} [options] */
function change(method, path, { body, signal } = {}) {
  const headers = { "X-CSRFToken": csrfToken(), ...(body && { "Content-Type": "application/json" }) };
  return request(path, { method, signal, headers, body: body && JSON.stringify(body) });
}

/** @param {string} path @param {RequestInit} options */
async function request(path, options) {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
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

/** @param {Response} response */
async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  const retryAfterS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const detail = told.detail || `The server answered ${response.status}.`;
  return new Problem(response.status, told.code ?? "unknown", detail, Number.isNaN(retryAfterS) ? null : retryAfterS);
}

/** @param {Response} response */
function readClock(response) {
  const offsetMs = Date.parse(response.headers.get("Date") ?? "") + 500 - Date.now();
  if (!Number.isNaN(offsetMs)) clockOffsetMs = Math.abs(offsetMs) > CLOCK_TOLERANCE_MS ? offsetMs : 0;
}

/** Under its name over TLS, or under its name without. */
function csrfToken() {
  return document.cookie.match(/(?:^|; )(?:__Host-)?csrftoken=([^;]*)/)?.[1] ?? "";
}
