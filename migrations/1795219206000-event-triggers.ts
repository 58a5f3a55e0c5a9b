import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * Event triggers that refuse DDL on the log to everyone but `audit_guard`, its owner and superusers included.
 *
 * Only a superuser may make them; without one the log does without, and an owner's DDL is left to the self-check.
 * A superuser can still act as `audit_guard`, drop them or turn them off: that is detectable, not impossible.
 */
export class EventTriggers1795219206000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, refuseDdl, refuseDrop, `revoke all on all functions in schema audit_guard from public`);
    await runner.query(makeEventTriggers);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await runner.query(`drop event trigger if exists audit_refuse_ddl; drop event trigger if exists audit_refuse_drop`);
    await asGuard(runner, `drop function audit_guard.refuse_ddl(), audit_guard.refuse_drop()`);
  }
}

// Both run as whoever gave the command, and so read nothing but the catalogue.
//
// What was moved out of the schema, or renamed with it, is known by its owner. A GRANT names no object there, and a
// foreign key or a partition made elsewhere names only the other table: those are judged by what they leave behind.
const refuseDdl = `
  create function audit_guard.refuse_ddl() returns event_trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    refused text;
  begin
    select coalesce(command.object_identity, command.object_type) into refused
    from pg_event_trigger_ddl_commands() command
      left join lateral pg_identify_object_as_address(command.classid, command.objid, command.objsubid) address on true
    where current_user <> 'audit_guard'
      and (
        command.schema_name in ('audit', 'audit_guard')
        or (
          address.object_names[1] in ('audit', 'audit_guard')
          and (cardinality(address.object_names) > 1 or address.type = 'schema')
        )
        or exists (
          select from pg_shdepend
            join pg_database on pg_database.oid = dbid
          where datname = current_database() and (classid, objid) = (command.classid, command.objid)
            and refclassid = 'pg_authid'::regclass and deptype = 'o'
            and refobjid in ('audit_owner'::regrole, 'audit_guard'::regrole)
        )
      )
    limit 1;

    refused := coalesce(refused, (
      select format('%s on %s', privilege_type, class.oid::regclass)
      from pg_class class
        left join pg_attribute on attrelid = class.oid and attacl is not null and tg_tag in ('GRANT', 'REVOKE')
        cross join lateral (
          select *, false as of_column from aclexplode(relacl) union all select *, true from aclexplode(attacl)
        ) as held
      where tg_tag in ('GRANT', 'REVOKE')
        and relnamespace = to_regnamespace('audit') and relkind in ('r', 'p') and grantee <> relowner
        and (
          privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')
          or privilege_type = 'INSERT' and (
            not of_column
            or attname in ('id', 'occurred_at', 'resource_label_folded', 'xact_id', 'database_user', 'application_name')
          )
        )
      limit 1
    ), (
      select format('foreign key %s', conname) from pg_constraint
        join pg_class on pg_class.oid = confrelid
      where relnamespace = to_regnamespace('audit')
      limit 1
    ), (
      select format('partition %s', child.oid::regclass) from pg_inherits
        join pg_class parent on parent.oid = inhparent
        join pg_class child on child.oid = inhrelid
      where parent.relnamespace = to_regnamespace('audit') and child.relnamespace <> parent.relnamespace
      limit 1
    ));

    if refused is not null then
      raise exception '% refused: %. The audit log is kept by audit_guard alone', tg_tag, refused
        using errcode = 'insufficient_privilege', hint = 'Change it by a migration, as audit_guard.';
    end if;
  end
  $$`;

const refuseDrop = `
  create function audit_guard.refuse_drop() returns event_trigger
  language plpgsql set search_path = pg_catalog, pg_temp
  as $$
  declare
    refused text;
  begin
    if current_user = 'audit_guard' then
      return;
    end if;
    select object_identity into refused
    from pg_event_trigger_dropped_objects()
    where schema_name in ('audit', 'audit_guard')
      or address_names[1] in ('audit', 'audit_guard') and (cardinality(address_names) > 1 or object_type = 'schema')
    limit 1;
    if refused is not null then
      raise exception '% refused: %. The audit log is kept by audit_guard alone', tg_tag, refused
        using errcode = 'insufficient_privilege', hint = 'Change it by a migration, as audit_guard.';
    end if;
  end
  $$`;

const makeEventTriggers = `
  do $$
  begin
    create event trigger audit_refuse_ddl on ddl_command_end execute function audit_guard.refuse_ddl();
    create event trigger audit_refuse_drop on sql_drop execute function audit_guard.refuse_drop();
    alter event trigger audit_refuse_ddl enable always;
    alter event trigger audit_refuse_drop enable always;
  exception when insufficient_privilege then
    raise notice 'No event triggers on the audit log: only a superuser may make them';
  end
  $$`;
