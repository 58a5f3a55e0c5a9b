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
