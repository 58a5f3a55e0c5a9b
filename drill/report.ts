import { table } from "../scratch/table.js";
import type { Reconciliation } from "./reconcile.js";

const MOST_SHOWN = 20;

/** What must be none, with how many there are. */
export type Promises = readonly (readonly [what: string, losses: readonly string[]])[];

/** What a reconciliation has to show. */
export const reconciled = (found: Reconciliation): Promises => [
  ["changes without a true entry", found.changesWithoutEntry],
  ["entries without their change", found.entriesWithoutChange],
  ["answers that the log contradicts", found.contradictedAnswers],
  ["missing numbers that nobody can have had", found.unexplainedNumbers],
];

/** A table of what was done, and one of what must be none; then the losses, the first of each kind. */
export function reportOf(
  done: readonly (readonly [what: string, count: number | string])[],
  promises: Promises,
): { text: string; losses: string[] } {
  const figures = table(
    ["what was done", ""],
    done.map(([what, count]) => [what, String(count)]),
  );
  const verdicts = table(
    ["what must be none", "", ""],
    promises.map(([what, { length }]) => [what, String(length), length === 0 ? "holds" : "LOST"]),
  );
  const losses = promises.flatMap(([what, found]) => found.map((loss) => `${what}: ${loss}`));
  return { text: [figures, verdicts, ...lossText(promises)].join("\n\n"), losses };
}

function lossText(promises: Promises): string[] {
  return promises.flatMap(([what, found]) => {
    if (found.length === 0) return [];
    const more = found.length > MOST_SHOWN ? [`… and ${String(found.length - MOST_SHOWN)} more`] : [];
    return [[`${what}:`, ...found.slice(0, MOST_SHOWN), ...more].join("\n  ")];
  });
}
