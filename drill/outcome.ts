/** What came of an attempt to do something past the log, or to the log. Anything else is a loss. */
export const outcomes = ["refused", "recorded", "detectable by comparison", "LOST"] as const;
export type Outcome = (typeof outcomes)[number];

export interface Judgement {
  readonly outcome: Outcome;
  /** How it was seen: PostgreSQL's code, the entry that tells of it, or what is other than it was. */
  readonly how: string;
}
