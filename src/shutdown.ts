import type { Logger } from "./log.js";

/** What has been started, to be stopped in the opposite order, whatever becomes of each. */
export class Shutdown {
  readonly #steps: (readonly [what: string, stop: () => unknown])[] = [];
  #done: Promise<void> | undefined;

  constructor(private readonly log: Logger) {}

  add(what: string, stop: () => unknown): void {
    this.#steps.push([what, stop]);
  }

  /** Asked again, it answers the same. */
  run(): Promise<void> {
    return (this.#done ??= this.#run());
  }

  async #run(): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      const [what, stop] = step;
      try {
        await stop();
        this.log.debug({ what }, "stopped");
      } catch (error) {
        this.log.error({ what, error }, "could not be stopped");
      }
    }
  }
}
