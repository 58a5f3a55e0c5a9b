import { createHash } from "node:crypto";
import type { FoldFile } from "./fold-file.js";
import { FoldBatch } from "./fold-batch.js";
import type { PendingEntry } from "./entry.js";

/** How long equal attempts are counted together, in milliseconds. */
const WINDOW = 60_000;
/** Beyond so many, entries are written one by one: what is counted is held in memory. */
const MAX_WINDOWS = 10_000;
/**
 * Beyond the rate so many targets that a window hasn't met are written by themselves; as many within it are remembered.
 * Each is held as 16 characters, and only with its entry written: all windows hold a million at most, in some 60 MB.
 */
const MAX_TARGETS = 50;
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
  /** How many were written by themselves, whatever their targets. */
  taken: number;
  /** What those that have entries of their own were aimed at, and how many of it came beyond the rate. */
  readonly met: Set<string>;
  metBeyond: number;
  batch: FoldBatch | null;
  readonly timer: NodeJS.Timeout;
}

/**
 * Counts equal attempts that come too fast: within a minute, those beyond a rate become one summary at the minute's end.
 * Of attempts at changes DENIED alone is ever folded, and never the first at each of 50 targets; of looks at the log whatever
 * the same reader asks again.
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

  /**
   * Folds an attempt whose entries are all DENIED, if it has come too often and is aimed at nothing new; false where they
   * are to be written. A flood at one thing so hides no attempt at another, nor one from another address.
   */
  foldDenied(entries: readonly PendingEntry[]): boolean {
    const [first] = entries;
    if (!first || entries.some(({ outcome }) => outcome !== "DENIED")) return false;
    return this.#fold(first, this.#options.deniedPerMinute, "", entries.map(targetOf));
  }

  /**
   * Folds the attempt that the entry tells of. Where it answers false its place in the rate is taken, and it has to be
   * written.
   *
   * @param likeness what equal attempts have in common beyond actor, operation and outcome
   */
  fold(entry: PendingEntry, perWindow: number, likeness: string): boolean {
    return this.#fold(entry, perWindow, likeness, []);
  }

  #fold(entry: PendingEntry, perWindow: number, likeness: string, targets: readonly string[]): boolean {
    const key = keyOf(entry, likeness);
    const window = this.#windows.get(key) ?? this.#open(key);
    if (!window) return false;
    if (window.taken < perWindow) {
      window.taken += 1;
      remember(window, targets, MAX_TARGETS - window.met.size);
      return false;
    }
    const fresh = remember(window, targets, MAX_TARGETS - window.metBeyond);
    window.metBeyond += fresh;
    if (fresh > 0) return false;
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
    const window: Window = { taken: 0, met: new Set(), metBeyond: 0, batch: null, timer };
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

/** Notes targets that the window hasn't met, as many as there is room for. Answers how many. */
function remember({ met }: Window, targets: readonly string[], room: number): number {
  const fresh = [...new Set(targets)].filter((target) => !met.has(target)).slice(0, Math.max(0, room));
  for (const target of fresh) met.add(target);
  return fresh.length;
}

/** What an attempt was aimed at, and from where, as a digest: ids may be long. */
function targetOf({ resource, origin }: PendingEntry): string {
  const text = JSON.stringify([resource?.type, resource?.id, origin.ip]);
  return createHash("sha256").update(text).digest().toString("base64", 0, 12);
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
