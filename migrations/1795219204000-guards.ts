import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * The triggers that keep the log append-only for everyone, its owner included, and that check, stamp and index each entry.
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

  -- Refuses as a CHECK does, naming the rule as a constraint. An index row holds 2,704 octets: a tenant, an id, and 2,048
  -- of text. Folding lengthens a label to three times its octets at most.
  create function audit_guard.check_entry() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    nil constant uuid := '${nil}';
    broken constant text := case
      when octet_length(new.tenant_id) > 63 or new.tenant_id !~ '^(\\$platform|[a-z0-9][a-z0-9_-]*)$'
        then 'entry_tenant_id'
      when new.format_version <> 1 then 'entry_format_version'
      when new.actor_type not in ('USER', 'SERVICE', 'SYSTEM', 'DATABASE', 'ANONYMOUS') then 'entry_actor_type'
      when (new.actor_id is null) <> (new.actor_type in ('SYSTEM', 'DATABASE', 'ANONYMOUS'))
        or (new.actor_type = 'SYSTEM' and new.subsystem is null) then 'entry_actor'
      when new.action not in ('CREATE', 'UPDATE', 'DELETE', 'READ', 'START', 'STOP') then 'entry_action'
      when new.outcome not in ('SUCCESS', 'FAILURE', 'DENIED') then 'entry_outcome'
      when (new.outcome = 'SUCCESS') <> (new.error_code is null)
        or (new.error_message is not null and new.error_code is null) then 'entry_error'
      when new.resource_type is null and (new.resource_id is not null or new.resource_label is not null)
        then 'entry_resource'
      when nil = any (array[new.request_id, new.session_id, new.cause_id])
        or nil::text = any (array[new.actor_id, new.on_behalf_of, new.token_id, new.client_id, new.resource_id])
        then 'entry_no_nil_uuid'
      when new.sequence_number < 0 then 'entry_sequence_number'
      when new.ordinal < 0 then 'entry_ordinal'
      when (new.repeat_count is null) <> (new.repeated_sequence_numbers is null) or new.repeat_count < 1
        then 'entry_repeats'
      when octet_length(new.salts)
        <> 16 * (10 + 2 * jsonb_array_length(new.changes) + jsonb_array_length(new.attempted)) then 'entry_salts'
      when greatest(
          octet_length(new.actor_id), octet_length(new.actor_name), octet_length(new.on_behalf_of),
          octet_length(new.subsystem), octet_length(new.issuer), octet_length(new.token_id),
          octet_length(new.client_id), octet_length(new.event_type), octet_length(new.error_code),
          octet_length(new.resource_type), octet_length(new.resource_id), octet_length(new.operation),
          octet_length(new.client_request_id), octet_length(new.trace_id)
        ) > 2048
        or octet_length(new.resource_label) > 2048
        or (octet_length(new.resource_label) > 682 and octet_length(audit.fold(new.resource_label)) > 2048)
        or greatest(octet_length(new.error_message), octet_length(new.reason), octet_length(new.user_agent)) > 8192
        then 'entry_length'
    end;
  begin
    if broken is not null then
      raise exception 'new row for audit.entry violates %', broken
        using errcode = 'check_violation', schema = 'audit', table = 'entry', constraint = broken;
    end if;
    return new;
  end
  $$;

  -- Every name is qualified, which spares each INSERT a switch of search_path.
  create function audit_guard.stamp() returns trigger
  language plpgsql
  as $$
  begin
    new.xact_id := pg_catalog.pg_current_xact_id();
    new.database_user := session_user;
    new.application_name := pg_catalog.current_setting('application_name');
    new.occurred_at := audit.id_time(new.id);
    new.resource_label_folded := audit.fold(new.resource_label);
    return new;
  end
  $$;

  create function audit_guard.list_changed_fields() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    insert into audit.entry_field (tenant_id, field, id)
      select distinct new.tenant_id, change ->> 'field', new.id from jsonb_array_elements(new.changes) as change;
    return null;
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
  create trigger check_entry before insert on audit.entry
    for each row execute function audit_guard.check_entry();
  create trigger stamp before insert on audit.entry
    for each row execute function audit_guard.stamp();
  create trigger list_changed_fields after insert on audit.entry
    for each row execute function audit_guard.list_changed_fields();
  alter table audit.entry enable always trigger refuse_row;
  alter table audit.entry_field enable always trigger refuse_row;
  alter table audit.entry_key enable always trigger refuse_row;
  alter table audit.entry enable always trigger check_entry;
  alter table audit.entry enable always trigger stamp;
  alter table audit.entry enable always trigger list_changed_fields;
  select audit_guard.guard_statements('audit.entry'), audit_guard.guard_statements('audit.entry_field'),
    audit_guard.guard_statements('audit.entry_key')`;

const dropTriggers = `
  drop trigger list_changed_fields on audit.entry;
  drop trigger stamp on audit.entry;
  drop trigger check_entry on audit.entry;
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
  drop function audit_guard.guard_statements(regclass), audit_guard.list_changed_fields(), audit_guard.stamp(),
    audit_guard.check_entry(), audit_guard.refuse_change()`;
