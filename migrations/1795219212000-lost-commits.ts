import type { MigrationInterface, QueryRunner } from "typeorm";
import { asGuard } from "./as-guard.js";
import { refuseToLoseEntries } from "./refuse-to-lose-entries.js";

/**
 * What the API may ask where the answer to its COMMIT was lost: which entries of one of its operations stand.
 *
 * It has no right to read the log, and gets to see nothing here but what RETURNING would have told it.
 */
export class LostCommits1795219212000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await asGuard(runner, committedEntries, grants);
  }

  async down(runner: QueryRunner): Promise<void> {
    await refuseToLoseEntries(runner);
    await asGuard(runner, `drop function audit_guard.committed_entries(text, uuid, bigint, timestamptz)`);
  }
}

// An entry's id is made of the database's clock, after the transaction began by that clock. The hour is for a clock that is
// set back meanwhile; the bound keeps the look short in a session of millions of entries.
const committedEntries = `
  create function audit_guard.committed_entries(of_tenant text, of_session uuid, of_operation bigint, begun timestamptz)
    returns table (id uuid, ordinal integer)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as $$
    select entry.id, entry.ordinal
    from audit.entry
    where tenant_id = of_tenant and session_id = of_session and sequence_number = of_operation and outcome = 'SUCCESS'
      and entry.id >= audit.id_floor(begun - interval '1 hour')
  $$`;

const grants = `
  revoke all on function audit_guard.committed_entries(text, uuid, bigint, timestamptz) from public;
  grant execute on function audit_guard.committed_entries(text, uuid, bigint, timestamptz) to audit_writer`;
