/**
 * Tickets for programs: a standard WebSocket cannot send an Authorization header, not even in Node.js.
 * @module ticket
 */

const TIMEOUT_MS = 10_000;

/**
 * Make a `ticket` option from an access token.
 * @param {string} url of the server
 * @param {string} token
 * @returns {() => Promise<import("./index.d.ts").Ticket>}
 */
export function ticketWithToken(url, token) {
  const address = new URL("/api/auth/ws-ticket", url);
  const headers = { Authorization: `Bearer ${token}` };
  return async () => {
    const answer = await fetch(address, { method: "POST", headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.ok) return answer.json();
    const retryAfterS = Number(answer.headers.get("Retry-After")) || 0;
    throw Object.assign(new Error(`no ticket: ${answer.status}`), { status: answer.status, retryAfterS });
  };
}
