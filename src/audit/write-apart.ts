import type { ClientBase, Pool, PoolClient } from "pg";
import type { PendingEntry, StatedEntry } from "./entry.js";
import { insertStatement } from "./insert-entries.js";
import { mayBeCommitted } from "./may-be-committed.js";
import { onConnection } from "./on-connection.js";
import { sqlState } from "./sql-state.js";

/** The connection or the server broke while COMMIT was under way: it may have been carried out. */
export class OutcomeUnknownError extends Error {
  override readonly name = "OutcomeUnknownError";
}

/** Does the work in a transaction of its own. @throws OutcomeUnknownError where the answer to its COMMIT is lost */
export function inTransactionApart<Result>(pool: Pool, work: (client: PoolClient) => Promise<Result>): Promise<Result> {
  return onConnection(pool, async (client) => {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit").catch((cause: unknown) => {
      throw mayBeCommitted(cause) ? new OutcomeUnknownError("The answer to COMMIT was lost.", { cause }) : cause;
    });
    return result;
  });
}

/** Writes entries in the client's transaction with one INSERT. */
export async function insertEntries(client: ClientBase, entries: readonly StatedEntry[]): Promise<void> {
  const { text, values } = insertStatement(entries);
  await client.query({ text, values: [...values] });
}

/** Takes the entry's key with it, so that whoever writes it again, after a crash too, writes nothing. */
export async function writeOnce(pool: Pool, entry: PendingEntry): Promise<void> {
  const { sessionId, sequenceNumber, ordinal } = entry;
  try {
    await inTransactionApart(pool, async (client) => {
      const key = [sessionId, String(sequenceNumber), ordinal];
      await client.query("insert into audit.entry_key (session_id, sequence_number, ordinal) values ($1, $2, $3)", key);
      await insertEntries(client, [entry]);
    });
  } catch (error) {
    if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
  }
}

const UNIQUE_VIOLATION = "23505";
