import type { PendingEntry, StatedEntry } from "./entry.js";

/** Who is told what becomes of entries: metrics and the server's log. None of these may throw. */
export interface AuditObserver {
  /** Entries that are committed. */
  written(entries: readonly StatedEntry[]): void;
  /** How long one write to the log took, with the COMMIT that it shares a message with. */
  wrote(seconds: number): void;
  /** Entries that could not be written. A SUCCESS among them means that its change was rolled back. */
  writeFailed(error: unknown, entries: readonly PendingEntry[]): void;
  /** Entries that nobody is going to write any more: they stood already, or are kept nowhere. */
  ended?(entries: readonly StatedEntry[]): void;
  /** An error that no one foresaw: logged and counted under the id that is returned. */
  unforeseen(error: unknown, place: string): string;
}
