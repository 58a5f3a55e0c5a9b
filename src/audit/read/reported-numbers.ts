import type { RunStatement } from "../reading.js";
import type { Condition } from "./filter-columns.js";

/**
 * The conditions, where one asks for numbers, with whether all of its sessions are reporters': theirs may have millions of
 * entries, and an index of their own.
 */
export async function knowingReporters(
  run: RunStatement,
  conditions: readonly Condition[],
): Promise<readonly Condition[]> {
  const numbers = conditions.find(({ field }) => field === "sequenceNumber");
  const sessions = conditions.find(({ field }) => field === "sessionId");
  if (!numbers || !sessions) return conditions;
  const [row] = await run<{ count: number }>({
    name: "audit-read-reported-sessions",
    text: "select count(*)::int as count from audit.session s where s.id = any ($1::uuid[]) and s.kind = 'REPORTER'",
    values: [sessions.values],
  });
  const isReported = row?.count === sessions.values.length;
  return conditions.map((condition) => (condition === numbers ? { ...condition, isReported } : condition));
}
