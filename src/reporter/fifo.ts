const COMPACTION = 1_024;

/** A queue whose ends cost the same however long it is. */
export class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** The first so many, which stay. */
  first(count: number): Item[] {
    return this.#items.slice(this.#head, this.#head + count);
  }

  /** Takes out the first so many but those to be kept, which stay in their places. */
  removeFirst(count: number, isKept: (item: Item) => boolean = () => false): void {
    const kept = this.first(count).filter(isKept);
    this.#head += Math.min(count, this.length) - kept.length;
    for (const [at, item] of kept.entries()) this.#items[this.#head + at] = item;
    if (this.length === 0 || (this.#head > COMPACTION && this.#head * 2 > this.#items.length)) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}
