import type { IdRange } from "./statements.js";

/** Below and above every id that the database makes. */
export const LEAST_ID = "00000000-0000-0000-0000-000000000000";
const GREATEST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";
/** The range of every entry. */
export const everything: IdRange = { above: LEAST_ID, below: GREATEST_ID };

const LAST_MILLISECOND = 2 ** 48 - 1;

/** The millisecond since 1970 in which an id was made: the first 48 bits of a UUIDv7. */
export function millisecondOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Less than every id made in this millisecond or later. */
export function idBelow(millisecond: number): string {
  const hex = Math.min(Math.max(Math.trunc(millisecond), 0), LAST_MILLISECOND)
    .toString(16)
    .padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The greatest UUID below this one, so that a bound that isn't to be passed can stand for one that may be reached. */
export function predecessor(id: string): string {
  const hex = (BigInt(`0x${id.replaceAll("-", "")}`) - 1n).toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Of two ids, or of two instants in one form, as texts. */
export const laterOf = (left: string, right: string): string => (left > right ? left : right);
export const earlierOf = (left: string, right: string): string => (left < right ? left : right);
