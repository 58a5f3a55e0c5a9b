import { setTimeout as delay } from "node:timers/promises";
import type { ClientBase, Pool } from "pg";
import { onConnection } from "./on-connection.js";
import { sqlState } from "./sql-state.js";
import type { TransactionMark } from "./transaction-mark.js";

/** An operation whose COMMIT was sent, and its transaction. */
export interface SentCommit extends TransactionMark {
  readonly tenantId: string;
  readonly sessionId: string;
  readonly sequenceNumber: bigint;
}

/** What became of it; `open` where it may still become either. */
export type Fate =
  | { readonly outcome: "committed"; readonly entryIds: ReadonlyMap<number, string> }
  | { readonly outcome: "aborted" | "open" };

const IN_THE_FUTURE = "22023";
const DEADLINE = 3_000;
const STATEMENT_MILLISECONDS = 1_500;
const FIRST_WAIT = 25;
const LONGEST_WAIT = 500;

/**
 * Asks the database what became of a transaction.
 *
 * Once it has ended, its entries decide: a server that crashed may give an id that it never wrote down to another
 * transaction, whose end would be taken for this one's.
 */
export async function fateOf(client: ClientBase, place: SentCommit): Promise<Fate> {
  if (!(await hasEnded(client, place.xactId))) return { outcome: "open" };
  const { rows } = await client.query<{ id: string; ordinal: number }>({
    text: "select id, ordinal from audit_guard.committed_entries($1, $2, $3, $4)",
    values: [place.tenantId, place.sessionId, String(place.sequenceNumber), place.begunAt],
    query_timeout: STATEMENT_MILLISECONDS,
  } as { text: string; values: unknown[] });
  if (rows.length === 0) return { outcome: "aborted" };
  return { outcome: "committed", entryIds: new Map(rows.map(({ id, ordinal }) => [ordinal, id])) };
}

async function hasEnded(client: ClientBase, xactId: string): Promise<boolean> {
  try {
    const { rows } = await client.query<{ status: string | null }>({
      text: "select pg_xact_status($1::xid8) as status",
      values: [xactId],
      query_timeout: STATEMENT_MILLISECONDS,
    } as { text: string; values: unknown[] });
    return rows[0]?.status !== "in progress";
  } catch (error) {
    // The server has never heard of it: it wasn't written down before a crash.
    if (sqlState(error) === IN_THE_FUTURE) return true;
    throw error;
  }
}

/** Asks again and again, for three seconds and the last answer's time; `open` where it can't be known by then. */
export async function settledFate(pool: Pool, place: SentCommit): Promise<Fate> {
  const end = performance.now() + DEADLINE;
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    const fate = await fateOrOpen(pool, place);
    if (fate.outcome !== "open" || performance.now() + wait > end) return fate;
    await delay(wait * (0.5 + Math.random() / 2));
  }
}

/** Why it can't be asked is told by who asks for it later again, until an answer comes. */
const fateOrOpen = (pool: Pool, place: SentCommit): Promise<Fate> =>
  onConnection(pool, (client) => fateOf(client, place)).catch((): Fate => ({ outcome: "open" }));
