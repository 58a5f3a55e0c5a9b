import type { Attempt } from "../attempt.js";
import type { LoggedEntry } from "../log.js";
import type { Evidence } from "../reconcile.js";
import { groupBy } from "../values.js";

/**
 * Whether the log has things in the order in which they were: what one client did one after the other has rising numbers,
 * and rising ids where both were written at once or both later; what was written later has its times in order.
 */
export function judgeOrder({ entries, attempts }: Pick<Evidence, "entries" | "attempts">): string[] {
  const first = new Map<string, LoggedEntry>();
  for (const entry of entries) {
    const known = first.get(entry.clientRequestId ?? "");
    if (!known) first.set(entry.clientRequestId ?? "", entry);
  }
  const byClient = groupBy(attempts, ({ client, run, tenantId }) => `${String(client)} ${String(run)} ${tenantId}`);
  return [
    ...[...byClient.values()].flatMap((its) => judgeClient(its, first)),
    ...[...groupBy(entries, ({ sessionId }) => sessionId ?? "").values()].flatMap(judgeClaims),
  ];
}

function judgeClient(attempts: readonly Attempt[], first: ReadonlyMap<string, LoggedEntry>): string[] {
  const problems: string[] = [];
  const last: { number: bigint; ids: Map<boolean, string> } = { number: -1n, ids: new Map() };
  for (const { requestId, told } of attempts) {
    const [report] = told?.extensions.audit ?? [];
    const entry = first.get(requestId);
    if (!report || !entry) continue;
    const number = BigInt(report.sequenceNumber);
    if (number <= last.number) problems.push(`${requestId} has number ${String(number)} after ${String(last.number)}`);
    const later = entry.claimedAt !== null;
    const before = last.ids.get(later);
    if (before !== undefined && entry.id <= before)
      problems.push(`${requestId} has entry ${entry.id}, and what its client did before has ${before}`);
    last.number = number;
    last.ids.set(later, entry.id);
  }
  return problems;
}

function judgeClaims(entries: readonly LoggedEntry[]): string[] {
  const problems: string[] = [];
  let last = "";
  for (const { id, claimedAt } of entries) {
    if (claimedAt === null) continue;
    if (claimedAt < last) problems.push(`entry ${id} is of ${claimedAt}, and the one written before it of ${last}`);
    last = claimedAt;
  }
  return problems;
}
