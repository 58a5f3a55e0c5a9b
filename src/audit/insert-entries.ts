import type { LastStatement, TextRow } from "./commit-with.js";
import type { Repeats, StatedEntry } from "./entry.js";
import { storedValues, type StoredValues } from "./stored.js";

/** The form of a row, so that a reader of old rows knows what they hold. */
const FORMAT_VERSION = "1";

export type Value = string | Buffer | null;
type Column = readonly [name: string, value: (entry: StatedEntry, stored: StoredValues) => Value];

/** Every column that the writer states. What the database stamps (id, time, transaction, login) it may not even name. */
const columns: readonly Column[] = [
  ["tenant_id", (entry) => entry.tenantId],
  ["format_version", () => FORMAT_VERSION],
  ["actor_type", ({ actor }) => actor.type],
  ["actor_id", ({ actor }) => actor.id],
  ["actor_name", ({ actor }) => actor.name],
  ["issuer", ({ actor }) => actor.issuer],
  ["token_id", ({ actor }) => actor.tokenId],
  ["action", (entry) => entry.action],
  ["event_type", (entry) => entry.eventType],
  ["outcome", (entry) => entry.outcome],
  ["resource_type", ({ resource }) => resource?.type ?? null],
  ["resource_id", ({ resource }) => resource?.id ?? null],
  ["resource_label", ({ resource }) => resource?.label ?? null],
  ["changes", (_, stored) => stored.changes],
  ["attempted", (_, stored) => stored.attempted],
  ["salts", (_, stored) => stored.salts],
  ["operation", (entry) => entry.operation],
  ["request_id", ({ origin }) => origin.requestId],
  ["session_id", (entry) => entry.sessionId],
  ["sequence_number", ({ sequenceNumber }) => (sequenceNumber === null ? null : String(sequenceNumber))],
  ["ordinal", (entry) => String(entry.ordinal)],
  ["ip", ({ origin }) => origin.ip],
  ["user_agent", ({ origin }) => origin.userAgent],
];

/** Null in most entries; a statement that doesn't name them is spared their rights, values and places. */
const seldomColumns: readonly Column[] = [
  ["on_behalf_of", ({ actor }) => actor.onBehalfOf],
  ["subsystem", ({ actor }) => actor.subsystem],
  ["client_id", ({ actor }) => actor.clientId],
  ["error_code", ({ error }) => error?.code ?? null],
  ["error_message", ({ error }) => error?.message ?? null],
  ["reason", ({ origin }) => origin.reason],
  ["client_request_id", ({ origin }) => origin.clientRequestId],
  ["trace_id", ({ origin }) => origin.traceId],
  ["cause_id", (entry) => entry.causeId],
  ["claimed_at", ({ claimedAt }) => claimedAt ?? null],
  ["repeat_count", ({ repeats }) => (repeats ? String(repeats.count) : null)],
  ["repeated_sequence_numbers", ({ repeats }) => (repeats ? multirange(repeats) : null)],
  ["repeat_count_is_least", ({ repeats }) => (repeats?.isLeast ? "true" : null)],
  ["access", ({ access }, stored) => (access ? stored.access : null)],
  ["reported_by", ({ reportedBy }) => reportedBy ?? null],
  ["correlation_session_id", ({ correlation }) => correlation?.sessionId ?? null],
  ["correlation_sequence_number", ({ correlation }) => correlation?.sequenceNumber ?? null],
];
/** Every one of them, each with how an entry says it. */
export const allColumns = [...columns, ...seldomColumns];

const multirange = ({ sequenceNumbers }: Repeats): string =>
  `{${sequenceNumbers.map(([first, last]) => `[${String(first)},${String(last)}]`).join()}}`;

/** The everyday sizes stay prepared on the connection. */
const MAX_PREPARED_ROWS = 2;

/**
 * The INSERT of entries, which answers with a row for each: the id, and where there are several, the ordinal.
 *
 * The statement itself fails where not every row was taken: a trigger that returns NULL swallows one without an error,
 * and COMMIT is on its way already.
 */
export function insertStatement(entries: readonly StatedEntry[]): LastStatement {
  const values: Value[] = [];
  const stated = entries.some(saysTheSeldom) ? allColumns : columns;
  for (const entry of entries) {
    const stored = storedValues(entry);
    for (const [, value] of stated) values.push(value(entry, stored));
  }
  const shape = `${String(entries.length)}x${String(stated.length)}`;
  const isPrepared = entries.length <= MAX_PREPARED_ROWS;
  const text = texts.get(shape) ?? insertText(entries.length, stated);
  if (isPrepared) texts.set(shape, text);
  return { name: isPrepared ? `audit:insert:${shape}` : null, text, values };
}

/** The entries' ids, in the order of the entries, from what their INSERT answered. */
export function idsIn(rows: readonly TextRow[], entries: readonly StatedEntry[]): string[] {
  const idOf = (ordinal: number) =>
    (entries.length === 1 ? rows[0] : rows.find((row) => Number(row[1]) === ordinal))?.[0] ?? missing(ordinal);
  return entries.map(({ ordinal }) => idOf(ordinal));
}

function missing(ordinal: number): never {
  throw new Error(`The log gave no id for the entry with ordinal ${String(ordinal)}.`);
}

// None of them looks at what is stored.
const nothingStored: StoredValues = { changes: "", attempted: "", access: "", salts: Buffer.alloc(0) };
const saysTheSeldom = (entry: StatedEntry): boolean =>
  seldomColumns.some(([, value]) => value(entry, nothingStored) !== null);

const texts = new Map<string, string>();

function insertText(rows: number, stated: readonly Column[]): string {
  const tuples = Array.from({ length: rows }, (_, row) => {
    const parameters = stated.map((_column, column) => `$${String(row * stated.length + column + 1)}`);
    return `(${parameters.join(", ")})`;
  });
  const [answer, complete] =
    rows === 1 ? ["id", "id is not null"] : ["id, ordinal", `count(id) over () = ${String(rows)}`];
  // A division by zero is the cheapest way to fail that an expression has; the outer join sees to it that there is one.
  return `
    with written as (
      insert into audit.entry (${stated.map(([name]) => name).join(", ")}) values ${tuples.join(", ")} returning ${answer}
    )
    select ${answer}, 1 / (${complete})::int as complete from (values (0)) as one left join written on true`;
}
