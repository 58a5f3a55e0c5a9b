import type { Loss } from "./losses.js";

/** What a call says of one reason: ranges of numbers as decimals, the first and the last of each. */
export interface DroppedRanges {
  readonly reason: string;
  readonly sequenceNumbers: [first: string, last: string][];
}

/** Ranges of numbers that will never come as `ReportAuditEntriesInput.dropped` has them: each reason once. */
export function droppedByReason(losses: readonly Pick<Loss, "reason" | "first" | "last">[]): DroppedRanges[] {
  const byReason = new Map<string, DroppedRanges>();
  for (const { reason, first, last } of losses) {
    const dropped = byReason.get(reason) ?? { reason, sequenceNumbers: [] };
    dropped.sequenceNumbers.push([String(first), String(last)]);
    byReason.set(reason, dropped);
  }
  return [...byReason.values()];
}
