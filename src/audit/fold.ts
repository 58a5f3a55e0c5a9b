import { createHash } from "node:crypto";
import type { FoldFile } from "./fold-file.js";
import { FoldBatch } from "./fold-batch.js";
import type { PendingEntry } from "./entry.js";

/** How long equal attempts are counted together, in milliseconds. */
const WINDOW = 60_000;
/** Beyond so many, entries are written one by one: what is counted is held in memory. */
const MAX_WINDOWS = 10_000;
/** A summary that couldn't be written is tried again after so long, and after longer each time, until the stop. */
const RETRY = 5_000;
const LONGEST_RETRY = 60_000;

export interface FoldOptions {
  /** How many equal DENIED entries are written by themselves in a minute. */
  readonly deniedPerMinute: number;
  /** Writes a summary, at most once however often it is asked to. */
  readonly write: (summary: PendingEntry) => Promise<void>;
  /** Told of a summary that couldn't be written yet: it is kept, and tried again. */
  readonly onError: (error: unknown, summary: PendingEntry) => void;
  /** Told of each attempt that gets no entry of its own, and of the summary that it goes into. */
  readonly onFold?: (entry: PendingEntry, summary: FoldBatch) => void;
  /** Where the next start finds what a crash left. */
  readonly file?: FoldFile;
  /** Milliseconds, a minute unless said. */
  readonly window?: number;
}

interface Window {
  /** How many were written by themselves. */
  taken: number;
  batch: FoldBatch | null;
  readonly timer: NodeJS.Timeout;
}

/**
 * Counts equal attempts that come too fast: within a minute, those beyond a rate become one summary at the minute's end.
 * Of attempts at changes DENIED alone is ever folded; of looks at the log whatever the same reader asks again.
 *
 * @example
 * const folds = new Folds({ deniedPerMinute: 10, write, onError });
 * folds.foldDenied([entry]); // false: the first ten are the caller's to write
 */
export class Folds {
  readonly #options: FoldOptions;
  readonly #windows = new Map<string, Window>();
  /** Summaries on their way, and those that couldn't be written yet. */
  readonly #unwritten = new Set<FoldBatch>();
  readonly #sending = new Set<Promise<void>>();
  readonly #retries = new Set<NodeJS.Timeout>();
  #isClosing = false;

  constructor(options: FoldOptions) {
    this.#options = options;
  }

  /** Folds an attempt whose entries are all DENIED, if it has come too often; false where they are to be written. */
  foldDenied(entries: readonly PendingEntry[]): boolean {
    const [first] = entries;
    if (!first || entries.some(({ outcome }) => outcome !== "DENIED")) return false;
    return this.fold(first, this.#options.deniedPerMinute, "");
  }

  /**
   * Folds the attempt that the entry tells of. Where it answers false its place in the rate is taken, and it has to be
   * written.
   *
   * @param likeness what equal attempts have in common beyond actor, operation and outcome
   */
  fold(entry: PendingEntry, perWindow: number, likeness: string): boolean {
    const key = keyOf(entry, likeness);
    const window = this.#windows.get(key) ?? this.#open(key);
    if (!window) return false;
    if (window.taken < perWindow) {
      window.taken += 1;
      return false;
    }
    window.batch ??= new FoldBatch(entry);
    window.batch.add(entry);
    this.#options.file?.note(window.batch);
    this.#options.onFold?.(entry, window.batch);
    if (window.batch.isFull) this.#sendBatch(window);
    return true;
  }

  /** Gives a place in the rate back: what took it couldn't be written. */
  giveBack(entry: PendingEntry, likeness: string): void {
    const window = this.#windows.get(keyOf(entry, likeness));
    if (window && window.taken > 0) window.taken -= 1;
  }

  /** Writes what has been counted so far; from now on nothing is folded. What can't be written stays in the file. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const timer of this.#retries) clearTimeout(timer);
    for (const key of this.#windows.keys()) this.#end(key);
    const unsent = [...this.#unwritten].filter((batch) => !batch.isSending);
    for (const batch of unsent) this.#send(batch);
    await Promise.all(this.#sending);
    await this.#options.file?.close();
  }

  #open(key: string): Window | null {
    if (this.#isClosing || this.#windows.size + this.#unwritten.size >= MAX_WINDOWS) return null;
    const timer = setTimeout(() => this.#end(key), this.#options.window ?? WINDOW).unref();
    const window: Window = { taken: 0, batch: null, timer };
    this.#windows.set(key, window);
    return window;
  }

  #end(key: string): void {
    const window = this.#windows.get(key);
    if (!window) return;
    clearTimeout(window.timer);
    this.#windows.delete(key);
    this.#sendBatch(window);
  }

  #sendBatch(window: Window): void {
    const { batch } = window;
    window.batch = null;
    if (batch) this.#send(batch);
  }

  #send(batch: FoldBatch): void {
    this.#unwritten.add(batch);
    batch.isSending = true;
    const sending = this.#write(batch).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  async #write(batch: FoldBatch): Promise<void> {
    const { write, onError, file } = this.#options;
    const summary = batch.summary();
    try {
      await write(summary);
      this.#unwritten.delete(batch);
      file?.done(batch);
    } catch (error) {
      onError(error, summary);
      if (!this.#isClosing) this.#retryLater(batch);
    } finally {
      batch.isSending = false;
    }
  }

  #retryLater(batch: FoldBatch): void {
    const wait = Math.min(RETRY * 2 ** batch.tries++, LONGEST_RETRY) * (0.75 + Math.random() / 2);
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      this.#send(batch);
    }, wait).unref();
    this.#retries.add(timer);
  }
}

/** What makes two attempts equal, as a digest: filters may be long. */
function keyOf(
  { tenantId, sessionId, eventType, operation, error, actor, origin }: PendingEntry,
  likeness: string,
): string {
  const who = [actor.type, actor.issuer, actor.id, actor.onBehalfOf, actor.type === "ANONYMOUS" ? origin.ip : null];
  const text = JSON.stringify([tenantId, sessionId, eventType, operation, error?.code ?? null, who, likeness]);
  return createHash("sha256").update(text).digest("base64");
}
