/** Something promised, with its figure, and whether it holds. */
export interface Verdict {
  readonly text: string;
  readonly holds: boolean;
}
