import { isIP, isIPv4 } from "node:net";
import { badUserInput, printable, type FieldProblem } from "../errors.js";
import { PLATFORM_TENANT, tenantPattern } from "../entry.js";
import { readInstant } from "../scalars.js";
import { isStorable } from "../text.js";
import { isUuid } from "../uuid.js";
import type { AuditLogFilter, DateTimeRange } from "./audit-log-filter.js";
import { filterColumns, filterFields, type Condition, type ValueForm } from "./filter-columns.js";

const MAX_VALUES = 100;
const MAX_LENGTH = 512;

/** A filter that has been checked: two that ask for the same are equal. */
export interface CheckedFilter {
  /** Null for every tenant that the reader may read. */
  readonly tenants: readonly string[] | null;
  /** Instants as the DateTime scalar writes them: from inclusive, to exclusive. */
  readonly from: string | null;
  readonly to: string | null;
  readonly conditions: readonly Condition[];
}

/**
 * Checks a filter; null and an empty one ask for everything. What is given says something: an explicit null, an empty
 * list and an empty range of time are refused, so that a client's mistake never widens what it gets.
 *
 * @throws AuditError BAD_USER_INPUT, naming every wrong field by its path, such as `filter.resourceType`
 */
export function checkFilter(filter: AuditLogFilter | null): CheckedFilter {
  const problems: FieldProblem[] = [];
  const report: Report = (field, message) => problems.push({ field: `filter.${field}`, message });
  const given = filter ?? {};
  const tenants = given.tenantId === undefined ? null : checkValues("tenantId", given.tenantId, tenant, report);
  const range = checkRange(given.occurredAt, report);
  const conditions = filterFields.flatMap((field): Condition[] => {
    const values: unknown = given[field];
    if (values === undefined) return [];
    return [
      { field, values: checkValues(field, values, (value) => normalise(filterColumns[field].form, value), report) },
    ];
  });
  if (problems.length > 0) throw badUserInput(problems);
  return { tenants, ...range, conditions };
}

type Report = (field: string, message: string) => void;
type Normalised = { readonly value: string } | { readonly problem: string };

function checkValues(
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
    const checked = typeof value === "string" ? checkText(value, normaliseValue) : { problem: "can't hold null" };
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

function normalise(form: ValueForm, value: string): Normalised {
  if (form === "text") return { value };
  if (form === "uuid") return isUuid(value) ? { value: value.toLowerCase() } : wrong(value, "a UUID");
  if (form === "trace") {
    return /^[0-9a-f]{32}$/i.test(value) ? { value: value.toLowerCase() } : wrong(value, "a trace id of 32 hex digits");
  }
  if (form === "address") return address(value);
  return form.includes(value) ? { value } : wrong(value, `one of ${form.join(", ")}`);
}

const wrong = (value: string, form: string): Normalised => ({
  problem: `holds ${printable(value)}, which isn't ${form}`,
});

function tenant(value: string): Normalised {
  return value === PLATFORM_TENANT || tenantPattern.test(value) ? { value } : wrong(value, "a tenant's id");
}

function address(value: string): Normalised {
  if (isIPv4(value)) return { value };
  // A zone, as in fe80::1%eth0, is a matter of one machine, and PostgreSQL refuses it.
  if (isIP(value) === 0 || value.includes("%")) return wrong(value, "an IP address");
  return { value: new URL(`http://[${value}]`).hostname.slice(1, -1) };
}

function checkRange(range: DateTimeRange | null | undefined, report: Report): Pick<CheckedFilter, "from" | "to"> {
  if (range === undefined) return { from: null, to: null };
  if (range === null) report("occurredAt", "can't be null; leave it out instead");
  else if (range.from === undefined && range.to === undefined) report("occurredAt", "needs from, to or both");
  const from = checkInstant("occurredAt.from", range?.from, report);
  const to = checkInstant("occurredAt.to", range?.to, report);
  if (from !== null && to !== null && from >= to) report("occurredAt", "must begin before it ends");
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
