import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { insertEntry } from "./support/entry.js";
import { session } from "./support/session.js";

const SESSION = "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** How often each table of the log was read from end to end so far. */
const scans = async (): Promise<unknown[]> =>
  query(
    database.adminUrl,
    `select relname, seq_scan from pg_stat_user_tables
     where schemaname = 'audit' and (relname like 'entry%' or relname = 'fence_judged') order by relname`,
  );

const device = async (): Promise<string> => {
  const [row] = await query<{ id: string }>(
    database.adminUrl,
    `insert into app.device (tenant_id, serial_number, name) values ('acme', gen_random_uuid(), 'Bin') returning id`,
  );
  return row?.id ?? "";
};

async function rename(client: pg.ClientBase, id: string, ...names: string[]): Promise<void> {
  await client.query("begin");
  let old = "Bin";
  for (const name of names) {
    await client.query("update app.device set name = $2 where id = $1", [id, name]);
    const changes = JSON.stringify([{ field: "name", op: "REPLACE", old, new: name }]);
    await insertEntry(client, { resource_id: id, changes });
    old = name;
  }
  await client.query("commit");
}

/** What the API asks the log for by itself, again and again on its connections. */
const looks: [what: string, look: (client: pg.ClientBase) => Promise<unknown>][] = [
  ["the fence's, at a change with its entry", async (client) => rename(client, await device(), "b")],
  ["the fence's, at a row that was changed twice", async (client) => rename(client, await device(), "b", "c")],
  [
    "that for the entries of a lost COMMIT",
    (client) => client.query("select audit_guard.committed_entries('acme', $1, 0, now())", [SESSION]),
  ],
  ["that for a session's numbers", (client) => client.query("select audit_guard.derive_session($1)", [SESSION])],
  [
    "that for numbers that were reported before",
    (client) =>
      client.query(
        `select audit_guard.begin_report('01a20000-0000-7000-8000-000000000001', 'acme', 'r-1', 'p', '1', 'h',
           array[0, 1, 2]::bigint[], decode(repeat('00', 96), 'hex'))`,
      ),
  ],
];

describe("a look into the log", () => {
  test.each(looks)("follows an index where statistics still are of a month's first entries: %s", async (_, look) => {
    await query(
      database.adminUrl,
      `select audit_guard.open_sessions(array['${SESSION}']::uuid[], array['acme'], 'p', '1', 'h'); analyze`,
    );
    const before = await scans();
    await session(database.apiUrl, async (client) => {
      for (let times = 0; times < 7; times++) await look(client);
    });
    expect(await scans()).toEqual(before);
  });
});
