import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * Event triggers that refuse whatever leaves a fence broken: its triggers dropped, disabled or replaced, its table or a
 * column gone or renamed. They are judged by what is left behind, so that no form of command escapes. And one that
 * refuses to write a fenced table's rows anew, as ALTER COLUMN … USING does, which no trigger of the table sees.
 *
 * They fire after those that keep the log itself, in the order of their names. Only a superuser may make them; without
 * one it is left to the self-check.
 */
export class FenceEventTriggers1795219211500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, refuseBreach, refuseRewrite, revoke);
    await runner.query(makeEventTriggers);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await runner.query(
      `drop event trigger if exists audit_watch_fences; drop event trigger if exists audit_watch_drops;
       drop event trigger if exists audit_watch_rows`,
    );
    await asGuard(runner, `drop function audit_guard.refuse_breach(), audit_guard.refuse_rewrite()`);
  }
}

// As its owner: whoever gives a command may not read what was made.
const refuseBreach = `
  create function audit_guard.refuse_breach() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  declare
    broken text;
  begin
    select problem into broken from audit_guard.fence_damage() as problem limit 1;
    if broken is not null then
      raise exception '% refused. %', tg_tag, broken
        using errcode = 'insufficient_privilege',
          hint = 'Before a migration alters or drops an audited table: SELECT audit_guard.lift_fence(''the.table'');';
    end if;
  end
  $$`;

const refuseRewrite = `
  create function audit_guard.refuse_rewrite() returns event_trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  as $$
  begin
    if exists (select from audit.fence where relation = pg_event_trigger_table_rewrite_oid()) then
      raise exception '% refused: it would write every row of % anew, unseen', tg_tag,
          pg_event_trigger_table_rewrite_oid()::regclass
        using errcode = 'insufficient_privilege',
          hint = 'Before a migration alters an audited table: SELECT audit_guard.lift_fence(''the.table'');';
    end if;
  end
  $$`;

const revoke = `
  revoke all on function audit_guard.refuse_breach(), audit_guard.refuse_rewrite() from public`;

const makeEventTriggers = `
  do $$
  begin
    create event trigger audit_watch_fences on ddl_command_end execute function audit_guard.refuse_breach();
    create event trigger audit_watch_drops on sql_drop execute function audit_guard.refuse_breach();
    create event trigger audit_watch_rows on table_rewrite execute function audit_guard.refuse_rewrite();
    alter event trigger audit_watch_rows enable always;
    alter event trigger audit_watch_fences enable always;
    alter event trigger audit_watch_drops enable always;
  exception when insufficient_privilege then
    raise notice 'No event triggers on the fences: only a superuser may make them';
  end
  $$`;
