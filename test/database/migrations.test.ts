import { DataSource } from "typeorm";
import { afterEach, beforeEach, expect, test } from "vitest";
import { migrations } from "../../migrations/index.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { insertEntry } from "./support/entry.js";
import { session } from "./support/session.js";

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

test("no two migrations share a number, and they stand in its order", () => {
  const numbers = migrations.map(({ name }) => Number(/^[A-Z][A-Za-z]+(\d{13})$/.exec(name)?.[1]));
  expect(numbers).toEqual([...new Set(numbers)].sort((one, other) => one - other));
});

test("an empty log can go back to nothing and come again", async () => {
  await withDataSource(async (source) => {
    for (const _ of migrations) await source.undoLastMigration();
    expect(await schemas()).toEqual([]);
    expect(await query(database.adminUrl, `select evtname from pg_event_trigger`)).toEqual([]);
    await source.runMigrations();
  });
  expect(await schemas()).toEqual(["app", "audit", "audit_guard"]);
});

test("a log with an entry refuses to go back, and keeps its guards", async () => {
  await session(database.apiUrl, (client) => insertEntry(client));
  const guardsBefore = await guards();
  await withDataSource(async (source) => {
    await expect(source.undoLastMigration()).rejects.toThrow("The audit log holds entries");
    await expect(source.undoLastMigration({ transaction: "none" })).rejects.toThrow("The audit log holds entries");
  });
  expect(
    await query(database.adminUrl, `select count(*)::int from audit.entry where resource_type = 'device'`),
  ).toEqual([{ count: 1 }]);
  expect(await guards()).toEqual(guardsBefore);
});

test("every way down that touches the log asks first whether it holds entries", async () => {
  await session(database.apiUrl, (client) => insertEntry(client));
  await withDataSource(async (source) => {
    for (const Migration of migrations) {
      if (!/^(Entry|Guards|Partitions|EventTriggers|Declarations|Fence)/.test(Migration.name)) continue;
      const runner = source.createQueryRunner();
      await runner.startTransaction();
      await expect(new Migration().down(runner)).rejects.toThrow("The audit log holds entries");
      await runner.rollbackTransaction();
      await runner.release();
    }
  });
});

async function withDataSource(work: (source: DataSource) => Promise<void>): Promise<void> {
  const source = new DataSource({
    type: "postgres",
    url: database.adminUrl,
    schema: "auditql",
    migrations,
    migrationsTableName: "migration",
    migrationsTransactionMode: "each",
  });
  await source.initialize();
  try {
    await work(source);
  } finally {
    await source.destroy();
  }
}

async function schemas(): Promise<unknown[]> {
  const sql = `select nspname from pg_namespace where nspname in ('app', 'audit', 'audit_guard') order by 1`;
  return (await query(database.adminUrl, sql)).map(({ nspname }) => nspname);
}

function guards(): Promise<unknown> {
  return query(
    database.adminUrl,
    `select tgrelid::regclass::text as name, tgname, tgenabled from pg_trigger
     where tgrelid in (select relid from pg_partition_tree('audit.entry')) order by 1, 2`,
  );
}
