import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * What the log tells of the program itself: each migration, with the migration, and each change of what is declared of
 * mutations and fields between two starts. Both are written by the database, as SYSTEM.
 *
 * `audit.declaration` holds what was declared at the last start. No login may touch it but through `declare`, which
 * writes the entries of what differs in the same transaction, and which of two processes at once the second waits for.
 */
export class Declarations1795219213000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, leastCount, declaration, functions, grants, lend("grant", "to"));
    await runner.query(`
      create trigger note_migration after insert on auditql.migration
        for each row execute function audit_guard.note_migration();
      select audit_guard.enter_migration(name) from auditql.migration order by id`);
    await asGuard(runner, lend("revoke", "from"));
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await runner.query(`drop trigger note_migration on auditql.migration`);
    await asGuard(runner, dropAll);
  }
}

const leastCount = `
  alter table audit.entry add column repeat_count_is_least boolean;
  grant insert (repeat_count_is_least) on audit.entry to audit_writer;
  grant select (repeat_count_is_least) on audit.entry to audit_reader`;

const declaration = `
  create table audit.declaration (
    kind text collate "C" not null check (kind in ('mutation', 'field_policy')),
    name text collate "C" not null,
    declared jsonb not null,
    constraint declaration_pkey primary key (kind, name)
  );
  alter table audit.declaration enable row level security`;

const functions = `
  create function audit_guard.enter_migration(migration text) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
  as $$
    insert into audit.entry (tenant_id, format_version, actor_type, subsystem, action, event_type, outcome,
      resource_type, resource_id, changes, attempted, ordinal, salts)
    values ('$platform', 1, 'SYSTEM', 'migrations', 'CREATE', 'migration.created', 'SUCCESS',
      'migration', migration, '[]', '[]', 0, audit_guard.salts(10))
  $$;

  create function audit_guard.note_migration() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    perform audit_guard.enter_migration(new.name);
    return null;
  end
  $$;

  -- What differs between two declarations, as an entry has it.
  create function audit_guard.declaration_changes(before jsonb, after jsonb, op text) returns jsonb
  language sql immutable set search_path = pg_catalog, pg_temp
  return (
    select coalesce(jsonb_agg(jsonb_build_object('field', field, 'op', op)
        || case when old is null or old = 'null' then '{}' else jsonb_build_object('old', old) end
        || case when new is null or new = 'null' then '{}' else jsonb_build_object('new', new) end
        order by field collate "C"), '[]')
    from (
      select field, before -> field as old, after -> field as new
      from (select jsonb_object_keys(before) union select jsonb_object_keys(after)) as named (field)
    ) as fields
    where coalesce(old, 'null') <> coalesce(new, 'null')
  );

  -- Takes all that is declared now, a list of {kind, name, declared}, and answers how many differ from the last start's.
  create function audit_guard.declare(declarations jsonb) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    differing bigint;
  begin
    lock table audit.declaration in exclusive mode;
    with given as (
      select kind, name, declared from jsonb_to_recordset(declarations) as given (kind text, name text, declared jsonb)
    ), compared as (
      select kind, name, old.declared as before, given.declared as after,
        case when old.declared is null then 'CREATE' when given.declared is null then 'DELETE' else 'UPDATE' end as action
      from audit.declaration old full join given using (kind, name)
      where old.declared is distinct from given.declared
    ), changed as (
      select *, audit_guard.declaration_changes(coalesce(before, '{}'), coalesce(after, '{}'),
        case action when 'CREATE' then 'ADD' when 'DELETE' then 'REMOVE' else 'REPLACE' end) as changes
      from compared
    ), entered as (
      insert into audit.entry (tenant_id, format_version, actor_type, subsystem, action, event_type, outcome,
        resource_type, resource_id, changes, attempted, ordinal, salts)
      select '$platform', 1, 'SYSTEM', 'declarations', action, kind || case action
          when 'CREATE' then '.created' when 'DELETE' then '.deleted' else '.updated' end, 'SUCCESS',
        kind, name, changes, '[]', 0, audit_guard.salts(10 + 2 * jsonb_array_length(changes))
      from changed order by kind collate "C", name collate "C"
    ), gone as (
      delete from audit.declaration old using changed where action = 'DELETE' and (old.kind, old.name) = (changed.kind, changed.name)
    ), kept as (
      insert into audit.declaration (kind, name, declared) select kind, name, after from changed where action <> 'DELETE'
      on conflict (kind, name) do update set declared = excluded.declared
    )
    select count(*) into differing from changed;
    return differing;
  end
  $$`;

const grants = `
  revoke all on all functions in schema audit_guard from public;
  grant usage on schema audit_guard to audit_writer;
  grant execute on function audit_guard.declare(jsonb) to audit_writer`;

// The migrating login makes the trigger, and enters what ran before there was one.
const lend = (verb: "grant" | "revoke", to: "to" | "from") => `
  do $$
  begin
    execute format(
      '${verb} execute on function audit_guard.note_migration(), audit_guard.enter_migration(text) ${to} %I', session_user);
  end
  $$`;

const dropAll = `
  drop table audit.declaration;
  drop function audit_guard.declare(jsonb), audit_guard.declaration_changes(jsonb, jsonb, text),
    audit_guard.note_migration(), audit_guard.enter_migration(text);
  alter table audit.entry drop column repeat_count_is_least`;
