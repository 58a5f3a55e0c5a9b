import type { Logger } from "./log.js";

/** What has been started, to be stopped in the opposite order, whatever becomes of each. */
export class Shutdown {
  readonly #steps: (readonly [what: string, stop: (reason: string) => unknown])[] = [];
  #done: Promise<void> | undefined;

  constructor(private readonly log: Logger) {}

  add(what: string, stop: (reason: string) => unknown): void {
    this.#steps.push([what, stop]);
  }

  /**
   * Asked again, it answers the same.
   *
   * @param reason why all stops, such as the signal
   */
  run(reason: string): Promise<void> {
    return (this.#done ??= this.#run(reason));
  }

  async #run(reason: string): Promise<void> {
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      const [what, stop] = step;
      try {
        await stop(reason);
        this.log.debug({ what }, "stopped");
      } catch (error) {
        this.log.error({ what, error }, "could not be stopped");
      }
    }
  }
}
