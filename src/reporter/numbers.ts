import type { SessionFile, SessionState } from "./session-file.js";

/** Gives a session its numbers, each once. */
export interface Numbers {
  /** How many have been taken. */
  readonly taken: bigint;
  next(): bigint;
}

/** Numbers from 0, of a session that ends with the process. */
export class MemoryNumbers implements Numbers {
  #next = 0n;

  get taken(): bigint {
    return this.#next;
  }

  next(): bigint {
    return this.#next++;
  }
}

/** Written at so many numbers a time: what a killed process had left of them is never taken. */
const STEP = 16n;
const AHEAD = 4_096n;

/** How far ahead numbers are kept free on the disk. */
export const reservedBehind = (taken: bigint): bigint => taken + AHEAD;

/**
 * Numbers that no later run takes again, whatever this one's end: the file says what may be taken before it is. What a
 * killed process hadn't taken of the last sixteen is passed over; after a power cut, of up to some thousands.
 */
export class StoredNumbers implements Numbers {
  #next: bigint;
  #state: SessionState;
  /** No number from here on may be told to anyone: after a power cut, it may be taken again. */
  #durable: bigint;
  #syncing: Promise<void> | null = null;
  #isEnded = false;
  /** What has failed last, and is told of; null where it has succeeded since. */
  #trouble: "write" | "sync" | null = null;

  /**
   * @param state which the disk has
   * @param first the first number that no earlier run can have taken
   */
  constructor(
    private readonly file: SessionFile,
    state: SessionState,
    first: bigint,
    private readonly onTrouble: (error: unknown) => void,
  ) {
    this.#next = first;
    this.#state = state;
    this.#durable = state.reserved;
  }

  get taken(): bigint {
    return this.#next;
  }

  next(): bigint {
    if (this.#next >= this.#state.taken) this.#reserve();
    return this.#next++;
  }

  /** Of every number below, a line has been written. */
  wrote(written: bigint): void {
    if (written > this.#state.written) this.#write({ ...this.#state, written });
  }

  /** Resolves once no number that has been taken can be so again, also after a power cut. @throws what the system says */
  async secure(): Promise<void> {
    const taken = this.#next;
    while (taken > this.#durable && !this.#isEnded) await this.#sync();
  }

  /** Says exactly which have been taken, of each of which a line tells; numbers that are taken later are nobody's. */
  end(): void {
    const taken = this.#next;
    this.#write({ ...this.#state, taken, written: taken });
    this.#isEnded = true;
  }

  #reserve(): void {
    const taken = this.#next + STEP;
    const isShort = taken + AHEAD / 2n > this.#state.reserved;
    this.#write({ ...this.#state, taken, ...(isShort && { reserved: reservedBehind(taken) }) });
    if (taken + AHEAD / 2n <= this.#durable || this.#syncing) return;
    this.#sync().catch((error: unknown) => {
      if (!this.#isEnded) this.#tell("sync", error);
    });
  }

  #write(state: SessionState): void {
    if (this.#isEnded) return;
    this.#state = state;
    try {
      this.file.write(state);
      if (this.#trouble === "write") this.#trouble = null;
    } catch (error) {
      this.#tell("write", error);
    }
  }

  /** Once, and not while somebody waits for a number. */
  #tell(trouble: "write" | "sync", error: unknown): void {
    if (this.#trouble !== null) return;
    this.#trouble = trouble;
    queueMicrotask(() => this.onTrouble(error));
  }

  /** Again where the state has changed meanwhile: what was under way may have missed it. */
  #sync(): Promise<void> {
    return (this.#syncing ??= this.#syncAll().finally(() => (this.#syncing = null)));
  }

  async #syncAll(): Promise<void> {
    while (this.#durable < this.#state.reserved && !this.#isEnded) {
      const { reserved } = this.#state;
      // It may have failed before.
      this.file.write(this.#state);
      await this.file.sync();
      this.#trouble = null;
      this.#durable = reserved;
    }
  }
}
