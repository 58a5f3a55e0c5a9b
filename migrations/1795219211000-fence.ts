import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * What the fences of all audited tables share: who is refused and who is recorded, which policies stand, how entries are
 * compared with a row's change, and how the database writes an entry itself. Each table's own function and triggers are
 * made at the start, from the policies that the code declares.
 */
export class Fence1795219211000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(
      runner,
      tables,
      writeEntry,
      modes,
      policies,
      judgement,
      answer,
      bulk,
      damage,
      `revoke all on all functions in schema audit_guard from public`,
      grants,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropFences, dropAll);
  }
}

/** Neither tenants' nor clients': nobody but the owners may see or write any of these. */
const tables = `
  create table audit.fence_mode (
    login text collate "C" not null constraint fence_mode_pkey primary key
      constraint fence_mode_login check (octet_length(login) between 1 and 63),
    mode text collate "C" not null constraint fence_mode_mode check (mode in ('refuse', 'record'))
  );

  -- The policies that stand now, by field.
  create table audit.fence_policy (
    resource_type text collate "C" not null,
    field text collate "C" not null,
    policy text collate "C" not null
      constraint fence_policy_policy check (policy in ('track', 'track as a set', 'secret', 'ignore')),
    constraint fence_policy_pkey primary key (resource_type, field)
  );

  -- The policies of versions that still run: those that stand now have no end.
  create table audit.fence_standing (
    resource_type text collate "C" not null,
    digest text collate "C" not null,
    policies jsonb not null,
    until timestamptz,
    constraint fence_standing_pkey primary key (resource_type, digest)
  );

  -- What was made on each table, so that it shows where it is gone or other than it was.
  create table audit.fence (
    resource_type text collate "C" not null constraint fence_pkey primary key,
    relation oid not null constraint fence_relation unique,
    table_name text collate "C" not null,
    digest text collate "C" not null,
    function_digest text collate "C" not null,
    triggers text[] not null,
    columns text[] not null,
    aside xid8
  );

  -- Rows that one transaction changed more than once: the version up to which that was judged.
  create unlogged table audit.fence_judged (
    xact_id xid8 not null,
    relation oid not null,
    tenant_id text collate "C" not null,
    id text collate "C" not null,
    version tid,
    constraint fence_judged_pkey primary key (xact_id, relation, tenant_id, id)
  );

  alter table audit.fence_mode owner to audit_owner;
  alter table audit.fence_policy owner to audit_owner;
  alter table audit.fence_standing owner to audit_owner;
  alter table audit.fence owner to audit_owner;
  alter table audit.fence_judged owner to audit_owner;
  alter table audit.fence_mode enable row level security;
  alter table audit.fence_policy enable row level security;
  alter table audit.fence_standing enable row level security;
  alter table audit.fence enable row level security;
  alter table audit.fence_judged enable row level security`;

// A UUID has 122 random bits of the salt's 128.
const writeEntry = `
  create function audit_guard.salts(slots integer) returns bytea
  language sql volatile set search_path = pg_catalog, pg_temp
  return (select string_agg(uuid_send(gen_random_uuid()), ''::bytea) from generate_series(1, slots));

  -- Values over 64 KiB, or beyond 1 MiB in one entry, as their length and salted digest.
  create function audit_guard.within_bounds(changes jsonb, salts bytea) returns jsonb
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    kept jsonb := '[]';
    change jsonb;
    slot integer := 10;
    bytes_left integer := 1048576;
    member text;
    value text;
  begin
    if octet_length(changes::text) <= 65536 then
      return changes;
    end if;
    for change in select element from jsonb_array_elements(changes) as element loop
      foreach member in array array['old', 'new'] loop
        value := (change -> member)::text;
        if octet_length(value) > least(65536, bytes_left) then
          change := change - member || jsonb_build_object(member || 'Omitted', jsonb_build_object(
            'bytes', octet_length(value),
            'digest', encode(sha256(substr(salts, slot * 16 + 1, 16) || convert_to(value, 'UTF8')), 'hex')));
        else
          bytes_left := bytes_left - coalesce(octet_length(value), 0);
        end if;
        slot := slot + 1;
      end loop;
      kept := kept || change;
    end loop;
    return kept;
  end
  $$;

  -- An entry of the database's own: who is logged in, from where, with what.
  create function audit_guard.write_entry(
    tenant_id text, resource_type text, resource_id text, label text, action text, changes jsonb, reason text
  ) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    salts constant bytea := audit_guard.salts(10 + 2 * jsonb_array_length(changes));
  begin
    insert into audit.entry (
      tenant_id, format_version, actor_type, actor_name, action, event_type, outcome, resource_type, resource_id,
      resource_label, changes, attempted, reason, ordinal, ip, salts
    ) values (
      tenant_id, 1, 'DATABASE', session_user, action,
      resource_type || case action when 'CREATE' then '.created' when 'UPDATE' then '.updated' else '.deleted' end,
      'SUCCESS', resource_type, resource_id, left(label, 300), audit_guard.within_bounds(changes, salts), '[]', reason, 0,
      inet_client_addr(), salts
    );
  end
  $$`;

