/** What has to be undone, whether a drill ends by itself, fails, or is interrupted: the last begun first. */
export class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** Does it once, every step whatever became of the others. */
  run(): Promise<void> {
    return (this.#running ??= this.#runAll());
  }

  async #runAll(): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop())
      try {
        await step();
      } catch (error) {
        process.stderr.write(`drill: ${error instanceof Error ? error.message : String(error)}\n`);
      }
  }
}
