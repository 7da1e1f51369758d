/**
 * Live readings from a wattstream server, each once and in order, across every reconnect. What is exported is described
 * in index.d.ts, how to use it in the README.
 * @module wattstream-client
 */

export { backoffMs } from "./backoff.js";
export { LiveStream } from "./stream.js";
export { ticketWithToken } from "./ticket.js";
