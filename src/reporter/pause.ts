/** A wait that can be ended early, and that holds up the process's end only where it is asked to. */
export class Pause {
  #end: () => void = () => undefined;

  /** @param isHolding whether the process lives on for it */
  async wait(milliseconds: number, isHolding: boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      if (!isHolding) timer.unref();
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the wait that is under way, if there is one. */
  end(): void {
    this.#end();
  }
}
