import type { LinePlace, Segment } from "./segment.js";

/** A line's place, and the file that it is in. */
export interface SpooledPlace extends LinePlace {
  readonly segment: Segment;
}

/** Lines that lie behind one another in one file, so that one read gives them all. */
export interface LineRun {
  readonly segment: Segment;
  readonly places: readonly SpooledPlace[];
  /** Where the first begins. */
  readonly offset: number;
  /** To the end of the last, without its line break. */
  readonly length: number;
}

const MAX_RUN_BYTES = 1024 * 1024;

/** Puts places together that follow each other; a run is no longer than a read may be, but where it is a single line. */
export function runsOf(places: readonly SpooledPlace[]): LineRun[] {
  const runs: SpooledPlace[][] = [];
  for (const place of places) {
    const run = runs.at(-1);
    if (run && follows(place, run)) run.push(place);
    else runs.push([place]);
  }
  return runs.flatMap((run) => {
    const [first] = run;
    return first
      ? [{ segment: first.segment, places: run, offset: first.offset, length: endOf(run) - first.offset }]
      : [];
  });
}

function follows(place: SpooledPlace, run: readonly SpooledPlace[]): boolean {
  const [first] = run;
  return (
    first?.segment === place.segment &&
    endOf(run) + 1 === place.offset &&
    place.offset + place.length - first.offset <= MAX_RUN_BYTES
  );
}

function endOf(run: readonly SpooledPlace[]): number {
  const last = run.at(-1);
  return last ? last.offset + last.length : 0;
}
