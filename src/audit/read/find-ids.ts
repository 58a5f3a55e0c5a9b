import { chooseWay } from "./choose-way.js";
import { earlierOf, idBelow, laterOf, millisecondOf } from "./entry-ids.js";
import { isIndexed, type Condition } from "./filter-columns.js";
import type { LogTenants } from "./log-tenants.js";
import type { RunStatement } from "../reading.js";
import {
  selectIds,
  selectWindow,
  type Direction,
  type EntryKey,
  type IdRange,
  type Way,
  type WindowRow,
} from "./statements.js";

/** What is looked for. */
export interface Search {
  /** Null for the entries of all tenants. */
  readonly tenants: readonly string[] | null;
  readonly conditions: readonly Condition[];
  readonly range: IdRange;
}

/** How many entries are looked through before every tenant is asked. */
const WINDOW = 1_000;

/**
 * The keys of the first `limit` entries of a search, in order.
 *
 * Within a tenant an index leads to every condition. Across tenants none does, and asking all of them costs a step for
 * each: so the nearest entries are looked through first, which finds what is common; then every tenant is asked, for
 * the stretch of time that should hold what is missing, judged by how often it was met, and at last for the rest.
 */
export async function findIds(
  run: RunStatement,
  logTenants: LogTenants,
  { tenants, conditions, range }: Search,
  direction: Direction,
  limit: number,
): Promise<EntryKey[]> {
  if (tenants !== null) {
    const way = await chooseWay(run, tenants, conditions, range);
    return run<EntryKey>(selectIds(way, range, direction, limit));
  }
  if (!conditions.some(isIndexed)) {
    return run<EntryKey>(selectIds({ tenants, lead: null, rest: conditions }, range, direction, limit));
  }
  const window = await lookThrough(run, conditions, range, direction, limit);
  if (window.end === null) return window.found;
  const beyond = cut(range, window.end, direction).far;
  const way = await chooseWay(run, await logTenants.list(run), conditions, beyond);
  const missing = limit - window.found.length;
  return [...window.found, ...(await inStretches(run, way, beyond, direction, missing, window.pace))];
}

interface Window {
  readonly found: EntryKey[];
  /** The last entry that was looked through; null where nothing more need be. */
  readonly end: string | null;
  /** In how many milliseconds of the log one entry was met. */
  readonly pace: number;
}

async function lookThrough(
  run: RunStatement,
  conditions: readonly Condition[],
  range: IdRange,
  direction: Direction,
  limit: number,
): Promise<Window> {
  const rows = await run<WindowRow>(selectWindow(conditions, range, direction, limit, WINDOW));
  const found = rows.filter((row) => row.hit).slice(0, limit);
  const first = rows[0];
  const last = rows.find((row) => row.place === WINDOW);
  if (found.length === limit || !first || !last) return { found, end: null, pace: 0 };
  const span = Math.abs(millisecondOf(first.id) - millisecondOf(last.id)) + 1;
  return { found, end: last.id, pace: span / found.length };
}

async function inStretches(
  run: RunStatement,
  way: Way,
  range: IdRange,
  direction: Direction,
  limit: number,
  pace: number,
): Promise<EntryKey[]> {
  // Twice what is needed on average, so that the stretch seldom falls short.
  const stretch = 2 * limit * pace;
  const border = borderAfter(range, stretch, direction);
  if (border === null) return run<EntryKey>(selectIds(way, range, direction, limit));
  const { near, far } = cut(range, border, direction);
  const found = await run<EntryKey>(selectIds(way, near, direction, limit));
  if (found.length === limit) return found;
  return [...found, ...(await run<EntryKey>(selectIds(way, far, direction, limit - found.length)))];
}

/** An id that no entry has, `stretch` milliseconds into the range; null where that is all of it. */
function borderAfter({ above, below }: IdRange, stretch: number, direction: Direction): string | null {
  if (!Number.isFinite(stretch)) return null;
  const from = millisecondOf(direction === "desc" ? below : above);
  const border = idBelow(direction === "desc" ? from - stretch : from + stretch);
  return border > above && border < below ? border : null;
}

/** The range in two at an id that is in neither. */
function cut({ above, below }: IdRange, border: string, direction: Direction): { near: IdRange; far: IdRange } {
  const older = { above, below: earlierOf(border, below) };
  const newer = { above: laterOf(border, above), below };
  return direction === "desc" ? { near: newer, far: older } : { near: older, far: newer };
}
