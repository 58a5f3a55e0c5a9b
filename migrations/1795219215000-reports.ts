import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * What other processes report: who reported an entry, which other process's entry it goes with, and what of a session's
 * numbers was reported before, with what content.
 *
 * An index of correlations holds nothing but what has one, so that the everyday INSERT pays for none.
 */
export class Reports1795219215000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, columns, indexes, rules("now"), beginReport, endReport, grants);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropFunctions, rules("before"), dropColumns);
  }
}

const nil = "00000000-0000-0000-0000-000000000000";

const columns = `
  alter table audit.entry add column reported_by text collate "C";
  alter table audit.entry add column correlation_session_id uuid;
  alter table audit.entry add column correlation_sequence_number bigint;
  alter table audit.entry_key add column digest bytea;
  grant insert (reported_by, correlation_session_id, correlation_sequence_number) on audit.entry to audit_writer;
  grant select (reported_by, correlation_session_id, correlation_sequence_number) on audit.entry to audit_reader`;

// The second leads to one number of a session of millions. Sessions of the API have far fewer, in the index that all share.
const indexes = `
  create index on audit.entry (tenant_id, correlation_session_id, id) with (deduplicate_items = off)
    where correlation_session_id is not null;
  create index on audit.entry (tenant_id, session_id, sequence_number, id) with (deduplicate_items = off)
    where reported_by is not null`;

