/** PostgreSQL's code of an error, or of what caused it; null where the error isn't the database's. */
export const sqlState = (error: unknown): string | null => serverError(error)?.code ?? null;

/** What the server said of an error, or of what caused it; null where the error isn't the database's. */
export function serverError(error: unknown): { readonly code: string; readonly severity: string | null } | null {
  if (!(error instanceof Error)) return null;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (typeof code === "string" && SQLSTATE.test(code))
    return { code, severity: typeof severity === "string" ? severity : null };
  return serverError(error.cause ?? driverError(error));
}

/** Whether the database broke the operation up for the sake of another, so that it may simply be run again. */
export function isSerializationFailure(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40001" || state === "40P01";
}

/** Each has a digit, which tells it from the system's codes, such as EPIPE. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/** What an ORM's error was made of. */
export const driverError = (error: Error): unknown => (error as { driverError?: unknown }).driverError;
