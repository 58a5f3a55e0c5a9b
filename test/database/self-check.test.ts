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

test("a table of one's own in the log's schema is no part of the log", async () => {
  await asAdmin(
    "create table audit.archive (id uuid); create rule keep as on delete to audit.archive do instead nothing",
  );
  expect(await check()).toEqual([]);
  await asAdmin("drop table audit.archive");
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
  [
    "a table beside is open",
    () => `alter table audit.declaration disable row level security`,
    () => "Row-level security",
  ],
  [
    "a guard looks at one column",
    () =>
      `create or replace trigger refuse_row before update of reason or delete on audit.entry for each row
       execute function audit_guard.refuse_change(); alter table audit.entry enable always trigger refuse_row`,
    () => "audit.entry lacks its guard refuse_row",
  ],
  [
    "a policy lets all be read",
    () => `alter policy reader_selects on audit.entry using (true)`,
    () =>
      "The policy reader_selects of audit.entry isn't what the migrations made, but AS PERMISSIVE FOR SELECT TO " +
      "audit_reader USING (true).",
  ],
  [
    "a policy is everyone's",
    () => `alter policy reader_selects on audit.session to public`,
    () => "The policy reader_selects of audit.session isn't what the migrations made",
  ],
  [
    "a policy is gone",
    () => `drop policy reader_selects on audit.entry_field`,
    () => "audit.entry_field lacks its policy reader_selects.",
  ],
  [
    "a policy shuts out",
    () =>
      `create policy shut on audit.entry as restrictive for insert to audit_writer with check (outcome = 'SUCCESS')`,
    () => "audit.entry has a policy shut that the migrations didn't make",
  ],
  [
    "a policy opens a table beside",
    () => `create policy open on audit.declaration to public using (true)`,
    () => "audit.declaration has a policy open",
  ],
  [
    "ids are made elsewhere",
    () =>
      `create function app.fake_id() returns uuid language sql return gen_random_uuid();
       alter table audit.entry alter id set default app.fake_id()`,
    () => "The default for id of audit.entry isn't what the migrations made, but DEFAULT app.fake_id().",
  ],
  ["ids aren't made", () => `alter table audit.entry alter id drop default`, () => "lacks its default for id."],
  [
    "a partition makes ids elsewhere",
    () => `alter table ${partition} alter id set default gen_random_uuid()`,
    () => `The default for id of ${partition} isn't what the migrations made`,
  ],
  [
    "a value is put in",
    () => `alter table audit.entry alter reason set default 'none'`,
    () => "audit.entry has a default for reason that the migrations didn't make: DEFAULT 'none'::text.",
  ],
  [
    "a number is put in",
    () => `alter table audit.entry_key alter ordinal add generated by default as identity`,
    () => "audit.entry_key has a default for ordinal that the migrations didn't make: GENERATED AS IDENTITY.",
  ],
  [
    "a column may be empty",
    () => `alter table audit.entry alter database_user drop not null`,
    () => "audit.entry lacks its not null for database_user.",
  ],
  [
    "a check refuses entries",
    () => `alter table audit.entry add constraint quiet check (outcome = 'SUCCESS') not valid`,
    () => "audit.entry has a constraint quiet that the migrations didn't make",
  ],
  [
    "a partition refuses entries",
    () => `alter table ${partition} add constraint quiet check (outcome = 'SUCCESS') not valid`,
    () => `${partition} has a constraint quiet that the migrations didn't make`,
  ],
  [
    "a check is gone",
    () => `alter table audit.session drop constraint session_reporter`,
    () => "audit.session lacks its constraint session_reporter.",
  ],
  [
    "keys may stand twice",
    () => `alter table audit.entry_key drop constraint entry_key_pkey`,
    () => "audit.entry_key lacks its constraint entry_key_pkey.",
  ],
  [
    "modes of the fence change unseen",
    () => `alter table audit.fence_mode disable trigger note_mode`,
    () => "The trigger note_mode of audit.fence_mode isn't what the migrations made",
  ],
  [
    "policies of the fence can be emptied",
    () => `drop trigger refuse_truncate on audit.fence_policy`,
    () => "audit.fence_policy lacks its trigger refuse_truncate.",
  ],
  [
    "a trigger holds a session's row",
    () =>
      `create trigger hold before update on audit.session for each row
       execute function suppress_redundant_updates_trigger()`,
    () => "audit.session has a trigger hold that the migrations didn't make",
  ],
  [
    "it enters migrations",
    () => `grant execute on function audit_guard.enter_migration(text) to app_api`,
    () => "may call audit_guard.enter_migration(text).",
  ],
  [
    "everyone lifts fences",
    () => `grant execute on function audit_guard.forget_fence(regclass) to public`,
    () => "may call audit_guard.forget_fence(regclass).",
  ],
  [
    "a function is someone else's",
    () => `create function audit_guard.fence(id text) returns void language sql as ''`,
    () => "The migrations didn't make the function audit_guard.fence(text).",
  ],
];

// What is done to which function, and what the self-check says of it: there is no SQL to paste.
const replaced: [what: string, name: string, fault: string, says: string][] = [
  [
    "it lets changes pass",
    "audit_guard.refuse_change()",
    `create or replace function audit_guard.refuse_change() returns trigger
     language plpgsql set search_path = pg_catalog, pg_temp as 'begin return coalesce(new, old); end'`,
    "The function audit_guard.refuse_change() isn't what the migrations made: its source is another. As audit_guard, make " +
      "it again as migrations/1795219204000-guards.ts does, and later migrations alter it, and compare with a fresh database",
  ],
  [
    "it folds nothing",
    "audit.fold(text)",
    `create or replace function audit.fold(label text) returns text language sql immutable parallel safe return label`,
    "The function audit.fold(text) isn't what the migrations made: its source is another. As audit_guard, make it again as " +
      "migrations/1795219217000-sharp-s.ts does",
  ],
  [
    "it makes ids of chance",
    "audit.new_id()",
    `create or replace function audit.new_id() returns uuid language sql volatile parallel safe return gen_random_uuid()`,
    "The function audit.new_id() isn't what the migrations made: its source is another.",
  ],
  [
    "it keeps no definition",
    "audit_guard.refuse_ddl()",
    `create or replace function audit_guard.refuse_ddl() returns event_trigger
     language plpgsql set search_path = pg_catalog, pg_temp as 'begin end'`,
    "The function audit_guard.refuse_ddl() isn't what the migrations made: its source is another.",
  ],
  [
    "it runs as who inserts",
    "audit_guard.admit()",
    `alter function audit_guard.admit() security invoker`,
    "The function audit_guard.admit() isn't what the migrations made: it is \"owner audit_guard language plpgsql kind f takes " +
      '() answers trigger volatile parallel u set search_path=pg_catalog, pg_temp", not "owner audit_guard language ' +
      'plpgsql kind f takes () answers trigger volatile parallel u security definer set search_path=pg_catalog, pg_temp"',
  ],
  [
    "it looks elsewhere for names",
    "audit_guard.refuses(name)",
    `alter function audit_guard.refuses(name) set search_path = public`,
    `set search_path=public", not "owner audit_guard language plpgsql`,
  ],
  [
    "it may be run early",
    "audit_guard.has_value(jsonb,text,jsonb,boolean,bytea)",
    `alter function audit_guard.has_value(jsonb, text, jsonb, boolean, bytea) leakproof`,
    "immutable parallel u leakproof set search_path",
  ],
  [
    "it is another's",
    "audit_guard.salts(integer)",
    `alter function audit_guard.salts(integer) owner to audit_owner`,
    `it is "owner audit_owner language sql`,
  ],
  [
    "it keeps no month ahead",
    "audit_guard.keep_partitions(integer)",
    `do $do$ begin execute replace(pg_get_functiondef('audit_guard.keep_partitions(integer)'::regprocedure),
       'DEFAULT 3', 'DEFAULT 0'); end $do$`,
    `takes (months_ahead integer DEFAULT 0)`,
  ],
  [
    "it is gone",
    "audit_guard.merged_drops(jsonb,jsonb,bigint)",
    `drop function audit_guard.merged_drops(jsonb, jsonb, bigint)`,
    "There is no function audit_guard.merged_drops(jsonb,jsonb,bigint). As audit_guard, make it as " +
      "migrations/1795219216000-counted-numbers.ts does, and later migrations alter it.",
  ],
];

describe("it is told of a function that", () => {
  test.each(replaced)("%s", async (_what, name, fault, says) => {
    const [made] = await query<{ definition: string }>(
      database.adminUrl,
      `select pg_get_functiondef($1::regprocedure) as definition`,
      [name],
    );
    await asAdmin(fault);
    const problems = await check();
    await asAdmin(`${made?.definition ?? ""};
      alter function ${name} owner to audit_guard; revoke all on function ${name} from public`);
    expect(problems).toEqual([expect.stringContaining(says)]);
    expect(await check()).toEqual([]);
  });
});

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