/** The rules of an entry, as they are from here on, or as they were. Beyond the new ones nothing is other than it was. */
function rules(version: "now" | "before"): string {
  const from = (added: string): string => (version === "now" ? added : "");
  return `
  create or replace function audit_guard.broken_rule(entry audit.entry) returns text
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    nil constant uuid := '${nil}';
  begin
    return case
      when octet_length(entry.tenant_id) > 63 or entry.tenant_id !~ '^(\\$platform|[a-z0-9][a-z0-9_-]*)$'
        then 'entry_tenant_id'
      when entry.format_version <> 1 then 'entry_format_version'
      when entry.actor_type not in ('USER', 'SERVICE', 'SYSTEM', 'DATABASE', 'ANONYMOUS') then 'entry_actor_type'
      when (entry.actor_id is null) <> (entry.actor_type in ('SYSTEM', 'DATABASE', 'ANONYMOUS'))
        or (entry.actor_type = 'SYSTEM' and entry.subsystem is null) then 'entry_actor'
      when entry.action not in ('CREATE', 'UPDATE', 'DELETE', 'READ', 'START', 'STOP'${from(`, 'REQUEST'`)}) then 'entry_action'
      when entry.outcome not in ('SUCCESS', 'FAILURE', 'DENIED') then 'entry_outcome'
      when (entry.outcome = 'SUCCESS') <> (entry.error_code is null)
        or (entry.error_message is not null and entry.error_code is null) then 'entry_error'
      when entry.resource_type is null and (entry.resource_id is not null or entry.resource_label is not null)
        then 'entry_resource'
      when nil = any (array[entry.request_id, entry.session_id, entry.cause_id${from(`, entry.correlation_session_id`)}])
        or nil::text = any (array[entry.actor_id, entry.on_behalf_of, entry.token_id, entry.client_id, entry.resource_id${from(`,
          entry.reported_by`)}])
        then 'entry_no_nil_uuid'
      when entry.sequence_number < 0 then 'entry_sequence_number'
      when entry.ordinal < 0 then 'entry_ordinal'${from(`
      when entry.reported_by is not null
        and (entry.session_id is null or (entry.resource_type is distinct from 'audit_session'
          and (entry.sequence_number is null or entry.claimed_at is null))) then 'entry_reported'
      when (entry.correlation_session_id is null) <> (entry.correlation_sequence_number is null)
        or entry.correlation_sequence_number < 0 then 'entry_correlation'`)}
      when (entry.repeat_count is null) <> (entry.repeated_sequence_numbers is null) or entry.repeat_count < 1
        then 'entry_repeats'
      when octet_length(entry.salts)
        <> 16 * (10 + 2 * jsonb_array_length(entry.changes) + jsonb_array_length(entry.attempted)) then 'entry_salts'
      when greatest(
          octet_length(entry.actor_id), octet_length(entry.actor_name), octet_length(entry.on_behalf_of),
          octet_length(entry.subsystem), octet_length(entry.issuer), octet_length(entry.token_id),
          octet_length(entry.client_id), octet_length(entry.event_type), octet_length(entry.error_code),
          octet_length(entry.resource_type), octet_length(entry.resource_id), octet_length(entry.operation),
          octet_length(entry.client_request_id), octet_length(entry.trace_id)${from(`, octet_length(entry.reported_by)`)}
        ) > 2048
        or octet_length(entry.resource_label) > 2048
        or (octet_length(entry.resource_label) > 682 and octet_length(audit.fold(entry.resource_label)) > 2048)
        or greatest(octet_length(entry.error_message), octet_length(entry.reason), octet_length(entry.user_agent)) > 8192
        then 'entry_length'
    end;
  end
  $$;

  -- As it was made: the first condition holds for no entry that breaks a rule, and is short. A test for null readies no
  -- operator.
  create or replace function audit_guard.admit() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    change_count constant integer := jsonb_array_length(new.changes);
    broken text;
  begin
    if (
      new.outcome = 'SUCCESS' and new.error_code is null and new.error_message is null
      and new.actor_type in ('USER', 'SERVICE') and new.actor_id is not null
      and new.action in ('CREATE', 'UPDATE', 'DELETE'${from(`, 'REQUEST'`)}) and new.resource_type is not null
      and new.format_version = 1 and new.sequence_number >= 0 and new.ordinal >= 0
      and octet_length(new.tenant_id) <= 63 and new.tenant_id ~ '^[a-z0-9][a-z0-9_-]*$'
      and new.repeat_count is null and new.repeated_sequence_numbers is null${from(`
      and new.correlation_session_id is null and new.correlation_sequence_number is null
      and (new.reported_by is null or (new.session_id is not null and new.claimed_at is not null))`)}
      and new.attempted = '[]' and octet_length(new.salts) = 160 + 32 * change_count
      and (uuid '${nil}' = any (array[new.request_id, new.session_id, new.cause_id])) is not true
      and ('${nil}' = any (array[
        new.actor_id, new.on_behalf_of, new.token_id, new.client_id, new.resource_id${from(`, new.reported_by`)}])) is not true
      and pg_column_size(array[
        new.actor_id, new.actor_name, new.on_behalf_of, new.subsystem, new.issuer, new.token_id, new.client_id,
        new.event_type, new.resource_type, new.resource_id, new.resource_label, new.reason, new.operation,
        new.client_request_id, new.trace_id, new.user_agent${from(`, new.reported_by`)}]) <= 682
    ) is not true then
      broken := audit_guard.broken_rule(new);
      if broken is not null then
        raise exception 'new row for audit.entry violates %', broken
          using errcode = 'check_violation', schema = 'audit', table = 'entry', constraint = broken;
      end if;
    end if;

    new.xact_id := pg_current_xact_id();
    new.database_user := session_user;
    new.application_name := current_setting('application_name');
    new.occurred_at := audit.id_time(new.id);
    new.resource_label_folded := audit.fold(new.resource_label);

    -- One change is what most entries have, and a plain row costs half of what a query does.
    if change_count = 1 then
      insert into audit.entry_field (tenant_id, field, id) values (new.tenant_id, new.changes #>> '{0,field}', new.id);
    elsif change_count > 1 then
      insert into audit.entry_field (tenant_id, field, id)
        select distinct new.tenant_id, change ->> 'field', new.id from jsonb_array_elements(new.changes) as change;
    end if;
    return new;
  end
  $$`;
}

