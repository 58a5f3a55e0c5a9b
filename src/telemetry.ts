import { randomUUID } from "node:crypto";
import type { AuditObserver } from "./audit/index.js";
import type { PendingEntry, StatedEntry } from "./audit/entry.js";
import type { SpoolObserver } from "./audit/spool/spool.js";
import type { Logger } from "./log.js";
import { fenceHint } from "./log/safe-error.js";
import type { Metrics } from "./metrics.js";

const mostNamed = 20;

/** Tells the server's log and metrics what becomes of entries, and of what no one foresaw. */
export class Telemetry implements AuditObserver, SpoolObserver {
  constructor(
    private readonly log: Logger,
    private readonly metrics: Metrics,
  ) {}

  written(entries: readonly StatedEntry[]): void {
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

  waiting(entries: number, since: string | null): void {
    this.metrics.spoolEntries.set(entries);
    this.metrics.spoolSince = since === null ? null : Date.parse(since);
  }

  setAside(lines: number, why: string, file: string): void {
    this.metrics.spoolSetAside.inc(lines);
    this.log.error({ lines, why, file }, "lines of the spool were set aside: they are no entries");
  }

  replayed(entries: number): void {
    this.metrics.replayed.inc(entries);
    this.log.info({ entries }, "entries that waited are in the log");
  }

  replayFailed(error: unknown): void {
    this.log.warn({ error }, "entries wait in the spool: the log can't be written yet");
  }

  refused(): void {
    this.metrics.attemptsRefused.inc();
    this.log.warn("an attempt was refused before it began: the spool has no room for it");
  }

  troubled(error: unknown): void {
    this.log.error({ error }, "the spool's file can't be used as it should");
  }

  unforeseen(error: unknown, place: string): string {
    const id = randomUUID();
    this.metrics.internalErrors.inc();
    const hint = fenceHint(error);
    if (hint === undefined) this.log.error({ id, place, error }, "an error that no one foresaw");
    else this.log.error({ hint, id, place, error }, "refused by the fence: nothing was changed");
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
