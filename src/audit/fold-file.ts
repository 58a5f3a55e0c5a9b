import { randomBytes } from "node:crypto";
import { appendFile, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../disk/folder.js";
import type { FoldBatch } from "./fold-batch.js";
import { batchLine, FoldLines, type FoldFileOwner } from "./fold-lines.js";

export interface FoldFileOptions {
  readonly folder: string;
  /** Of the checksums: who hasn't got it can add no line, nor alter one. */
  readonly key: Buffer;
  readonly owner: FoldFileOwner;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two writes. */
const INTERVAL = 1_000;
const MAX_BYTES = 16 * 1024 * 1024;
/** How the names of such files end. */
export const FOLD_FILE_SUFFIX = ".jsonl";

/**
 * What a process has folded so far, in a file of its own that only grows until nothing is left to tell: for each batch a
 * line with the summary as it would be now, the last one counting. A crash loses a second of it at most.
 *
 * It only helps: what can't be written to it is folded all the same.
 */
export class FoldFile {
  readonly #path: string;
  readonly #options: FoldFileOptions;
  readonly #live = new Map<string, FoldBatch>();
  readonly #dirty = new Set<FoldBatch>();
  readonly #done = new Set<string>();
  #lines: FoldLines;
  #bytes = 0;
  #savedAt = -INTERVAL;
  #saving: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  private constructor(path: string, options: FoldFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#lines = new FoldLines(options.key, options.owner);
  }

  /** Makes the file in the folder, for this account's eyes alone. */
  static async open(options: FoldFileOptions): Promise<FoldFile> {
    const { folder, owner } = options;
    await makeFolder(folder);
    const name = `${String(owner.pid)}-${randomBytes(6).toString("hex")}${FOLD_FILE_SUFFIX}`;
    const file = new FoldFile(join(folder, name), options);
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
    if (this.#live.size === 0) await unlink(this.#path).catch(this.#options.onError);
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
    this.#saving = this.#append().catch(this.#options.onError);
    await this.#saving;
    this.#saving = null;
    if (this.#dirty.size + this.#done.size > 0) this.#plan();
  }

  async #append(): Promise<void> {
    const told = [...[...this.#dirty].map(batchLine), ...[...this.#done].map((done) => ({ done }))];
    const text = told.map((content) => this.#lines.next(content)).join("");
    const bytes = Buffer.byteLength(text);
    this.#dirty.clear();
    this.#done.clear();
    if (this.#live.size === 0 || this.#bytes + bytes > MAX_BYTES) return this.#rewrite();
    await appendFile(this.#path, text, { mode: 0o600 });
    this.#bytes += bytes;
  }

  /** Begins anew, as another run, with what is live. Of more than there is room for, the rest isn't told. */
  async #rewrite(): Promise<void> {
    const { key, owner } = this.#options;
    const lines = new FoldLines(key, owner);
    let text = lines.header;
    for (const batch of this.#live.values()) {
      const line = lines.next(batchLine(batch));
      if (text.length + line.length <= MAX_BYTES) text += line;
    }
    const draft = `${this.#path}.new`;
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, this.#path);
    this.#lines = lines;
    this.#bytes = Buffer.byteLength(text);
  }
}
