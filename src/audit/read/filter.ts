import { normaliseAddress } from "../address.js";
import { badUserInput, type FieldProblem } from "../errors.js";
import { checkRange, checkValues, tenant, uuid, wrong, type Normalised, type Report } from "../filter-values.js";
import type { AuditLogFilter } from "./audit-log-filter.js";
import { filterColumns, filterFields, type Condition, type FilterField, type ValueForm } from "./filter-columns.js";

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
 * list and an empty range of time are refused, instead of asking for everything too. A field whose variable the client
 * didn't send is one that isn't given, as GraphQL has it, and so no condition.
 *
 * @throws AuditError BAD_USER_INPUT, naming every wrong field by its path, such as `filter.resourceType`
 */
export function checkFilter(filter: AuditLogFilter | null): CheckedFilter {
  const problems: FieldProblem[] = [];
  const report: Report = (field, message) => problems.push({ field: `filter.${field}`, message });
  const given = filter ?? {};
  const tenants = given.tenantId === undefined ? null : checkValues("tenantId", given.tenantId, tenant, report);
  const range = checkRange("occurredAt", given.occurredAt, report);
  if (given.correlation !== undefined && given.correlation?.sessionId === undefined)
    report("correlation", "needs sessionId; leave it out instead");
  const conditions = filterFields.flatMap((field): Condition[] => {
    const { form, path, beside } = filterColumns[field];
    const values = valuesOf(given, field);
    if (values === undefined) return [];
    if (beside !== null && valuesOf(given, beside) === undefined)
      report(path ?? field, `stands beside ${filterColumns[beside].path ?? beside} alone`);
    return [{ field, values: checkValues(path ?? field, values, (value) => normalise(form, value), report) }];
  });
  if (problems.length > 0) throw badUserInput(problems);
  return { tenants, ...range, conditions };
}

function valuesOf(given: AuditLogFilter, field: FilterField): unknown {
  switch (field) {
    case "correlationSessionId":
      return given.correlation?.sessionId;
    case "correlationSequenceNumber":
      return given.correlation?.sequenceNumber;
    default:
      return given[field];
  }
}

function normalise(form: ValueForm, value: string): Normalised {
  if (form === "text") return { value };
  if (form === "uuid") return uuid(value);
  if (form === "trace") {
    return /^[0-9a-f]{32}$/i.test(value) ? { value: value.toLowerCase() } : wrong(value, "a trace id of 32 hex digits");
  }
  if (form === "address") return address(value);
  if (form === "number") return value.startsWith("-") ? wrong(value, "a sequence number") : { value };
  return form.includes(value) ? { value } : wrong(value, `one of ${form.join(", ")}`);
}

/** As entries keep it. A zone, as in fe80::1%eth0, is a matter of one machine, and no entry has one. */
function address(value: string): Normalised {
  const kept = value.includes("%") ? null : normaliseAddress(value);
  return kept === null ? wrong(value, "an IP address") : { value: kept };
}
