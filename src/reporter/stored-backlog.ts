import { LineSpoolFullError, type LineSpool } from "../disk/line-spool.js";
import type { Backlog, ReadyEntry } from "./backlog.js";
import { Fifo } from "./fifo.js";
import type { Loss, Losses } from "./losses.js";
import type { StoredNumbers } from "./numbers.js";
import { Pause } from "./pause.js";
import { entryToText, type CopiedEntry } from "./report-entry.js";
import { entryRecord, entryTextOf, lossRecord, openRecord } from "./stored-record.js";

/** An entry's line in the spool. */
export interface StoredEntry {
  readonly line: number;
  readonly sequenceNumber: bigint;
}

interface Stored extends StoredEntry {
  readonly place: number;
}

interface Unwritten {
  readonly place: number;
  readonly sequenceNumber: bigint;
  /** Null for a number whose entry comes later. */
  readonly entry: CopiedEntry | null;
}

export interface StoredBacklogParts {
  readonly spool: LineSpool;
  readonly numbers: StoredNumbers;
  readonly losses: Losses;
  readonly maxQueued: number;
  readonly maxCharacters: number;
  /** Something can be sent now. */
  readonly onReady: () => void;
  readonly onTrouble: (error: unknown) => void;
}

const RECORDS_AT_ONCE = 500;
const RETRY_WAIT = 200;
/** What entries leave free for losses. */
const KEPT_FREE_BYTES = 64 * 1024;

/**
 * Entries that wait in a spool, and in memory on their way there. Lines are written in the order of the numbers, losses
 * before what comes behind them, so that behind a crash all numbers are known but those at the end.
 */
export class StoredBacklog implements Backlog {
  isFull = false;
  next = 0;
  readonly #unwritten = new Fifo<Unwritten>();
  readonly #stored = new Fifo<Stored>();
  /** The lines of numbers whose entries come later; null until they are written. */
  readonly #openLines = new Map<bigint, number | null>();
  #abandoned: bigint[] = [];
  #characters = 0;
  #given: readonly StoredEntry[] = [];
  /** How many of the first the spool has been given, and may write. */
  #underWay = 0;
  #isWriting = false;
  #isEnded = false;
  /** Whether `endNow` couldn't write what was left. */
  #isCutOff = false;
  readonly #pause = new Pause();
  #whenWritten: (() => void)[] = [];

  /** @param found entries of an earlier run, in their order */
  constructor(
    private readonly parts: StoredBacklogParts,
    found: readonly StoredEntry[],
  ) {
    for (const entry of found) this.#stored.push({ ...entry, place: this.next++ });
  }

  get ready(): number {
    return this.#stored.length;
  }

  get coming(): number {
    return this.#unwritten.length;
  }

