/** Work that mustn't overlap, such as on one file: each begins once all before it has ended, however that ended. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const run = this.#last.then(work);
    // Who asked for it is told; what comes behind it only waits for its end.
    this.#last = run.catch(() => undefined);
    return run;
  }
}
