/** A reading. `time` (ISO 8601, UTC) is also a cursor; `ms` is the same time in epoch milliseconds. */
export interface Reading {
  time: string;
  ms: number;
  values: Record<string, number | null>;
}

/**
 * - `connecting`: gets a ticket and opens the socket
 * - `catching-up`: connected; missed readings are still arriving
 * - `live`: every device is up to date
 * - `offline`: the connection is lost, and is retried after `retryMs`
 * - `paused`: disconnected on purpose (hidden page, slow handlers, `pause()`); continues from the cursors
 * - `ended`: not retried: closed, or refused with a final close code
 */
export type StateName = "connecting" | "catching-up" | "live" | "offline" | "paused" | "ended";

/** `code`: the close code, if the socket was lost or refused. */
export interface State {
  name: StateName;
  code?: number;
  retryMs?: number;
}

/** The answer of POST /api/auth/ws-ticket. */
export interface Ticket {
  ticket: string;
  expires_in: number;
}

export interface Subscribed {
  /** The requested cursor; null for new readings only. */
  since: string | null;
  /** The cursor that the stream starts from; null if the device never reported. */
  cursor: string | null;
  /** False: the readings between `since` and `cursor` are not sent. Load history, and subscribe with its cursor. */
  recovered: boolean;
}

/** A closed interval of times (ISO 8601). */
export interface Span {
  from: string;
  to: string;
}

/** Called one at a time, in the order of arrival. If a handler returns a promise, the next call waits for it. */
export interface Handlers {
  /** Readings, each once, oldest first; at least one. */
  onReadings(deviceId: string, readings: Reading[]): void | Promise<void>;
  /** History has readings in this span that the stream does not send. */
  onGap?(deviceId: string, span: Span): void | Promise<void>;
  /** After every `subscribe` and after every reconnect, before the readings that follow. */
  onSubscribed?(deviceId: string, subscribed: Subscribed): void | Promise<void>;
  /** Access to the device has ended or was refused. The subscription has ended. */
  onRevoked?(deviceId: string, message: string): void | Promise<void>;
  /** Called at once, not in order with the other handlers. */
  onState?(state: State): void;
}

export interface Options extends Handlers {
  /** `ws://…/ws/live` or `wss://…/ws/live`. */
  url: string;
  /** Gets a new ticket, for each connection. An error with `status` 401 ends the stream; any other is retried. */
  ticket(): Promise<Ticket>;
  /** Required if there is no global WebSocket (Node.js before 22). */
  WebSocket?: typeof WebSocket;
  /** Readings that may wait for the handlers; default 5,000. */
  maxWaiting?: number;
  /** In a page: time after which a hidden page disconnects; default 60,000. `Infinity`: never. */
  pauseHiddenAfterMs?: number;
}

export interface SubscribeOptions {
  /** Only these metrics; default all. */
  metrics?: string[];
  /** At most one reading per interval, always the newest. */
  intervalMs?: number;
}

export class LiveStream {
  constructor(options: Options);
  /**
   * Follow a device from `since`, which is the `cursor` of a history answer or the `time` of a reading; null: new
   * readings only. Replaces an earlier subscription to the device. The first subscription connects.
   */
  subscribe(deviceId: string, since: string | null, options?: SubscribeOptions): void;
  unsubscribe(deviceId: string): void;
  /** The cursor after the readings delivered so far: store it to continue later. At first the `since` of the subscription. */
  cursor(deviceId: string): string | null;
  /** Retry now, or check the connection, for example after a change of network. In a page this is automatic. */
  wake(): void;
  /** Disconnect. The subscriptions and their cursors stay. */
  pause(): void;
  /** Reconnect after `pause`, and catch up. */
  resume(): void;
  /** Stop for good. */
  close(): void;
}

/** Make a `ticket` option from an access token. `url`: of the server, `https://…`. */
export function ticketWithToken(url: string, token: string): () => Promise<Ticket>;

/** The delay in ms before a retry, after this number of earlier failures in a row. */
export function backoffMs(failures: number): number;
