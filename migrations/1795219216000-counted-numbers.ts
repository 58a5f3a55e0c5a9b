import type { MigrationInterface, QueryRunner } from "typeorm";
import { derive as deriveBefore } from "./1795219214000-session.js";
import { endReport as endReportBefore } from "./1795219215000-reports.js";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * Of a reporter's lowest numbers only counts are kept, once its session's row holds too many ranges: the row has a bound,
 * and no entry is refused for its sake.
 *
 * Calls note the fresh numbers alone from here on: below the counted ones, one that came before can't be told from one
 * that is new. A program of before, which notes all, is refused by the database, and its callers send again.
 */
export class CountedNumbers1795219216000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, columns, dropBefore, helpers, mergedDrops, countLowest, endReport, derive, grants);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropAll, endReportBefore, deriveBefore, grants, dropColumns);
  }
}

/** A row that holds more ranges is folded, until it holds so many at most. */
const MOST_RANGES = 20_000;
const KEPT_RANGES = 10_000;

// Of an update of a row with many ranges, packing them was nine tenths of the time.
const columns = `
  alter table audit.session alter column received set storage external, alter column dropped set storage external;
  alter table audit.session add column counted_to bigint not null default 0;
  alter table audit.session add column received_below bigint not null default 0;
  alter table audit.session add column dropped_below bigint not null default 0`;

const dropBefore = `
  drop function audit_guard.end_report(uuid, int8multirange, bigint, bigint, jsonb, boolean),
    audit_guard.merged_drops(jsonb, jsonb), audit_guard.derive_session(uuid)`;

// Ranges that are kept as text are counted there: to read them takes ten times as long.
const helpers = `
  create function audit_guard.numbers_below(bound bigint) returns int8multirange
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$ select int8multirange(int8range(0, bound)) $$;

  create function audit_guard.count_of(numbers int8multirange) returns bigint
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$ select coalesce(sum(upper(range)::numeric - lower(range)), 0)::bigint from unnest(numbers) as range $$;

  create function audit_guard.range_count(numbers int8multirange, dropped jsonb) returns bigint
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    select (select count(*) from unnest(numbers)) + coalesce(sum(length(ranges) - length(replace(ranges, '[', ''))), 0)
    from (select drops ->> 'ranges' as ranges from jsonb_array_elements(dropped) as drops) as kept
  $$;

  create function audit_guard.ranges_of(numbers int8multirange, dropped jsonb) returns setof int8range
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    select unnest(numbers)
    union all
    select unnest((drops ->> 'ranges')::int8multirange) from jsonb_array_elements(dropped) as drops
  $$`;

// Reasons beyond the forty-ninth become one, so that a process that makes them up fills no row. What is said late of
// numbers of which only counts are kept isn't counted: it may have been said before, or the number may have come. It shows
// as missing, since a false alarm is better than a loss that is hidden.
const mergedDrops = `
  create function audit_guard.merged_drops(before jsonb, added jsonb, counted_to bigint) returns jsonb
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    with named as (
      select drops ->> 'reason' as reason,
        (drops ->> 'ranges')::int8multirange - audit_guard.numbers_below(counted_to) as ranges,
        coalesce((drops ->> 'below')::bigint, 0) as below, place
      from jsonb_array_elements(before || added) with ordinality as element (drops, place)
    ), ranked as (
      select reason, dense_rank() over (order by first) as rank, ranges, below
      from (select reason, ranges, below, min(place) over (partition by reason) as first from named) as known
    ), merged as (
      select case when rank < 50 then reason else 'other reasons' end as reason, min(rank) as rank,
        range_agg(ranges) as ranges, sum(below) as below
      from ranked group by 1
    )
    select coalesce(jsonb_agg(jsonb_build_object('reason', reason, 'ranges', ranges::text,
      'count', audit_guard.count_of(ranges) + below, 'below', below) order by rank), '[]')
    from merged
  $$`;

