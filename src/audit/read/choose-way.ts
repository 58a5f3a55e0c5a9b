import { isIndexed, type Condition } from "./filter-columns.js";
import type { RunStatement } from "../reading.js";
import { countEntries, type IdRange, type Way } from "./statements.js";

/** So many entries of each condition are counted, in the index alone, to tell which has the fewest. */
const ENOUGH = 2_000;

/**
 * The way to the entries that fulfil all conditions: by the index of the one with the fewest entries in the range, each
 * asked for the rest. It is counted, not estimated: statistics know how common a value is, not how common with one
 * tenant, and following a common value to look for a rare one reads the tenant's whole log.
 */
export async function chooseWay(
  run: RunStatement,
  tenants: readonly string[],
  conditions: readonly Condition[],
  range: IdRange,
): Promise<Way> {
  const lead = await fewest(run, tenants, conditions.filter(isIndexed), range);
  return { tenants, lead, rest: conditions.filter((condition) => condition !== lead) };
}

async function fewest(
  run: RunStatement,
  tenants: readonly string[],
  candidates: readonly Condition[],
  range: IdRange,
): Promise<Condition | null> {
  if (candidates.length <= 1) return candidates[0] ?? null;
  let best: Condition | null = null;
  let least = Infinity;
  for (const lead of candidates) {
    const [row] = await run<{ count: number }>(countEntries({ tenants, lead, rest: [] }, range, ENOUGH));
    const count = row?.count ?? 0;
    if (count < least) [best, least] = [lead, count];
    if (least === 0) break;
  }
  return best;
}
