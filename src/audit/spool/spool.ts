import { makeFolder } from "../../disk/folder.js";
import { SetAside } from "../../disk/set-aside.js";
import { attemptFromText, attemptToText, type SpooledAttempt } from "./attempt-line.js";
import type { SetAsideReason } from "./set-aside-reason.js";
import { SpoolFile, SpoolFullError, type WaitingLine } from "./spool-file.js";

/** Who is told what becomes of the spool: metrics and the server's log. None of these may throw. */
export interface SpoolObserver {
  /** How many entries wait, and since when the first does; null where none waits. */
  waiting(entries: number, since: string | null): void;
  /** Lines that can't become entries, and where they are now. */
  setAside(lines: number, why: SetAsideReason, file: string): void;
  /** Entries that are in the log by now. */
  replayed(entries: number): void;
  /** Why the log can't be written yet; told once, until it can. */
  replayFailed(error: unknown): void;
  /** An attempt that there was no room for. */
  refused(): void;
  /** What didn't succeed with the file itself. */
  troubled(error: unknown): void;
}

/** What is reserved for attempts, and left for entries of no attempt, such as a stop's. */
const KEPT_FREE = 1 / 16;

/** What is no attempt, and still stands in the file: it could not be kept elsewhere. */
interface Remain extends Pick<WaitingLine, "offset" | "length"> {
  readonly why: SetAsideReason;
  /** Whether the observer has been told of it as set aside. */
  readonly isTold: boolean;
}

/** Gives back the room that an attempt had. */
export type Release = () => void;

/**
 * Keeps the entries of attempts that can't be written just now, in one file, in their order, until they are.
 *
 * Each attempt has room reserved before it begins, so that what was begun can be told. Give the folder to one live
 * process at a time.
 */
export class Spool {
  readonly #waiting: Map<number, WaitingLine>;
  #entries: number;
  #underway = 0;
  #reserved = 0;
  #isClosed = false;
  readonly #remains: Remain[];
  /** Keeping the remains elsewhere, while that is under way. */
  #clearing: Promise<void> | null = null;
  /** Resolved when something comes to wait. */
  #filled = deferred();

  private constructor(
    private readonly file: SpoolFile,
    private readonly aside: SetAside<SetAsideReason>,
    private readonly maxBytes: number,
    private readonly observer: SpoolObserver,
    found: readonly WaitingLine[],
    remains: readonly Remain[],
  ) {
    this.#waiting = new Map(found.map((line) => [line.number, line]));
    this.#entries = found.reduce((sum, { entries }) => sum + entries, 0);
    this.#remains = [...remains];
  }

  /** Opens what a folder holds; what was left there waits again. @throws what the system says of the folder */
  static async open(folder: string, maxBytes: number, observer: SpoolObserver): Promise<Spool> {
    await makeFolder(folder);
    const aside = new SetAside<SetAsideReason>(folder, maxBytes);
    const { file, found, complaint } = await SpoolFile.open(folder, maxBytes, aside);
    for (const { why } of found.bad) observer.setAside(1, why, aside.file);
    if (complaint) observer.troubled(complaint);
    const remains = complaint
      ? found.bad.map(({ offset, length, why }) => ({ offset, length, why, isTold: true }))
      : [];
    const spool = new Spool(file, aside, maxBytes, observer, found.good, remains);
    spool.#changed();
    return spool;
  }

