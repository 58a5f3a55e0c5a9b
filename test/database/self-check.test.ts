import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { selfCheck } from "../../src/audit/self-check.js";
import { createDatabase, query, type TestDatabase, urlOf } from "../support/postgres.js";
import { session } from "./support/session.js";

const login = { user: `test_self_check_${randomBytes(4).toString("hex")}`, password: randomBytes(18).toString("hex") };

let database: TestDatabase;
let url: string;
let partition: string;

beforeAll(async () => {
  database = await createDatabase();
  url = urlOf(database.adminUrl, database.name, login);
  await asAdmin(`create role ${login.user} login password '${login.password}' in role app_api`);
  // Some of these faults an event trigger would refuse; the self-check has to see them where there is none.
  await asAdmin(`alter event trigger audit_refuse_ddl disable; alter event trigger audit_refuse_drop disable`);
  const sql = `select min(relid::regclass::text) as name from pg_partition_tree('audit.entry') where isleaf`;
  const [found] = await query<{ name: string }>(database.adminUrl, sql);
  partition = found?.name ?? "";
});

afterAll(async () => {
  await asAdmin(`drop owned by ${login.user}`);
  await asAdmin(`drop role ${login.user}`);
  await database.drop();
});

test("nothing is wrong with a login that is a member of app_api alone", async () => {
  expect(await check()).toEqual([]);
});

// What is wrong, the fault, and a part of what the self-check says of it. What it says to paste has to mend it.
const faults: [what: string, fault: () => string, says: () => string][] = [
  ["it is a superuser", () => `alter role ${login.user} superuser`, () => "is a superuser"],
  ["it passes row-level security", () => `alter role ${login.user} bypassrls`, () => "passes row-level security"],
  ["it can make roles", () => `alter role ${login.user} createrole`, () => "may give itself other roles"],
  ["it can replicate", () => `alter role ${login.user} replication`, () => "by replication"],
  ["it is the owner", () => `grant audit_owner to ${login.user}`, () => "may act as audit_owner"],
  ["it is the guard", () => `grant audit_guard to ${login.user}`, () => "may act as audit_guard"],
  ["it reads the log", () => `grant audit_reader to ${login.user}`, () => "may act as audit_reader"],
  ["it runs programs", () => `grant pg_execute_server_program to ${login.user}`, () => "pg_execute_server_program"],
  ["it may update", () => `grant update on audit.entry to ${login.user}`, () => "holds UPDATE on audit.entry"],
  ["its group may delete", () => `grant delete on audit.entry to app_api`, () => "holds DELETE on audit.entry"],
  ["everyone may truncate", () => `grant truncate on audit.entry to public`, () => "holds TRUNCATE on audit.entry"],
  ["a partition is open", () => `grant delete, trigger on ${partition} to ${login.user}`, () => `on ${partition}`],
  ["a column is open", () => `grant update (reason) on audit.entry to ${login.user}`, () => "holds UPDATE"],
  ["it states ids", () => `grant insert (id) on audit.entry to ${login.user}`, () => "may INSERT id of audit.entry"],
  ["it states all", () => `grant insert on audit.entry to ${login.user}`, () => "database_user"],
  ["it reads salts", () => `grant select (salts) on audit.entry to ${login.user}`, () => "may SELECT salts"],
  ["it lists fields", () => `grant insert on audit.entry_field to ${login.user}`, () => "of audit.entry_field"],
  ["it frees keys", () => `grant delete on audit.entry_key to ${login.user}`, () => "holds DELETE on audit.entry_key"],
  ["it reads keys", () => `grant select on audit.entry_key to ${login.user}`, () => "of audit.entry_key"],
  ["keys aren't guarded", () => `drop trigger refuse_row on audit.entry_key`, () => "audit.entry_key lacks its guard"],
  ["it owns a partition", () => `alter table ${partition} owner to ${login.user}`, () => `owns table ${partition}`],
  ["a guard is off", () => `alter table audit.entry disable trigger refuse_row`, () => "audit.entry lacks its guard"],
  ["a guard yields to replicas", () => `alter table ${partition} enable trigger refuse_truncate`, () => "fire always"],
  ["a guard is gone", () => `drop trigger refuse_statement on ${partition}`, () => `${partition} lacks its guard`],
  ["what admits entries is gone", () => `drop trigger admit on audit.entry`, () => "audit.entry lacks its guard admit"],
  [
    "a guard has a condition",
    () =>
      `create or replace trigger refuse_truncate before truncate on audit.entry for each statement when (false)
       execute function audit_guard.refuse_change()`,
    () => "audit.entry lacks its guard refuse_truncate",
  ],
  [
    "a rule swallows entries",
    () => `create rule swallow as on insert to audit.entry do instead nothing`,
    () => "has a rule swallow",
  ],
  [
    "a trigger swallows entries",
    () =>
      `create trigger swallow before insert on ${partition} for each row
       execute function suppress_redundant_updates_trigger()`,
    () => "has a trigger swallow",
  ],
  [
    "a foreign key holds entries",
    () =>
      `create table app.held (tenant_id text collate "C", id uuid, foreign key (tenant_id, id) references audit.entry)`,
    () => "A foreign key binds",
  ],
  [
    "a policy opens the wall",
    () => `create policy open on audit.entry for select to audit_reader using (true)`,
    () => "has a policy open",
  ],
  ["the wall is down", () => `alter table audit.entry disable row level security`, () => "Row-level security"],
];

