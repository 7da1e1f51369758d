/**
 * Live readings from a wattstream server, each once and in order, across reconnects. index.d.ts documents the exports;
 * the README shows how to use them.
 * @module wattstream-client
 */

export { backoffMs } from "./backoff.js";
export { LiveStream } from "./stream.js";
export { ticketWithToken } from "./ticket.js";
