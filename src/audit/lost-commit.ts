import type { Pool } from "pg";
import type { Committed } from "./end-transaction.js";
import { AuditError } from "./errors.js";
import { settledFate, type SentCommit } from "./fate.js";
import type { StagedEntry } from "./write-staged.js";

/**
 * Finds out what became of a transaction whose COMMIT was sent and not answered.
 *
 * @returns what the answer would have said, where it was committed
 * @throws AuditError UNAVAILABLE: nothing was changed; or, with `undecided`, it can't be known yet
 */
export async function afterLostCommit(
  pool: Pool,
  place: SentCommit,
  staged: readonly StagedEntry[],
  requestId: string | null,
  cause: AuditError,
): Promise<Committed> {
  const fate = await settledFate(pool, place);
  if (fate.outcome === "aborted") throw nothingChanged(cause);
  if (fate.outcome === "committed") {
    const entryIds = staged.flatMap(({ entry }) => fate.entryIds.get(entry.ordinal) ?? []);
    return { entryIds, complaint: null };
  }
  const name =
    requestId === null ? `session ${place.sessionId}, number ${String(place.sequenceNumber)}` : `request ${requestId}`;
  const message =
    "The connection to the database broke while this was being committed, and whether it was done can't be known yet. " +
    `The log will say it under ${name}: look there before you try again.`;
  const { xactId, begunAt } = place;
  throw new AuditError("UNAVAILABLE", message, { cause, outcomeUnknown: true, undecided: { xactId, begunAt } });
}

/** What is true where the transaction didn't come to its end. */
export function nothingChanged(cause: unknown): AuditError {
  const message = "The connection to the database broke before this was committed, so nothing was changed. Try again.";
  return new AuditError("UNAVAILABLE", message, { cause });
}
