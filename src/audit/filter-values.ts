import type { DateTimeRange } from "./date-time-range.js";
import { PLATFORM_TENANT, tenantPattern } from "./entry.js";
import { printable } from "./errors.js";
import { readInstant } from "./scalars.js";
import { isStorable } from "./text.js";
import { isUuid } from "./uuid.js";

const MAX_VALUES = 100;
const MAX_LENGTH = 512;

/** Instants as the DateTime scalar writes them: from inclusive, to exclusive. */
export interface CheckedRange {
  readonly from: string | null;
  readonly to: string | null;
}

/** Is told of each wrong field, by its path within the filter. */
export type Report = (field: string, message: string) => void;
/** A value as it is compared, or what is wrong with it. */
export type Normalised = { readonly value: string } | { readonly problem: string };

/** Checks the list of a filter's values: distinct and sorted; empty where something is wrong, which was reported. */
export function checkValues(
  field: string,
  values: unknown,
  normaliseValue: (value: string) => Normalised,
  report: Report,
): string[] {
  if (!Array.isArray(values)) report(field, "can't be null; leave it out instead");
  else if (values.length === 0) report(field, "can't be an empty list; leave it out instead");
  else if (values.length > MAX_VALUES) report(field, `can have ${MAX_VALUES} values at most`);
  else return normalisedValues(field, values, normaliseValue, report);
  return [];
}

function normalisedValues(
  field: string,
  values: readonly unknown[],
  normaliseValue: (value: string) => Normalised,
  report: Report,
): string[] {
  const distinct = new Set<string>();
  for (const value of values) {
    const text = typeof value === "bigint" ? String(value) : value;
    const checked = typeof text === "string" ? checkText(text, normaliseValue) : { problem: "can't hold null" };
    if ("value" in checked) distinct.add(checked.value);
    else report(field, checked.problem);
  }
  return [...distinct].sort();
}

function checkText(value: string, normaliseValue: (value: string) => Normalised): Normalised {
  if (value === "") return { problem: "can't hold an empty text" };
  if (value.length > MAX_LENGTH) return { problem: `can't hold a text longer than ${MAX_LENGTH} characters` };
  if (!isStorable(value)) return { problem: "holds a character that no entry can have" };
  return normaliseValue(value);
}

/** A value that isn't of the form, shown as short and harmless as a message may carry it. */
export const wrong = (value: string, form: string): Normalised => ({
  problem: `holds ${printable(value)}, which isn't ${form}`,
});

/** A tenant's id, or `$platform`. */
export function tenant(value: string): Normalised {
  return value === PLATFORM_TENANT || tenantPattern.test(value) ? { value } : wrong(value, "a tenant's id");
}

/** A UUID in lower case, as the database prints it. */
export const uuid = (value: string): Normalised =>
  isUuid(value) ? { value: value.toLowerCase() } : wrong(value, "a UUID");

/** Checks a range of time: from inclusive, to exclusive, each null where it isn't given. */
export function checkRange(field: string, range: DateTimeRange | null | undefined, report: Report): CheckedRange {
  if (range === undefined) return { from: null, to: null };
  if (range === null) report(field, "can't be null; leave it out instead");
  else if (range.from === undefined && range.to === undefined) report(field, "needs from, to or both");
  const from = checkInstant(`${field}.from`, range?.from, report);
  const to = checkInstant(`${field}.to`, range?.to, report);
  if (from !== null && to !== null && from >= to) report(field, "must begin before it ends");
  return { from, to };
}

function checkInstant(field: string, instant: string | null | undefined, report: Report): string | null {
  if (instant === undefined) return null;
  try {
    return readInstant(instant);
  } catch (error) {
    report(field, instant === null ? "can't be null; leave it out instead" : "isn't an instant with its offset");
    if (!(error instanceof TypeError)) throw error;
    return null;
  }
}
