import type { EntityManager } from "typeorm";
import type { JobParts } from "../feature.js";
import { MAX_CHATS } from "./touch-descendants.js";

/** A chat that nobody was active in. */
export interface DueChat {
  readonly tenantId: string;
  readonly id: string;
  /** How many lie below it. */
  readonly below: number;
}

interface Place {
  readonly tenant_id: string;
  readonly id: string;
}

/** How many rows one look reads: a few milliseconds' work, whether any of them is due or none. */
const ROWS_A_LOOK = 2_000;
const beginning: Place = { tenant_id: "", id: "00000000-0000-0000-0000-000000000000" };

/**
 * A chat is due where it isn't archived nor pinned and it was last changed before the cutoff, and where the same is true
 * of every chat below it that isn't archived. Trees larger than one operation may reach are left to people.
 */
const due = (cutoff: string): string => `
  not named.archived and named.pin_order = 0 and named.updated_at < ${cutoff}::timestamptz
  and tree.below < ${String(MAX_CHATS)} and not tree.is_alive`;

const withTree = (cutoff: string): string => `
  app.chat as named cross join lateral (
    select count(*)::int as below,
      coalesce(bool_or(not archived and (pin_order <> 0 or updated_at >= ${cutoff}::timestamptz)), false) as is_alive
    from (
      with recursive below (id, archived, pin_order, updated_at) as (
        select child.id, child.archived, child.pin_order, child.updated_at
        from app.chat as child where child.tenant_id = named.tenant_id and child.parent_chat_id = named.id
        union all
        select child.id, child.archived, child.pin_order, child.updated_at
        from below join app.chat as child on child.tenant_id = named.tenant_id and child.parent_chat_id = below.id
      )
      select * from below limit ${String(MAX_CHATS)}
    ) as reached
  ) as tree`;

/**
 * Every due chat of every tenant, a page of them at a time, in the order of the primary key: an index on when chats were
 * last changed would make each change of one dearer.
 */
export async function* duePages({ client, signal }: JobParts, cutoff: string): AsyncGenerator<readonly DueChat[]> {
  for (let from: Place | undefined = beginning; from && !signal.aborted;) {
    const end: Place | undefined = (
      await client.query<Place>(
        `select tenant_id, id from app.chat where (tenant_id, id) > ($1, $2::uuid)
         order by tenant_id, id offset $3 limit 1`,
        [from.tenant_id, from.id, ROWS_A_LOOK - 1],
      )
    ).rows[0];
    const { rows } = await client.query<DueChat>(
      `select named.tenant_id as "tenantId", named.id, tree.below from ${withTree("$5")}
       where (named.tenant_id, named.id) > ($1, $2::uuid)
         and ($3::text is null or (named.tenant_id, named.id) <= ($3, $4::uuid)) and ${due("$5")}
       order by named.tenant_id, named.id`,
      [from.tenant_id, from.id, end?.tenant_id ?? null, end?.id ?? null, cutoff],
    );
    yield rows;
    from = end;
  }
}

/** Which of the named are due, as the transaction sees them now. */
export async function dueAmong(
  manager: EntityManager,
  tenantId: string,
  ids: readonly string[],
  cutoff: string,
): Promise<string[]> {
  const rows = await manager.query<{ id: string }[]>(
    `select named.id from ${withTree("$3")} where named.tenant_id = $1 and named.id = any ($2::uuid[]) and ${due("$3")}`,
    [tenantId, ids, cutoff],
  );
  return rows.map(({ id }) => id);
}
