import type { ClientBase } from "pg";
import type { PolicyName } from "../resource.js";
import type { Fence, Sparing } from "./fence.js";

/** What was done, and what the policies were that now stand beside, a sentence each. */
export type InstallNotes = string[];

interface Standing {
  readonly policies: Readonly<Record<string, PolicyName>>;
  readonly until: string;
}

const tries = 5;

/**
 * Makes each fence that isn't there as the code asks, as the tables' owner who may act as `audit_guard`. Doing it again
 * changes nothing; any number of processes may do it at once. One that had been lifted, or is broken, leaves an entry on
 * the platform's log when it is made again.
 *
 * What processes of another version don't name yet, or otherwise, passes for the grace time, so that they can be replaced
 * one by one.
 *
 * @param graceSeconds how long policies that are replaced stand beside the new ones
 * @returns a sentence for each that was made
 */
export async function installFences(
  client: ClientBase,
  fences: readonly Fence[],
  graceSeconds: number,
): Promise<InstallNotes> {
  const notes: InstallNotes = [];
  for (const fence of fences) if (await installInTurns(client, fence, graceSeconds)) notes.push(noteOf(fence));
  return notes;
}

const noteOf = ({ type, table }: Fence): string => `made the fence of ${type} on ${table}`;

/** The locks wait behind whoever writes the table, and whoever comes then waits behind them: so shortly, and again. */
async function installInTurns(client: ClientBase, fence: Fence, graceSeconds: number): Promise<boolean> {
  for (let attempt = 1; ; attempt++)
    try {
      await client.query("begin; set local lock_timeout = '2s'");
      const isMade = await install(client, fence, graceSeconds);
      await client.query("commit");
      return isMade;
    } catch (error) {
      // A connection that broke has no transaction left; what failed before says so.
      await client.query("rollback").catch(() => undefined);
      const isBusy = (error as { code?: unknown }).code === "55P03";
      if (!isBusy || attempt === tries) throw error;
    }
}

async function install(client: ClientBase, fence: Fence, graceSeconds: number): Promise<boolean> {
  await client.query("set local lock_timeout = '60s'; set local role audit_guard");
  await client.query("select pg_advisory_xact_lock(hashtextextended('auditql.fence', 0))");
  await client.query("set local lock_timeout = '2s'");
  const isThere = await stands(client, fence);
  const why = await whyDown(client, fence);
  // Until this transaction ends the event triggers let what they keep be replaced, and what is broken be mended.
  if (!isThere) await client.query("update audit.fence set aside = pg_current_xact_id()");
  await client.query("reset role");
  if (isThere) return false;
  await client.query(
    `grant usage on schema ${fence.schema} to audit_guard; grant select on ${fence.table} to audit_guard`,
  );
  await client.query("set local role audit_guard");
  const sparing = await replacePolicies(client, fence, graceSeconds);
  await client.query("delete from audit.fence where resource_type = $1", [fence.type]);
  await client.query(fence.functionSql(sparing));
  await client.query("reset role");
  for (const statement of fence.triggerSql) await client.query(statement);
  await client.query("set local role audit_guard");
  await client.query(record, [fence.type, fence.table, fence.digest, fence.columns]);
  // Until now nothing was asked of the table's changes: its entry ends what that of the lifting began.
  if (why !== null) await client.query(enterMade, [fence.table, why]);
  await client.query("reset role");
  return true;
}

async function stands(client: ClientBase, { type, digest }: Fence): Promise<boolean> {
  const { rows } = await client.query<{ stands: boolean }>(
    `select exists (select from audit.fence where resource_type = $1 and digest = $2)
       and not exists (select from audit_guard.fence_damage()) as stands`,
    [type, digest],
  );
  return rows[0]?.stands ?? false;
}

/** Why a fence that once stood has to be made again; null where it stands, or never did. */
async function whyDown(client: ClientBase, { type }: Fence): Promise<string | null> {
  const { rows } = await client.query<{ why: string | null }>(
    `select case when exists (select from audit.fence where resource_type = $1)
       then (
         select split_part(problem, ' Start the server', 1) from audit.fence, audit_guard.fence_damage() as problem
         where resource_type = $1 and starts_with(problem, format('The fence of %s is broken', table_name)) limit 1
       )
       else (select 'It had been lifted.' from audit.fence_policy where resource_type = $1 limit 1) end as why`,
    [type],
  );
  return rows[0]?.why ?? null;
}

const enterMade = `
  select audit_guard.write_entry('$platform', 'fence', $1::regclass::text, null, 'CREATE', '[]', $2)`;

/** Puts the new policies in the place of those that stood, and gives those their end. */
async function replacePolicies(client: ClientBase, fence: Fence, graceSeconds: number): Promise<Sparing[]> {
  const { type, digest, policies } = fence;
  const json = JSON.stringify(policies);
  await client.query(`delete from audit.fence_standing where until < clock_timestamp()`);
  await client.query(
    `update audit.fence_standing set until = clock_timestamp() + make_interval(secs => $3)
     where resource_type = $1 and digest <> $2 and until is null`,
    [type, digest, graceSeconds],
  );
  await client.query(
    `insert into audit.fence_standing values ($1, $2, $3, null)
     on conflict (resource_type, digest) do update set until = null, policies = excluded.policies`,
    [type, digest, json],
  );
  await client.query(replaceFields, [type, json]);
  await client.query(addFields, [type, json]);
  const { rows } = await client.query<Standing>(
    `select policies, to_char(until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as until
     from audit.fence_standing where resource_type = $1 and until is not null order by until`,
    [type],
  );
  return rows.flatMap((other) => sparingOf(policies, other));
}

/** What an older version doesn't name, or otherwise. */
function sparingOf(policies: Fence["policies"], { policies: other, until }: Standing): Sparing[] {
  const fields = Object.keys(policies).filter(
    (field) => policies[field] !== "ignore" && other[field] !== policies[field],
  );
  const unasked = fields.filter((field) => (other[field] ?? "ignore") === "ignore");
  const asSecret = fields.filter((field) => other[field] === "secret");
  const asTracked = fields.filter((field) => other[field] === "track" || other[field] === "track as a set");
  return fields.length === 0 ? [] : [{ unasked, asSecret, asTracked, until }];
}

const replaceFields = `
  with gone as (
    delete from audit.fence_policy where resource_type = $1 and not $2::jsonb ? field
  )
  update audit.fence_policy set policy = $2::jsonb ->> field
  where resource_type = $1 and $2::jsonb ? field and policy <> $2::jsonb ->> field`;

const addFields = `
  insert into audit.fence_policy
    select $1, key, value from jsonb_each_text($2::jsonb)
    where not exists (select from audit.fence_policy where resource_type = $1 and field = key)`;

const record = `
  insert into audit.fence
    select $1, pg_class.oid, format('%I.%I', nspname, relname), $3,
      (select md5(prosrc || proconfig::text) from pg_proc
       where proname = 'fence_' || $1 and pronamespace = 'audit_guard'::regnamespace),
      audit_guard.fence_triggers(pg_class.oid),
      array(select format('%s %s %s', attnum, attname, atttypid) from pg_attribute
            where attrelid = pg_class.oid and attname = any ($4::text[]) order by attnum),
      null
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = $2::regclass`;
