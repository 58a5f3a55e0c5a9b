import type { StatedEntry } from "./entry.js";
import type { AuditObserver } from "./observer.js";

/** Hands on what becomes of entries, and tells as settled whatever has ended, one way or the other. */
export function settlingObserver(
  observer: AuditObserver,
  settle: (entries: readonly StatedEntry[]) => void,
): AuditObserver {
  return {
    written: (entries) => {
      settle(entries);
      observer.written(entries);
    },
    ended: (entries) => {
      settle(entries);
      observer.ended?.(entries);
    },
    wrote: (seconds) => observer.wrote(seconds),
    writeFailed: (error, entries) => observer.writeFailed(error, entries),
    unforeseen: (error, place) => observer.unforeseen(error, place),
  };
}
