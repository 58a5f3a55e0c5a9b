import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { takeFolderLock, type FolderLock } from "./folder-lock.js";
import { makeFolder, readOrMakeKey } from "./folder.js";
import { MAX_LINE_BYTES, type FoundText } from "./read-lines.js";
import { moveAside, Segment, type LinePlace } from "./segment.js";
import { SetAside } from "./set-aside.js";

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

interface Place extends LinePlace {
  readonly segment: Segment;
}

interface Waiting {
  readonly texts: readonly string[];
  readonly bytes: number;
  readonly resolve: (numbers: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Number and checksum, about. */
const LINE_OVERHEAD = 128;
const LARGEST_SEGMENT = 4 * 1024 * 1024;
const SMALLEST_SEGMENT = 16 * 1024;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const MAX_READ_BYTES = 1024 * 1024;
const LINES_AT_ONCE = 256;
const segmentName = /^lines-(\d{16})\.jsonl$/;

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
  readonly #places = new Map<number, Place>();
  #segments: Segment[] = [];
  #next = 1;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** What a write that hasn't ended holds, and how many octets of the last file it may take. */
  #taken: readonly Waiting[] = [];
  #takenBytes = 0;
  #isClosed = false;
  #isReleased = false;
  /** Whatever touches the files goes one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly folder: string,
    private readonly options: LineSpoolOptions,
    private readonly key: Buffer,
    private readonly lock: FolderLock,
    private readonly aside: SetAside,
  ) {}

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
   * @returns their numbers, once they are on the disk
   * @throws LineSpoolFullError, or what the system says; nothing of them stands then
   */
  append(texts: readonly string[]): Promise<readonly number[]> {
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + LINE_OVERHEAD, 0);
    const full = this.#refusal(texts, bytes);
    if (full) return Promise.reject(full);
    if (texts.length === 0) return Promise.resolve([]);
    this.#waitingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ texts, bytes, resolve, reject });
      if (this.#waiting.length === 1) void this.#exclusively(() => this.#writeWaiting());
    });
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
    const segment = this.#segments.at(-1);
    const all = [...[...this.#taken, ...this.#waiting].flatMap((it) => it.texts), ...texts];
    if (!segment || all.length === 0) return;
    segment.appendNow(Buffer.concat(all.map((text) => segment.seal(this.#next++, text))), this.#takenBytes);
  }

  /** The numbers of the lines that wait, in order; what comes to wait meanwhile is given too. */
  waiting(): Iterable<number> {
    return this.#places.keys();
  }

  /** What these lines say; those are left out that are done, or that no longer verify: they are set aside. */
  async read(numbers: readonly number[]): Promise<readonly SpooledLine[]> {
    const found: SpooledLine[] = [];
    for (const together of runsOf(numbers.flatMap((number) => this.#places.get(number) ?? []))) {
      // Meanwhile some may be done, and their file gone.
      const run = together.filter(({ number }) => this.#places.has(number));
      const [first] = run;
      const last = run.at(-1);
      if (!first || !last) continue;
      const octets = await first.segment.read(first.offset, last.offset + last.length - first.offset);
      for (const place of run) {
        const begin = place.offset - first.offset;
        const line = octets.toString("utf8", begin, begin + place.length);
        const text = place.segment.unseal(place.number, line);
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
    const places = [...new Set(numbers)].flatMap((number) => this.#places.get(number) ?? []);
    for (const run of runsOf(places)) {
      const [first] = run;
      const last = run.at(-1);
      if (!first || !last) continue;
      const { segment, offset } = first;
      for (const { number } of run) this.#places.delete(number);
      segment.waiting -= run.length;
      if (segment.waiting === 0) this.#free(segment);
      else this.#blank(segment, { offset, length: last.offset + last.length - offset });
    }
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
    await this.#exclusively(async () => {
      for (const segment of this.#segments) await segment.close();
    });
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
    const names = (await readdir(this.folder)).filter((name) => segmentName.test(name)).sort();
    for (const name of names) {
      await this.#findSegment(join(this.folder, name));
      this.#next = Math.max(this.#next, Number(segmentName.exec(name)?.[1]));
    }
    if (this.#segments.length === 0) await this.#addSegment();
    for (const segment of this.#segments) if (segment.waiting === 0) this.#free(segment);
  }

  async #findSegment(path: string): Promise<void> {
    const found = await Segment.open(path, this.key);
    if (!found) {
      this.options.onSetAside?.(1, await moveAside(path));
      return;
    }
    const { segment, lines, bad } = found;
    this.#segments.push(segment);
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

  #keep(place: Place): void {
    this.#places.set(place.number, place);
    place.segment.waiting += 1;
    this.#next = Math.max(this.#next, place.number + 1);
  }

  async #addSegment(): Promise<Segment> {
    const name = `lines-${String(this.#next).padStart(16, "0")}.jsonl`;
    const segment = await Segment.create(join(this.folder, name), this.key);
    this.#segments.push(segment);
    return segment;
  }

  #bytes(): number {
    return this.#segments.reduce((sum, { end }) => sum + end, this.#waitingBytes);
  }

  #refusal(texts: readonly string[], bytes: number): LineSpoolFullError | null {
    if (this.#isClosed) return new LineSpoolFullError("The spool is closed.");
    if (this.#bytes() + bytes > this.options.maxBytes) return new LineSpoolFullError("The spool is full.");
    const isTooLong = texts.some((text) => Buffer.byteLength(text) + LINE_OVERHEAD > MAX_LINE_BYTES);
    return isTooLong ? new LineSpoolFullError("A line is too long for the spool.") : null;
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = (this.#taken = this.#takeBatch());
      const bytes = batch.reduce((sum, it) => sum + it.bytes, 0);
      try {
        await this.#write(batch, bytes);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      } finally {
        this.#waitingBytes -= bytes;
        [this.#taken, this.#takenBytes] = [[], 0];
      }
    }
  }

  async #write(batch: readonly Waiting[], bytes: number): Promise<void> {
    const segment = await this.#segmentFor(bytes);
    const lines = batch.map(({ texts }) =>
      texts.map((text) => ({ number: this.#next, octets: segment.seal(this.#next++, text) })),
    );
    const octets = Buffer.concat(lines.flat().map((line) => line.octets));
    let offset = segment.end;
    this.#takenBytes = octets.length;
    await segment.append(octets);
    for (const line of lines.flat()) {
      this.#keep({ number: line.number, offset, length: line.octets.length - 1, segment });
      offset += line.octets.length;
    }
    batch.forEach(({ resolve }, at) => resolve((lines[at] ?? []).map(({ number }) => number)));
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    const count = this.#waiting.findIndex((it) => (bytes += it.bytes) > MAX_BATCH_BYTES);
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : Math.max(1, count));
  }

  async #segmentFor(bytes: number): Promise<Segment> {
    const current = this.#segments.at(-1);
    const largest = Math.min(LARGEST_SEGMENT, Math.max(SMALLEST_SEGMENT, this.options.maxBytes / 16));
    return current && (current.isEmpty || current.end + bytes <= largest) ? current : this.#addSegment();
  }

  /** Gives back the room of a segment where nothing waits: at its turn, if that still holds then. */
  #free(segment: Segment): void {
    if (this.#isClosed) return;
    this.#exclusively(async () => {
      if (segment.waiting > 0) return;
      if (segment === this.#segments.at(-1)) {
        segment.cut();
      } else if (this.#segments.includes(segment)) {
        this.#segments = this.#segments.filter((it) => it !== segment);
        await segment.remove();
      }
    }).catch((error: unknown) => this.options.onTrouble?.(error));
  }

  #blank(segment: Segment, text: Pick<LinePlace, "offset" | "length">): void {
    if (this.#isClosed) return;
    const { cuts } = segment;
    this.#exclusively(async () => {
      // Once it was cut, another line may stand there.
      if (segment.cuts !== cuts) return;
      if (this.#segments.includes(segment) && segment.waiting > 0) await segment.blank([text]);
    }).catch((error: unknown) => this.options.onTrouble?.(error));
  }

  #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const run = this.#last.then(work);
    // Who asked for it is told; what comes behind it only waits for its end.
    this.#last = run.catch(() => undefined);
    return run;
  }
}

/** Places that lie behind one another in one file, so that one read gives them all. */
function runsOf(places: readonly Place[]): Place[][] {
  const runs: Place[][] = [];
  for (const place of places) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const first = run?.[0];
    const follows =
      last?.segment === place.segment &&
      last.offset + last.length + 1 === place.offset &&
      first !== undefined &&
      place.offset + place.length - first.offset <= MAX_READ_BYTES;
    if (run && follows) run.push(place);
    else runs.push([place]);
  }
  return runs;
}

function inUse(folder: string, holder: string): LineSpoolInUseError {
  return new LineSpoolInUseError(`${folder} is in use by ${holder}: give each process a folder of its own.`);
}
