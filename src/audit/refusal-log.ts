import type { Pool } from "pg";
import type { AuditObserver } from "./observer.js";
import { writeStaged, type StagedEntry } from "./write-staged.js";

/**
 * Writes the entries of attempts that came to nothing, on connections of their own: the operation's has rolled back.
 * The pool is bounded and its waits have a deadline.
 *
 * @example
 * const refusals = new RefusalLog(pool, observer);
 * await refusals.write([]); // []
 */
export class RefusalLog {
  constructor(
    private readonly pool: Pool,
    private readonly observer: AuditObserver,
  ) {}

  /** The entries' ids; empty where they could not be written, which is logged and counted, and never masks the error. */
  async write(staged: readonly StagedEntry[]): Promise<string[]> {
    if (staged.length === 0) return [];
    const entries = staged.map(({ entry }) => entry);
    try {
      const ids = await this.#inTransaction(staged);
      this.observer.written(entries);
      return ids;
    } catch (error) {
      this.observer.writeFailed(error, entries);
      return [];
    }
  }

  async #inTransaction(staged: readonly StagedEntry[]): Promise<string[]> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query("begin");
      const finish = await writeStaged(client, staged);
      return await finish((cause) => cause);
    } catch (error) {
      // The connection is given up with whatever transaction it holds.
      broken = error instanceof Error ? error : new Error("The write failed.", { cause: error });
      throw error;
    } finally {
      client.release(broken);
    }
  }
}
