import type { AuditedTable } from "../audited-tables.js";
import type { LoggedChange, LoggedEntry } from "../log.js";
import type { Evidence } from "../reconcile.js";
import { canonical, groupBy, isSame } from "../values.js";
import type { WitnessedChange } from "../witness.js";

/** Field by field: what it was and what it became; a secret's values are left open. */
type FieldChanges = ReadonlyMap<string, string>;

export interface TransactionFindings {
  readonly changesWithoutEntry: string[];
  readonly entriesWithoutChange: string[];
}

/** Whether each transaction changed what its entries say, no more and no less: its first old and last new values count. */
export function judgeTransactions({ tables, changes, entries }: Evidence): TransactionFindings {
  const byType = new Map(tables.map((table) => [table.type, table]));
  const made = groupBy(changes, ({ transaction, type, tenantId, id }) => `${transaction} ${type} ${tenantId} ${id}`);
  const told = groupBy(
    entries.filter(({ outcome, resourceType }) => outcome === "SUCCESS" && byType.has(resourceType ?? "")),
    ({ transaction, resourceType, tenantId, resourceId }) =>
      `${transaction} ${resourceType ?? ""} ${tenantId} ${resourceId ?? ""}`,
  );
  const findings: TransactionFindings = { changesWithoutEntry: [], entriesWithoutChange: [] };
  for (const key of new Set([...made.keys(), ...told.keys()])) {
    const table = byType.get(key.split(" ")[1] ?? "");
    if (!table) continue;
    const wasDone = doneBy(table, made.get(key) ?? []);
    const isTold = toldBy(told.get(key) ?? []);
    for (const [field, change] of wasDone)
      if (isTold.get(field) !== change)
        findings.changesWithoutEntry.push(
          `${placeOf(key)}: ${field} ${change}, and its entries say ${say(isTold, field)}`,
        );
    for (const [field, change] of isTold)
      if (wasDone.get(field) !== change)
        findings.entriesWithoutChange.push(
          `${placeOf(key)}: ${field} ${change} by its entries, and it was ${say(wasDone, field)}`,
        );
  }
  return findings;
}

function doneBy({ fields }: AuditedTable, changes: readonly WitnessedChange[]): FieldChanges {
  const [before, after] = [changes[0]?.before ?? null, changes.at(-1)?.after ?? null];
  return new Map(
    fields.flatMap(({ field, column, secret, inLog }): [string, string][] => {
      const [old, now] = [inLog(before?.[column]), inLog(after?.[column])];
      return isSame(old, now) ? [] : [[field, secret ? "changed" : `${canonical(old)} to ${canonical(now)}`]];
    }),
  );
}

function toldBy(entries: readonly LoggedEntry[]): FieldChanges {
  const folded = new Map<string, { readonly old: unknown; readonly change: LoggedChange }>();
  for (const change of entries.flatMap(({ changes }) => changes))
    folded.set(change.field, { old: (folded.get(change.field) ?? { old: change.old }).old, change });
  return new Map(
    [...folded].flatMap(([field, { old, change }]): [string, string][] => {
      if (change.secret) return [[field, "changed"]];
      return isSame(old, change.new) ? [] : [[field, `${canonical(old)} to ${canonical(change.new)}`]];
    }),
  );
}

const say = (changes: FieldChanges, field: string): string => changes.get(field) ?? "nothing of it";

function placeOf(key: string): string {
  const [transaction, type, tenantId, id] = key.split(" ");
  return `${type ?? ""} ${id ?? ""} of ${tenantId ?? ""}, transaction ${transaction ?? ""}`;
}
