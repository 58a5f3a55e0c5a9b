import type { Pool } from "pg";
import { takeKeys } from "./entry-key.js";
import type { AuditObserver } from "./observer.js";
import { onConnection } from "./on-connection.js";
import { refusedForGood } from "./refused-for-good.js";
import type { SpooledAttempt } from "./spool/attempt-line.js";
import type { Spool } from "./spool/spool.js";
import { writeStaged, type StagedEntry } from "./write-staged.js";

/**
 * Writes the entries of attempts that came to nothing, on connections of their own: the operation's has rolled back.
 * The pool is bounded and its waits have a deadline. What can't be written goes to the spool, if there is one, and while
 * anything waits there, whatever comes goes behind it.
 *
 * @example
 * const refusals = new RefusalLog(pool, observer);
 * await refusals.write([]); // []
 */
export class RefusalLog {
  constructor(
    private readonly pool: Pool,
    private readonly observer: AuditObserver,
    private readonly spool: Spool | null = null,
  ) {}

  /** Whether entries wait for a log that couldn't be written when they came. */
  get isBehind(): boolean {
    return this.spool !== null && !this.spool.isEmpty;
  }

  /**
   * The entries' ids; empty where they are written later, or could not be kept at all, which is logged and counted, and
   * never masks the error. What was written before stays as it is.
   */
  async write(staged: readonly StagedEntry[]): Promise<string[]> {
    if (staged.length === 0) return [];
    const attempt = { claimedAt: new Date().toISOString(), undecided: null, staged };
    const { spool } = this;
    if (spool && this.isBehind) return this.#keep(attempt, (kept) => spool.append(kept));
    try {
      return await this.#directly(staged);
    } catch (error) {
      this.observer.writeFailed(
        error,
        staged.map(({ entry }) => entry),
      );
      if (!spool) return this.#ended(staged);
      const why = refusedForGood(error);
      if (why === null) return await this.#keep(attempt, (kept) => spool.append(kept));
      const aside = (kept: SpooledAttempt) => spool.setAsideAttempt(kept, `refused with ${why}`);
      // What can't be kept aside, such as where that file is full, waits with the others: there is room for it there.
      return await aside(attempt).then(
        () => this.#ended(staged),
        () => this.#keep(attempt, (kept) => spool.append(kept)),
      );
    }
  }

  async #keep(attempt: SpooledAttempt, keep: (attempt: SpooledAttempt) => Promise<void>): Promise<string[]> {
    try {
      await keep(attempt);
    } catch (error) {
      this.observer.writeFailed(
        error,
        attempt.staged.map(({ entry }) => entry),
      );
      return this.#ended(attempt.staged);
    }
    return [];
  }

  #ended(staged: readonly StagedEntry[]): [] {
    this.observer.ended?.(staged.map(({ entry }) => entry));
    return [];
  }

  async #directly(staged: readonly StagedEntry[]): Promise<string[]> {
    const entries = staged.map(({ entry }) => entry);
    const begun = performance.now();
    try {
      const ids = await this.#inTransaction(staged);
      if (ids.length > 0) this.observer.written(entries);
      else this.#ended(staged);
      return ids;
    } finally {
      this.observer.wrote((performance.now() - begun) / 1000);
    }
  }

  #inTransaction(staged: readonly StagedEntry[]): Promise<string[]> {
    const entries = staged.map(({ entry }) => entry);
    return onConnection(this.pool, async (client) => {
      await client.query("begin");
      if (await takeKeys(client, entries)) return (await writeStaged(client, staged))((cause) => cause);
      await client.query("commit");
      return [];
    });
  }
}
