import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { answer } from "./fence/answer.js";
import { bulk } from "./fence/bulk.js";
import { damage } from "./fence/damage.js";
import { judgement } from "./fence/judgement.js";
import { modes, policies } from "./fence/modes.js";
import { tables } from "./fence/tables.js";
import { writeEntry } from "./fence/write-entry.js";
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
