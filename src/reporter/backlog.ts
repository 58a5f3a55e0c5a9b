import { Fifo } from "./fifo.js";
import { entryToText, type CopiedEntry } from "./report-entry.js";

/** An entry that is ready to be sent. */
export interface ReadyEntry {
  readonly sequenceNumber: bigint;
  /** As JSON. */
  readonly text: string;
}

/** Where entries wait, in the order of their reports. */
export interface Backlog {
  /** How many can be sent now. */
  readonly ready: number;
  /** How many will be ready by themselves. */
  readonly coming: number;
  /** Whether something found no room: what is sent makes it. */
  readonly isFull: boolean;
  /** How many have come to wait so far: the place of the next one. */
  readonly next: number;
  /** The place of the first that waits; `next` where none does. */
  readonly oldest: number;
  /** False where there is no room. */
  push(sequenceNumber: bigint, entry: CopiedEntry): boolean;
  /** Takes note of a number whose entry comes later. False where there is no room. */
  open(sequenceNumber: bigint): boolean;
  /** Takes note that a number is lost, which may be an open one. */
  lost(sequenceNumber: bigint): void;
  /** The first ones, at least one where any is ready; they stay. */
  first(limit: number, maxCharacters: number): Promise<readonly ReadyEntry[]>;
  /** Forgets entries that `first` gave last. */
  settle(entries: readonly ReadyEntry[]): void;
  /** Keeps an entry, that `first` gave last, for people to look at, where it can; and forgets it. */
  setAside(entry: ReadyEntry, why: string): Promise<void>;
  /** Forgets, at the end of the run, what no later one will find; how many entries those were. */
  abandon(): number;
}

interface Waiting {
  readonly sequenceNumber: bigint;
  readonly entry: CopiedEntry;
  readonly place: number;
  text: string | null;
}

/** Entries that wait in memory, and are gone with the process. */
export class MemoryBacklog implements Backlog {
  readonly coming = 0;
  isFull = false;
  next = 0;
  readonly #waiting = new Fifo<Waiting>();
  #characters = 0;
  #given = 0;

  constructor(
    private readonly maxQueued: number,
    private readonly maxCharacters: number,
  ) {}

  get ready(): number {
    return this.#waiting.length;
  }

  get oldest(): number {
    return this.#waiting.first(1)[0]?.place ?? this.next;
  }

  push(sequenceNumber: bigint, entry: CopiedEntry): boolean {
    this.isFull = this.#waiting.length >= this.maxQueued || this.#characters + entry.size > this.maxCharacters;
    if (this.isFull) return false;
    this.#waiting.push({ sequenceNumber, entry, place: this.next++, text: null });
    this.#characters += entry.size;
    return true;
  }

  open(): boolean {
    // A killed process leaves its numbers as a gap.
    return true;
  }

  lost(): void {
    // They wait in memory alone.
  }

  first(limit: number, maxCharacters: number): Promise<readonly ReadyEntry[]> {
    const entries: ReadyEntry[] = [];
    let characters = 0;
    for (const waiting of this.#waiting.first(limit)) {
      const text = (waiting.text ??= entryToText(waiting.sequenceNumber, waiting.entry));
      characters += text.length;
      if (entries.length > 0 && characters > maxCharacters) break;
      entries.push({ sequenceNumber: waiting.sequenceNumber, text });
    }
    this.#given = entries.length;
    return Promise.resolve(entries);
  }

  settle(entries: readonly ReadyEntry[]): void {
    const settled = new Set(entries.map(({ sequenceNumber }) => sequenceNumber));
    for (const { sequenceNumber, entry } of this.#waiting.first(this.#given)) {
      if (settled.has(sequenceNumber)) this.#characters -= entry.size;
    }
    this.#waiting.removeFirst(this.#given, ({ sequenceNumber }) => !settled.has(sequenceNumber));
    this.#given -= settled.size;
    if (settled.size > 0) this.isFull = false;
  }

  setAside(entry: ReadyEntry): Promise<void> {
    this.settle([entry]);
    return Promise.resolve();
  }

  abandon(): number {
    const left = this.#waiting.length;
    this.#waiting.removeFirst(left);
    [this.#characters, this.#given] = [0, 0];
    return left;
  }
}
