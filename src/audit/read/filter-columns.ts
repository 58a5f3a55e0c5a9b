import { actorTypes, auditActions, auditOutcomes } from "../entry.js";

/** The forms that a filter's values can have. */
export type ValueForm = "text" | "uuid" | "trace" | "address" | "number" | readonly string[];

interface FilterColumn {
  readonly form: ValueForm;
  /** The column of `audit.entry`; `field` of `audit.entry_field` for changed fields. */
  readonly column: string;
  readonly sqlType: "text" | "uuid" | "inet" | "bigint";
  /** The one value that the column's index leaves out, being nearly every entry's. */
  readonly notIndexed: string | null;
  /** Where the filter has it, if not under its own name. */
  readonly path: string | null;
  /** The field beside which alone it may stand: no index leads to it by itself. */
  readonly beside: "sessionId" | "correlationSessionId" | null;
  /** Whether the code knows all values that new entries can have. */
  readonly closed: boolean;
}

const text = (column: string, more: Partial<FilterColumn> = {}): FilterColumn => ({
  form: "text",
  column,
  sqlType: "text",
  notIndexed: null,
  path: null,
  beside: null,
  closed: false,
  ...more,
});

/**
 * What `auditLogs` can be filtered by, beside tenant and time: which column, and how its values are written. The order
 * is that of how few entries a value usually has: where two can't be told apart by counting, the earlier one leads.
 */
export const filterColumns = {
  requestId: text("request_id", { form: "uuid", sqlType: "uuid" }),
  traceId: text("trace_id", { form: "trace" }),
  resourceId: text("resource_id"),
  resourceLabel: text("resource_label_folded"),
  ip: text("ip", { form: "address", sqlType: "inet" }),
  onBehalfOf: text("on_behalf_of"),
  actorId: text("actor_id"),
  actorName: text("actor_name"),
  correlationSessionId: text("correlation_session_id", {
    form: "uuid",
    sqlType: "uuid",
    path: "correlation.sessionId",
  }),
  sessionId: text("session_id", { form: "uuid", sqlType: "uuid" }),
  errorCode: text("error_code", { closed: true }),
  changedField: text("field", { closed: true }),
  operation: text("operation", { closed: true }),
  eventType: text("event_type", { closed: true }),
  resourceType: text("resource_type", { closed: true }),
  outcome: text("outcome", { form: auditOutcomes, notIndexed: "SUCCESS" }),
  actorType: text("actor_type", { form: actorTypes, notIndexed: "USER" }),
  action: text("action", { form: auditActions }),
  sequenceNumber: text("sequence_number", { form: "number", sqlType: "bigint", beside: "sessionId" }),
  correlationSequenceNumber: text("correlation_sequence_number", {
    form: "number",
    sqlType: "bigint",
    path: "correlation.sequenceNumber",
    beside: "correlationSessionId",
  }),
} as const satisfies Readonly<Record<string, FilterColumn>>;

export type FilterField = keyof typeof filterColumns;
export const filterFields = Object.keys(filterColumns) as readonly FilterField[];

/** One field of a filter: entries that have one of these values. Values are distinct and sorted. */
export interface Condition {
  readonly field: FilterField;
  readonly values: readonly string[];
  /** Of numbers: whether none but a reporter's session is asked for, where an index leads to each. */
  readonly isReported?: boolean;
}

/** Whether an index leads to the entries that fulfil it. */
export function isIndexed({ field, values }: Condition): boolean {
  const { notIndexed, beside } = filterColumns[field];
  if (beside !== null) return false;
  return notIndexed === null || !values.includes(notIndexed);
}
