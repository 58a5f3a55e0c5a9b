import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * The keeper of the monthly partitions, months in UTC, and the first of them.
 *
 * `audit_guard.keep_partitions(months_ahead)` makes what is missing from this month on and returns a line for each
 * thing it did, nothing where all was there. Entries of a month without a partition go to DEFAULT; with entries in it,
 * DEFAULT becomes the partition of those months. No row ever moves, and no moment is without guards.
 *
 * Writers pass while months are made, and stand behind a rescue for some milliseconds. Each wait for a lock ends after
 * 250 ms, so that who came behind goes first; after 12 attempts it fails with 55P03, and nothing has changed.
 */
export class Partitions1795219205000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(
      runner,
      partitionRanges,
      monthsInDefault,
      makePartition,
      makeDefault,
      rescueDefault,
      makeMonths,
      tryToKeepPartitions,
      keepPartitions,
      grants,
      `select audit_guard.keep_partitions()`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropPartitions, dropFunctions);
  }
}

// A row for each partition, its bounds null where it is DEFAULT.
const partitionRanges = `
  create function audit_guard.partition_ranges(log_table regclass)
  returns table (partition regclass, lower_id uuid, upper_id uuid)
  language sql volatile set search_path = pg_catalog, pg_temp
  as $$
    select class.oid::regclass, bound.ids[1]::uuid, bound.ids[2]::uuid
    from pg_inherits
      join pg_class class on class.oid = inhrelid
      cross join lateral
        regexp_match(pg_get_expr(relpartbound, class.oid), 'FROM \\(''(.+)''\\) TO \\(''(.+)''\\)') as bound (ids)
    where inhparent = log_table
  $$`;

const monthsInDefault = `
  create function audit_guard.months_in_default(log_table regclass, out from_month timestamptz, out to_month timestamptz)
  language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC'
  as $$
  declare
    default_partition regclass;
  begin
    select partition into strict default_partition
      from audit_guard.partition_ranges(log_table) where lower_id is null;
    execute format(
      'select date_trunc(''month'', audit.id_time((select id from %1$s order by id limit 1))),
        date_trunc(''month'', audit.id_time((select id from %1$s order by id desc limit 1))) + interval ''1 month''',
      default_partition) into from_month, to_month;
  end
  $$`;

// Made apart from its parent, which CREATE TABLE … PARTITION OF would lock against every open writer.
const makePartition = `
  create function audit_guard.make_partition(log_table regclass, name text) returns regclass
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    partition regclass;
  begin
    execute format('create table audit.%I (like %s including all)', name, log_table);
    partition := format('audit.%I', name)::regclass;
    execute format('alter table %s owner to audit_owner', partition);
    execute format('alter table %s enable row level security', partition);
    perform audit_guard.guard_statements(partition);
    return partition;
  end
  $$`;

const makeDefault = `
  create function audit_guard.make_default(log_table regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    table_name text := (select relname from pg_class where oid = log_table);
  begin
    execute format('alter table %s attach partition %s default',
      log_table, audit_guard.make_partition(log_table, table_name || '_default'));
  end
  $$`;

// Called with the parent locked: no writer sees the table detached.
const rescueDefault = `
  create function audit_guard.rescue_default(log_table regclass) returns text
  language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC'
  as $$
  declare
    table_name text := (select relname from pg_class where oid = log_table);
    months record := audit_guard.months_in_default(log_table);
    name text := table_name || to_char(months.from_month, '"_"YYYY_MM');
  begin
    if months.from_month is null then
      return null;
    end if;
    if exists (
      select from audit_guard.partition_ranges(log_table)
      where lower_id < audit.id_floor(months.to_month) and upper_id > audit.id_floor(months.from_month)
    ) then
      return format('%s_default keeps rows of %s to %s: there are partitions between them', log_table,
        to_char(months.from_month, 'YYYY-MM'), to_char(months.to_month - interval '1 month', 'YYYY-MM'));
    end if;
    if months.to_month > months.from_month + interval '1 month' then
      name := name || to_char(months.to_month - interval '1 month', '"_to_"YYYY_MM');
    end if;
    execute format('alter table %s detach partition %s_default', log_table, log_table);
    execute format('alter table %s_default rename to %I', log_table, name);
    execute format('alter table %s attach partition audit.%I for values from (%L) to (%L)',
      log_table, name, audit.id_floor(months.from_month), audit.id_floor(months.to_month));
    perform audit_guard.make_default(log_table);
    return format('%s_default became audit.%s', log_table, name);
  end
  $$`;

