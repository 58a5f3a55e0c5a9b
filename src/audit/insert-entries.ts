import type { ClientBase } from "pg";
import type { PendingEntry } from "./entry.js";
import { storedValues, type StoredValues } from "./stored.js";

/** The form of a row, so that a reader of old rows knows what they hold. */
const FORMAT_VERSION = 1;

type Columns = readonly (readonly [column: string, value: (entry: PendingEntry, stored: StoredValues) => unknown])[];

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

/** The protocol counts a statement's parameters with 16 bits; a hundred rows stay far below. */
const MAX_ROWS = 100;

/** Writes a batch with one INSERT (one for each hundred), and returns the ids that the database gave, in order. */
export async function insertEntries(client: ClientBase, entries: readonly PendingEntry[]): Promise<string[]> {
  const ids: string[] = [];
  for (let start = 0; start < entries.length; start += MAX_ROWS)
    ids.push(...(await insertBatch(client, entries.slice(start, start + MAX_ROWS))));
  return ids;
}

async function insertBatch(client: ClientBase, entries: readonly PendingEntry[]): Promise<string[]> {
  const values = entries.flatMap((entry) => {
    const stored = storedValues(entry);
    return columns.map(([, value]) => value(entry, stored));
  });
  const text = insertText(entries.length);
  // Only the everyday sizes stay prepared on the connection.
  const name = entries.length <= 2 ? `audit:insert:${String(entries.length)}` : undefined;
  const { rows } = await client.query<{ id: string; ordinal: number }>({ text, values, ...(name && { name }) });
  // A trigger that returns NULL, or a rule, swallows a row without an error.
  if (rows.length !== entries.length)
    throw new Error(`The log took ${String(rows.length)} of ${String(entries.length)} entries: look for a rule on it.`);
  const idByOrdinal = new Map(rows.map((row) => [row.ordinal, row.id]));
  return entries.map((entry) => idByOrdinal.get(entry.ordinal) ?? missing(entry));
}

function missing(entry: PendingEntry): never {
  throw new Error(`The log gave no id for the entry with ordinal ${String(entry.ordinal)}.`);
}

function insertText(rows: number): string {
  const tuples = Array.from({ length: rows }, (_, row) => {
    const parameters = columns.map((_column, column) => `$${String(row * columns.length + column + 1)}`);
    return `(${parameters.join(", ")})`;
  });
  return `insert into audit.entry (${columns.map(([name]) => name).join(", ")}) values ${tuples.join(", ")} returning id, ordinal`;
}
