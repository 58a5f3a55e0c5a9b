import type { PoolClient } from "pg";
import type { QueryRunner } from "typeorm";
import { asError } from "./as-error.js";
import { AuditError } from "./errors.js";
import { mayBeCommitted } from "./may-be-committed.js";
import type { AuditScope } from "./scope.js";

/** What became of a transaction that stands. */
export interface Committed {
  /** In the order of the staged entries. */
  readonly entryIds: readonly string[];
  /** What a listener of somebody's threw after the commit; null mostly. */
  readonly complaint: Error | null;
}

/**
 * Commits, and gives the ids of the entries that stand with it.
 *
 * @throws AuditError UNAVAILABLE with `outcomeUnknown` where the connection or the server broke after COMMIT may have been sent
 */
export async function commit(runner: QueryRunner, scope: AuditScope): Promise<Committed> {
  const [committed] = await Promise.allSettled([runner.commitTransaction()]);
  const complaint = committed.status === "rejected" ? asError(committed.reason) : null;
  // TypeORM counts its transaction as ended once COMMIT has been answered: what is thrown later undoes nothing.
  if (complaint && runner.isTransactionActive) throw ofUnknownOutcome(scope, complaint) ?? complaint;
  if (!scope.entryIds)
    throw new Error("The transaction was committed without its entries: is the audit subscriber there?");
  return { entryIds: scope.entryIds, complaint };
}

/** Whether the operation may stand all the same, by what its last statements came to. */
export function leavesOutcomeOpen({ commitSent }: AuditScope, error: unknown): boolean {
  return commitSent && !(error instanceof AuditError) && mayBeCommitted(error);
}

/** An error that leaves open whether the server carried COMMIT out; null where this one doesn't. */
function ofUnknownOutcome(scope: AuditScope, error: unknown): AuditError | null {
  if (!leavesOutcomeOpen(scope, error)) return null;
  const message =
    "The connection to the database broke while this was being committed: whether it was done can't be known. " +
    "Look it up before you try again.";
  return new AuditError("UNAVAILABLE", message, { cause: error, outcomeUnknown: true });
}

/**
 * Rolls back whatever is open. A connection on which that fails is given up: the server ends its transaction with it. So
 * is one of which nothing more is heard: another would wait for its answer in vain.
 */
export async function rollBack(runner: QueryRunner, scope: AuditScope, cause?: unknown): Promise<void> {
  scope.phase = "ending";
  if (!isOpen(runner)) return;
  if (cause instanceof AuditError && cause.outcomeUnknown) {
    const broken = (await runner.connect()) as PoolClient;
    broken.emit("error", cause);
    return;
  }
  // Listeners of the rollback are told, where they let it happen; one level is open for each savepoint.
  await runner.rollbackTransaction().catch(() => undefined);
  const client = (await runner.connect()) as PoolClient;
  try {
    if (isOpen(runner)) await client.query("rollback");
  } catch (error) {
    // TypeORM hands a connection with an error back to the pool as one to be closed.
    client.emit("error", asError(error));
  }
}

/** A runner that has been released has no connection of its own any more: another operation may run on it. */
const isOpen = (runner: QueryRunner): boolean => runner.isTransactionActive && !runner.isReleased;
