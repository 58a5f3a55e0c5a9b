import type { ReaderScope } from "../reader-scope.js";
import type { RunStatement, Statement } from "../reading.js";
import type { AuditSequenceRange } from "../sequence-range.js";
import type { AuditEntry } from "./audit-entry.js";
import type { AuditChange, AuditOmitted } from "./audit-entry-parts.js";
import { describe } from "./describe.js";
import { reporterOf, type Reporters } from "./reporters.js";
import { tenantOrNull, type PageResources } from "./resource-directory.js";
import type { EntryKey } from "./statements.js";

/** What is stored of a change: what a value is null for is left out. */
interface StoredChange {
  readonly field: string;
  readonly op: string;
  readonly old?: unknown;
  readonly new?: unknown;
  readonly oldOmitted?: AuditOmitted;
  readonly newOmitted?: AuditOmitted;
  readonly secret?: boolean;
}

interface StoredAttempt {
  readonly field: string;
  readonly value?: unknown;
  readonly omitted?: AuditOmitted;
  readonly secret?: boolean;
}

/** A row of `audit.entry` as it is read: without the salts, which the reader's role can't see. */
export interface EntryRow extends EntryKey {
  readonly occurred_at: string;
  readonly actor_type: string;
  readonly actor_id: string | null;
  readonly actor_name: string | null;
  readonly on_behalf_of: string | null;
  readonly subsystem: string | null;
  readonly issuer: string | null;
  readonly token_id: string | null;
  readonly client_id: string | null;
  readonly action: string | null;
  readonly event_type: string;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly resource_type: string | null;
  readonly resource_id: string | null;
  readonly resource_label: string | null;
  readonly changes: readonly StoredChange[];
  readonly attempted: readonly StoredAttempt[];
  readonly reason: string | null;
  readonly operation: string | null;
  readonly request_id: string | null;
  readonly client_request_id: string | null;
  readonly session_id: string | null;
  readonly sequence_number: string | null;
  readonly ordinal: number;
  readonly trace_id: string | null;
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly cause_id: string | null;
  readonly claimed_at: string | null;
  readonly repeat_count: number | null;
  /** As PostgreSQL prints an int8multirange: `{[3,8),[11,12)}`, each range without its end. */
  readonly repeated_sequence_numbers: string | null;
  readonly repeat_count_is_least: boolean | null;
  readonly access: { readonly filter: Readonly<Record<string, unknown>>; readonly rows: number } | null;
  readonly reported_by: string | null;
  readonly correlation_session_id: string | null;
  readonly correlation_sequence_number: string | null;
}

// The time as a text of its own: a Date would lose its microseconds, and the session's time zone isn't ours.
const instant = (column: string) =>
  `to_char(e.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`;
const columns = `e.tenant_id, e.id, ${instant("occurred_at")},
  e.actor_type, e.actor_id, e.actor_name, e.on_behalf_of, e.subsystem, e.issuer, e.token_id, e.client_id,
  e.action, e.event_type, e.outcome, e.error_code, e.error_message, e.resource_type, e.resource_id, e.resource_label,
  e.changes, e.attempted, e.reason, e.operation, e.request_id, e.client_request_id, e.session_id,
  e.sequence_number::text as sequence_number, e.ordinal, e.trace_id, host(e.ip) as ip, e.user_agent, e.cause_id,
  ${instant("claimed_at")}, e.repeat_count, e.repeated_sequence_numbers::text as repeated_sequence_numbers,
  e.repeat_count_is_least, e.access, e.reported_by, e.correlation_session_id,
  e.correlation_sequence_number::text as correlation_sequence_number`;

/** The rows of these keys, in their order. */
export function selectRows(run: RunStatement, keys: readonly EntryKey[]): Promise<EntryRow[]> {
  if (keys.length === 0) return Promise.resolve([]);
  return run<EntryRow>({
    name: "audit-read-rows",
    text: `select ${columns} from unnest($1::text[], $2::uuid[]) with ordinality k(tenant_id, id, place)
      join audit.entry e on e.tenant_id = k.tenant_id and e.id = k.id order by k.place`,
    values: [keys.map((key) => key.tenant_id), keys.map((key) => key.id)],
  });
}

