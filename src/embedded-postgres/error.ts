/**
 * Says why the embedded PostgreSQL can't serve, and what to do about it.
 *
 * `unavailable`: this machine or account can't run it; `in-use`: the folder belongs to another process; `damaged`: what
 * lies in the folder isn't what was left there; `start` and `stop`: the server didn't do so in time.
 */
export class EmbeddedPostgresError extends Error {
  override readonly name = "EmbeddedPostgresError";

  constructor(
    readonly reason: "unavailable" | "in-use" | "damaged" | "start" | "stop",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The system's code of an error (`ENOENT`) or PostgreSQL's (`28P01`); undefined where it has none. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
