/** Nothing can be served. The message says why and what to do; all of it may be shown. */
export class StartError extends Error {
  override readonly name: string = "StartError";

  /** @param exitCode what the process ends with: 78 (EX_CONFIG) where trying again is of no use */
  constructor(
    message: string,
    readonly exitCode: 1 | 78,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Throws everything that is wrong as one error, if anything is. */
export function refuseToServe(what: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const lines = problems.map((problem) => `  - ${problem.replaceAll("\n", "\n    ")}`);
  throw new StartError([`${what}:`, ...lines].join("\n"), 78);
}
