import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * The sessions: whose numbers they are, how many were taken, and which of them have entries.
 *
 * `audit.session` is bookkeeping, not history: what it holds of numbers can be derived again from the entries, and each
 * session is opened and closed by an entry too. No login may touch it but through functions of `audit_guard`.
 */
export class Session1795219214000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, session, receivedNumbers, openSessions, hearSessions, catchUp, closeSessions, derive, grants);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropAll);
  }
}

const walled = `
  tenant_id = any (string_to_array(current_setting('audit.tenants', true), ','))
  or current_setting('audit.tenants', true) = '*'`;

// Rows are updated again and again: room on their pages keeps most of that out of the indexes.
const session = `
  create table audit.session (
    id uuid not null,
    tenant_id text collate "C" not null,
    kind text collate "C" not null check (kind in ('API', 'REPORTER')),
    program text collate "C" not null check (char_length(program) between 1 and 200),
    version text collate "C" not null check (char_length(version) between 1 and 200),
    host text collate "C" not null check (char_length(host) between 1 and 200),
    reporter text collate "C",
    opened_at timestamptz not null default clock_timestamp(),
    last_heard_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    taken bigint not null default 0 check (taken >= 0),
    settled bigint not null default 0 check (settled >= 0),
    received int8multirange not null default '{}',
    received_to uuid,
    duplicates bigint not null default 0 check (duplicates >= 0),
    dropped jsonb not null default '[]',

    constraint session_pkey primary key (id),
    constraint session_reporter check ((kind = 'REPORTER') = (reporter is not null))
  ) with (fillfactor = 70);
  create index on audit.session (tenant_id, opened_at, id);
  create index on audit.session (opened_at, id);
  create index on audit.session (last_heard_at) where kind = 'API' and closed_at is null;
  alter table audit.session owner to audit_owner;
  alter table audit.session enable row level security;
  create policy reader_selects on audit.session for select to audit_reader using (${walled})`;

// The last of all numbers has no place in a range, whose upper end is the number behind.
export const receivedNumbers = `
  create function audit_guard.received_numbers(of_tenant text, of_session uuid, since uuid) returns int8multirange
  language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  as $$
  begin
    return (
      select coalesce(range_agg(coalesce(repeated_sequence_numbers, '{}')
        + int8multirange(int8range(sequence_number, sequence_number + 1))), '{}')
      from audit.entry
      where tenant_id = of_tenant and session_id = of_session and id >= since
        and sequence_number < 9223372036854775807
    );
  end
  $$`;

// Answers those that weren't open before: only they are to get an entry.
export const openSessions = `
  create function audit_guard.open_sessions(ids uuid[], tenants text[], of_program text, of_version text, of_host text)
    returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    insert into audit.session (id, tenant_id, kind, program, version, host)
    select opened.id, tenant_id, 'API', of_program, of_version, of_host
    from unnest(ids, tenants) as opened (id, tenant_id)
    on conflict do nothing
    returning id
  $$`;

// Numbers that are settled and those that have entries move in one statement: a number is never shown as settled before
// its entry, which stood when the process said so, was looked for. Where nothing moved, nothing is looked for. Answers each
// session with a digest of the settled numbers that have no entry, null where all have one.
const hearSessions = `
  create function audit_guard.hear_sessions(
    ids uuid[], taken_numbers bigint[], settled_numbers bigint[], moved boolean[], up_to uuid)
    returns table (id uuid, gap text)
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    update audit.session set
      last_heard_at = clock_timestamp(),
      taken = greatest(session.taken, heard.taken),
      settled = greatest(session.settled, heard.settled),
      received = case when heard.moved then received
        + audit_guard.received_numbers(tenant_id, session.id, coalesce(received_to, audit.id_floor(to_timestamp(0))))
        else received end,
      received_to = case when heard.moved then greatest(received_to, up_to) else received_to end
    from unnest(ids, taken_numbers, settled_numbers, moved) as heard (id, taken, settled, moved)
    where session.id = heard.id and kind = 'API'
    returning session.id,
      nullif(md5((int8multirange(int8range(0, session.settled)) - received)::text), md5('{}'))
  $$`;

// For sessions that nobody speaks for any more: what they left may be written by others, and much later.
const catchUp = `
  create function audit_guard.catch_up_sessions(ids uuid[], up_to uuid) returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    with behind as (
      select id from unnest(ids) as named (id)
      union
      (
        select id from audit.session
        where kind = 'API' and closed_at is null and last_heard_at < now() - interval '1 minute'
          and (received_to is null or received_to < audit.id_floor(last_heard_at + interval '1 minute'))
        order by last_heard_at limit 100
      )
    )
    update audit.session set
      received = received
        + audit_guard.received_numbers(tenant_id, session.id, coalesce(received_to, audit.id_floor(to_timestamp(0)))),
      received_to = greatest(received_to, up_to)
    from behind
    where session.id = behind.id and kind = 'API'
    returning session.id
  $$`;

// Answers those that weren't closed before: only they are to get an entry.
const closeSessions = `
  create function audit_guard.close_sessions(
    ids uuid[], taken_numbers bigint[], settled_numbers bigint[], moved boolean[]) returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    update audit.session set
      last_heard_at = clock_timestamp(),
      closed_at = clock_timestamp(),
      taken = greatest(session.taken, heard.taken),
      settled = greatest(session.settled, heard.settled),
      received = case when heard.moved then received
        + audit_guard.received_numbers(tenant_id, session.id, coalesce(received_to, audit.id_floor(to_timestamp(0))))
        else received end
    from unnest(ids, taken_numbers, settled_numbers, moved) as heard (id, taken, settled, moved)
    where session.id = heard.id and kind = 'API' and closed_at is null
    returning session.id
  $$`;

export const derive = `
  -- The numbers that have entries, from all the entries again, whatever was counted before. The row is locked first, by a
  -- statement of its own: only the next sees the entries of who held it.
  create function audit_guard.derive_session(of_session uuid) returns int8multirange
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    derived int8multirange;
  begin
    perform from audit.session where id = of_session for update;
    update audit.session set
      received = audit_guard.received_numbers(tenant_id, id, audit.id_floor(to_timestamp(0)))
    where id = of_session
    returning received into derived;
    return derived;
  end
  $$`;

const functions = `
  audit_guard.open_sessions(uuid[], text[], text, text, text),
  audit_guard.hear_sessions(uuid[], bigint[], bigint[], boolean[], uuid),
  audit_guard.catch_up_sessions(uuid[], uuid),
  audit_guard.close_sessions(uuid[], bigint[], bigint[], boolean[]),
  audit_guard.derive_session(uuid)`;

const grants = `
  revoke all on all functions in schema audit_guard from public;
  grant execute on function ${functions} to audit_writer;
  grant select on audit.session to audit_reader`;

const dropAll = `
  drop function ${functions}, audit_guard.received_numbers(text, uuid, uuid);
  drop table audit.session`;
