import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { insertEntry } from "./support/entry.js";
import { outcomeOfAttempt, session } from "./support/session.js";

const REFUSED = "42501";

let database: TestDatabase;
let partition: string;
let untouched: unknown;

beforeAll(async () => {
  database = await createDatabase();
  await session(database.apiUrl, async (client) => {
    for (let ordinal = 0; ordinal < 3; ordinal++) await insertEntry(client, { ordinal });
  });
  const [found] = await query<{ name: string }>(
    database.adminUrl,
    `select distinct tableoid::regclass::text as name from audit.entry`,
  );
  partition = found?.name ?? "";
  // A view of a superuser's: who writes through it passes every check of privileges.
  await query(
    database.adminUrl,
    `do $$ begin
       create view app.log as select * from audit.entry;
       grant select, insert, update, delete on app.log to app_api, audit_reader, audit_owner;
       grant usage on schema app to audit_reader, audit_owner;
     end $$`,
  );
  untouched = await everything();
});

afterAll(async () => {
  const now = await everything();
  await database.drop();
  expect(now).toEqual(untouched);
});

function everything(): Promise<unknown> {
  return query(
    database.adminUrl,
    `select count(*)::int as entries, md5(string_agg(entry::text, '|' order by id)) as content,
       (select md5(string_agg(entry_field::text, '|' order by id, field)) from audit.entry_field) as fields
     from audit.entry`,
  );
}

const attackers: [who: string, url: () => string, prelude: string][] = [
  ["the API", () => database.apiUrl, ""],
  ["a reader", () => database.readerUrl, ""],
  ["the tables' owner", () => database.adminUrl, `set role audit_owner`],
  ["a superuser", () => database.adminUrl, ""],
  ["a superuser in the role of a replica", () => database.adminUrl, `set session_replication_role = replica`],
];

const attacks = (): string[] => [
  `update audit.entry set reason = 'x'`,
  `update audit.entry set reason = 'x' where false`,
  `update ${partition} set reason = 'x'`,
  `update app.log set reason = 'x'`,
  `delete from audit.entry`,
  `delete from audit.entry where false`,
  `delete from ${partition}`,
  `delete from app.log where false`,
  `truncate audit.entry`,
  `truncate audit.entry cascade`,
  `truncate ${partition}`,
  `truncate audit.entry_default`,
  `truncate audit.entry_field`,
  `update audit.entry_field set field = 'x' where false`,
  `delete from audit.entry_field`,
  `insert into audit.entry_field (tenant_id, field, id) values ('acme', 'name', audit.new_id())`,
  `insert into audit.entry (tenant_id) values ('acme') on conflict (tenant_id, id) do update set reason = 'x'`,
  `merge into audit.entry using (values (1)) as one (n) on true when matched then update set reason = 'x'`,
  `merge into audit.entry using (values (1)) as one (n) on true when matched then delete`,
  `with gone as (delete from audit.entry returning 1) select count(*) from gone`,
];

describe.each(attackers)("%s", (_who, url, prelude) => {
  test("can neither alter nor remove an entry", async () => {
    await session(url(), async (client) => {
      if (prelude !== "") await client.query(prelude);
      const outcomes = new Map<string, string>();
      for (const attack of attacks()) outcomes.set(attack, await outcomeOfAttempt(client, attack));
      expect(Object.fromEntries(outcomes)).toEqual(Object.fromEntries(attacks().map((attack) => [attack, REFUSED])));
    });
  });
});

test("a superuser's DELETE is refused by the guard, with words that say why", async () => {
  await expect(query(database.adminUrl, `delete from audit.entry`)).rejects.toThrow(
    "DELETE on audit.entry refused: the audit log is append-only",
  );
});

test("every partition has its guards, and each fires always", async () => {
  const rows = await query(
    database.adminUrl,
    `select relid::regclass::text as name,
       string_agg(tgname, ' ' order by tgname) filter (where tgenabled = 'A') as guards
     from pg_partition_tree('audit.entry') join pg_trigger on tgrelid = relid and not tgisinternal
     group by relid`,
  );
  expect(rows.length).toBeGreaterThanOrEqual(6);
  expect(new Set(rows.map(({ guards }) => guards))).toEqual(
    new Set(["admit refuse_row refuse_statement refuse_truncate"]),
  );
});

test.each([
  `alter table audit.entry disable trigger refuse_row`,
  `drop table audit.entry`,
  `create or replace function audit_guard.refuse_change() returns trigger language plpgsql as 'begin return new; end'`,
  `create or replace function audit.new_id() returns uuid language sql return gen_random_uuid()`,
  `create table audit.mine (id int)`,
  `set role audit_owner`,
  `set role audit_guard`,
  `set session_replication_role = replica`,
  `select audit_guard.try_to_keep_partitions(1)`,
  `select audit_guard.rescue_default('audit.entry')`,
  `grant select on audit.entry to public`,
])("the API may not: %s", async (sql) => {
  // A GRANT of what one doesn't hold is a warning in PostgreSQL; of a table that one has no right on, an error.
  expect(await session(database.apiUrl, (client) => outcomeOfAttempt(client, sql))).toBe(REFUSED);
});

test("nothing binds the log to other tables: a device can go and its entries stay", async () => {
  const rows = await query(
    database.adminUrl,
    `select count(*)::int as bonds from pg_constraint
     where contype = 'f' and 'audit'::regnamespace in (
       (select relnamespace from pg_class where oid = conrelid), (select relnamespace from pg_class where oid = confrelid))`,
  );
  expect(rows).toEqual([{ bonds: 0 }]);
});