  get oldest(): number {
    return (this.#stored.first(1)[0] ?? this.#unwritten.first(1)[0])?.place ?? this.next;
  }

  push(sequenceNumber: bigint, entry: CopiedEntry): boolean {
    const { maxQueued, maxCharacters } = this.parts;
    if (this.#unwritten.length >= maxQueued || this.#characters + entry.size > maxCharacters) return false;
    this.#unwritten.push({ place: this.next++, sequenceNumber, entry });
    this.#characters += entry.size;
    this.#schedule();
    return true;
  }

  open(sequenceNumber: bigint): boolean {
    if (this.#unwritten.length >= this.parts.maxQueued) return false;
    this.#unwritten.push({ place: this.next++, sequenceNumber, entry: null });
    this.#openLines.set(sequenceNumber, null);
    this.#schedule();
    return true;
  }

  lost(sequenceNumber: bigint): void {
    if (this.#openLines.has(sequenceNumber)) this.#abandoned.push(sequenceNumber);
    this.#schedule();
  }

  async first(limit: number, maxCharacters: number): Promise<readonly ReadyEntry[]> {
    const stored = this.#stored.first(limit);
    const texts = new Map(
      (await this.parts.spool.read(stored.map(({ line }) => line))).map((it) => [it.number, it.text]),
    );
    const ready: ReadyEntry[] = [];
    let characters = 0;
    let given = 0;
    for (const { line, sequenceNumber } of stored) {
      const text = texts.get(line);
      characters += text?.length ?? 0;
      if (ready.length > 0 && characters > maxCharacters) break;
      given += 1;
      // It no longer verifies, and lies aside.
      if (text === undefined) this.parts.losses.add("damaged", sequenceNumber);
      else ready.push({ sequenceNumber, text: entryTextOf(text) });
    }
    if (ready.length < given) this.#schedule();
    const known = new Set(ready.map(({ sequenceNumber }) => sequenceNumber));
    this.#stored.removeFirst(given, ({ sequenceNumber }) => known.has(sequenceNumber));
    this.#given = this.#stored.first(ready.length);
    return ready;
  }

  settle(entries: readonly ReadyEntry[]): void {
    const settled = new Set(entries.map(({ sequenceNumber }) => sequenceNumber));
    const isLeft = ({ sequenceNumber }: StoredEntry): boolean => !settled.has(sequenceNumber);
    const gone = this.#given.filter((it) => !isLeft(it));
    this.#stored.removeFirst(this.#given.length, isLeft);
    this.#given = this.#given.filter(isLeft);
    this.parts.spool.done(gone.map(({ line }) => line));
    // There may be room now.
    this.#pause.end();
  }

  /** The loss is on the disk before the entry is gone. */
  async setAside(entry: ReadyEntry, why: string): Promise<void> {
    await this.#saveLosses(false);
    const line = this.#given.find(({ sequenceNumber }) => sequenceNumber === entry.sequenceNumber)?.line;
    if (line !== undefined) await this.parts.spool.setAside(line, why).catch(this.parts.onTrouble);
    this.settle([entry]);
  }

  /** Losses have been told. */
  told(losses: readonly Loss[]): void {
    this.parts.spool.done(losses.flatMap(({ line }) => line ?? []));
  }

  /** Resolves once all that was taken is on the disk. */
  written(): Promise<void> {
    if (this.coming === 0 && this.parts.losses.isSaved) return Promise.resolve();
    this.#schedule();
    return new Promise((resolve) => this.#whenWritten.push(resolve));
  }

  /** Takes nothing more. */
  end(): void {
    this.#isEnded = true;
  }

  /**
   * Writes what isn't on the disk yet without giving anything else a turn, and takes nothing more.
   *
   * @param late losses that nothing else keeps
   * @throws what the system says
   */
  endNow(late: readonly Loss[]): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#isCutOff = true;
    // An earlier end has written more than there is room for: it doesn't grow by as much at each end.
    if (!this.parts.spool.hasRoom(0, 0)) this.#giveUp();
    const losses = [...this.parts.losses.save(), ...late].map(lossRecord);
    this.parts.spool.appendNow([...losses, ...this.#unwritten.first(this.coming).map(recordOf)]);
    this.#isCutOff = false;
  }

  abandon(): number {
    if (!this.#isCutOff) return 0;
    const left = this.#unwritten.first(this.coming);
    this.#unwritten.removeFirst(left.length);
    return left.filter(({ entry }) => entry !== null).length;
  }

  #giveUp(): void {
    const kept = new Set(this.#unwritten.first(this.#underWay));
    for (const record of this.#unwritten.first(this.coming)) {
      if (record.entry !== null && !kept.has(record)) this.parts.losses.add("overflow", record.sequenceNumber);
    }
    this.#unwritten.removeFirst(this.coming, (record) => kept.has(record));
  }

  #schedule(): void {
    if (this.#isWriting || this.#isEnded) return;
    this.#isWriting = true;
    setImmediate(() => void this.#write());
  }

  async #write(): Promise<void> {
    const { onReady, onTrouble } = this.parts;
    for (let isTold = false; !this.#isWritten() && !this.#isEnded;) {
      try {
        await this.#writeSomeWithRoom();
        onReady();
        // Behind that: what has waited for room waits no longer.
        this.isFull = false;
      } catch (error) {
        this.isFull = true;
        onReady();
        // Once, though of what waits some may find room now and then.
        if (!isTold) onTrouble(error);
        isTold = true;
        await this.#pause.wait(RETRY_WAIT * (0.5 + Math.random()), false);
      }
    }
    this.#isWriting = false;
    for (const resolve of this.#whenWritten.splice(0)) resolve();
  }

  #isWritten(): boolean {
    return this.coming === 0 && !this.parts.losses.hasUnsaved;
  }

  async #writeSomeWithRoom(): Promise<void> {
    try {
      await this.#writeSome();
    } catch (error) {
      if (!(error instanceof LineSpoolFullError) || !(await this.#moveOpen())) throw error;
    }
  }

  async #writeSome(): Promise<void> {
    // In this order: whoever is lost below the batch's highest number is so by now.
    const next = this.#unwritten.first(RECORDS_AT_ONCE);
    await this.#saveLosses(this.#isSending);
    const { spool, losses, numbers } = this.parts;
    const texts = this.#fitting(next);
    if (texts.length === 0 && next.length > 0) throw new LineSpoolFullError("The spool is full.");
    const batch = next.slice(0, texts.length);
    this.#underWay = batch.length;
    let lines: readonly number[];
    try {
      lines = await spool.append(texts, false);
    } finally {
      this.#underWay = 0;
    }
    this.#unwritten.removeFirst(batch.length);
    batch.forEach(({ place, sequenceNumber, entry }, at) => {
      const line = lines[at];
      if (line === undefined) return;
      if (entry === null) this.#keepOpen(sequenceNumber, line);
      else {
        this.#characters -= entry.size;
        this.#stored.push({ place, line, sequenceNumber });
        this.#forgetOpen(sequenceNumber);
      }
    });
    const highest = batch.reduce((most, { sequenceNumber }) => (sequenceNumber > most ? sequenceNumber : most), -1n);
    numbers.wrote(this.coming === 0 && losses.isSaved ? numbers.taken : highest + 1n);
  }

  /** Whether something on the disk is to be sent, which will make room: where nothing is, waiting for it comes to no end. */
  get #isSending(): boolean {
    return this.#stored.length > 0;
  }

  /** As lines, as many of the first as there is room for; one at least where room won't come. */
  #fitting(records: readonly Unwritten[]): string[] {
    const texts: string[] = [];
    let bytes = KEPT_FREE_BYTES;
    for (const record of records) {
      const text = recordOf(record);
      bytes += Buffer.byteLength(text);
      const isNeeded = texts.length === 0 && !this.#isSending;
      if (!isNeeded && !this.parts.spool.hasRoom(bytes, texts.length + 1)) break;
      texts.push(text);
    }
    return texts;
  }

  /** @param isBounded false where room comes by it, or by nothing else */
  async #saveLosses(isBounded: boolean): Promise<void> {
    const { losses, spool, numbers } = this.parts;
    // Nothing is told of a number that could be taken again.
    await numbers.secure();
    const abandoned = this.#abandoned.splice(0);
    const saving = losses.save();
    let lines: readonly number[] = [];
    try {
      if (saving.length > 0) lines = await spool.append(saving.map(lossRecord), isBounded);
    } catch (error) {
      this.#abandoned = [...abandoned, ...this.#abandoned];
      throw error;
    } finally {
      losses.saved(saving, lines);
    }
    for (const sequenceNumber of abandoned) this.#forgetOpen(sequenceNumber);
  }

  /**
   * Writes lines of open numbers again that keep the room of others, which are done: their entries may never come. After a
   * crash in between one stands there twice.
   *
   * @returns false where there are none
   */
  async #moveOpen(): Promise<boolean> {
    const { spool } = this.parts;
    const numberOf = new Map<number, bigint>();
    for (const [sequenceNumber, line] of this.#openLines) if (line !== null) numberOf.set(line, sequenceNumber);
    const moved = spool.keeping(numberOf.keys()).slice(0, RECORDS_AT_ONCE);
    const numbers = moved.flatMap((line) => numberOf.get(line) ?? []);
    // The room that they take beyond the bound is less than what they free.
    const lines = await spool.append(numbers.map(openRecord), false);
    for (const [at, line] of lines.entries()) {
      const sequenceNumber = numbers[at];
      if (sequenceNumber !== undefined) this.#keepOpen(sequenceNumber, line);
    }
    spool.done(moved);
    await spool.freed();
    return moved.length > 0;
  }

  /** Unless it was abandoned while the line was on its way. */
  #keepOpen(sequenceNumber: bigint, line: number): void {
    if (this.#openLines.has(sequenceNumber)) this.#openLines.set(sequenceNumber, line);
    else this.parts.spool.done([line]);
  }

  #forgetOpen(sequenceNumber: bigint): void {
    const line = this.#openLines.get(sequenceNumber) ?? null;
    this.#openLines.delete(sequenceNumber);
    if (line !== null) this.parts.spool.done([line]);
  }
}

const recordOf = ({ sequenceNumber, entry }: Unwritten): string =>
  entry === null ? openRecord(sequenceNumber) : entryRecord(entryToText(sequenceNumber, entry));
