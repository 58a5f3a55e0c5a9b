import { sqlState } from "./sql-state.js";

const DIVISION_BY_ZERO = "22012";
const CHECK_VIOLATION = "23514";
const forGood = new Set(["23502", "54000"]);

/**
 * PostgreSQL's code where it refuses these very values, so that trying again is of no use; null for all else, such as a
 * right that is lacking. A swallowed row fails by a division, and a missing partition by a check without a name: both can
 * be mended.
 */
export function refusedForGood(error: unknown): string | null {
  const state = sqlState(error);
  if (state === null || state === DIVISION_BY_ZERO) return null;
  if (state.startsWith("22") || forGood.has(state)) return state;
  const { constraint } = error as { readonly constraint?: unknown };
  return state === CHECK_VIOLATION && typeof constraint === "string" ? `${state} ${constraint}` : null;
}
