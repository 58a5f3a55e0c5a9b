import { earlierOf, everything, laterOf, predecessor } from "./entry-ids.js";
import type { CheckedFilter } from "./filter.js";
import type { RunStatement } from "../reading.js";
import type { IdRange } from "./statements.js";

/** No entry is older; and where a date is, `audit.id_floor` has no id for it. */
const EARLIEST = "1970-01-01T00:00:00.000000Z";

/** The ids of a filter's range of time. An id holds its entry's time, so this is that range to the microsecond. */
export async function idRange(run: RunStatement, { from, to }: CheckedFilter): Promise<IdRange> {
  if (from === null && to === null) return everything;
  const [row] = await run<{ first: string | null; next: string | null }>({
    name: "audit-read-range",
    text: "select audit.id_floor($1::timestamptz) as first, audit.id_floor($2::timestamptz) as next",
    values: [from === null ? null : laterOf(from, EARLIEST), to === null ? null : laterOf(to, EARLIEST)],
  });
  // The first id of an instant may be an entry's, and both bounds of a range are outside of it.
  return {
    above: row?.first ? predecessor(row.first) : everything.above,
    below: row?.next ?? everything.below,
  };
}

/** The part of a range beyond `above`, or before `below`, where they are given. */
export function narrowed(range: IdRange, { above, below }: { above: string | null; below: string | null }): IdRange {
  return {
    above: above === null ? range.above : laterOf(above, range.above),
    below: below === null ? range.below : earlierOf(below, range.below),
  };
}
