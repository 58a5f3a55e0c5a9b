import type { AuditedTable } from "../audited-tables.js";
import type { LoggedEntry } from "../log.js";
import type { Evidence } from "../reconcile.js";
import { canonical, groupBy, isSame } from "../values.js";

/** Fields and values of a row as the entries so far have it; null where none stands. */
type State = Map<string, unknown> | null;

/**
 * Whether each row's entries, in their order, lead from nothing to the row as it stands: each entry's old values are the
 * last one's new ones. Secrets are left out, since the log has no values of theirs.
 */
export function judgeHistories({ tables, rows, entries }: Evidence): { resources: number; problems: string[] } {
  const problems: string[] = [];
  let resources = 0;
  for (const table of tables) {
    const standing = new Map(
      (rows.get(table.type) ?? []).map((row) => [
        `${String(row[table.tenantColumn])} ${String(row[table.idColumn])}`,
        row,
      ]),
    );
    const told = groupBy(
      entries.filter(({ outcome, resourceType }) => outcome === "SUCCESS" && resourceType === table.type),
      ({ tenantId, resourceId }) => `${tenantId} ${resourceId ?? ""}`,
    );
    for (const key of new Set([...standing.keys(), ...told.keys()])) {
      resources++;
      problems.push(...judgeHistory(table, key, told.get(key) ?? [], standing.get(key) ?? null));
    }
  }
  return { resources, problems };
}

function judgeHistory(
  table: AuditedTable,
  key: string,
  entries: readonly LoggedEntry[],
  row: Readonly<Record<string, unknown>> | null,
): string[] {
  const problems: string[] = [];
  const complain = (what: string) => problems.push(`${table.type} ${key.split(" ").reverse().join(" of ")}: ${what}`);
  let state: State = null;
  for (const entry of entries) state = follow(state, entry, complain);
  if (row === null) {
    if (state !== null) complain("by its entries it stands, and there is no row");
  } else if (state === null) {
    complain(`the row stands, and by its ${String(entries.length)} entries it doesn't`);
  } else {
    for (const { field, column, secret, inLog } of table.fields) {
      const [known, stands] = [state.get(field), inLog(row[column])];
      if (!secret && !isSame(known, stands))
        complain(`${field} is ${canonical(stands)}, and by its entries ${canonical(known)}`);
    }
  }
  return problems;
}

function follow(state: State, { id, action, changes }: LoggedEntry, complain: (what: string) => void): State {
  if ((action === "CREATE") !== (state === null))
    complain(`entry ${id} says ${action ?? "nothing"} where ${state === null ? "no row stood" : "a row stood"}`);
  const next = new Map(state ?? []);
  for (const { field, secret, old, new: now } of changes) {
    if (secret) continue;
    if (!isSame(next.get(field), old))
      complain(
        `entry ${id} says ${field} was ${canonical(old)}, and the one before left ${canonical(next.get(field))}`,
      );
    next.set(field, now ?? null);
  }
  if (action !== "DELETE") return next;
  for (const [field, left] of next)
    if (left !== null && left !== undefined) complain(`entry ${id} of the deletion leaves ${field} ${canonical(left)}`);
  return null;
}
