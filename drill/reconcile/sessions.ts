import { rowsOf } from "../../scratch/sql.js";

/**
 * Whether the list of sessions says what the entries say: each number that a process knew to have ended has its entry, and
 * each that was counted as received has one. A sentence for each session that doesn't.
 */
export async function judgeSessions(adminUrl: string): Promise<string[]> {
  const sessions = await rowsOf<{ id: string; lost: string; unfounded: string }>(
    adminUrl,
    `select session.id, (int8multirange(int8range(0, settled)) - found)::text as lost, (received - found)::text as unfounded
     from audit.session
       cross join lateral audit_guard.received_numbers(tenant_id, session.id, audit.id_floor(to_timestamp(0))) as found`,
  );
  return sessions.flatMap(({ id, lost, unfounded }) => [
    ...(lost === "{}" ? [] : [`session ${id}: ${lost} had ended, and have no entry`]),
    ...(unfounded === "{}" ? [] : [`session ${id}: ${unfounded} are listed as received, and have no entry`]),
  ]);
}
