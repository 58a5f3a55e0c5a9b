import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { newHeader, readHeader } from "../../disk/file-header.js";
import { createWhole, ignoreMissing, readOrMakeKey } from "../../disk/folder.js";
import type { LineSeal } from "../../disk/line-seal.js";
import { MAX_LINE_BYTES, readLines, textOf, type FoundText } from "../../disk/read-lines.js";
import type { LinePlace } from "../../disk/segment.js";
import type { SetAside } from "../../disk/set-aside.js";
import { Turns } from "../../disk/turns.js";
import { writeAt } from "../../disk/write-at.js";
import { asError } from "../as-error.js";
import { attemptFromText } from "./attempt-line.js";
import type { SetAsideReason } from "./set-aside-reason.js";

/** A line that waits to become entries, with what is told of it meanwhile. */
export interface WaitingLine extends LinePlace {
  readonly entries: number;
  readonly claimedAt: string;
}

/** What a file held that was left behind. */
export interface FoundLines {
  /** In the order of their numbers. */
  readonly good: readonly WaitingLine[];
  readonly bad: readonly (FoundText & { readonly why: SetAsideReason })[];
}

interface Waiting {
  readonly text: Buffer;
  readonly number: number;
  readonly resolve: (place: LinePlace) => void;
  readonly reject: (error: unknown) => void;
}

const FORMAT = "auditql-spool/1";
/** The file grows by so much at a time, ahead of what is written, so that a full disk is met before it matters. */
const GROWTH_BYTES = 1024 * 1024;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const LINE_BREAK = 0x0a;

/** There is no room for another line. */
export class SpoolFullError extends Error {
  override readonly name = "SpoolFullError";
}

/**
 * One append-only file of lines, each on the disk before `append` resolves; lines that wait together share one fsync.
 * Behind the last line it is filled with line breaks. One process uses it at a time: its owner sees to that.
 */
export class SpoolFile {
  readonly #handle: FileHandle;
  readonly #seal: LineSeal;
  readonly #headerBytes: number;
  readonly #maxBytes: number;
  /** Whatever touches the file goes one after the other. */
  readonly #turns = new Turns();
  /** Where the next line goes, but for those that wait. */
  #end: number;
  /** What the disk has given. */
  #allocated: number;
  #next: number;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;

  private constructor(handle: FileHandle, header: Header, maxBytes: number, size: number) {
    this.#handle = handle;
    this.#seal = header.seal;
    this.#headerBytes = header.bytes;
    this.#maxBytes = maxBytes;
    this.#end = header.bytes;
    this.#next = 1;
    this.#allocated = size;
  }

  /**
   * Opens the folder's file, or makes it, and gives what it holds. What is bad is kept aside, and only then taken out: a
   * crash between the two keeps it twice.
   */
  static async open(folder: string, maxBytes: number, setAside: SetAside<SetAsideReason>): Promise<OpenedFile> {
    const key = await readOrMakeKey(folder);
    const path = join(folder, "attempts.jsonl");
    const left = await open(path, "r+").catch(ignoreMissing);
    const found = left ? await findLines(left, key) : null;
    if (left && found?.header) {
      const { size } = await left.stat();
      const file = new SpoolFile(left, found.header, maxBytes, size);
      await left.chmod(0o600);
      await file.#continueAfter(found);
      return { file, found, complaint: await file.#clear(found, setAside).then(() => null, asError) };
    }
    // Of a file with another's header, or with none, no line can be told from anything else.
    await left?.close();
    for (const { text, why } of found?.bad ?? []) await setAside.keep([text], why);
    const { text, seal } = newHeader(key, FORMAT);
    const content = Buffer.alloc(GROWTH_BYTES, LINE_BREAK);
    content.write(text);
    const handle = await createWhole(path, content);
    const file = new SpoolFile(handle, { seal, bytes: Buffer.byteLength(text) }, maxBytes, content.length);
    return { file, found: { good: [], bad: found?.bad ?? [] }, complaint: null };
  }

  /** How many octets hold lines or will soon. */
  get used(): number {
    return this.#end + this.#waitingBytes;
  }

  get allocated(): number {
    return this.#allocated;
  }

  /** Whether it holds no line, and none that waits to be written. */
  get isNew(): boolean {
    return this.used === this.#headerBytes;
  }

  /** Takes room on the disk up to this size. @throws what the system says, such as ENOSPC */
  async allocate(bytes: number): Promise<void> {
    await this.#turns.take(async () => {
      const target = Math.ceil(bytes / GROWTH_BYTES) * GROWTH_BYTES;
      for (const room = Buffer.alloc(GROWTH_BYTES, LINE_BREAK); this.#allocated < target;) {
        const size = Math.min(room.length, target - this.#allocated);
        await writeAt(this.#handle, room.subarray(0, size), this.#allocated);
        await this.#handle.sync();
        this.#allocated += size;
      }
    });
  }

  /**
   * Adds a line, and resolves once it is on the disk. Lines come in the order of the calls.
   *
   * @throws SpoolFullError, or what the system says; nothing of the line stands then
   */
  append(payload: string): Promise<LinePlace> {
    const number = this.#next;
    const text = Buffer.from(this.#seal.write(number, payload));
    if (text.length > MAX_LINE_BYTES)
      return Promise.reject(new SpoolFullError("An attempt is too long for the spool."));
    if (this.used + text.length > this.#maxBytes) return Promise.reject(new SpoolFullError("The spool is full."));
    this.#next += 1;
    this.#waitingBytes += text.length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, number, resolve, reject });
      if (this.#waiting.length === 1) void this.#turns.take(() => this.#writeWaiting());
    });
  }

  /** The line's payload; null where it was altered meanwhile. */
  async read({ offset, length, number }: LinePlace): Promise<string | null> {
    const line = this.#seal.read(await this.readText({ offset, length }));
    return line?.number === number ? line.payload : null;
  }

  async readText({ offset, length }: Pick<LinePlace, "offset" | "length">): Promise<string> {
    const { buffer, bytesRead } = await this.#handle.read(Buffer.alloc(length), 0, length, offset);
    return textOf(buffer.subarray(0, bytesRead));
  }

  /** Takes texts out of the file, once they are kept elsewhere. It needs no room. */
  async blank(texts: readonly Pick<LinePlace, "offset" | "length">[]): Promise<void> {
    await this.#turns.take(async () => {
      for (const { offset, length } of texts) await writeAt(this.#handle, Buffer.alloc(length, LINE_BREAK), offset);
      await this.#handle.datasync();
    });
  }

  /**
   * Starts anew where nothing waits: all lines go. The file is cut behind its header, which needs no room on a full disk
   * and is whole whenever it happens: a crash before it leaves lines that are found to stand in the log already.
   *
   * @param isDone asked at the moment when nothing else touches the file
   * @param room how many octets to have ready on the disk
   */
  async startAnew(isDone: () => boolean, room: number): Promise<void> {
    await this.#turns.take(async () => {
      if (!isDone() || this.#waiting.length > 0 || this.#end === this.#headerBytes) return;
      await this.#handle.truncate(this.#headerBytes);
      // Also where the cut can't be forced to the disk: what came behind the old end would come behind a hole.
      this.#end = this.#headerBytes;
      this.#allocated = this.#headerBytes;
      await this.#handle.sync();
    });
    await this.allocate(Math.max(GROWTH_BYTES, this.used + room));
  }