const modes = `
  create function audit_guard.note_mode() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    if tg_op = 'UPDATE' and new.login <> old.login then
      raise exception 'A login''s mode stays that login''s' using errcode = 'integrity_constraint_violation',
        hint = 'Delete the row and insert another.';
    end if;
    if tg_op = 'UPDATE' and new.mode = old.mode then
      return null;
    end if;
    perform audit_guard.write_entry('$platform', 'fence_mode',
      case when tg_op = 'DELETE' then old.login else new.login end, null,
      case tg_op when 'INSERT' then 'CREATE' when 'UPDATE' then 'UPDATE' else 'DELETE' end,
      jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('field', 'mode',
        'op', case tg_op when 'INSERT' then 'ADD' when 'UPDATE' then 'REPLACE' else 'REMOVE' end,
        'old', case when tg_op <> 'INSERT' then old.mode end, 'new', case when tg_op <> 'DELETE' then new.mode end))),
      null);
    return null;
  end
  $$;

  create trigger note_mode after insert or update or delete on audit.fence_mode
    for each row execute function audit_guard.note_mode();
  create trigger refuse_truncate before truncate on audit.fence_mode
    for each statement execute function audit_guard.refuse_change();
  alter table audit.fence_mode enable always trigger note_mode;
  alter table audit.fence_mode enable always trigger refuse_truncate;

  -- Whoever may write entries, as itself or as another role, is refused what it left out. A superuser may all.
  create function audit_guard.refuses(login name) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp
  as $$
  declare
    privilege constant text := case
      when current_setting('server_version_num')::integer < 160000 then 'MEMBER' else 'USAGE, SET' end;
  begin
    return (select pg_has_role(oid, 'audit_writer', privilege) and not rolsuper from pg_roles where rolname = login)
      or exists (select from audit.fence_mode where fence_mode.login = refuses.login and mode = 'refuse');
  end
  $$`;

const policies = `
  create trigger refuse_truncate before truncate on audit.fence_policy
    for each statement execute function audit_guard.refuse_change();
  alter table audit.fence_policy enable always trigger refuse_truncate`;

