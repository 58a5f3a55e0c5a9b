import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { auditActions, auditOutcomes } from "./audit/index.js";

export type RequestOutcome = "ok" | "errors" | "refused";

const operationTypes = ["query", "mutation", "unknown"] as const;
export type OperationType = (typeof operationTypes)[number];

/** What is counted, with a registry of its own; every series begins at 0, so that the first event shows as a rise. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #registers = [this.#registry];

  /** `action` is NONE where it couldn't be told what the attempt would have done. */
  readonly entries = new Counter({
    name: "audit_entries_total",
    help: "Entries committed to the log.",
    labelNames: ["action", "outcome"],
    registers: this.#registers,
  });
  readonly writeFailures = new Counter({
    name: "audit_write_failures_total",
    help: "Writes to the log that failed: a change that was rolled back, or the entry of a refused or failed attempt.",
    registers: this.#registers,
  });
  readonly folded = new Counter({
    name: "audit_folded_total",
    help: "Attempts that a summary stands for, or will.",
    registers: this.#registers,
  });
  readonly writeSeconds = new Histogram({
    name: "audit_write_seconds",
    help: "Time that one write to the log took.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: this.#registers,
  });
  readonly spoolEntries = new Gauge({
    name: "audit_spool_entries",
    help: "Entries of refused and failed attempts that wait for the log to be written.",
    registers: this.#registers,
  });
  /** When the first of them was, in milliseconds since 1970; null where none waits. */
  spoolSince: number | null = null;
  readonly spoolOldest = new Gauge({
    name: "audit_spool_oldest_seconds",
    help: "How long the first of them has waited; 0 where none waits.",
    registers: this.#registers,
    collect: () => {
      this.spoolOldest.set(this.spoolSince === null ? 0 : Math.max(0, Date.now() - this.spoolSince) / 1_000);
    },
  });
  readonly spoolSetAside = new Counter({
    name: "audit_spool_set_aside_total",
    help: "Lines that can't become entries: altered, torn, brought from elsewhere, or refused by the database for good.",
    registers: this.#registers,
  });
  readonly replayed = new Counter({
    name: "audit_replayed_total",
    help: "Entries that waited and are in the log by now.",
    registers: this.#registers,
  });
  readonly attemptsRefused = new Counter({
    name: "audit_attempts_refused_total",
    help: "Attempts that weren't begun since there was no room to keep what might come of them.",
    registers: this.#registers,
  });
  readonly requests = new Counter({
    name: "graphql_requests_total",
    help: "GraphQL requests that were answered.",
    labelNames: ["operation", "outcome"],
    registers: this.#registers,
  });
  readonly refused = new Counter({
    name: "graphql_refused_total",
    help: "GraphQL requests that were refused before anything was executed.",
    labelNames: ["code"],
    registers: this.#registers,
  });
  readonly correlationsIgnored = new Counter({
    name: "audit_correlations_ignored_total",
    help: "Requests whose X-Audit-Session-Id and X-Audit-Sequence-Number were not believed, or made no sense.",
    labelNames: ["why"],
    registers: this.#registers,
  });
  /** `elsewhere` is a run that another process had begun. */
  readonly jobRuns = new Counter({
    name: "job_runs_total",
    help: "Runs of background work.",
    labelNames: ["job", "outcome"],
    registers: this.#registers,
  });
  readonly internalErrors = new Counter({
    name: "internal_errors_total",
    help: "Errors that no one foresaw.",
    registers: this.#registers,
  });

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    for (const action of [...auditActions, "NONE"])
      for (const outcome of auditOutcomes) this.entries.inc({ action, outcome }, 0);
    for (const operation of operationTypes)
      for (const outcome of ["ok", "errors", "refused"] satisfies RequestOutcome[])
        this.requests.inc({ operation, outcome }, 0);
    for (const code of ["BAD_REQUEST", "BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"])
      this.refused.inc({ code }, 0);
    this.refused.inc({ code: "LIMIT_EXCEEDED" }, 0);
    for (const why of ["untrusted", "malformed"]) this.correlationsIgnored.inc({ why }, 0);
  }

  /** Prometheus's text format. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  print(): Promise<string> {
    return this.#registry.metrics();
  }
}
