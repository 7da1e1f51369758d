// Types that the modules in static/ share: the answers of the HTTP API, and scripts that are not modules of the dashboard.
// Only the type checker reads this file. All times in answers are ISO 8601 in UTC unless stated otherwise.

/// <reference types="uplot" />

// The server serves clients/javascript/src under this path, next to the modules of the dashboard.
declare module "*/wattstream-client/index.js" {
  export * from "wattstream-client";
}

/** Answers of the HTTP API (docs/api.md). */
declare namespace Api {
  /** An entry of GET /api/devices. `timezone`: IANA name. `expires_at`: end of the share, null for the owner. */
  interface Device {
    device_id: string;
    name: string;
    role: "owner" | "viewer";
    online: boolean;
    last_seen: string | null;
    timezone: string;
    owner: string;
    expires_at: string | null;
  }

  /** An entry of GET /api/devices/{device_id}/shares. */
  interface Share {
    username: string;
    role: string;
    expires_at: string | null;
  }

  /** An entry of GET /api/transfers. `incoming`: offered to the user, not by them. */
  interface Transfer {
    id: number;
    device_id: string;
    owner: string;
    username: string;
    with_history: boolean;
    created_at: string;
    incoming: boolean;
  }

  /** An entry of GET /api/auth/tokens. */
  interface Key {
    id: number;
    name: string;
    scopes: string[];
    created_at: string;
    expires_at: string;
  }

  /** The answer of POST /api/auth/tokens: the only one that contains the key itself. */
  interface NewKey extends Key {
    token: string;
  }

  /** An entry of an audit log. */
  interface AuditEntry {
    time: string;
    event: string;
    user: string;
    device_id: string;
    detail: string;
    address: string;
    count: number;
  }

  /** A page of an audit log, newest entry first. `next_cursor`: null on the last page. */
  interface AuditPage {
    entries: AuditEntry[];
    next_cursor: number | null;
  }

  /** An entry of GET /api/metrics. */
  interface Metric {
    name: string;
    unit: string;
    kind: string;
  }

  /** Values by metric. A metric without a measurement is null or missing. */
  type Values = Record<string, number | null | undefined>;

  /** An entry of GET /api/latest. `time` and `values`: null if the device never reported. */
  interface Latest {
    device_id: string;
    time: string | null;
    values: Record<string, number | null> | null;
  }

  /** One metric of a history answer: aggregates per bucket. `count`: readings behind each average. */
  interface HistoryColumn {
    avg: (number | null)[];
    min: (number | null)[];
    max: (number | null)[];
    count: number[];
  }

  /** The history of one device. `resolution_seconds`: 0 or missing where the length of a bucket varies. */
  interface History {
    device_id: string;
    resolution: string;
    resolution_seconds: number;
    reach_s: number;
    tz: string;
    start: string;
    end: string;
    cursor: string | null;
    /** Epoch ms. */
    time: number[];
    metrics: Record<string, HistoryColumn>;
  }

  /** The answer of POST /api/history/query: what the devices share, then what differs between them. */
  type HistoryQuery = Partial<History> & { devices: Partial<History>[] };

  /** The energy of one period, or the total of several. Shares are between 0 and 1. */
  interface EnergyFigures {
    start: string;
    end: string;
    imported_kwh: number | null;
    exported_kwh: number | null;
    charged_kwh: number | null;
    discharged_kwh: number | null;
    generated_kwh: number | null;
    consumed_kwh: number | null;
    self_consumption: number | null;
    self_sufficiency: number | null;
    peak_w: number | null;
    peak_time: string | null;
    coverage: number;
  }

  /** The answer of GET /api/energy/{device_id}. `periods`: oldest first. */
  interface Energy {
    tz: string;
    periods: EnergyFigures[];
    total: EnergyFigures;
  }
}