  /** Closes it behind what was begun. */
  async close(): Promise<void> {
    await this.#turns.take(() => this.#handle.close());
  }

  async #continueAfter({ good, end }: Found): Promise<void> {
    this.#end = end;
    this.#next = Math.max(0, ...good.map(({ number }) => number)) + 1;
    // The last may lack its end; so may the header of a file that was cut.
    await writeAt(this.#handle, Buffer.from([LINE_BREAK]), this.#end - 1);
    this.#allocated = Math.max(this.#allocated, this.#end);
  }

  async #clear({ bad }: Found, setAside: SetAside<SetAsideReason>): Promise<void> {
    for (const { text, why } of bad) await setAside.keep([text], why);
    if (bad.length > 0) await this.blank(bad);
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      const text = Buffer.concat(batch.map((line) => line.text));
      try {
        await writeAt(this.#handle, text, this.#end);
        await this.#handle.datasync();
      } catch (error) {
        // Where that fails too, what is next is written over it; after a crash before that, its lines may stand.
        await writeAt(this.#handle, Buffer.alloc(text.length, LINE_BREAK), this.#end).catch(() => undefined);
        this.#waitingBytes -= text.length;
        for (const line of batch) line.reject(error);
        continue;
      }
      let offset = this.#end;
      this.#end += text.length;
      this.#waitingBytes -= text.length;
      this.#allocated = Math.max(this.#allocated, this.#end);
      for (const line of batch) {
        line.resolve({ number: line.number, offset, length: line.text.length - 1 });
        offset += line.text.length;
      }
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    const count = this.#waiting.findIndex((line) => (bytes += line.text.length) > MAX_BATCH_BYTES);
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : Math.max(1, count));
  }
}

/** A file that is open, and what it held. */
export interface OpenedFile {
  readonly file: SpoolFile;
  readonly found: FoundLines;
  /** Why what is bad still stands in the file; null where it doesn't. */
  readonly complaint: Error | null;
}

interface Header {
  readonly seal: LineSeal;
  /** With its line break. */
  readonly bytes: number;
}

interface Found extends FoundLines {
  readonly header: Header | null;
  readonly end: number;
}

async function findLines(handle: FileHandle, key: Buffer): Promise<Found> {
  let header: Header | null = null;
  let end = 0;
  const good = new Map<number, WaitingLine>();
  const bad: FoundLines["bad"][number][] = [];
  for await (const text of readLines(handle)) {
    const seal = end === 0 ? readHeader(key, FORMAT, text.text) : null;
    end = text.offset + text.length + 1;
    if (seal) header = { seal, bytes: end };
    else {
      const line = header ? lineOf(text, header.seal, good) : "doesn't verify";
      if (typeof line === "string") bad.push({ ...text, why: line });
      else good.set(line.number, line);
    }
  }
  // By their numbers: a line that was moved is back in its place.
  return { header, end, good: [...good.values()].sort((left, right) => left.number - right.number), bad };
}

function lineOf(found: FoundText, seal: LineSeal, known: ReadonlyMap<number, unknown>): WaitingLine | SetAsideReason {
  const line = seal.read(found.text);
  if (!line) return "doesn't verify";
  if (known.has(line.number)) return "repeated";
  try {
    const { staged, claimedAt } = attemptFromText(line.payload);
    return { number: line.number, offset: found.offset, length: found.length, entries: staged.length, claimedAt };
  } catch {
    return "can't be read";
  }
}
