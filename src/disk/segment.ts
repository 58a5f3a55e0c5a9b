import { fdatasyncSync, ftruncateSync, writeSync } from "node:fs";
import { link, open, unlink, type FileHandle } from "node:fs/promises";
import { codeOf } from "./code-of.js";
import { newHeader, readHeader } from "./file-header.js";
import { createWhole } from "./folder.js";
import type { LineSeal } from "./line-seal.js";
import { readLines, type FoundText } from "./read-lines.js";
import { writeAt } from "./write-at.js";

/** A line's place in its segment, without its line break. */
export interface LinePlace {
  readonly number: number;
  readonly offset: number;
  readonly length: number;
}

/** A segment that was left behind, and what it holds. */
export interface FoundSegment {
  readonly segment: Segment;
  /** In the order of the file. */
  readonly lines: readonly LinePlace[];
  /** What isn't a line of this file: torn, or edited. */
  readonly bad: readonly FoundText[];
}

const FORMAT = "auditql-lines/1";
const LINE_BREAK = 0x0a;

/**
 * One file of lines that its owner alone writes, each with its number and checksum. Calls that write must come one after
 * the other: the owner sees to that.
 */
export class Segment {
  /** Lines that wait; the owner counts them. */
  waiting = 0;
  #end: number;
  #cuts = 0;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly lineSeal: LineSeal,
    private readonly headerBytes: number,
    end: number,
  ) {
    this.#end = end;
  }

  /** Makes the file with its header, on the disk once this resolves. */
  static async create(path: string, key: Buffer): Promise<Segment> {
    const { text, seal } = newHeader(key, FORMAT);
    const bytes = Buffer.byteLength(text);
    return new Segment(path, await createWhole(path, text), seal, bytes, bytes);
  }

  /** Null where the file's header isn't of this key: no line of it can be told from anything else. */
  static async open(path: string, key: Buffer): Promise<FoundSegment | null> {
    const handle = await open(path, "r+");
    const lines = new Map<number, LinePlace>();
    const bad: FoundText[] = [];
    let header: { readonly seal: LineSeal; readonly bytes: number } | null = null;
    let end = 0;
    for await (const { text, offset, length } of readLines(handle)) {
      const isFirst = end === 0;
      end = offset + length + 1;
      if (isFirst) {
        const seal = readHeader(key, FORMAT, text);
        if (!seal) break;
        header = { seal, bytes: end };
        continue;
      }
      const number = header?.seal.read(text)?.number;
      if (number === undefined) bad.push({ text, offset, length });
      // A line that was written again as the process ended is the same line.
      else if (!lines.has(number)) lines.set(number, { number, offset, length });
    }
    if (!header) {
      await handle.close();
      return null;
    }
    // The last may lack its end.
    await handle.write(Buffer.from([LINE_BREAK]), 0, 1, end - 1);
    return { segment: new Segment(path, handle, header.seal, header.bytes, end), lines: [...lines.values()], bad };
  }

  /** Where the next line goes. */
  get end(): number {
    return this.#end;
  }

  /** How often it was cut: a place holds until the next time. */
  get cuts(): number {
    return this.#cuts;
  }

  get isEmpty(): boolean {
    return this.#end === this.headerBytes;
  }

  /** The octets of a line of this segment, with its line break. @param text a JSON object without line breaks */
  seal(number: number, text: string): Buffer {
    return Buffer.from(this.lineSeal.write(number, text));
  }

  /** What a line says; null where it was altered meanwhile. */
  unseal(number: number, line: string): string | null {
    const read = this.lineSeal.read(line);
    return read?.number === number ? read.payload : null;
  }

  /** Adds octets, on the disk once this resolves. @throws what the system says; nothing of them stands then */
  async append(octets: Buffer): Promise<void> {
    try {
      await writeAt(this.handle, octets, this.#end);
      await this.handle.datasync();
    } catch (error) {
      // Where that fails too, what is next is written over it.
      await this.handle.truncate(this.#end).catch(() => undefined);
      throw error;
    }
    this.#end += octets.length;
  }

  /** Adds octets without giving anything else a turn, behind what may be under way. @throws what the system says */
  appendNow(octets: Buffer, underway: number): void {
    // What is under way may be left half written.
    const whole = Buffer.concat([Buffer.from([LINE_BREAK]), octets]);
    const begin = this.#end + underway;
    for (let written = 0; written < whole.length;) {
      written += writeSync(this.handle.fd, whole, written, whole.length - written, begin + written);
    }
    fdatasyncSync(this.handle.fd);
    this.#end = begin + whole.length;
  }

  /** Fewer octets than asked for only where the file has been cut. */
  async read(offset: number, length: number): Promise<Buffer> {
    const { buffer, bytesRead } = await this.handle.read(Buffer.alloc(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  /** Takes texts out of the file. It needs no room, and doesn't wait for the disk. */
  async blank(texts: readonly Pick<LinePlace, "offset" | "length">[]): Promise<void> {
    for (const { offset, length } of texts) await writeAt(this.handle, Buffer.alloc(length, LINE_BREAK), offset);
  }

  async sync(): Promise<void> {
    await this.handle.datasync();
  }

  /** Cuts the file behind its header, without waiting for the disk. At once, so that no cut overtakes `appendNow`. */
  cut(): void {
    if (this.isEmpty) return;
    ftruncateSync(this.handle.fd, this.headerBytes);
    this.#end = this.headerBytes;
    this.#cuts += 1;
  }

  async remove(): Promise<void> {
    await this.handle.close();
    await unlink(this.path);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Takes a file that no line can be told in out of the way, beside what was before. */
export async function moveAside(path: string): Promise<string> {
  for (let count = 1; ; count++) {
    const aside = count === 1 ? `${path}.set-aside` : `${path}.${String(count)}.set-aside`;
    if (!(await isLinked(path, aside))) continue;
    await unlink(path);
    return aside;
  }
}

/** False where something has that name already: a link takes nothing's place. */
async function isLinked(path: string, name: string): Promise<boolean> {
  try {
    await link(path, name);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}