// Returns the statements that attach what it made.
const makeMonths = `
  create function audit_guard.make_months(log_table regclass, months_ahead integer) returns text[]
  language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC'
  as $$
  declare
    table_name text := (select relname from pg_class where oid = log_table);
    filled record := audit_guard.months_in_default(log_table);
    this_month timestamptz := date_trunc('month', clock_timestamp());
    lower_bound uuid;
    upper_bound uuid;
    statements text[] := '{}';
  begin
    for month_number in 0 .. months_ahead loop
      lower_bound := audit.id_floor(this_month + make_interval(months => month_number));
      upper_bound := audit.id_floor(this_month + make_interval(months => month_number + 1));
      continue when lower_bound >= audit.id_floor(filled.from_month) and upper_bound <= audit.id_floor(filled.to_month);
      continue when exists (
        select from audit_guard.partition_ranges(log_table) where lower_id < upper_bound and upper_id > lower_bound
      );
      statements := statements || format('alter table %s attach partition %s for values from (%L) to (%L)', log_table,
        audit_guard.make_partition(
          log_table, table_name || to_char(audit.id_time(lower_bound), '"_"YYYY_MM')),
        lower_bound, upper_bound);
    end loop;
    return statements;
  end
  $$`;

// All that takes time is made before the locks. What a writer does in between fails an attempt, not the writer.
const tryToKeepPartitions = `
  create function audit_guard.try_to_keep_partitions(months_ahead integer) returns text[]
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    log_tables constant regclass[] := array['audit.entry', 'audit.entry_field']::regclass[];
    log_table regclass;
    statement text;
    statements text[] := '{}';
    done text[] := '{}';
  begin
    foreach log_table in array log_tables loop
      if not exists (select from audit_guard.partition_ranges(log_table) where lower_id is null) then
        perform audit_guard.make_default(log_table);
        done := done || format('made %s_default', log_table);
      end if;
      statements := statements || audit_guard.make_months(log_table, months_ahead);
    end loop;
    if exists (select from unnest(log_tables) as t (name) where (audit_guard.months_in_default(name)).from_month is not null)
    then
      lock table audit.entry, audit.entry_field in access exclusive mode;
      foreach log_table in array log_tables loop
        done := done || audit_guard.rescue_default(log_table);
      end loop;
    end if;
    foreach statement in array statements loop
      execute statement;
      done := done || substring(statement from 'partition (\\S+)');
    end loop;
    return array_remove(done, null);
  end
  $$`;

const keepPartitions = `
  create function audit_guard.keep_partitions(months_ahead integer default 3) returns setof text
  language plpgsql security definer
  set search_path = pg_catalog, pg_temp set lock_timeout = '250ms'
  as $$
  declare
    attempts constant integer := 12;
    done text[];
  begin
    if months_ahead is null or months_ahead not between 0 and 24 then
      raise exception 'months_ahead must be 0 to 24, got %', months_ahead using errcode = 'invalid_parameter_value';
    end if;
    for attempt in 1 .. attempts loop
      begin
        perform pg_advisory_xact_lock(hashtextextended('audit_guard.keep_partitions', 0));
        done := audit_guard.try_to_keep_partitions(months_ahead);
        return query select unnest(done);
        return;
      exception
        -- A writer, a reader or another keeper holds a lock, or a row came to DEFAULT since it was looked at.
        when lock_not_available or deadlock_detected or check_violation or invalid_object_definition then
          if attempt = attempts then
            raise;
          end if;
      end;
      perform pg_sleep(0.05 + 0.2 * random());
    end loop;
  end
  $$`;

const grants = `
  revoke all on all functions in schema audit_guard from public;
  grant usage on schema audit_guard to audit_writer;
  grant execute on function audit_guard.keep_partitions(integer) to audit_writer`;

const dropPartitions = `
  do $$
  declare
    partition regclass;
  begin
    for partition in
      select ranges.partition
      from unnest(array['audit.entry', 'audit.entry_field']::regclass[]) as t (name)
        cross join audit_guard.partition_ranges(t.name) as ranges
    loop
      execute format('drop table %s', partition);
    end loop;
  end
  $$`;

const dropFunctions = `
  drop function audit_guard.keep_partitions(integer), audit_guard.try_to_keep_partitions(integer),
    audit_guard.make_months(regclass, integer), audit_guard.rescue_default(regclass),
    audit_guard.make_default(regclass), audit_guard.make_partition(regclass, text),
    audit_guard.months_in_default(regclass), audit_guard.partition_ranges(regclass);
  revoke usage on schema audit_guard from audit_writer`;
