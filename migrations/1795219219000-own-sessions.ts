import type { MigrationInterface, QueryRunner } from "typeorm";
import {
  openSessions as openSessionsBefore,
  receivedNumbers as receivedNumbersBefore,
} from "./1795219214000-session.js";
import { beginReport as beginReportBefore } from "./1795219215000-reports.js";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * A session of the API's is the API's, also where another process reported in it first: its callers are told its id, and
 * may be quicker than its row.
 */
export class OwnSessions1795219219000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, receivedNumbers, openSessions, beginReport);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropAll, receivedNumbersBefore, openSessionsBefore, beginReportBefore, rightsBefore);
  }
}

// What was reported in a session before it was known for the API's doesn't count there: a number of the API's own that is
// missing would be hidden by it.
const receivedNumbers = `
  create or replace function audit_guard.received_numbers(of_tenant text, of_session uuid, since uuid)
    returns int8multirange
  language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
  as $$
  begin
    return (
      select coalesce(range_agg(coalesce(repeated_sequence_numbers, '{}')
        + int8multirange(int8range(sequence_number, sequence_number + 1))), '{}')
      from audit.entry
      where tenant_id = of_tenant and session_id = of_session and id >= since
        and sequence_number < 9223372036854775807
        and (reported_by is null or (select kind = 'REPORTER' from audit.session where session.id = of_session))
    );
  end
  $$`;

// The API makes its ids by chance: who reports in one had it from the API. Answers those that weren't open before: only
// they are to get an entry.
const openSessions = `
  create or replace function audit_guard.open_sessions(
    ids uuid[], tenants text[], of_program text, of_version text, of_host text)
    returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    insert into audit.session (id, tenant_id, kind, program, version, host)
    select opened.id, tenant_id, 'API', of_program, of_version, of_host
    from unnest(ids, tenants) as opened (id, tenant_id)
    on conflict (id) do update set
      tenant_id = excluded.tenant_id, kind = 'API', reporter = null,
      program = excluded.program, version = excluded.version, host = excluded.host,
      opened_at = excluded.opened_at, last_heard_at = excluded.last_heard_at, closed_at = null,
      taken = 0, settled = 0, received = '{}', received_to = null, duplicates = 0, dropped = '[]',
      counted_to = 0, received_below = 0, dropped_below = 0
      where session.kind = 'REPORTER'
    returning id
  $$`;

// Whose it is is asked as its row is locked, and once more of a row that had to be waited for. The rest is as it was.
const beginReport = `
  create or replace function audit_guard.begin_report(
    of_session uuid, of_tenant text, of_reporter text, of_program text, of_version text, of_host text,
    numbers bigint[], digests bytea,
    out is_own boolean, out is_opened boolean, out repeated bigint[], out conflicting bigint[], out kept_digests bytea[])
  language plpgsql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  as $$
  declare
    fresh bigint[];
  begin
    is_opened := false;
    if not exists (select from audit.session where id = of_session) and not exists (
      select from audit.entry
      where tenant_id = of_tenant and session_id = of_session and sequence_number is not null and reported_by is null
    ) then
      insert into audit.session (id, tenant_id, kind, program, version, host, reporter)
        values (of_session, of_tenant, 'REPORTER', of_program, of_version, of_host, of_reporter)
        on conflict do nothing;
      is_opened := found;
    end if;
    -- One call of a session at a time: its row is changed by each.
    perform from audit.session
      where id = of_session and kind = 'REPORTER' and tenant_id = of_tenant and reporter = of_reporter
      for update;
    is_own := found;
    if not is_own then
      return;
    end if;

    with taken as (
      insert into audit.entry_key (session_id, sequence_number, ordinal, digest)
        select of_session, number, -1, substr(digests, 32 * place::integer - 31, 32)
        from unnest(numbers) with ordinality as given (number, place)
        order by number
        on conflict do nothing
        returning sequence_number
    )
    select coalesce(array_agg(sequence_number), '{}') into fresh from taken;
    if cardinality(fresh) < cardinality(numbers) then
      select array_agg(number) filter (where key.digest = given.digest),
        array_agg(number order by number) filter (where key.digest is distinct from given.digest),
        array_agg(key.digest order by number) filter (where key.digest is distinct from given.digest)
        into repeated, conflicting, kept_digests
        from (
          select number, substr(digests, 32 * place::integer - 31, 32) as digest
          from unnest(numbers) with ordinality as given (number, place)
        ) as given
          join audit.entry_key as key on key.session_id = of_session and key.sequence_number = number and key.ordinal = -1
        where not exists (select from unnest(fresh) as mine where mine = number);
    end if;
    repeated := coalesce(repeated, '{}');
    conflicting := coalesce(conflicting, '{}');
    kept_digests := coalesce(kept_digests, '{}');
  end
  $$`;

const open = "audit_guard.open_sessions(uuid[], text[], text, text, text)";
const begin = "audit_guard.begin_report(uuid, text, text, text, text, text, bigint[], bytea)";
const received = "audit_guard.received_numbers(text, uuid, uuid)";

const dropAll = `drop function ${open}, ${begin}, ${received}`;

const rightsBefore = `
  alter function ${received} set enable_seqscan = off;
  alter function ${begin} set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off;
  revoke all on all functions in schema audit_guard from public;
  grant execute on function ${open}, ${begin} to audit_writer`;
