/** One call's lines, which stand or fall together. */
export interface QueuedAppend {
  readonly texts: readonly string[];
  /** How many octets they take. */
  readonly bytes: number;
}

/** Puts a batch on the disk, and gives the numbers of each call's lines. */
export type WriteBatch = (batch: readonly QueuedAppend[], bytes: number) => Promise<readonly (readonly number[])[]>;

interface Waiting extends QueuedAppend {
  readonly resolve: (numbers: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** Appends that wait for the disk, in the order of the calls; those that wait together are written together. */
export class AppendQueue {
  #waiting: Waiting[] = [];
  #underWay: readonly Waiting[] = [];
  #bytes = 0;

  /** How many octets wait or are being written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing waits, though something may be being written. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** What isn't known to be on the disk, in its order. */
  get texts(): readonly string[] {
    return [...this.#underWay, ...this.#waiting].flatMap(({ texts }) => texts);
  }

  /** Resolves once they are written. @throws why they aren't */
  add(texts: readonly string[], bytes: number): Promise<readonly number[]> {
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ texts, bytes, resolve, reject });
    });
  }

  /** Has written batch after batch until nothing waits, one at a time. */
  async writeAll(write: WriteBatch): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = (this.#underWay = this.#takeBatch());
      const bytes = batch.reduce((sum, it) => sum + it.bytes, 0);
      try {
        const numbers = await write(batch, bytes);
        batch.forEach(({ resolve }, at) => resolve(numbers[at] ?? []));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      } finally {
        this.#bytes -= bytes;
        this.#underWay = [];
      }
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    const count = this.#waiting.findIndex((it) => (bytes += it.bytes) > MAX_BATCH_BYTES);
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : Math.max(1, count));
  }
}
