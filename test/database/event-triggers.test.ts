import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { outcomeOfAttempt, session } from "./support/session.js";

let database: TestDatabase;
let partition: string;

beforeAll(async () => {
  database = await createDatabase();
  const [found] = await query<{ name: string }>(
    database.adminUrl,
    `select min(relid::regclass::text) as name from pg_partition_tree('audit.entry') where isleaf`,
  );
  partition = found?.name ?? "";
  await query(
    database.adminUrl,
    `do $$ begin create schema elsewhere; grant create, usage on schema elsewhere to audit_owner; end $$`,
  );
});
afterAll(() => database.drop());

const deny = `returns trigger language plpgsql as 'begin return null; end'`;
const ddl = (): string[] => [
  `alter table audit.entry disable trigger all`,
  `alter table ${partition} disable trigger refuse_row`,
  `drop trigger refuse_row on audit.entry`,
  `drop trigger refuse_truncate on ${partition}`,
  `create rule swallow as on insert to audit.entry do instead nothing`,
  `create trigger swallow before insert on audit.entry for each row execute function suppress_redundant_updates_trigger()`,
  `alter table audit.entry detach partition ${partition}`,
  `drop table ${partition}`,
  `drop table audit.entry cascade`,
  `drop schema audit cascade`,
  `drop owned by audit_owner cascade`,
  `alter schema audit rename to old`,
  `alter table audit.entry rename to old`,
  `alter table audit.entry set schema elsewhere`,
  `alter table audit.entry alter column reason type text using 'x'`,
  `alter table audit.entry drop column reason`,
  `alter table audit.entry alter column application_name drop not null`,
  `alter table ${partition} set unlogged`,
  `alter table audit.entry disable row level security`,
  `create policy open on audit.entry for select to audit_reader using (true)`,
  `drop policy reader_selects on audit.entry`,
  `drop index audit.entry_id_idx`,
  `create function audit.mine() ${deny}`,
  `create or replace function audit_guard.refuse_change() ${deny}`,
  `drop function audit_guard.admit() cascade`,
  `create table elsewhere.part partition of audit.entry
     for values from ('f0000000-0000-7000-8000-000000000000') to ('f1000000-0000-7000-8000-000000000000')`,
  `create table elsewhere.child (tenant_id text, id uuid, foreign key (tenant_id, id) references audit.entry)`,
  `grant update on audit.entry to app_api`,
  `grant update (reason) on audit.entry to app_api`,
  `grant delete on ${partition} to app_api`,
  `grant truncate on audit.entry_field to public`,
  `grant trigger on audit.entry to audit_reader`,
  `grant references on audit.entry to audit_reader`,
  `grant insert on audit.entry to app_api`,
  `grant insert (id) on audit.entry to app_api`,
  `grant all on all tables in schema audit to app_api`,
];

describe.each([
  ["the tables' owner", `set role audit_owner`],
  ["a superuser who isn't acting as audit_guard", `select`],
])("%s", (_who, prelude) => {
  test("can't change the log's tables, guards or grants", async () => {
    await session(database.adminUrl, async (client) => {
      await client.query(prelude);
      const outcomes = new Map<string, string>();
      for (const attack of ddl()) outcomes.set(attack, await outcomeOfAttempt(client, attack));
      expect(Object.fromEntries(outcomes)).toEqual(Object.fromEntries(ddl().map((attack) => [attack, "42501"])));
    });
  });
});

test.each([`grant update on audit.entry to app_api`, `grant insert (xact_id) on audit.entry to app_api`])(
  "not even audit_guard may: %s",
  async (sql) => {
    await session(database.adminUrl, async (client) => {
      await client.query(`set role audit_guard`);
      expect(await outcomeOfAttempt(client, sql)).toBe("42501");
    });
  },
);

test("a migration may change the log as audit_guard", async () => {
  await session(database.adminUrl, async (client) => {
    await client.query(`set role audit_guard`);
    expect(await outcomeOfAttempt(client, `alter table audit.entry add column later text`)).toBe("succeeded");
  });
});

test("who has nothing to do with the log makes, changes and drops what is theirs", async () => {
  await session(database.adminUrl, async (client) => {
    await client.query(`create table elsewhere.entry (id int); create view elsewhere.seen as table elsewhere.entry`);
    await client.query(`grant all on elsewhere.entry to public; alter table elsewhere.entry add column audit text`);
    await client.query(`drop table elsewhere.entry cascade`);
  });
  await session(database.apiUrl, async (client) => {
    await client.query(`create temp table audit (id int)`);
    await client.query(`drop table audit`);
  });
});

test("an operator may take the right to write away, and give it back", async () => {
  await session(database.adminUrl, async (client) => {
    await client.query("begin");
    await client.query(`revoke insert (tenant_id) on audit.entry from audit_writer`);
    await client.query(`grant insert (tenant_id) on audit.entry to audit_writer`);
    await client.query("rollback");
  });
});
