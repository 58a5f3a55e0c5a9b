import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { AppendQueue, type QueuedAppend } from "./append-queue.js";
import { takeFolderLock, type FolderLock } from "./folder-lock.js";
import { makeFolder, readOrMakeKey } from "./folder.js";
import { runsOf, type LineRun, type SpooledPlace } from "./line-runs.js";
import { MAX_LINE_BYTES, type FoundText } from "./read-lines.js";
import { moveAside, Segment } from "./segment.js";
import { firstNumberIn, Segments } from "./segments.js";
import { SetAside } from "./set-aside.js";
import { Turns } from "./turns.js";

/** A line that waits. Numbers grow in the order of the lines, and are this run's: the next one may give others. */
export interface SpooledLine {
  readonly number: number;
  readonly text: string;
}

export interface LineSpoolOptions {
  /** How many octets the lines may take, with their checksums; what is set aside may take as many again. */
  readonly maxBytes: number;
  /** Told of lines that aren't this spool's, and where they are kept now. It must not throw. */
  readonly onSetAside?: (lines: number, file: string) => void;
  /** Told of what the system refuses beside an append, which throws itself. It must not throw. */
  readonly onTrouble?: (error: unknown) => void;
}

/** There is no room for a line; nothing of it is kept. */
export class LineSpoolFullError extends Error {
  override readonly name = "LineSpoolFullError";
}

/** Another live process uses the folder. */
export class LineSpoolInUseError extends Error {
  override readonly name = "LineSpoolInUseError";
}

/** Number and checksum, about. */
const LINE_OVERHEAD = 128;
const LINES_AT_ONCE = 256;

/**
 * Lines of JSON that wait in a folder, each on the disk before `append` resolves; appends that wait together share one
 * fsync. They are given back in their order until they are done, also by the next process. Done lines are blanked without
 * waiting for the disk, so that a killed process doesn't bring them back; a power cut may. Their room is freed by whole
 * files, each a sixteenth of the spool at most.
 *
 * @example
 * const spool = await LineSpool.open(folder, { maxBytes: 64 * 1024 ** 2 });
 * await spool.append([JSON.stringify({ greeting: "hello" })]);
 * for await (const { number, text } of spool.pending()) {
 *   await send(text);
 *   spool.done([number]);
 * }
 */
export class LineSpool {
  readonly #places = new Map<number, SpooledPlace>();
  readonly #segments: Segments;
  /** Whatever touches the files goes one after the other. */
  readonly #turns = new Turns();
  readonly #queue = new AppendQueue();
  #next = 1;
  /** How many octets of the last file a write that hasn't ended may take. */
  #underWay = 0;
  #isClosed = false;
  #isReleased = false;

  private constructor(
    readonly folder: string,
    private readonly options: LineSpoolOptions,
    private readonly key: Buffer,
    private readonly lock: FolderLock,
    /** The folder's own, for all who set aside there. */
    readonly aside: SetAside,
  ) {
    this.#segments = new Segments(folder, key, options.maxBytes);
  }

