import type { Logger } from "./log.js";

/**
 * @param reason why all stops, such as the signal
 * @param since when the stop began, as `performance.now()` has it
 */
type Stop = (reason: string, since: number) => unknown;

/** What has been started, to be stopped in the opposite order, whatever becomes of each. */
export class Shutdown {
  readonly #steps: (readonly [what: string, stop: Stop])[] = [];
  #done: Promise<void> | undefined;

  constructor(private readonly log: Logger) {}

  add(what: string, stop: Stop): void {
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
    const since = performance.now();
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      const [what, stop] = step;
      try {
        await stop(reason, since);
        this.log.debug({ what }, "stopped");
      } catch (error) {
        this.log.error({ what, error }, "could not be stopped");
      }
    }
  }
}
