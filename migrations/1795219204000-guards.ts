import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * The triggers that keep the log append-only for everyone, its owner included, and the one that checks, stamps and
 * indexes each entry.
 *
 * Row triggers come down from the parent to every partition. Statement triggers don't: `guard_statements` puts them on
 * each. All of them fire under session_replication_role = replica too.
 */
export class Guards1795219204000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, functions, guardStatements, triggers);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, dropTriggers, dropFunctions);
  }
}

const nil = "00000000-0000-0000-0000-000000000000";

const functions = `
  create function audit_guard.refuse_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  begin
    raise exception '% on %.% refused: the audit log is append-only', tg_op, tg_table_schema, tg_table_name
      using errcode = 'insufficient_privilege', hint = 'Add an entry that corrects the other.';
  end
  $$;

  -- The rule that an entry breaks, null where it keeps all. An index row holds 2,704 octets: a tenant, an id, and 2,048 of
  -- text. Folding lengthens a label to three times its octets at most.
  create function audit_guard.broken_rule(entry audit.entry) returns text
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
      when entry.action not in ('CREATE', 'UPDATE', 'DELETE', 'READ', 'START', 'STOP') then 'entry_action'
      when entry.outcome not in ('SUCCESS', 'FAILURE', 'DENIED') then 'entry_outcome'
      when (entry.outcome = 'SUCCESS') <> (entry.error_code is null)
        or (entry.error_message is not null and entry.error_code is null) then 'entry_error'
      when entry.resource_type is null and (entry.resource_id is not null or entry.resource_label is not null)
        then 'entry_resource'
      when nil = any (array[entry.request_id, entry.session_id, entry.cause_id])
        or nil::text = any (array[entry.actor_id, entry.on_behalf_of, entry.token_id, entry.client_id, entry.resource_id])
        then 'entry_no_nil_uuid'
      when entry.sequence_number < 0 then 'entry_sequence_number'
      when entry.ordinal < 0 then 'entry_ordinal'
      when (entry.repeat_count is null) <> (entry.repeated_sequence_numbers is null) or entry.repeat_count < 1
        then 'entry_repeats'
      when octet_length(entry.salts)
        <> 16 * (10 + 2 * jsonb_array_length(entry.changes) + jsonb_array_length(entry.attempted)) then 'entry_salts'
      when greatest(
          octet_length(entry.actor_id), octet_length(entry.actor_name), octet_length(entry.on_behalf_of),
          octet_length(entry.subsystem), octet_length(entry.issuer), octet_length(entry.token_id),
          octet_length(entry.client_id), octet_length(entry.event_type), octet_length(entry.error_code),
          octet_length(entry.resource_type), octet_length(entry.resource_id), octet_length(entry.operation),
          octet_length(entry.client_request_id), octet_length(entry.trace_id)
        ) > 2048
        or octet_length(entry.resource_label) > 2048
        or (octet_length(entry.resource_label) > 682 and octet_length(audit.fold(entry.resource_label)) > 2048)
        or greatest(octet_length(entry.error_message), octet_length(entry.reason), octet_length(entry.user_agent)) > 8192
        then 'entry_length'
    end;
  end
  $$;

  -- Checks, stamps and indexes an entry: one trigger, for each costs a copy of the row. The first condition holds for no
  -- entry that breaks a rule, and for nearly all others; it is short because each transaction readies all of its
  -- operators anew. A list of texts holds them uncompressed, and its size is more than that of any of them.
  -- Refuses as a CHECK does, naming the rule as a constraint.
  create function audit_guard.admit() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    change_count constant integer := jsonb_array_length(new.changes);
    broken text;
  begin
    if (
      new.outcome = 'SUCCESS' and new.error_code is null and new.error_message is null
      and new.actor_type in ('USER', 'SERVICE') and new.actor_id is not null
      and new.action in ('CREATE', 'UPDATE', 'DELETE') and new.resource_type is not null
      and new.format_version = 1 and new.sequence_number >= 0 and new.ordinal >= 0
      and octet_length(new.tenant_id) <= 63 and new.tenant_id ~ '^[a-z0-9][a-z0-9_-]*$'
      and new.repeat_count is null and new.repeated_sequence_numbers is null
      and new.attempted = '[]' and octet_length(new.salts) = 160 + 32 * change_count
      and (uuid '${nil}' = any (array[new.request_id, new.session_id, new.cause_id])) is not true
      and ('${nil}' = any (array[
        new.actor_id, new.on_behalf_of, new.token_id, new.client_id, new.resource_id])) is not true
      and pg_column_size(array[
        new.actor_id, new.actor_name, new.on_behalf_of, new.subsystem, new.issuer, new.token_id, new.client_id,
        new.event_type, new.resource_type, new.resource_id, new.resource_label, new.reason, new.operation,
        new.client_request_id, new.trace_id, new.user_agent]) <= 682
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
  $$;

  -- Changed fields are listed by admit alone, as audit_guard: not even the table's owner adds any.
  create function audit_guard.refuse_stranger() returns trigger
  language plpgsql
  as $$
  begin
    if current_user operator(pg_catalog.<>) 'audit_guard' then
      raise exception '% on %.% refused: it follows from the entries alone', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege', hint = 'Add an entry.';
    end if;
    return new;
  end
  $$;

  revoke all on all functions in schema audit_guard from public`;

