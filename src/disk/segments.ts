import { join } from "node:path";
import { Segment, type LinePlace } from "./segment.js";

const LARGEST = 4 * 1024 * 1024;
const SMALLEST = 16 * 1024;
const name = /^lines-(\d{16})\.jsonl$/;

/** The number of the first line that a file of this name may hold; null for a file that is none of a spool's. */
export function firstNumberIn(fileName: string): number | null {
  const [, number] = name.exec(fileName) ?? [];
  return number === undefined ? null : Number(number);
}

/**
 * The files of one spool, the last of which takes what comes; its room is freed by whole files, each a sixteenth of the
 * spool at most. Calls must come one after the other: the owner sees to that.
 */
export class Segments {
  #all: readonly Segment[] = [];

  /** @param maxBytes how many octets all may take */
  constructor(
    private readonly folder: string,
    private readonly key: Buffer,
    private readonly maxBytes: number,
  ) {}

  get all(): readonly Segment[] {
    return this.#all;
  }

  get last(): Segment | undefined {
    return this.#all.at(-1);
  }

  get bytes(): number {
    return this.#all.reduce((sum, { end }) => sum + end, 0);
  }

  /** Adds one that was found, behind those that were found before. */
  add(segment: Segment): void {
    this.#all = [...this.#all, segment];
  }

  /** Makes a new one. @param next the number of the first line that it may hold */
  async begin(next: number): Promise<Segment> {
    const path = join(this.folder, `lines-${String(next).padStart(16, "0")}.jsonl`);
    const segment = await Segment.create(path, this.key);
    this.add(segment);
    return segment;
  }

  /** The one that takes so many octets more. @param next the number of the first line that a new one may hold */
  async withRoom(bytes: number, next: number): Promise<Segment> {
    const largest = Math.min(LARGEST, Math.max(SMALLEST, this.maxBytes / 16));
    const { last } = this;
    return last && (last.isEmpty || last.end + bytes <= largest) ? last : this.begin(next);
  }

  /** Gives back the room of one, if still nothing waits in it. */
  async free(segment: Segment): Promise<void> {
    if (segment.waiting > 0) return;
    if (segment === this.last) {
      segment.cut();
    } else if (this.#all.includes(segment)) {
      this.#all = this.#all.filter((it) => it !== segment);
      await segment.remove();
    }
  }

  /** Takes a text out of one, unless it is gone with its file. @param cuts how often that was cut when the text was there */
  async blank(segment: Segment, text: Pick<LinePlace, "offset" | "length">, cuts: number): Promise<void> {
    // Once it was cut, another line may stand there.
    if (segment.cuts !== cuts) return;
    if (this.#all.includes(segment) && segment.waiting > 0) await segment.blank([text]);
  }

  async close(): Promise<void> {
    for (const segment of this.#all) await segment.close();
  }
}
