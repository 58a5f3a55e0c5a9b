import { DateTimeRange } from "../date-time-range.js";
import { badUserInput, type FieldProblem } from "../errors.js";
import {
  checkRange,
  checkValues,
  tenant,
  uuid,
  wrong,
  type CheckedRange,
  type Normalised,
  type Report,
} from "../filter-values.js";
import { Field, ID, InputType } from "../type-graphql.js";
import {
  AuditSessionKindEnum,
  AuditSessionStateEnum,
  sessionKinds,
  sessionStates,
  type SessionKind,
  type SessionState,
} from "./session-types.js";

@InputType({ description: "Fields are ANDed, the values of one list ORed, all compared exactly." })
export class AuditSessionFilter {
  @Field(() => [ID], { nullable: true })
  sessionId?: string[] | null;

  @Field(() => [ID], { nullable: true, description: '"$platform" for what belongs to no tenant.' })
  tenantId?: string[] | null;

  @Field(() => [AuditSessionKindEnum], { nullable: true })
  kind?: SessionKind[] | null;

  @Field(() => [AuditSessionStateEnum], { nullable: true })
  state?: SessionState[] | null;

  @Field(() => [String], { nullable: true })
  program?: string[] | null;

  @Field(() => [String], { nullable: true })
  host?: string[] | null;

  @Field(() => DateTimeRange, { nullable: true })
  openedAt?: DateTimeRange | null;
}

/** A filter that has been checked: two that ask for the same are equal. A list is null where it wasn't given. */
export interface CheckedSessionFilter {
  readonly sessionId: readonly string[] | null;
  /** Null for every tenant that the reader may read. */
  readonly tenantId: readonly string[] | null;
  readonly kind: readonly string[] | null;
  readonly state: readonly string[] | null;
  readonly program: readonly string[] | null;
  readonly host: readonly string[] | null;
  readonly openedAt: CheckedRange;
}

/**
 * Checks a filter; null and an empty one ask for everything. What is given says something: an explicit null, an empty
 * list and an empty range of time are refused.
 *
 * @throws AuditError BAD_USER_INPUT, naming every wrong field by its path, such as `filter.sessionId`
 */
export function checkSessionFilter(filter: AuditSessionFilter | null): CheckedSessionFilter {
  const problems: FieldProblem[] = [];
  const report: Report = (field, message) => problems.push({ field: `filter.${field}`, message });
  const given = filter ?? {};
  const list = (field: Exclude<keyof AuditSessionFilter, "openedAt">, normalise: (value: string) => Normalised) =>
    given[field] === undefined ? null : checkValues(field, given[field], normalise, report);
  const checked = {
    sessionId: list("sessionId", uuid),
    tenantId: list("tenantId", tenant),
    kind: list("kind", oneOf(sessionKinds)),
    state: list("state", oneOf(sessionStates)),
    program: list("program", (value) => ({ value })),
    host: list("host", (value) => ({ value })),
    openedAt: checkRange("openedAt", given.openedAt, report),
  };
  if (problems.length > 0) throw badUserInput(problems);
  return checked;
}

const oneOf =
  (names: readonly string[]) =>
  (value: string): Normalised =>
    names.includes(value) ? { value } : wrong(value, `one of ${names.join(", ")}`);