  /** Whether what happens now may be written at once: what waits has to come before it. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#underway === 0;
  }

  /** How many entries wait, and since when the first does. */
  get state(): { readonly entries: number; readonly since: string | null } {
    const [first] = this.#waiting.values();
    return { entries: this.#entries, since: first?.claimedAt ?? null };
  }

  /** The file with lines that wait for somebody's look; null where there are none. */
  async attention(): Promise<string | null> {
    return (await this.aside.isFilled()) ? this.aside.file : null;
  }

  /**
   * Reserves room for what an attempt may leave, on the disk too.
   *
   * @returns null where there is none: the attempt must not begin
   */
  async reserve(bytes: number): Promise<Release | null> {
    // What waited may be gone, and its room not be back yet, or not have been to be had back then.
    if (!this.#hasRoom(bytes)) await this.#startAnew();
    if (!this.#hasRoom(bytes)) return this.#refuse();
    this.#reserved += bytes;
    const release = once(() => (this.#reserved -= bytes));
    const needed = this.file.used + this.#reserved;
    if (needed <= this.file.allocated) return release;
    try {
      await this.file.allocate(needed);
      return release;
    } catch (error) {
      release();
      this.observer.troubled(error);
      return this.#refuse();
    }
  }

  /** Keeps an attempt, on the disk once this resolves. @throws where it can't, and then nothing of it is kept */
  async append(attempt: SpooledAttempt): Promise<void> {
    if (this.#isClosed) throw new SpoolFullError("The spool is closed.");
    this.#underway += 1;
    try {
      const place = await this.file.append(attemptToText(attempt));
      this.#waiting.set(place.number, { ...place, entries: attempt.staged.length, claimedAt: attempt.claimedAt });
      this.#entries += attempt.staged.length;
    } finally {
      this.#underway -= 1;
      // Where this failed, all that waited may have been done meanwhile.
      await this.#startAnew();
    }
    this.#changed();
  }

  /** Resolves once something waits. */
  filled(): Promise<void> {
    return this.#waiting.size > 0 ? Promise.resolve() : this.#filled.promise;
  }

  /** What waits, in order; what comes to wait meanwhile is given too. */
  lines(): Iterable<WaitingLine> {
    return this.#waiting.values();
  }

  /** What a line says; null where it is no attempt any more, and set aside. */
  async read(line: WaitingLine): Promise<SpooledAttempt | null> {
    const payload = await this.file.read(line);
    try {
      if (payload !== null) return attemptFromText(payload);
    } catch {
      // It verifies, and can't be read all the same.
    }
    await this.setAside(line, payload === null ? "doesn't verify" : "can't be read");
    return null;
  }

  /** Forgets what stands in the log now; where that was all, the file starts anew. */
  async done(lines: readonly WaitingLine[]): Promise<void> {
    this.#forget(lines);
    await this.#startAnew();
  }

  /** Takes a line out of the others' way. Where it can't be kept elsewhere it stays in the file until it can. */
  async setAside(line: WaitingLine, why: SetAsideReason): Promise<void> {
    try {
      await this.aside.keep([await this.file.readText(line)], why);
      await this.file.blank([line]);
      this.observer.setAside(1, why, this.aside.file);
    } catch (error) {
      this.observer.troubled(error);
      this.#remains.push({ offset: line.offset, length: line.length, why, isTold: false });
      this.#forget([line]);
      return;
    }
    await this.done([line]);
  }

  /** Keeps aside an attempt that the database refuses for good. @throws where it can't */
  async setAsideAttempt(attempt: SpooledAttempt, why: SetAsideReason): Promise<void> {
    await this.aside.keep([attemptToText(attempt)], why);
    this.observer.setAside(1, why, this.aside.file);
  }

  /** Nothing is taken from now on; what has been is on the disk. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.file.close();
  }

  #hasRoom(bytes: number): boolean {
    return this.file.used + this.#reserved + bytes <= this.maxBytes * (1 - KEPT_FREE);
  }

  #forget(lines: readonly WaitingLine[]): void {
    for (const { number, entries } of lines) if (this.#waiting.delete(number)) this.#entries -= entries;
    this.#changed();
  }

  /** Has the file start anew where nothing waits. It is tried at each occasion: a missed one would leave no room for good. */
  async #startAnew(): Promise<void> {
    const isDone = () => this.isEmpty && !this.#isClosed;
    if (!isDone() || this.file.isNew) return;
    try {
      if (this.#remains.length > 0) await (this.#clearing ??= this.#clear().finally(() => (this.#clearing = null)));
      await this.file.startAnew(() => isDone() && this.#remains.length === 0, this.#reserved);
    } catch (error) {
      this.observer.troubled(error);
    }
  }

  /** Keeps elsewhere what couldn't be before. */
  async #clear(): Promise<void> {
    for (let [remain] = this.#remains; remain; [remain] = this.#remains) {
      await this.aside.keep([await this.file.readText(remain)], remain.why);
      await this.file.blank([remain]);
      this.#remains.shift();
      if (!remain.isTold) this.observer.setAside(1, remain.why, this.aside.file);
    }
  }

  #refuse(): null {
    this.observer.refused();
    return null;
  }

  #changed(): void {
    const { entries, since } = this.state;
    this.observer.waiting(entries, since);
    if (entries === 0) this.#filled = this.#filled.isResolved ? deferred() : this.#filled;
    else this.#filled.resolve();
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly isResolved: boolean;
  resolve(): void;
}

function deferred(): Deferred {
  let resolve: () => void = () => undefined;
  let isResolved = false;
  const promise = new Promise<void>((done) => (resolve = done));
  return {
    promise,
    get isResolved() {
      return isResolved;
    },
    resolve: () => {
      isResolved = true;
      resolve();
    },
  };
}

function once(work: () => unknown): Release {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}
