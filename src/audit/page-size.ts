import { badUserInput, type FieldProblem } from "./errors.js";

/** How many a page has where nothing is asked for, and at most: of every list, and in what a document may cost. */
export const DEFAULT_PAGE = 50;
export const MAX_PAGE = 200;

interface Asked {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
}

/** How many, counted from the list's beginning or from its end. */
export interface PageSize {
  readonly size: number;
  readonly from: "start" | "end";
}

/**
 * A null is as if it weren't given: Relay's clients send one for the end that they don't count from.
 *
 * @throws AuditError BAD_USER_INPUT where both are given, or one isn't 1 to 200: nothing is clamped silently
 */
export function pageSize({ first, last }: Asked): PageSize {
  const given = Object.entries({ first, last }).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  const problems: FieldProblem[] = given
    .filter(([, size]) => !isPageSize(size))
    .map(([field]) => ({ field, message: `must be 1 to ${MAX_PAGE}` }));
  if (given.length > 1) problems.push({ field: "last", message: "can't be given with first" });
  if (problems.length > 0) throw badUserInput(problems);
  return typeof last === "number" ? { size: last, from: "end" } : { size: first ?? DEFAULT_PAGE, from: "start" };
}

const isPageSize = (size: number): boolean => Number.isInteger(size) && size >= 1 && size <= MAX_PAGE;