const judgement = `
  -- A set as entries have it: sorted by code point, each value once.
  create function audit_guard.as_set(list jsonb) returns jsonb
  language sql immutable set search_path = pg_catalog, pg_temp
  return case when jsonb_typeof(list) = 'array' then (
    select coalesce(jsonb_agg(value order by value::text collate "C"), '[]')
    from (select distinct value from jsonb_array_elements(list) as value) as once
  ) else list end;

  -- Whether a change has this value on that side, in clear or by its salted digest.
  create function audit_guard.has_value(change jsonb, side text, wanted jsonb, is_set boolean, salt bytea) returns boolean
  language sql immutable set search_path = pg_catalog, pg_temp
  return case
    when change is null then false
    when change ? side then case when is_set then audit_guard.as_set(change -> side) else change -> side end
      is not distinct from wanted
    when change ? (side || 'Omitted') then wanted is not null and change -> (side || 'Omitted') ->> 'digest' = encode(
      sha256(salt || convert_to(
        case when is_set and jsonb_typeof(wanted) = 'array' then (
          select '[' || coalesce(string_agg(value::text, ',' order by place), '') || ']'
          from jsonb_array_elements(wanted) with ordinality as element (value, place)
        ) else wanted::text end, 'UTF8')), 'hex')
    else wanted is null
  end;

  -- The fields of what changed that this transaction's entries don't tell truly: of several entries the first has to
  -- know the old value, the last the new one. A clock that was set back in between hides none. Of a single entry also
  -- what it names of the known fields that didn't change, or twice.
  create function audit_guard.unproven(
    wanted_type text, wanted_tenant text, wanted_id text, expected jsonb, known text[], sets text[], written bigint
  ) returns text[]
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  as $$
  declare
    least_id constant uuid := audit.id_floor(transaction_timestamp() - interval '1 day');
  begin
    return (
      with own as (
        select row_number() over (order by entry.cmin::text::bigint, id) as place, entry.cmin::text::bigint as written,
          changes, salts
        from audit.entry
        where tenant_id = wanted_tenant and resource_type = wanted_type and resource_id = wanted_id and id >= least_id
          and xact_id = pg_current_xact_id() and outcome = 'SUCCESS' and actor_type <> 'DATABASE'
      ), named as materialized (
        select place, own.written, change, change ->> 'field' as field,
          substr(salts, (8 + 2 * slot::integer) * 16 + 1, 16) as old_salt,
          substr(salts, (9 + 2 * slot::integer) * 16 + 1, 16) as new_salt
        from own cross join lateral jsonb_array_elements(changes) with ordinality as element (change, slot)
      )
      select coalesce(array_agg(wanted ->> 'field' order by ordinality), '{}') || array(
        select field from named
        where field = any (known) and (select count(*) from own) = 1
        group by field
        having count(*) > 1 or not expected @> jsonb_build_array(jsonb_build_object('field', field))
        order by field collate "C"
      )
      from jsonb_array_elements(expected) with ordinality as element (wanted, ordinality)
        left join lateral (
          select * from named where named.field = wanted ->> 'field' order by place limit 1
        ) as first on true
        left join lateral (
          select * from named where named.field = wanted ->> 'field' order by place desc limit 1
        ) as last on true
      where not coalesce(case
        when wanted ? 'secret' then last.change ? 'secret' and (unproven.written is null or last.written > unproven.written)
          and (first.place <> last.place or last.change ->> 'op' = wanted ->> 'op')
        else not last.change ? 'secret'
          and (first.place <> last.place or last.change ->> 'op' = wanted ->> 'op')
          and audit_guard.has_value(first.change, 'old', wanted -> 'old', wanted ->> 'field' = any (sets), first.old_salt)
          and audit_guard.has_value(last.change, 'new', wanted -> 'new', wanted ->> 'field' = any (sets), last.new_salt)
      end, false)
    );
  end
  $$;

  -- Notes up to which version a row was judged that isn't the version of the event at hand.
  create function audit_guard.note_judged(changed oid, row_tenant text, row_id text, judged tid) returns void
  language sql set search_path = pg_catalog, pg_temp
  as $$
    delete from audit.fence_judged where ctid = any (array(
      select ctid from audit.fence_judged where xact_id < pg_snapshot_xmin(pg_current_snapshot())
      limit 100 for update skip locked
    ));
    insert into audit.fence_judged values (pg_current_xact_id(), changed, row_tenant, row_id, judged)
      on conflict on constraint fence_judged_pkey do update set version = excluded.version;
  $$`;

const answer = `
  -- What this transaction's entries name of a row, as a secret or with its values.
  create function audit_guard.named(wanted_type text, wanted_tenant text, wanted_id text, as_secret boolean) returns text[]
  language sql stable set search_path = pg_catalog, pg_temp
  return array(
    select change ->> 'field' from audit.entry cross join lateral jsonb_array_elements(changes) as change
    where tenant_id = wanted_tenant and resource_type = wanted_type and resource_id = wanted_id
      and id >= audit.id_floor(transaction_timestamp() - interval '1 day') and xact_id = pg_current_xact_id_if_assigned()
      and outcome = 'SUCCESS' and actor_type <> 'DATABASE' and (change ? 'secret') = as_secret
  );

  -- What isn't told truly is refused, or written down, by whose login it is. What a version that still stands doesn't ask
  -- is written down in any case; what it asks as a secret, or with its values, has to be named so.
  create function audit_guard.answer(
    changed regclass, resource_type text, tenant_id text, id text, label text, action text, expected jsonb,
    unproven text[], unasked text[], as_secret text[], as_tracked text[]
  ) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    refused text[] := unproven;
    unwritten jsonb;
  begin
    if not audit_guard.refuses(session_user) then
      perform audit_guard.write_entry(tenant_id, resource_type, id, label, action, expected, null);
      return;
    end if;
    if as_secret && refused then
      refused := array(select field from unnest(refused) as field where field <> all (as_secret)
        or field <> all (audit_guard.named(resource_type, tenant_id, id, true)));
    end if;
    if as_tracked && refused then
      refused := array(select field from unnest(refused) as field where field <> all (as_tracked)
        or field <> all (audit_guard.named(resource_type, tenant_id, id, false)));
    end if;
    unwritten := (
      select jsonb_agg(change order by place) from jsonb_array_elements(expected) with ordinality as element (change, place)
      where change ->> 'field' = any (refused) and change ->> 'field' = any (unasked)
    );
    refused := array(
      select field from unnest(refused) as field
      where not coalesce(unwritten @> jsonb_build_array(jsonb_build_object('field', field)), false)
    );
    if refused <> '{}' then
      raise exception '% of % %: the change of % has no true entry in this transaction, so nothing is committed',
          lower(action), changed, id, array_to_string(refused, ', ')
        using errcode = 'QL001', schema = 'audit', constraint = 'fence',
          hint = format('Name the id in the mutation''s @audited, or await context.scope.touch(%s, [id]) before it is '
            'changed, and change it by context.manager.', resource_type);
    end if;
    if unwritten is not null then
      perform audit_guard.write_entry(tenant_id, resource_type, id, label, action, unwritten, null);
    end if;
  end
  $$;

  create function audit_guard.refuse_truncation() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  begin
    raise exception 'TRUNCATE on %.% refused: its rows are audited', tg_table_schema, tg_table_name
      using errcode = 'insufficient_privilege', hint = 'DELETE its rows, or use audit_guard.change_in_bulk.';
  end
  $$`;

