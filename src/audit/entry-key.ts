import type { ClientBase } from "pg";
import type { PendingEntry } from "./entry.js";

/** Some of an attempt's keys are taken and some aren't: they were never taken together. */
export class EntryKeyError extends Error {
  override readonly name = "EntryKeyError";
}

/**
 * Takes the entries' keys (session, sequence number, ordinal) in the client's transaction, so that what is sent twice is
 * written once. Where another transaction has them and hasn't ended, its end is waited for.
 *
 * @returns false where they are taken: the entries stand in the log already
 */
export async function takeKeys(client: ClientBase, entries: readonly PendingEntry[]): Promise<boolean> {
  const values = [
    entries.map(({ sessionId }) => sessionId),
    entries.map(({ sequenceNumber }) => String(sequenceNumber)),
    entries.map(({ ordinal }) => ordinal),
  ];
  // Two processes that send the same take the keys in one order.
  const text = `
    insert into audit.entry_key (session_id, sequence_number, ordinal)
    select * from unnest($1::uuid[], $2::bigint[], $3::int[]) as key (session_id, sequence_number, ordinal) order by 1, 2, 3
    on conflict do nothing`;
  const { rowCount } = await client.query({ name: "audit:take-keys", text, values });
  if (rowCount === 0) return false;
  if (rowCount === entries.length) return true;
  throw new EntryKeyError(`${String(rowCount)} of ${String(entries.length)} keys were free.`);
}
