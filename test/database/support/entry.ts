import { randomBytes, randomUUID } from "node:crypto";
import type pg from "pg";

export type Columns = Record<string, unknown>;

const sound: Columns = {
  tenant_id: "acme",
  format_version: 1,
  actor_type: "USER",
  actor_id: "u-1",
  actor_name: "Ada",
  action: "UPDATE",
  event_type: "device.updated",
  outcome: "SUCCESS",
  resource_type: "device",
  resource_id: "9f0c8a52-7a1e-4b7e-9d39-0d1f4f0f2f11",
  resource_label: "Grain-Bin-01",
  changes: JSON.stringify([{ field: "name", op: "REPLACE", old: "a", new: "b" }]),
  attempted: "[]",
  operation: "updateDevice",
  session_id: "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33",
  sequence_number: 0,
  ordinal: 0,
};

/** The INSERT of an entry that nothing is wrong with but what `columns` states; salts fit what it has. */
export function insertOf(columns: Columns = {}): { text: string; values: unknown[] } {
  const stated: Columns = { ...sound, request_id: randomUUID(), ...columns };
  stated["salts"] ??= randomBytes(16 * slotsOf(stated));
  const names = Object.keys(stated);
  const places = names.map((_, index) => `$${index + 1}`);
  return {
    text: `insert into audit.entry (${names.join(", ")}) values (${places.join(", ")}) returning id, ordinal`,
    values: Object.values(stated),
  };
}

/** Inserts an entry and answers its id. */
export async function insertEntry(client: pg.ClientBase, columns: Columns = {}): Promise<string> {
  const { text, values } = insertOf(columns);
  const { rows } = await client.query<{ id: string }>(text, values);
  if (rows[0] === undefined) throw new Error("The INSERT returned no row.");
  return rows[0].id;
}

function slotsOf({ changes, attempted }: Columns): number {
  return 10 + 2 * lengthOf(changes) + lengthOf(attempted);
}

function lengthOf(json: unknown): number {
  const list: unknown = JSON.parse(String(json));
  return Array.isArray(list) ? list.length : 0;
}