const bulk = `
  create function audit_guard.put_aside(changed regclass) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    update audit.fence set aside = pg_current_xact_id() where relation = changed;
    if not found then
      raise exception '% has no fence', changed using errcode = 'undefined_object';
    end if;
  end
  $$;

  -- A statement that could hold a secret's value is told of, not kept.
  create function audit_guard.put_back(changed regclass, statement text, verb text, count bigint, reason text)
  returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    type text;
    broken text;
  begin
    update audit.fence set aside = null where relation = changed returning resource_type into type;
    select problem into broken from audit_guard.fence_damage() as problem limit 1;
    if broken is not null then
      raise exception '%', broken using errcode = 'object_not_in_prerequisite_state';
    end if;
    perform audit_guard.write_entry('$platform', type, null, null,
      case verb when 'insert' then 'CREATE' when 'update' then 'UPDATE' else 'DELETE' end,
      jsonb_build_array(
        jsonb_build_object('field', 'rows', 'op', 'REPLACE', 'new', count),
        jsonb_build_object('field', 'statement', 'op', 'REPLACE') || case
          when exists (select from audit.fence_policy where resource_type = type and policy = 'secret')
          then jsonb_build_object('secret', true) else jsonb_build_object('new', statement) end),
      left(reason, 1000));
  end
  $$;

  -- One statement on one audited table without an entry for each row; one entry says what, why, by whom and how many.
  -- As the caller, the table's owner: nobody else writes the table until the transaction ends.
  create function audit_guard.change_in_bulk(changed regclass, statement text, reason text) returns bigint
  language plpgsql
  as $$
  declare
    verb constant text := pg_catalog.lower(pg_catalog.substring(statement, '(?i)\\m(insert|update|delete)\\M'));
    body constant text := pg_catalog.rtrim(statement, E'; \\t\\r\\n');
    rows bigint;
    strangers bigint;
  begin
    if verb is null or pg_catalog.btrim(coalesce(reason, '')) = '' then
      raise exception 'A change in bulk is one INSERT, UPDATE or DELETE, and has a reason'
        using errcode = 'invalid_parameter_value';
    end if;
    perform audit_guard.put_aside(changed);
    execute pg_catalog.format('alter table %s disable trigger audit_fence', changed);
    execute pg_catalog.format(
      'with changed as (%s returning tableoid) '
      'select pg_catalog.count(*), pg_catalog.count(*) filter (where tableoid operator(pg_catalog.<>) $1) from changed', body)
      into rows, strangers using changed::pg_catalog.oid;
    if strangers > 0 then
      raise exception 'The statement changes another table than %', changed using errcode = 'invalid_parameter_value';
    end if;
    execute pg_catalog.format('alter table %s enable always trigger audit_fence', changed);
    perform audit_guard.put_back(changed, statement, verb, rows, reason);
    return rows;
  end
  $$`;

