import { earlierOf, idBelow, laterOf, millisecondOf } from "./entry-ids.js";
import type { Condition } from "./filter-columns.js";
import type { LogTenants } from "./log-tenants.js";
import type { RunStatement } from "./reading.js";
import { selectIds, selectWindow, type Direction, type IdRange, type Way } from "./statements.js";
import { chooseWay } from "./choose-way.js";

/** An entry's primary key. */
export interface EntryKey {
  readonly tenant_id: string;
  readonly id: string;
}

/** What is looked for. */
export interface Search {
  /** Null for those of all tenants. */
  readonly tenants: readonly string[] | null;
  readonly conditions: readonly Condition[];
  readonly range: IdRange;
}

/** How many entries are looked through before tenant by tenant is asked: 1 ms. */
const WINDOW = 1_000;

/**
 * The keys of the first `limit` entries of a search, in order.
 *
 * Within a tenant, an index leads to every condition. Across all tenants none does, and asking each tenant's takes time
 * for each: so the nearest entries are looked through first, where common values are found; then each tenant is asked,
 * for a stretch of time that should hold the rest, as often as they were met so far; then for all time.
 */
export async function findIds(
  run: RunStatement,
  logTenants: LogTenants,
  search: Search,
  direction: Direction,
  limit: number,
): Promise<EntryKey[]> {
  const { tenants, conditions, range } = search;
  if (tenants !== null || conditions.length === 0) {
    const way = await chooseWay(run, { tenants, conditions }, range);
    return run<EntryKey>(selectIds(way, range, direction, limit));
  }
  const window = await lookThrough(run, conditions, range, direction, limit);
  if (window.end === null) return window.found;
  const beyond = cut(range, window.end, direction);
  const way = await chooseWay(run, { tenants: await logTenants.list(run), conditions }, beyond);
  return [...window.found, ...(await inStretches(run, way, beyond, direction, limit - window.found.length, window))];
}

interface Window {
  readonly found: EntryKey[];
  /** The last entry that was looked through; null where no more need be. */
  readonly end: string | null;
  /** Milliseconds in which one entry is met, by what was seen; infinite where none was. */
  readonly rate: number;
}

async function lookThrough(
  run: RunStatement,
  conditions: readonly Condition[],
  range: IdRange,
  direction: Direction,
  limit: number,
): Promise<Window> {
  const rows = await run<EntryKey & { hit: boolean }>(selectWindow(conditions, range, direction, limit + 1, WINDOW));
  const hits = rows.filter((row) => row.hit);
  const end = rows.at(-1);
  const found = hits.slice(0, limit);
  // The last row is no hit, or one more than asked for, only where the window is full.
  ...
}