// The bound is where the last of the lower ranges ends: those that end behind it, whole or cut off there, are as many as
// are to be kept. dropped_below counts each number once, whatever the reasons, and none that came.
const countLowest = `
  create function audit_guard.count_lowest(of_session uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    kept audit.session;
    bound bigint;
    lowest int8multirange;
    gone int8multirange;
  begin
    select * into kept from audit.session where id = of_session;
    select upper(range) into bound from audit_guard.ranges_of(kept.received, kept.dropped) as range
      order by 1 desc offset ${KEPT_RANGES} limit 1;
    lowest := audit_guard.numbers_below(bound);
    select coalesce(range_agg((drops ->> 'ranges')::int8multirange), '{}') into gone
      from jsonb_array_elements(kept.dropped) as drops;
    update audit.session set
      counted_to = bound,
      received = kept.received - lowest,
      received_below = received_below + audit_guard.count_of(kept.received * lowest),
      dropped_below = dropped_below + audit_guard.count_of(gone * lowest - kept.received),
      dropped = (
        select coalesce(jsonb_agg(jsonb_build_object('reason', drops ->> 'reason', 'ranges', (ranges - lowest)::text,
          'count', drops -> 'count',
          'below', coalesce((drops ->> 'below')::bigint, 0) + audit_guard.count_of(ranges * lowest)) order by place), '[]')
        from jsonb_array_elements(kept.dropped) with ordinality as element (drops, place),
          cast(drops ->> 'ranges' as int8multirange) as ranges)
    where id = of_session;
  end
  $$`;

// A number that comes late, below the counted ones, may be one that was said to be dropped: as long as one of those hasn't
// come, it is taken for one, so that no other that is missing is hidden by it.
const endReport = `
  -- Notes what a call brought. Answers whether it closed the session, how many numbers that has taken, and which program it
  -- is of.
  create function audit_guard.end_report(
    of_session uuid, fresh int8multirange, repeats bigint, said_taken bigint, said_dropped jsonb, is_last boolean,
    out is_closed boolean, out taken_count bigint, out of_program text, out of_version text, out of_host text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    before audit.session;
    lowest int8multirange;
    late bigint;
    ranges bigint;
  begin
    select * into before from audit.session where id = of_session and kind = 'REPORTER' for update;
    is_closed := is_last and before.closed_at is null;
    lowest := audit_guard.numbers_below(before.counted_to);
    late := audit_guard.count_of(fresh * lowest);
    update audit.session set
      last_heard_at = clock_timestamp(),
      received = case when fresh = '{}' then received else received + (fresh - lowest) end,
      received_below = received_below + late,
      dropped_below = greatest(dropped_below - late, 0),
      duplicates = duplicates + repeats,
      taken = greatest(taken, said_taken),
      dropped = case when said_dropped = '[]' then dropped
        else audit_guard.merged_drops(dropped, said_dropped, counted_to) end,
      closed_at = case when is_closed then clock_timestamp() else closed_at end
    where id = of_session and kind = 'REPORTER'
    returning taken, program, version, host, audit_guard.range_count(received, dropped)
      into taken_count, of_program, of_version, of_host, ranges;
    if ranges > ${MOST_RANGES} then
      perform audit_guard.count_lowest(of_session);
    end if;
  end
  $$`;

const derive = `
  -- The numbers that have entries, from all the entries again, whatever was counted before: answers those that are kept one
  -- by one. The row is locked first, by a statement of its own: only the next sees the entries of who held it.
  create function audit_guard.derive_session(of_session uuid) returns int8multirange
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    lowest int8multirange;
    entered int8multirange;
    came bigint;
    derived int8multirange;
  begin
    perform from audit.session where id = of_session for update;
    select audit_guard.numbers_below(counted_to),
        audit_guard.received_numbers(tenant_id, id, audit.id_floor(to_timestamp(0)))
      into lowest, entered from audit.session where id = of_session;
    came := audit_guard.count_of(entered * lowest);
    update audit.session set
      received = entered - lowest,
      received_below = came,
      dropped_below = greatest(dropped_below - greatest(came - received_below, 0), 0)
    where id = of_session
    returning received into derived;
    return derived;
  end
  $$`;

const functions = `
  audit_guard.end_report(uuid, int8multirange, bigint, bigint, jsonb, boolean), audit_guard.derive_session(uuid)`;

const grants = `
  revoke all on all functions in schema audit_guard from public;
  grant execute on function ${functions} to audit_writer`;

const dropAll = `
  drop function ${functions}, audit_guard.count_lowest(uuid), audit_guard.merged_drops(jsonb, jsonb, bigint),
    audit_guard.range_count(int8multirange, jsonb), audit_guard.ranges_of(int8multirange, jsonb),
    audit_guard.count_of(int8multirange), audit_guard.numbers_below(bigint)`;

const dropColumns = `
  alter table audit.session alter column received set storage extended, alter column dropped set storage extended;
  alter table audit.session drop column counted_to, drop column received_below, drop column dropped_below`;