// Opens the session where nobody has it, and takes the numbers. Keys of reported entries have no operation's ordinal, so
// that none can stand in the way of an entry of the API's own. Of the numbers that were taken before it answers which have
// this content, and which another, with that one's digest; what the API counts by itself, entered or not yet, is nobody's to report in.
export const beginReport = `
  create function audit_guard.begin_report(
    of_session uuid, of_tenant text, of_reporter text, of_program text, of_version text, of_host text,
    numbers bigint[], digests bytea,
    out is_own boolean, out is_opened boolean, out repeated bigint[], out conflicting bigint[], out kept_digests bytea[])
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    found_session audit.session;
    fresh bigint[];
  begin
    is_opened := false;
    select * into found_session from audit.session where id = of_session;
    if not found and not exists (
      select from audit.entry
      where tenant_id = of_tenant and session_id = of_session and sequence_number is not null and reported_by is null
    ) then
      insert into audit.session (id, tenant_id, kind, program, version, host, reporter)
        values (of_session, of_tenant, 'REPORTER', of_program, of_version, of_host, of_reporter)
        on conflict do nothing;
      is_opened := found;
      select * into found_session from audit.session where id = of_session;
    end if;
    is_own := found_session.kind = 'REPORTER' and found_session.tenant_id = of_tenant
      and found_session.reporter = of_reporter;
    if is_own is not true then
      is_own := false;
      return;
    end if;
    -- One call of a session at a time: its row is changed by each.
    perform from audit.session where id = of_session for update;

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

// Reasons beyond the forty-ninth become one, so that a process that makes them up fills no row.
export const endReport = `
  create function audit_guard.merged_drops(before jsonb, added jsonb) returns jsonb
  language sql immutable set search_path = pg_catalog, pg_temp
  as $$
    with named as (
      select drops ->> 'reason' as reason, (drops ->> 'ranges')::int8multirange as ranges, place
      from jsonb_array_elements(before || added) with ordinality as element (drops, place)
    ), ranked as (
      select reason, dense_rank() over (order by first) as rank, ranges
      from (select reason, ranges, min(place) over (partition by reason) as first from named) as known
    ), merged as (
      select case when rank < 50 then reason else 'other reasons' end as reason, min(rank) as rank,
        range_agg(ranges) as ranges
      from ranked group by 1
    )
    select coalesce(jsonb_agg(jsonb_build_object('reason', reason, 'ranges', ranges::text, 'count',
      (select coalesce(sum(upper(range) - lower(range)), 0) from unnest(ranges) as range)) order by rank), '[]')
    from merged
  $$;

  -- Notes what a call brought. Answers whether it closed the session, how many numbers that has taken, how many ranges its
  -- row holds by now, how many those make of which it is known what became of them, and which program it is of.
  create function audit_guard.end_report(
    of_session uuid, numbers int8multirange, repeats bigint, said_taken bigint, said_dropped jsonb, is_last boolean,
    out is_closed boolean, out taken_count bigint, out held_count bigint, out known_count bigint,
    out of_program text, out of_version text, out of_host text)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    before audit.session;
    after audit.session;
    gone int8multirange;
  begin
    select * into before from audit.session where id = of_session and kind = 'REPORTER';
    is_closed := is_last and before.closed_at is null;
    update audit.session set
      last_heard_at = clock_timestamp(),
      received = received + numbers,
      duplicates = duplicates + repeats,
      taken = greatest(taken, said_taken),
      dropped = case when said_dropped = '[]' then dropped else audit_guard.merged_drops(dropped, said_dropped) end,
      closed_at = case when is_closed then clock_timestamp() else closed_at end
    where id = of_session and kind = 'REPORTER'
    returning * into after;
    taken_count := after.taken;
    of_program := after.program;
    of_version := after.version;
    of_host := after.host;
    select coalesce(range_agg(ranges), '{}'), coalesce(sum((select count(*) from unnest(ranges))), 0)
      into gone, held_count
      from (select (drops ->> 'ranges')::int8multirange as ranges from jsonb_array_elements(after.dropped) as drops) as named;
    held_count := held_count + (select count(*) from unnest(after.received));
    known_count := (select count(*) from unnest(after.received + gone));
  end
  $$`;

const functions = `
  audit_guard.begin_report(uuid, text, text, text, text, text, bigint[], bytea),
  audit_guard.end_report(uuid, int8multirange, bigint, bigint, jsonb, boolean)`;

const grants = `
  revoke all on all functions in schema audit_guard from public;
  grant execute on function ${functions} to audit_writer`;

const dropFunctions = `drop function ${functions}, audit_guard.merged_drops(jsonb, jsonb)`;

const dropColumns = `
  alter table audit.entry_key drop column digest;
  alter table audit.entry drop column reported_by, drop column correlation_session_id,
    drop column correlation_sequence_number`;