const damage = `
  -- A table's triggers of its fence, by all that says when they fire and what they call.
  create function audit_guard.fence_triggers(fenced oid) returns text[]
  language sql stable set search_path = pg_catalog, pg_temp
  as $$
    select array(
      select format('%s enabled %s type %s deferrable %s %s calls %s of %s where %s', tgname, tgenabled, tgtype, tgdeferrable,
        tginitdeferred, tgfoid::regproc, tgattr, tgqual)
      from pg_trigger where tgrelid = fenced and starts_with(tgname, 'audit_fence') order by tgname
    );
  $$;

  -- What of the fences is gone or other than it was made, a sentence each with what to do; none where all stand.
  create function audit_guard.fence_damage() returns setof text
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select format('The fence of %s is broken: %s. Start the server with a MIGRATION_DATABASE_URL: it makes it anew.',
      table_name, fault)
    from audit.fence
      left join pg_class on pg_class.oid = relation
      left join pg_namespace on pg_namespace.oid = relnamespace
      left join pg_proc on proname = 'fence_' || resource_type and pronamespace = 'audit_guard'::regnamespace
      cross join lateral (values
        (pg_class.oid is null or table_name <> format('%I.%I', nspname, relname), 'the table was dropped or renamed'),
        (pg_class.oid is not null and audit_guard.fence_triggers(relation) <> triggers, 'a trigger is gone, off, or another'),
        (pg_class.oid is not null and exists (
          select from unnest(columns) as known
          where known not in (
            select format('%s %s %s', attnum, attname, atttypid) from pg_attribute where attrelid = relation
          )
        ), 'a column that it looks at is gone, renamed or of another type'),
        (pg_proc.oid is null or not prosecdef or pg_get_userbyid(proowner) <> 'audit_guard'
          or md5(prosrc || proconfig::text) <> function_digest, 'its function is gone or another')
      ) as faults (stands, fault)
    where stands and not coalesce(aside = pg_current_xact_id_if_assigned(), false)
    order by resource_type;
  $$;

  -- What each fence asks, for a login that may not make it.
  create function audit_guard.fences() returns table (resource_type text, table_name text, digest text, policies jsonb)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select fence.resource_type, fence.table_name, fence.digest,
      (select jsonb_object_agg(field, policy) from audit.fence_policy as it where it.resource_type = fence.resource_type)
    from audit.fence;
  $$;

  -- Lets a table go, or be altered where a trigger rests on it, until the next start. Its triggers are its owner's.
  create function audit_guard.forget_fence(changed regclass) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    delete from audit.fence where relation = changed;
    if found then
      perform audit_guard.write_entry('$platform', 'fence', changed::text, null, 'DELETE', '[]', null);
    end if;
  end
  $$;

  create function audit_guard.lift_fence(changed regclass) returns void
  language plpgsql
  as $$
  begin
    perform audit_guard.forget_fence(changed);
    execute pg_catalog.format('drop trigger if exists audit_fence on %s', changed);
    execute pg_catalog.format('drop trigger if exists audit_fence_truncate on %s', changed);
  end
  $$`;

const grants = `
  grant usage on schema audit_guard to audit_writer;
  grant execute on function audit_guard.fence_damage(), audit_guard.fences() to audit_writer`;

const dropFences = `
  do $$
  declare
    made record;
  begin
    delete from audit.fence;
    for made in select oid::regprocedure as name from pg_proc
      where pronamespace = 'audit_guard'::regnamespace and starts_with(proname, 'fence_')
        and prorettype = 'trigger'::regtype
    loop
      execute format('drop function %s cascade', made.name);
    end loop;
  end
  $$`;

const dropAll = `
  drop function audit_guard.lift_fence(regclass), audit_guard.forget_fence(regclass), audit_guard.fences(),
    audit_guard.fence_damage(), audit_guard.fence_triggers(oid), audit_guard.change_in_bulk(regclass, text, text),
    audit_guard.put_back(regclass, text, text, bigint, text), audit_guard.put_aside(regclass);
  drop function audit_guard.refuse_truncation() cascade;
  drop function
    audit_guard.answer(regclass, text, text, text, text, text, jsonb, text[], text[], text[], text[]),
    audit_guard.named(text, text, text, boolean), audit_guard.note_judged(oid, text, text, tid),
    audit_guard.unproven(text, text, text, jsonb, text[], text[], bigint),
    audit_guard.has_value(jsonb, text, jsonb, boolean, bytea), audit_guard.as_set(jsonb), audit_guard.refuses(name);
  drop table audit.fence_judged, audit.fence, audit.fence_standing, audit.fence_policy, audit.fence_mode;
  drop function audit_guard.note_mode(),
    audit_guard.write_entry(text, text, text, text, text, jsonb, text), audit_guard.within_bounds(jsonb, bytea),
    audit_guard.salts(integer)`;
