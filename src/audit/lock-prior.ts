import type { PoolClient } from "pg";
import type { QueryRunner } from "typeorm";
import type { AuditedField } from "./audited-field.js";
import type { Caller } from "./context.js";
import { badUserInput, notFound, printable } from "./errors.js";
import type { Registry } from "./registry.js";
import type { Visibility } from "./resource.js";
import type { RowLock, Snapshot } from "./snapshot.js";

/** Whose rows are locked, in which transaction. */
export interface PriorGround {
  readonly registry: Registry;
  readonly field: AuditedField;
  readonly caller: Caller;
  readonly tenantId: string;
  readonly runner: QueryRunner;
  readonly lock: RowLock;
}

/**
 * Reads what the ids name, as far as the caller may see it, and holds it until the transaction's end: rows that stand by
 * a row lock, and the places of those that may be created by another.
 *
 * @returns by id, in the ids' order; null where nothing stands
 * @throws AuditError BAD_USER_INPUT for an id in another spelling than the column's; NOT_FOUND for one that the caller
 * may not see and could only create
 */
export async function lockPrior(
  ground: PriorGround,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Snapshot | null>> {
  if (ids.length === 0) return new Map();
  const { registry, field, tenantId, runner, lock } = ground;
  const reader = registry.reader(field.resource);
  const visibility = visibilityOf(ground);
  const found = await reader.read(runner, tenantId, ids, visibility, lock);
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length > 0 && field.actions.includes("CREATE")) {
    await lockAbsent(
      runner,
      missing.map((id) => JSON.stringify([tenantId, field.resource.type, id])),
    );
    // Whoever held the lock before may have created it since; and what the caller may not see stands all the same.
    for (const [id, row] of await reader.read(runner, tenantId, missing, visibility, lock)) found.set(id, row);
    await refuseHidden(
      ground,
      visibility,
      ids.filter((id) => !found.has(id)),
    );
  }
  for (const id of found.keys()) if (!ids.includes(id)) throw otherSpelling(field, id);
  return new Map(ids.map((id) => [id, found.get(id) ?? null]));
}

/** The system itself sees all of the tenant's; no token makes a caller the system. */
const visibilityOf = ({ caller, field }: PriorGround): Visibility<object> =>
  caller.actor.type === "SYSTEM" ? "all" : field.resource.visible(caller);

async function refuseHidden(
  { registry, field, tenantId, runner }: PriorGround,
  visibility: Visibility<object>,
  missing: readonly string[],
): Promise<void> {
  if (visibility === "all" || missing.length === 0) return;
  const hidden = await registry.reader(field.resource).read(runner, tenantId, missing);
  for (const id of hidden.keys()) throw notFound(field.resource.type, id);
}

/** The column takes other spellings of an id than the one that it prints, by which alone its entries can be found. */
const otherSpelling = ({ idPath }: AuditedField, id: string) =>
  badUserInput([{ field: idPath.join("."), message: `must be spelt as ${printable(id)}` }]);

/** A row lock holds nothing where no row stands; these hold the places of rows to come, in one order for all. */
async function lockAbsent(runner: QueryRunner, keys: readonly string[]): Promise<void> {
  const client = (await runner.connect()) as PoolClient;
  await client.query({
    name: "audit:lock-absent",
    text: `select pg_advisory_xact_lock(hashtextextended(key, 0))
           from (select key from unnest($1::text[]) as key order by key offset 0) as ordered`,
    values: [keys],
  });
}
