import { createHash, randomBytes } from "node:crypto";
import { appendFile, chmod, mkdir, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PendingEntry } from "./entry.js";
import type { FoldBatch } from "./fold-batch.js";

/** The process that a file belongs to, so that no other takes it while that one runs. */
export interface FoldFileOwner {
  readonly pid: number;
  /** When it began, as the system says: ids of processes come again. */
  readonly started: string;
}

/** Milliseconds between two writes. */
const INTERVAL = 1_000;
const MAX_BYTES = 16 * 1024 * 1024;
const FORMAT = "auditql-folds/1";
const SUFFIX = ".jsonl";

/**
 * What a process has folded so far, in a file of its own that only grows until nothing is left to tell: for each batch a
 * line with the summary as it would be now, the last one counting. A crash loses a second of it at most.
 *
 * It only helps: what can't be written to it is folded all the same.
 */
export class FoldFile {
  readonly #path: string;
  readonly #header: string;
  readonly #onError: (error: unknown) => void;
  readonly #live = new Map<string, FoldBatch>();
  readonly #dirty = new Set<FoldBatch>();
  readonly #done = new Set<string>();
  #bytes = 0;
  #savedAt = -INTERVAL;
  #saving: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  private constructor(path: string, owner: FoldFileOwner, onError: (error: unknown) => void) {
    this.#path = path;
    this.#header = lineOf({ format: FORMAT, owner });
    this.#onError = onError;
  }

  /** Makes the file in the folder, for this account's eyes alone. */
  static async open(folder: string, owner: FoldFileOwner, onError: (error: unknown) => void): Promise<FoldFile> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    const name = `${String(owner.pid)}-${randomBytes(6).toString("hex")}${SUFFIX}`;
    const file = new FoldFile(join(folder, name), owner, onError);
    await file.#rewrite();
    return file;
  }

  /** The batch has grown. */
  note(batch: FoldBatch): void {
    this.#live.set(batch.name, batch);
    this.#dirty.add(batch);
    this.#plan();
  }

  /** The batch's summary is in the log. */
  done(batch: FoldBatch): void {
    this.#live.delete(batch.name);
    this.#dirty.delete(batch);
    this.#done.add(batch.name);
    this.#plan();
  }

  /** Tells the rest; where nothing is left to tell, the file goes. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#saving;
    await this.#save();
    if (this.#live.size === 0) await unlink(this.#path).catch(this.#onError);
  }

  #plan(): void {
    if (this.#timer || this.#saving) return;
    const wait = this.#savedAt + INTERVAL - performance.now();
    if (wait <= 0) void this.#save();
    else this.#timer = setTimeout(() => void this.#save(), wait).unref();
  }

  async #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dirty.size + this.#done.size === 0) return;
    this.#savedAt = performance.now();
    this.#saving = this.#append().catch(this.#onError);
    await this.#saving;
    this.#saving = null;
    if (this.#dirty.size + this.#done.size > 0) this.#plan();
  }

  async #append(): Promise<void> {
    const text = [...this.#dirty].map(batchLine).join("") + [...this.#done].map((done) => lineOf({ done })).join("");
    const bytes = Buffer.byteLength(text);
    this.#dirty.clear();
    this.#done.clear();
    if (this.#live.size === 0 || this.#bytes + bytes > MAX_BYTES) return this.#rewrite();
    await appendFile(this.#path, text, { mode: 0o600 });
    this.#bytes += bytes;
  }

  /** Begins anew with what is live. Of more than there is room for, the rest isn't told. */
  async #rewrite(): Promise<void> {
    let text = this.#header;
    for (const batch of this.#live.values()) {
      const line = batchLine(batch);
      if (text.length + line.length <= MAX_BYTES) text += line;
    }
    const draft = `${this.#path}.new`;
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, this.#path);
    this.#bytes = Buffer.byteLength(text);
  }
}

/** What a process left that has ended without writing its summaries. */
export interface LeftFolds {
  readonly summaries: readonly PendingEntry[];
  /** Lines that no process wrote so, or not whole. */
  readonly badLines: number;
  /** The file has served: it goes, or with bad lines in it is kept aside under the name that is returned. */
  readonly discard: () => Promise<string | null>;
}

/** The files of processes that have ended. */
export async function leftFolds(
  folder: string,
  isRunning: (owner: FoldFileOwner) => Promise<boolean>,
): Promise<LeftFolds[]> {
  const names = await readdir(folder).catch(emptyIfMissing);
  const left: LeftFolds[] = [];
  for (const name of names.filter((it) => it.endsWith(SUFFIX))) {
    const path = join(folder, name);
    const text = await readFile(path, "utf8").catch(() => null);
    if (text === null) continue;
    const found = parse(text);
    if (found.owner && (await isRunning(found.owner))) continue;
    left.push({ ...found, discard: () => discard(path, found.badLines) });
  }
  return left;
}

async function discard(path: string, badLines: number): Promise<string | null> {
  // Another process that starts at the same time may have been faster.
  if (badLines === 0) {
    await unlink(path).catch(() => undefined);
    return null;
  }
  const aside = `${path}.set-aside`;
  await rename(path, aside).catch(() => undefined);
  return aside;
}

function parse(text: string) {
  const batches = new Map<string, PendingEntry>();
  let owner: FoldFileOwner | null = null;
  let badLines = 0;
  for (const line of text.split("\n").filter((it) => it !== "")) {
    const content = contentOf(line);
    if (content === null) badLines += 1;
    else if ("format" in content) owner = content.owner;
    else if ("done" in content) batches.delete(content.done);
    else batches.set(content.batch, summaryFrom(content.summary));
  }
  return { owner, badLines, summaries: [...batches.values()] };
}

type Text = Omit<PendingEntry, "sequenceNumber" | "repeats"> & {
  readonly sequenceNumber: string;
  readonly repeats: { readonly count: number; readonly sequenceNumbers: readonly (readonly [string, string])[] };
};
type Content =
  | { readonly format: string; readonly owner: FoldFileOwner }
  | { readonly batch: string; readonly summary: Text }
  | { readonly done: string };

const batchLine = (batch: FoldBatch): string => lineOf({ batch: batch.name, summary: summaryText(batch.summary()) });

function lineOf(content: Content): string {
  const text = JSON.stringify(content);
  return `${checksum(text)} ${text}\n`;
}

function contentOf(line: string): Content | null {
  const [, sum, text = ""] = /^([0-9a-f]{32}) (\{.*\})$/s.exec(line) ?? [];
  return sum === checksum(text) ? (JSON.parse(text) as Content) : null;
}

const checksum = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32);

/** 64 bits don't pass through a JavaScript number. */
function summaryText({ sequenceNumber, repeats, ...rest }: PendingEntry): Text {
  const sequenceNumbers = (repeats?.sequenceNumbers ?? []).map(
    ([first, last]) => [String(first), String(last)] as const,
  );
  return { ...rest, sequenceNumber: String(sequenceNumber), repeats: { count: repeats?.count ?? 0, sequenceNumbers } };
}

function summaryFrom({ sequenceNumber, repeats, ...rest }: Text): PendingEntry {
  const sequenceNumbers = repeats.sequenceNumbers.map(([first, last]) => [BigInt(first), BigInt(last)] as const);
  // The process may have ended in the second before it would have told more.
  return {
    ...rest,
    sequenceNumber: BigInt(sequenceNumber),
    repeats: { count: repeats.count, sequenceNumbers, isLeast: true },
  };
}

function emptyIfMissing(error: unknown): string[] {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
  throw error;
}
