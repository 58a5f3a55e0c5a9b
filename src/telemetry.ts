import { randomUUID } from "node:crypto";
import type { AuditObserver } from "./audit/index.js";
import type { PendingEntry } from "./audit/entry.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";

const mostNamed = 20;

/** Tells the server's log and metrics what becomes of entries, and of what no one foresaw. */
export class Telemetry implements AuditObserver {
  constructor(
    private readonly log: Logger,
    private readonly metrics: Metrics,
  ) {}

  written(entries: readonly PendingEntry[]): void {
    for (const { action, outcome } of entries) this.metrics.entries.inc({ action: action ?? "NONE", outcome });
  }

  wrote(seconds: number): void {
    this.metrics.writeSeconds.observe(seconds);
  }

  writeFailed(error: unknown, entries: readonly PendingEntry[]): void {
    this.metrics.writeFailures.inc();
    const named = entries.slice(0, mostNamed).map(placeOf);
    this.log.error({ error, count: entries.length, entries: named }, "entries could not be written to the log");
  }

  unforeseen(error: unknown, place: string): string {
    const id = randomUUID();
    this.metrics.internalErrors.inc();
    this.log.error({ id, place, error }, "an error that no one foresaw");
    return id;
  }
}

/** Which entry is missing, by what the log may hold of it: no label, value or name. */
function placeOf({ tenantId, operation, outcome, error, origin, sessionId, sequenceNumber, ordinal }: PendingEntry) {
  return {
    tenantId,
    operation,
    outcome,
    code: error?.code ?? null,
    requestId: origin.requestId,
    sessionId,
    sequenceNumber: String(sequenceNumber),
    ordinal,
  };
}
