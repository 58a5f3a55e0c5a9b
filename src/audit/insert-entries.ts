import type { ClientBase } from "pg";
import type { PendingEntry, Repeats } from "./entry.js";
import { storedValues, type StoredValues } from "./stored.js";

/** The form of a row, so that a reader of old rows knows what they hold. */
const FORMAT_VERSION = 1;

/** Only what the client can send without fail: an INSERT that never left would not stop the COMMIT behind it. */
type Value = string | number | Buffer | null;
type Columns = readonly (readonly [column: string, value: (entry: PendingEntry, stored: StoredValues) => Value])[];

/** Every column that the writer states. What the database stamps (id, time, transaction, login) it may not even name. */
const columns: Columns = [
  ["tenant_id", (entry) => entry.tenantId],
  ["format_version", () => FORMAT_VERSION],
  ["actor_type", ({ actor }) => actor.type],
  ["actor_id", ({ actor }) => actor.id],
  ["actor_name", ({ actor }) => actor.name],
  ["on_behalf_of", ({ actor }) => actor.onBehalfOf],
  ["subsystem", ({ actor }) => actor.subsystem],
  ["issuer", ({ actor }) => actor.issuer],
  ["token_id", ({ actor }) => actor.tokenId],
  ["client_id", ({ actor }) => actor.clientId],
  ["action", (entry) => entry.action],
  ["event_type", (entry) => entry.eventType],
  ["outcome", (entry) => entry.outcome],
  ["error_code", ({ error }) => error?.code ?? null],
  ["error_message", ({ error }) => error?.message ?? null],
  ["resource_type", ({ resource }) => resource?.type ?? null],
  ["resource_id", ({ resource }) => resource?.id ?? null],
  ["resource_label", ({ resource }) => resource?.label ?? null],
  ["changes", (_, stored) => stored.changes],
  ["attempted", (_, stored) => stored.attempted],
  ["salts", (_, stored) => stored.salts],
  ["reason", ({ origin }) => origin.reason],
  ["operation", (entry) => entry.operation],
  ["request_id", ({ origin }) => origin.requestId],
  ["client_request_id", ({ origin }) => origin.clientRequestId],
  ["session_id", (entry) => entry.sessionId],
  ["sequence_number", (entry) => String(entry.sequenceNumber)],
  ["ordinal", (entry) => entry.ordinal],
  ["trace_id", ({ origin }) => origin.traceId],
  ["ip", ({ origin }) => origin.ip],
  ["user_agent", ({ origin }) => origin.userAgent],
  ["cause_id", (entry) => entry.causeId],
];

/** What few entries state: the everyday statement doesn't name them. */
const rareColumns: Columns = [
  ["claimed_at", ({ claimedAt }) => claimedAt ?? null],
  ["repeat_count", ({ repeats }) => repeats?.count ?? null],
  ["repeated_sequence_numbers", ({ repeats }) => (repeats ? multirange(repeats) : null)],
  ["access", ({ access }) => (access ? `{"filter":${access.filter},"rows":${String(access.rows)}}` : null)],
];
const allColumns: Columns = [...columns, ...rareColumns];
const isRare = ({ claimedAt, repeats, access }: PendingEntry): boolean => Boolean(claimedAt ?? repeats ?? access);

const multirange = ({ sequenceNumbers }: Repeats): string =>
  `{${sequenceNumbers.map(([first, last]) => `[${String(first)},${String(last)}]`).join()}}`;

/** The everyday sizes stay prepared on the connection. */
const MAX_PREPARED_ROWS = 2;

/**
 * Writes entries with one INSERT, which the client has been given when this returns its promise: the ids, in order.
 *
 * The statement itself fails where not every row was taken: a trigger that returns NULL swallows one without an error,
 * and COMMIT may be on its way already.
 */
export async function insertEntries(client: ClientBase, entries: readonly PendingEntry[]): Promise<string[]> {
  const stated = entries.some(isRare) ? allColumns : columns;
  const values = entries.flatMap((entry) => {
    const stored = storedValues(entry);
    return stated.map(([, value]) => value(entry, stored));
  });
  const isEveryday = stated === columns && entries.length <= MAX_PREPARED_ROWS;
  const text = isEveryday ? everydayText(entries.length) : composedText(stated, entries.length);
  const name = isEveryday ? `audit:insert:${String(entries.length)}` : undefined;
  const { rows } = await client.query<{ ids: string[]; ordinals: number[] }>({ text, values, ...(name && { name }) });
  const [{ ids, ordinals } = { ids: [], ordinals: [] }] = rows;
  return entries.map(({ ordinal }) => ids[ordinals.indexOf(ordinal)] ?? missing(ordinal));
}

function missing(ordinal: number): never {
  throw new Error(`The log gave no id for the entry with ordinal ${String(ordinal)}.`);
}

const texts = new Map<number, string>();

function everydayText(rows: number): string {
  const text = texts.get(rows) ?? composedText(columns, rows);
  texts.set(rows, text);
  return text;
}

function composedText(columns: Columns, rows: number): string {
  const tuples = Array.from({ length: rows }, (_, row) => {
    const parameters = columns.map((_column, column) => `$${String(row * columns.length + column + 1)}`);
    return `(${parameters.join(", ")})`;
  });
  // A division by zero is the cheapest way to fail that an expression has.
  return `
    with written as (
      insert into audit.entry (${columns.map(([name]) => name).join(", ")}) values ${tuples.join(", ")} returning id, ordinal
    )
    select array_agg(id) as ids, array_agg(ordinal) as ordinals, 1 / (count(*) = ${String(rows)})::int as complete from written`;
}
