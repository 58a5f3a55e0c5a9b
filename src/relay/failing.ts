/** That calls to the API come to nothing. */
export interface Failing {
  /** In milliseconds since 1970. */
  readonly since: number;
  /** Of the last one: a code, such as ECONNREFUSED. */
  readonly reason: string;
}

/** One more call has come to nothing. @param before null where it is the first */
export const failingStill = (before: Failing | null, reason: string): Failing => ({
  since: before?.since ?? Date.now(),
  reason,
});
