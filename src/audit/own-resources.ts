/** What the log tells of itself and of the program that writes it, each kind with the event types of its entries. */
const eventTypes = {
  audit_log: ["audit_log.read", "audit_log.read_failed", "audit_log.read_denied"],
  api: ["api.started", "api.stopped"],
  migration: ["migration.created"],
  audit_session: [
    "audit_session.started",
    "audit_session.stopped",
    "audit_session.report_failed",
    "audit_session.report_denied",
  ],
  mutation: ["mutation.created", "mutation.updated", "mutation.deleted"],
  field_policy: ["field_policy.created", "field_policy.updated", "field_policy.deleted"],
  fence: ["fence.created", "fence.deleted"],
  fence_mode: ["fence_mode.created", "fence_mode.updated", "fence_mode.deleted"],
} as const;

/** A kind of resource that no application declares. */
export type OwnResourceType = keyof typeof eventTypes;

export const ownResourceTypes = Object.keys(eventTypes) as readonly OwnResourceType[];
export const ownEventTypes: readonly string[] = Object.values(eventTypes).flat();

/** What a change of a mutation's directives or of a field's policy names. */
export const declaredFields = [
  "audited.resource",
  "audited.action",
  "audited.id",
  "unaudited.reason",
  "requires.roles",
  "policy",
] as const;
export type DeclaredField = (typeof declaredFields)[number];

/** What the start of a process names of its settings. */
export const startedFields = ["version", "auditing", "database", "environment", "deniedPerMinute"] as const;
export type StartedField = (typeof startedFields)[number];

/** What the opening and the closing of a session name. */
export const sessionFields = ["kind", "program", "version", "host", "taken"] as const;
export type SessionField = (typeof sessionFields)[number];

/** What a change of a login's mode names, and what one entry of a change in bulk does. */
export const fenceFields = ["mode", "rows", "statement"] as const;

/** The queries that leave an entry of kind `audit_log`. */
export const logQueries = ["auditLogs", "auditEntry", "auditSessions"] as const;
export type LogQuery = (typeof logQueries)[number];

/** The mutation with which other processes report: the operation of all that they bring. */
export const reportMutation = "reportAuditEntries";
