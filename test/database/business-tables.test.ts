import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { outcomeOf, outcomeOfAttempt, session } from "./support/session.js";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

test("a new row's two times are one", async () => {
  const rows = await query(
    database.adminUrl,
    `insert into app.device (tenant_id, serial_number, name) values ('acme', 'times', 'Bin')
     returning created_at = updated_at as one, status, last_seen_at`,
  );
  expect(rows).toEqual([{ one: true, status: "ACTIVE", last_seen_at: null }]);
});

test.each([
  ["last_seen_at = now()", false],
  ["name = name", false],
  ["name = 'Other', last_seen_at = now()", true],
  ["provisioning_secret = 'changed'", true],
])("a device's update of %s is dated: %s", async (assignment, dated) => {
  await query(
    database.adminUrl,
    `insert into app.device (tenant_id, serial_number, name, updated_at) values ('acme', $1, 'Bin', '2020-01-01')`,
    [assignment],
  );
  const rows = await query(
    database.adminUrl,
    `update app.device set ${assignment} where serial_number = $1
     returning updated_at > '2020-01-01' as dated, updated_at <= clock_timestamp() as past`,
    [assignment],
  );
  expect(rows).toEqual([{ dated, past: true }]);
});

test("every column of a device but its last sign of life counts as a change", async () => {
  const [found] = await query<{ condition: string }>(
    database.adminUrl,
    `select pg_get_triggerdef(oid) as condition from pg_trigger
     where tgrelid = 'app.device'::regclass and tgname = 'touch_updated_at'`,
  );
  const columns = await query<{ attname: string }>(
    database.adminUrl,
    `select attname from pg_attribute where attrelid = 'app.device'::regclass and attnum > 0 and not attisdropped`,
  );
  const unseen = columns.filter(({ attname }) => !found?.condition.includes(`old.${attname} IS DISTINCT`));
  expect(unseen.map(({ attname }) => attname)).toEqual(["last_seen_at"]);
});

test.each([
  [`insert into app.device (tenant_id, serial_number, name) values ('$platform', 's', 'n')`, "23514 device_tenant_id"],
  [`insert into app.device (tenant_id, serial_number, name) values (null, 's', 'n')`, "23502"],
  [
    `insert into app.device (tenant_id, serial_number, name) values ('acme', 'twin', 'n'), ('acme', 'twin', 'n')`,
    "23505 device_serial_number",
  ],
  [
    `insert into app.device (tenant_id, serial_number, name) values ('acme', 'twin', 'n'), ('globex', 'twin', 'n')`,
    "succeeded",
  ],
  [
    `insert into app.device (tenant_id, serial_number, name, status) values ('a', 's', 'n', 'X')`,
    "23514 device_status",
  ],
  [`insert into app.chat (tenant_id, owner_id, title, mode) values ('acme', 'u', 't', 'X')`, "23514 chat_mode"],
  [`insert into app.chat (tenant_id, owner_id, title, labels) values ('acme', 'u', 't', '[]')`, "23514 chat_labels"],
  [
    `insert into app.chat (tenant_id, owner_id, title, parent_chat_id) values ('acme', 'u', 't', gen_random_uuid())`,
    "23503 chat_parent",
  ],
  [`insert into app.group_budget values ('acme', gen_random_uuid(), 1)`, "23503 group_budget_group"],
  [`create table app.mine (id int)`, "42501"],
  [`alter table app.device add column mine int`, "42501"],
  [`truncate app.device`, "42501"],
])("%s: %s", async (sql, outcome) => {
  expect(await session(database.apiUrl, (client) => outcomeOfAttempt(client, sql))).toBe(outcome);
});

test.each([
  [-1, "23514 group_budget_spend_limit"],
  [0, "succeeded"],
  ["1000000000000", "succeeded"],
  ["1000000000001", "23514 group_budget_spend_limit"],
])("a budget of %s micros: %s", async (micros, outcome) => {
  await session(database.adminUrl, async (client) => {
    const group = `insert into app."group" (tenant_id, name) values ('acme', 'g') returning tenant_id, id`;
    const sql = `with g as (${group}) insert into app.group_budget select tenant_id, id, $1 from g`;
    expect(await outcomeOf(client, sql, [micros])).toBe(outcome);
  });
});

test("a group with a budget can't go before its budget, nor a chat before its children", async () => {
  const outcomes = await session(database.adminUrl, async (client) => {
    await client.query(`
      begin;
      with g as (insert into app."group" (tenant_id, name) values ('bound', 'g') returning tenant_id, id)
        insert into app.group_budget select tenant_id, id, 1 from g;
      with parent as (insert into app.chat (tenant_id, owner_id, title) values ('bound', 'u', 'p') returning id)
        insert into app.chat (tenant_id, owner_id, title, parent_chat_id) select 'bound', 'u', 'c', id from parent;
      commit`);
    const tries = [
      `delete from app."group" where tenant_id = 'bound'`,
      `delete from app.chat where tenant_id = 'bound' and parent_chat_id is null`,
      `delete from app.group_budget where tenant_id = 'bound'`,
      `delete from app."group" where tenant_id = 'bound'`,
      `delete from app.chat where tenant_id = 'bound'`,
    ];
    const found: string[] = [];
    for (const sql of tries) found.push(await outcomeOf(client, sql));
    return found;
  });
  expect(outcomes).toEqual(["23503 group_budget_group", "23503 chat_parent", "succeeded", "succeeded", "succeeded"]);
});

test("a reader of the log has no right on the business tables", async () => {
  for (const table of ["device", "chat", `"group"`, "group_budget"]) {
    expect(await session(database.readerUrl, (client) => outcomeOf(client, `select from app.${table}`))).toBe("42501");
  }
});