describe("it is told, with what mends it, that", () => {
  test.each(faults)("%s", async (_what, fault, says) => {
    await asAdmin(fault());
    const problems = await check();
    try {
      expect(problems.join("\n")).toContain(says());
    } finally {
      for (const problem of problems) await paste(problem);
    }
    expect(await check()).toEqual([]);
  });
});

test("every fault is told at once", async () => {
  await asAdmin(`grant update on audit.entry to ${login.user}; drop trigger refuse_truncate on audit.entry;
    alter role ${login.user} createrole`);
  const problems = await check();
  for (const problem of problems) await paste(problem);
  expect(problems).toHaveLength(3);
});

test("a log without a place for now's entries is told", async () => {
  const other = await createDatabase();
  try {
    await session(other.adminUrl, (client) =>
      client.query(`set role audit_guard; drop table ${partition}, audit.entry_default`),
    );
    expect(await session(other.apiUrl, selfCheck)).toEqual([
      "audit.entry has no partition for now. SELECT audit_guard.keep_partitions();",
    ]);
  } finally {
    await other.drop();
  }
});

test("a database without the log says to migrate", async () => {
  const postgres = urlOf(database.adminUrl, "postgres");
  expect(await session(postgres, selfCheck)).toEqual([
    "There is no table audit.entry: run the migrations.",
    "There is no table audit.entry_field: run the migrations.",
    "There is no table audit.entry_key: run the migrations.",
  ]);
});

test("it ends in time where the log is locked, and says that it couldn't try", async () => {
  await session(database.adminUrl, async (holder) => {
    await holder.query(`begin; lock table audit.entry in access exclusive mode`);
    const problems = await check();
    await holder.query(`rollback`);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) expect(problem).toContain("55P03");
  });
});

function check(): Promise<string[]> {
  return session(url, selfCheck);
}

function asAdmin(sql: string): Promise<unknown> {
  return session(database.adminUrl, (client) => client.query(sql));
}

/** Runs what a problem says to paste: all from its second sentence on. What attacks found has no such sentence. */
async function paste(problem: string): Promise<void> {
  if (problem.startsWith('"')) return;
  try {
    await asAdmin(problem.slice(problem.search(/(?<=[.:] )(REVOKE|SET ROLE|ALTER|SELECT)\b/)));
  } catch (error) {
    if (error instanceof pg.DatabaseError) throw new Error(`can't be pasted: ${problem}`, { cause: error });
    throw error;
  }
}