  /**
   * Opens what a folder holds, or makes it, for this process alone.
   *
   * @throws LineSpoolInUseError, or what the system says of the folder
   */
  static async open(folder: string, options: LineSpoolOptions): Promise<LineSpool> {
    await makeFolder(folder);
    const lock = await takeFolderLock(join(folder, "lock"), (holder) => inUse(folder, holder));
    try {
      const key = await readOrMakeKey(folder);
      const spool = new LineSpool(folder, options, key, lock, new SetAside(folder, options.maxBytes));
      await spool.#findSegments();
      return spool;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** How many lines wait, and how many octets the files take or will soon. */
  get state(): { readonly lines: number; readonly bytes: number } {
    return { lines: this.#places.size, bytes: this.#bytes() };
  }

  /** The file with what was set aside; it is there once something was. */
  get setAsideFile(): string {
    return this.aside.file;
  }

  /** Whether lines with so many octets of text would find room now. */
  hasRoom(bytes: number, lines = 1): boolean {
    return this.#bytes() + bytes + lines * LINE_OVERHEAD <= this.options.maxBytes;
  }

  /**
   * Adds lines, all or none of them, in the order of the calls.
   *
   * @param texts JSON objects without line breaks
   * @param isBounded false for those few without which the others would be worth nothing
   * @returns their numbers, once they are on the disk
   * @throws LineSpoolFullError, or what the system says; nothing of them stands then
   */
  append(texts: readonly string[], isBounded = true): Promise<readonly number[]> {
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + LINE_OVERHEAD, 0);
    const full = this.#refusal(texts, isBounded ? bytes : -Infinity);
    if (full) return Promise.reject(full);
    if (texts.length === 0) return Promise.resolve([]);
    // Otherwise the writing that it waits for is to come already.
    if (this.#queue.isEmpty)
      void this.#turns.take(() => this.#queue.writeAll((batch, size) => this.#write(batch, size)));
    return this.#queue.add(texts, bytes);
  }

  /**
   * Adds lines without giving anything else a turn: for a process that is about to exit. What waits to be written comes
   * before them; what is being written may stand there twice. It closes the spool, and leaves the lock to the exit.
   *
   * @throws what the system says
   */
  appendNow(texts: readonly string[]): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const segment = this.#segments.last;
    const all = [...this.#queue.texts, ...texts];
    if (!segment || all.length === 0) return;
    // A cut that waits for its turn leaves them there.
    segment.waiting += all.length;
    segment.appendNow(Buffer.concat(all.map((text) => segment.seal(this.#next++, text))), this.#underWay);
  }

  /** The numbers of the lines that wait, in order; what comes to wait meanwhile is given too. */
  waiting(): Iterable<number> {
    return this.#places.keys();
  }

  /** What these lines say; those are left out that are done, or that no longer verify: they are set aside. */
  async read(numbers: readonly number[]): Promise<readonly SpooledLine[]> {
    const found: SpooledLine[] = [];
    for (const { segment, places, offset, length } of runsOf(this.#placesOf(numbers))) {
      // Meanwhile some may be done, and their file gone.
      const left = places.filter(({ number }) => this.#places.has(number));
      if (left.length === 0) continue;
      const octets = await segment.read(offset, length);
      for (const place of left) {
        const begin = place.offset - offset;
        const line = octets.toString("utf8", begin, begin + place.length);
        const text = segment.unseal(place.number, line);
        if (text !== null) found.push({ number: place.number, text });
        else if (this.#places.has(place.number)) await this.#setAsideBad(place.number, line);
      }
    }
    return found;
  }

  /** What waits, in order, a few lines held at a time; what comes to wait meanwhile is given too. */
  async *pending(): AsyncGenerator<SpooledLine> {
    let numbers: number[] = [];
    for (const number of this.#places.keys()) {
      numbers.push(number);
      if (numbers.length < LINES_AT_ONCE) continue;
      yield* await this.read(numbers);
      numbers = [];
    }
    yield* await this.read(numbers);
  }

  /** Forgets lines. What is behind it in the folder's files happens in the order of the calls. */
  done(numbers: readonly number[]): void {
    for (const run of runsOf(this.#placesOf(new Set(numbers)))) {
      for (const { number } of run.places) this.#places.delete(number);
      run.segment.waiting -= run.places.length;
      if (run.segment.waiting === 0) this.#free(run.segment);
      // Also behind that: others may have come there meanwhile.
      this.#blank(run);
    }
  }

  /** Of these lines, those that alone keep a file, of whose room they take the lesser part: to write them again frees it. */
  keeping(numbers: Iterable<number>): number[] {
    const bySegment = new Map<Segment, SpooledPlace[]>();
    for (const place of this.#placesOf(numbers)) {
      const others = bySegment.get(place.segment);
      if (others) others.push(place);
      else bySegment.set(place.segment, [place]);
    }
    return [...bySegment].flatMap(([segment, places]) => {
      const bytes = places.reduce((sum, { length }) => sum + length + 1, 0);
      const isKept = segment.waiting === places.length && 2 * bytes <= segment.end;
      return isKept && segment !== this.#segments.last ? places.map(({ number }) => number) : [];
    });
  }

  /** Resolves once the room of what is done by now is free. */
  async freed(): Promise<void> {
    await this.#turns.take(() => Promise.resolve());
  }

  /** Keeps a line for people to look at, and forgets it. @throws where it can't be kept: then the line stays */
  async setAside(number: number, why: string): Promise<void> {
    const [line] = await this.read([number]);
    if (line) await this.aside.keep([line.text], why);
    this.done([number]);
  }

  /** Takes nothing from now on; what was taken is on the disk. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isReleased) return;
    this.#isReleased = true;
    await this.#turns.take(() => this.#segments.close());
    await this.lock.release();
  }

  async #setAsideBad(number: number, line: string): Promise<void> {
    try {
      await this.aside.keep([line], "doesn't verify");
      this.done([number]);
      this.options.onSetAside?.(1, this.aside.file);
    } catch (error) {
      this.options.onTrouble?.(error);
    }
  }

  async #findSegments(): Promise<void> {
    for (const name of (await readdir(this.folder)).sort()) {
      const first = firstNumberIn(name);
      if (first === null) continue;
      await this.#findSegment(join(this.folder, name));
      this.#next = Math.max(this.#next, first);
    }
    if (!this.#segments.last) await this.#segments.begin(this.#next);
    for (const segment of this.#segments.all) if (segment.waiting === 0) this.#free(segment);
  }

  async #findSegment(path: string): Promise<void> {
    const found = await Segment.open(path, this.key);
    if (!found) {
      this.options.onSetAside?.(1, await moveAside(path));
      return;
    }
    const { segment, lines, bad } = found;
    this.#segments.add(segment);
    for (const line of lines) this.#keep({ ...line, segment });
    await this.#clear(segment, bad);
  }

  /** What is bad is kept aside, and only then taken out: a crash between the two keeps it twice. */
  async #clear(segment: Segment, bad: readonly FoundText[]): Promise<void> {
    if (bad.length === 0) return;
    try {
      await this.aside.keep(
        bad.map(({ text }) => text),
        "doesn't verify",
      );
      await segment.blank(bad);
      await segment.sync();
      this.options.onSetAside?.(bad.length, this.aside.file);
    } catch (error) {
      // It stays where it is, and with it the file.
      segment.waiting += 1;
      this.options.onTrouble?.(error);
    }
  }

  #keep(place: SpooledPlace): void {
    this.#places.set(place.number, place);
    place.segment.waiting += 1;
    this.#next = Math.max(this.#next, place.number + 1);
  }

  #bytes(): number {
    return this.#segments.bytes + this.#queue.bytes;
  }

  #placesOf(numbers: Iterable<number>): SpooledPlace[] {
    return [...numbers].flatMap((number) => this.#places.get(number) ?? []);
  }

  #refusal(texts: readonly string[], bytes: number): LineSpoolFullError | null {
    if (this.#isClosed) return new LineSpoolFullError("The spool is closed.");
    if (this.#bytes() + bytes > this.options.maxBytes) return new LineSpoolFullError("The spool is full.");
    const isTooLong = texts.some((text) => Buffer.byteLength(text) + LINE_OVERHEAD > MAX_LINE_BYTES);
    return isTooLong ? new LineSpoolFullError("A line is too long for the spool.") : null;
  }

  async #write(batch: readonly QueuedAppend[], bytes: number): Promise<number[][]> {
    const segment = await this.#segments.withRoom(bytes, this.#next);
    const lines = batch.map(({ texts }) =>
      texts.map((text) => ({ number: this.#next, octets: segment.seal(this.#next++, text) })),
    );
    const octets = Buffer.concat(lines.flat().map((line) => line.octets));
    let offset = segment.end;
    this.#underWay = octets.length;
    await segment.append(octets).finally(() => (this.#underWay = 0));
    for (const line of lines.flat()) {
      this.#keep({ number: line.number, offset, length: line.octets.length - 1, segment });
      offset += line.octets.length;
    }
    return lines.map((ofOne) => ofOne.map(({ number }) => number));
  }

  /** Gives back the room of a segment where nothing waits: at its turn, if that still holds then. */
  #free(segment: Segment): void {
    this.#behindTheRest(() => this.#segments.free(segment));
  }

  #blank(run: LineRun): void {
    const { cuts } = run.segment;
    this.#behindTheRest(() => this.#segments.blank(run.segment, run, cuts));
  }

  /** Nobody waits for it; once closed, the files stay as they are. */
  #behindTheRest(work: () => Promise<void>): void {
    if (!this.#isClosed) this.#turns.take(work).catch((error: unknown) => this.options.onTrouble?.(error));
  }
}

function inUse(folder: string, holder: string): LineSpoolInUseError {
  return new LineSpoolInUseError(`${folder} is in use by ${holder}: give each process a folder of its own.`);
}