const guardStatements = `
  -- Even an UPDATE of no row is refused, and a TRUNCATE, which row triggers never see.
  create function audit_guard.guard_statements(log_table regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  begin
    execute format('create trigger refuse_statement before update or delete on %s
      for each statement execute function audit_guard.refuse_change()', log_table);
    execute format('create trigger refuse_truncate before truncate on %s
      for each statement execute function audit_guard.refuse_change()', log_table);
    execute format('alter table %s enable always trigger refuse_statement', log_table);
    execute format('alter table %s enable always trigger refuse_truncate', log_table);
  end
  $$;

  revoke all on function audit_guard.guard_statements(regclass) from public`;

const triggers = `
  create trigger refuse_row before update or delete on audit.entry
    for each row execute function audit_guard.refuse_change();
  create trigger refuse_row before update or delete on audit.entry_field
    for each row execute function audit_guard.refuse_change();
  create trigger refuse_row before update or delete on audit.entry_key
    for each row execute function audit_guard.refuse_change();
  create trigger admit before insert on audit.entry
    for each row execute function audit_guard.admit();
  create trigger refuse_stranger before insert on audit.entry_field
    for each row execute function audit_guard.refuse_stranger();
  alter table audit.entry enable always trigger refuse_row;
  alter table audit.entry_field enable always trigger refuse_row;
  alter table audit.entry_key enable always trigger refuse_row;
  alter table audit.entry enable always trigger admit;
  alter table audit.entry_field enable always trigger refuse_stranger;
  select audit_guard.guard_statements('audit.entry'), audit_guard.guard_statements('audit.entry_field'),
    audit_guard.guard_statements('audit.entry_key')`;

const dropTriggers = `
  drop trigger admit on audit.entry;
  drop trigger refuse_stranger on audit.entry_field;
  drop trigger refuse_row on audit.entry;
  drop trigger refuse_row on audit.entry_field;
  drop trigger refuse_row on audit.entry_key;
  drop trigger refuse_statement on audit.entry;
  drop trigger refuse_statement on audit.entry_field;
  drop trigger refuse_truncate on audit.entry;
  drop trigger refuse_truncate on audit.entry_field;
  drop trigger refuse_statement on audit.entry_key;
  drop trigger refuse_truncate on audit.entry_key`;

const dropFunctions = `
  drop function audit_guard.guard_statements(regclass), audit_guard.admit(), audit_guard.broken_rule(audit.entry),
    audit_guard.refuse_stranger(), audit_guard.refuse_change()`;
