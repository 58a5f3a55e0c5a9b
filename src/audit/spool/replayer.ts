import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "pg";
import { EntryKeyError, takeKeys } from "../entry-key.js";
import { fateOf } from "../fate.js";
import type { AuditObserver } from "../observer.js";
import { onConnection } from "../on-connection.js";
import { refusedForGood } from "../refused-for-good.js";
import { insertEntries, inTransactionApart } from "../write-apart.js";
import { writeWithin, type StagedEntry } from "../write-staged.js";
import type { SpooledAttempt } from "./attempt-line.js";
import type { Spool, SpoolObserver } from "./spool.js";
import type { WaitingLine } from "./spool-file.js";

const MAX_BATCH_LINES = 50;
const MAX_BATCH_ENTRIES = 200;
const MAX_BATCH_BYTES = 2 * 1024 * 1024;
const FIRST_WAIT = 200;
const LONGEST_WAIT = 5_000;
/** What is under way at the end may take so long; cut off, it is done again by the next start, to the same effect. */
const STOP_MILLISECONDS = 1_000;

interface Item {
  readonly line: WaitingLine;
  readonly attempt: SpooledAttempt;
}

/** One pass over what waits: whether anything moved, and whether a transaction's end had to be waited for. */
interface Pass {
  readonly moved: boolean;
  readonly hasOpen: boolean;
}

/**
 * Writes what waits in the spool, in its order and exactly once, as soon as the log can be written: a try now, then after
 * waits that grow to five seconds. What the database refuses for good is set aside, so that it holds up nothing.
 */
export class Replayer {
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #lastError: unknown = null;

  constructor(
    private readonly spool: Spool,
    private readonly pool: Pool,
    private readonly audit: AuditObserver,
    private readonly observer: SpoolObserver,
  ) {}

  /** Why the last try came to nothing; null where it didn't. */
  get lastError(): unknown {
    return this.#lastError;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends it, a second from now at most. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.race([this.#running, delay(STOP_MILLISECONDS, undefined, { ref: false })]);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    for (let failures = 0; ;) {
      await Promise.race([this.spool.filled(), stopped]);
      if (signal.aborted) return;
      failures = (await this.#try()) ? 0 : failures + 1;
      if (failures === 0) continue;
      const wait = Math.min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT) * (0.5 + Math.random() / 2);
      // The stop ends the wait.
      await delay(wait, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Whether to go on at once. */
  async #try(): Promise<boolean> {
    try {
      const { moved, hasOpen } = await this.#pass();
      this.#lastError = null;
      return moved && !hasOpen;
    } catch (error) {
      if (this.#lastError === null && !this.#stopping.signal.aborted) this.observer.replayFailed(error);
      this.#lastError = error;
      return false;
    }
  }

  async #pass(): Promise<Pass> {
    let moved = false;
    let hasOpen = false;
    let batch: Item[] = [];
    let entries = 0;
    let bytes = 0;
    const flush = async (): Promise<void> => {
      if (batch.length > 0) await this.#writeTogether(batch);
      moved ||= batch.length > 0;
      [batch, entries, bytes] = [[], 0, 0];
    };
    for (const line of this.spool.lines()) {
      if (this.#stopping.signal.aborted) break;
      const attempt = await this.spool.read(line);
      if (attempt === null) {
        moved = true;
      } else if (attempt.undecided === null) {
        // What has a cause is written behind all that has none: with others it would come out of its order.
        const isAlone = attempt.staged.some(({ causedBy }) => causedBy !== null);
        if (isAlone || entries + line.entries > MAX_BATCH_ENTRIES) await flush();
        batch.push({ line, attempt });
        entries += line.entries;
        bytes += line.length;
        if (isAlone) await flush();
      } else {
        await flush();
        const isDecided = await this.#decide(line, attempt);
        moved ||= isDecided;
        hasOpen ||= !isDecided;
      }
      if (batch.length >= MAX_BATCH_LINES || bytes >= MAX_BATCH_BYTES) await flush();
    }
    await flush();
    return { moved, hasOpen };
  }

  /** Writes them in one transaction; where the database refuses one for good, or has one already, one by one. */
  async #writeTogether(items: readonly Item[]): Promise<void> {
    try {
      await this.#write(items);
    } catch (error) {
      const why = error instanceof EntryKeyError ? "EntryKeyError" : refusedForGood(error);
      if (why === null) throw error;
      const [only, ...others] = items;
      if (only && others.length === 0) {
        await this.spool.setAside(only.line, `refused with ${why}`);
        this.audit.ended?.(only.attempt.staged.map(({ entry }) => entry));
      } else for (const item of items) await this.#writeTogether([item]);
    }
  }

  async #write(items: readonly Item[]): Promise<void> {
    const begun = performance.now();
    const staged = items.map(({ attempt }) => claimed(attempt));
    const entries = staged.flat().map(({ entry }) => entry);
    const isNew = await inTransactionApart(this.pool, async (client) => {
      const areFree = await takeKeys(client, entries);
      const [only = [], ...others] = staged;
      if (areFree && others.length === 0) await writeWithin(client, only);
      else if (areFree) await insertEntries(client, entries);
      return areFree;
    });
    this.#lastError = null;
    this.audit.wrote((performance.now() - begun) / 1000);
    if (isNew) this.audit.written(entries);
    else this.audit.ended?.(entries);
    const lines = items.map(({ line }) => line);
    this.observer.replayed(lines.reduce((sum, line) => sum + line.entries, 0));
    await this.spool.done(lines);
  }

  /** Whether the transaction has ended: committed, its own entries say so; else these do. */
  async #decide(line: WaitingLine, attempt: SpooledAttempt): Promise<boolean> {
    const [first] = attempt.staged;
    if (!first || !attempt.undecided) throw new Error("There is nothing to decide.");
    const { tenantId, sessionId, sequenceNumber } = first.entry;
    const place = { tenantId, sessionId, sequenceNumber, ...attempt.undecided };
    const fate = await onConnection(this.pool, (client) => fateOf(client, place));
    if (fate.outcome === "open") return false;
    if (fate.outcome === "aborted") await this.#writeTogether([{ line, attempt }]);
    else {
      await this.spool.done([line]);
      this.audit.ended?.(attempt.staged.map(({ entry }) => entry));
    }
    return true;
  }
}

/** An attempt's entries as they are written later. */
const claimed = ({ staged, claimedAt }: SpooledAttempt): StagedEntry[] =>
  staged.map(({ entry, causedBy }) => ({ entry: { ...entry, claimedAt }, causedBy }));
