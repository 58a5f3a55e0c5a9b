import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

/** What waits: entries, octets on the disk, and when the first batch came, in milliseconds since 1970. */
export interface SpoolState {
  readonly entries: number;
  readonly bytes: number;
  readonly since: number | null;
}

/** What the relay counts, with a registry of its own. No label holds anything of an entry's. */
export class RelayMetrics {
  readonly #registry = new Registry();
  readonly #registers = [this.#registry];

  readonly connections = new Counter({
    name: "audit_relay_connections_total",
    help: "Connections that were taken.",
    registers: this.#registers,
  });
  readonly received = new Counter({
    name: "audit_relay_received_total",
    help: "Entries that are on the disk and answered as accepted.",
    registers: this.#registers,
  });
  readonly receivedBytes = new Counter({
    name: "audit_relay_received_bytes_total",
    help: "Octets of the bodies that they came in.",
    registers: this.#registers,
  });
  /** By the code that was answered; CONNECTIONS, RATE, UNREAD and ABORTED are told by closing. */
  readonly refused = new Counter({
    name: "audit_relay_refused_requests_total",
    help: "Requests that were not taken.",
    labelNames: ["code"],
    registers: this.#registers,
  });
  readonly sent = new Counter({
    name: "audit_relay_sent_total",
    help: "Entries that the API has accepted, or had already.",
    registers: this.#registers,
  });
  readonly calls = new Counter({
    name: "audit_relay_upstream_calls_total",
    help: "Calls to the API.",
    registers: this.#registers,
  });
  readonly upstreamFailures = new Counter({
    name: "audit_relay_upstream_failures_total",
    help: "Calls to the API that are made again.",
    labelNames: ["reason"],
    registers: this.#registers,
  });
  /** Asked whenever somebody looks. */
  spool: () => SpoolState = () => ({ entries: 0, bytes: 0, since: null });
  readonly spoolEntries = new Gauge({
    name: "audit_relay_spool_entries",
    help: "Entries that wait in the spool.",
    registers: this.#registers,
    collect: () => {
      this.spoolEntries.set(this.spool().entries);
    },
  });
  readonly spoolBytes = new Gauge({
    name: "audit_relay_spool_bytes",
    help: "Octets that the spool takes.",
    registers: this.#registers,
    collect: () => {
      this.spoolBytes.set(this.spool().bytes);
    },
  });
  readonly spoolOldest = new Gauge({
    name: "audit_relay_spool_oldest_seconds",
    help: "How long the first batch has waited; 0 where none waits.",
    registers: this.#registers,
    collect: () => {
      const { since } = this.spool();
      this.spoolOldest.set(since === null ? 0 : Math.max(0, Date.now() - since) / 1_000);
    },
  });
  /** Asked whenever somebody looks. */
  held: () => number = () => 0;
  readonly heldBytes = new Gauge({
    name: "audit_relay_held_bytes",
    help: "Octets of the bodies that are being read, or aren't on the disk yet.",
    registers: this.#registers,
    collect: () => {
      this.heldBytes.set(this.held());
    },
  });
  readonly setAside = new Counter({
    name: "audit_relay_set_aside_total",
    help: "Entries that the API refused for good.",
    labelNames: ["code"],
    registers: this.#registers,
  });
  readonly dropped = new Counter({
    name: "audit_relay_dropped_total",
    help: "What the relay's own session reports as dropped.",
    labelNames: ["reason"],
    registers: this.#registers,
  });

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    for (const code of ["LIMIT_EXCEEDED", "BAD_USER_INPUT", "UNAVAILABLE", "RATE", "CONNECTIONS"])
      this.refused.inc({ code }, 0);
  }

  /** Prometheus's text format. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  print(): Promise<string> {
    return this.#registry.metrics();
  }
}
