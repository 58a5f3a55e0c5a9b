/** So many may be at work at a time; who waits for a slot gets it in the order of asking. */
export class Slots {
  readonly #waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Resolves once there is a slot: it has to be given back. */
  take(): Promise<void> {
    if (this.free === 0) return new Promise((resolve) => this.#waiting.push(resolve));
    this.free -= 1;
    return Promise.resolve();
  }

  giveBack(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.free += 1;
  }

  /** Lends the slot that one holds to others until the work has ended. */
  async without(work: () => Promise<void>): Promise<void> {
    this.giveBack();
    try {
      await work();
    } finally {
      await this.take();
    }
  }
}