/** The row of one id, where the scope holds it. */
export async function selectRow(run: RunStatement, id: string, scope: ReaderScope): Promise<EntryRow | null> {
  const [row] = await run<EntryRow>(scope === "*" ? rowOfAny(id) : rowOf(id, scope));
  return row ?? null;
}

const rowOfAny = (id: string): Statement => ({
  name: "audit-read-row-of-any",
  text: `select ${columns} from audit.entry e where e.id = $1::uuid`,
  values: [id],
});

const rowOf = (id: string, tenants: readonly string[]): Statement => ({
  name: "audit-read-row",
  text: `select ${columns} from audit.entry e where e.tenant_id = any ($2::text[]) and e.id = $1::uuid`,
  values: [id, tenants],
});

/** What the contract calls an entry; its resource's fate is looked up with the others of its page. */
export function toEntry(row: EntryRow, resources: PageResources, reporters: Reporters): AuditEntry {
  return {
    id: row.id,
    occurredAt: row.occurred_at,
    tenantId: tenantOrNull(row.tenant_id),
    actor: toActor(row),
    action: row.action,
    eventType: row.event_type,
    outcome: row.outcome,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message },
    resource: toResource(row, resources),
    changes: row.changes.map(toChange),
    attempted: row.attempted.map(({ field, value, secret, omitted }) => ({
      field,
      value: value ?? null,
      secret: secret ?? false,
      omitted: omitted ?? null,
    })),
    description: () => describe(row),
    reason: row.reason,
    operation: row.operation,
    requestId: row.request_id,
    clientRequestId: row.client_request_id,
    sessionId: row.session_id,
    sequenceNumber: row.sequence_number,
    ordinal: row.ordinal,
    traceId: row.trace_id,
    ip: row.ip,
    userAgent: row.user_agent,
    causeId: row.cause_id,
    claimedAt: row.claimed_at,
    repeatCount: row.repeat_count,
    repeatedSequenceNumbers: row.repeated_sequence_numbers === null ? null : toRanges(row.repeated_sequence_numbers),
    repeatCountIsLeast: row.repeat_count_is_least,
    access: row.access,
    reportedBy: reporterOf(row, reporters),
    correlation: toCorrelation(row),
  };
}

function toCorrelation(row: EntryRow): AuditEntry["correlation"] {
  const { correlation_session_id: sessionId, correlation_sequence_number: sequenceNumber } = row;
  return sessionId === null || sequenceNumber === null ? null : { sessionId, sequenceNumber };
}

function toActor(row: EntryRow): AuditEntry["actor"] {
  return {
    type: row.actor_type,
    id: row.actor_id,
    name: row.actor_name,
    onBehalfOf: row.on_behalf_of,
    subsystem: row.subsystem,
    issuer: row.issuer,
    tokenId: row.token_id,
    clientId: row.client_id,
  };
}

function toResource(row: EntryRow, resources: PageResources): AuditEntry["resource"] {
  const { resource_type: type, resource_id: id, resource_label: label } = row;
  if (type === null) return null;
  if (id === null)
    return { type, id, label, link: () => Promise.resolve(null), isDeleted: () => Promise.resolve(null) };
  const key = { tenantId: row.tenant_id, id };
  resources.add(type, key);
  return { type, id, label, link: () => resources.link(type, key), isDeleted: () => resources.isDeleted(type, key) };
}

/** The database prints a range without its end, and readers are told both its numbers. */
function toRanges(multirange: string): AuditSequenceRange[] {
  return Array.from(multirange.matchAll(/\[(\d+),(\d+)\)/g), ([, first = "", end = ""]) => ({
    first,
    last: String(BigInt(end) - 1n),
  }));
}

function toChange(change: StoredChange): AuditChange {
  return {
    field: change.field,
    op: change.op,
    old: change.old ?? null,
    new: change.new ?? null,
    oldOmitted: change.oldOmitted ?? null,
    newOmitted: change.newOmitted ?? null,
    secret: change.secret ?? false,
  };
}
