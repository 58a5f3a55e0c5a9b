/** One thing that keeps the database from being served. */
export interface ProvisionProblem {
  /** What is wrong, as a sentence, with nothing of a password. */
  readonly problem: string;
  /** What to do, as a sentence; the statements follow it. */
  readonly remedy: string;
  /** What an administrator of the server has to run, as it is. */
  readonly sql: readonly string[];
}

/** The database can't be served as it is: `problems` has all that is wrong, and the message what to run or to set. */
export class ProvisionError extends Error {
  override readonly name = "ProvisionError";

  /** @param exitCode what the process ends with: EX_CONFIG, or EX_UNAVAILABLE where it may be different in a moment. */
  constructor(
    readonly problems: readonly ProvisionProblem[],
    readonly exitCode: 78 | 69 = 78,
    options?: ErrorOptions,
  ) {
    const lines = problems.flatMap(({ problem, remedy, sql }) => [
      `  ${problem} ${remedy}`,
      ...sql.map((statement) => `    ${statement}`),
    ]);
    super(["The database can't be served as it is:", ...lines].join("\n"), options);
  }
}

/** One problem as an error. */
export function provisionError(problem: ProvisionProblem, cause?: unknown): ProvisionError {
  return new ProvisionError([problem], 78, { cause });
}

/** Does all the work, whatever becomes of each, and tells of everything that is wrong at once. */
export async function allOrProblems<First, Second>(
  first: () => Promise<First>,
  second: () => Promise<Second>,
): Promise<[First, Second]> {
  // One after the other: both may make a login, on the same connection.
  const [one] = await Promise.allSettled([first()]);
  const [two] = await Promise.allSettled([second()]);
  if (one.status === "fulfilled" && two.status === "fulfilled") return [one.value, two.value];
  const reasons = [one, two].flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  const errors = reasons.filter((reason) => reason instanceof ProvisionError);
  if (errors.length < reasons.length) throw reasons.find((reason) => !(reason instanceof ProvisionError));
  const exitCode = errors.every((error) => error.exitCode === 69) ? 69 : 78;
  throw new ProvisionError(
    errors.flatMap((error) => error.problems),
    exitCode,
    { cause: errors[0] },
  );
}
