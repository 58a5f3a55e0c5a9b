import type { Attempt } from "../attempt.js";
import type { LoggedEntry } from "../log.js";
import type { Evidence } from "../reconcile.js";
import { groupBy } from "../values.js";

interface Placed {
  readonly attempt: Attempt;
  readonly entry: LoggedEntry;
}

/**
 * Whether the log has things in the order in which they were. Where an operation was answered before another was sent, it
 * has the smaller number in their session, and the smaller id, if both were written at once or both later. What went on
 * at the same time has no order.
 */
export function judgeOrder({ entries, attempts }: Pick<Evidence, "entries" | "attempts">): string[] {
  const requests = new Map(attempts.map((attempt) => [attempt.requestId, attempt]));
  const placed = entries.flatMap((entry): Placed[] => {
    const attempt = requests.get(entry.clientRequestId ?? "");
    return attempt?.told && entry.ordinal === 0 ? [{ attempt, entry }] : [];
  });
  return [...groupBy(placed, ({ entry }) => entry.sessionId ?? "").values()].flatMap((its) => {
    const byNumber = its.toSorted((left, right) => numberOf(left) - numberOf(right));
    const [later, atOnce] = [true, false].map((isLater) =>
      its.filter(({ entry }) => (entry.claimedAt !== null) === isLater),
    );
    return [
      ...judge(byNumber, "number"),
      ...judge(atOnce ?? [], "entry"),
      ...judge(later ?? [], "entry written later"),
    ];
  });
}

const numberOf = ({ entry }: Placed): number => Number(entry.sequenceNumber ?? -1);

/** None may have been answered before one was sent that stands before it. */
function judge(inOrder: readonly Placed[], what: string): string[] {
  const problems: string[] = [];
  let last: Placed | undefined;
  for (const each of inOrder) {
    if (last && each.attempt.ended < last.attempt.sent)
      problems.push(
        `${each.attempt.requestId} was answered before ${last.attempt.requestId} was sent, and has the later ${what}: ` +
          `${String(numberOf(each))}, ${each.entry.id} against ${String(numberOf(last))}, ${last.entry.id}`,
      );
    if (!last || each.attempt.sent > last.attempt.sent) last = each;
  }
  return problems;
}
