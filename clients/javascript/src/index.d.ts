/** A reading as it came. `time` (ISO 8601, UTC) is a cursor too; `ms` is the same in epoch milliseconds. */
export interface Reading {
  time: string;
  ms: number;
  values: Record<string, number | null>;
}

/**
 * - `connecting`: a ticket is fetched, the socket opens
 * - `catching-up`: connected, and what was missed is still coming
 * - `live`: every device has all there is
 * - `offline`: lost; the next attempt comes by itself in `retryMs`
 * - `paused`: let go on purpose (hidden page, consumer behind, `pause()`); goes on where it was
 * - `ended`: will not try again: closed, or a close code after which that would be wrong
 */
export type StateName = "connecting" | "catching-up" | "live" | "offline" | "paused" | "ended";

/** `code`: the close code, where the socket was lost or refused. */
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
  /** The cursor that was asked for; null: only what is new. */
  since: string | null;
  /** Where the stream begins; null where the device never reported. */
  cursor: string | null;
  /** False: what lies between the two is not sent. Load it from history, and subscribe to the cursor you get. */
  recovered: boolean;
}

/** Both ends (ISO 8601) belong to it. */
export interface Span {
  from: string;
  to: string;
}

/** Called one after the other, in the order in which things came; where one returns a promise, the next ones wait. */
export interface Handlers {
  /** Each reading once, oldest first, never none. */
  onReadings(deviceId: string, readings: Reading[]): void | Promise<void>;
  /** History has readings in this span that the stream will not send. */
  onGap?(deviceId: string, span: Span): void | Promise<void>;
  /** After every `subscribe` and after every reconnect, before the readings that follow. */
  onSubscribed?(deviceId: string, subscribed: Subscribed): void | Promise<void>;
  /** Access has ended, or the server refused the device; nothing more comes of it. */
  onRevoked?(deviceId: string, message: string): void | Promise<void>;
  /** At once, not in line with the others. */
  onState?(state: State): void;
}

export interface Options extends Handlers {
  /** `ws://…/ws/live` or `wss://…/ws/live`. */
  url: string;
  /** Fetches a new ticket, for each connection. An error with `status` 401 ends the stream; any other is waited out. */
  ticket(): Promise<Ticket>;
  /** Where there is no global one (Node.js before 22). */
  WebSocket?: typeof WebSocket;
  /** Readings that may wait for the handlers; 5,000. */
  maxWaiting?: number;
  /** In a page: how long it may be hidden before the connection is let go; 60,000. `Infinity`: for ever. */
  pauseHiddenAfterMs?: number;
}

export interface SubscribeOptions {
  /** Of these metrics only. */
  metrics?: string[];
  /** At most one reading in that time, always the newest. */
  intervalMs?: number;
}

export class LiveStream {
  constructor(options: Options);
  /**
   * Follow a device: everything after `since`, the `cursor` of a history answer or the `time` of a reading; null: only
   * what is new. Replaces an earlier subscription to the device. The first one connects.
   */
  subscribe(deviceId: string, since: string | null, options?: SubscribeOptions): void;
  unsubscribe(deviceId: string): void;
  /** Of what was handed over so far: keep it to go on there another day. */
  cursor(deviceId: string): string | null;
  /** Something changed (the network is back): try now, or make sure that all is well. A page does this by itself. */
  wake(): void;
  /** Let go of the connection; cursors stay. */
  pause(): void;
  /** Come back, and catch up. */
  resume(): void;
  /** Stop for good. */
  close(): void;
}

/** A `ticket` option for programs that have an access token. `url`: the server's, `https://…`. */
export function ticketWithToken(url: string, token: string): () => Promise<Ticket>;

/** How long to wait before the next attempt, after so many failures in a row before this one. */
export function backoffMs(failures: number): number;
