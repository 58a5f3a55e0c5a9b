import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { type Databases, keepPartitions, openDatabases, type PoolName } from "../src/database.js";
import { createDatabase, openPool, query, type TestDatabase } from "./support/postgres.js";
import { until } from "./support/until.js";

const { adminUrl } = inject("postgres");

let database: TestDatabase;
let databases: Databases;
let errors: { message: string; pool: PoolName }[];

const open = (urls: { apiUrl: string; readerUrl: string }): Promise<Databases> =>
  openDatabases(urls, { entities: [], onError: ({ message }, pool) => errors.push({ message, pool }) });

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await database.drop();
});

beforeEach(async () => {
  errors = [];
  databases = await open(database);
});

afterEach(async () => {
  await databases.close();
});

const run = (sql: string): Record<PoolName, Promise<unknown>> => ({
  api: databases.write.query(sql),
  read: databases.read.query(sql),
  refusals: databases.refusals.query(sql).then(({ rows }) => rows),
  looks: databases.looks.query(sql).then(({ rows }) => rows),
  sessions: databases.sessions.query(sql).then(({ rows }) => rows),
  reader: databases.reader.query(sql).then(({ rows }) => rows),
});

async function settings(): Promise<Record<string, unknown>> {
  const sql = `
    select name, setting from pg_settings where name in (
      'TimeZone', 'DateStyle', 'synchronous_commit', 'statement_timeout', 'lock_timeout', 'jit', 'search_path',
      'idle_in_transaction_session_timeout', 'default_transaction_isolation', 'application_name',
      'default_transaction_read_only'
    )`;
  const answers = Object.entries(run(sql)).map(async ([pool, rows]) => {
    const list = (await rows) as { name: string; setting: string }[];
    return [pool, Object.fromEntries(list.map(({ name, setting }) => [name, setting]))] as const;
  });
  return Object.fromEntries(await Promise.all(answers));
}

const same = {
  TimeZone: "UTC",
  DateStyle: "ISO, MDY",
  synchronous_commit: "on",
  statement_timeout: "10000",
  lock_timeout: "5000",
  idle_in_transaction_session_timeout: "15000",
  default_transaction_isolation: "read committed",
  search_path: "pg_catalog,pg_temp",
  jit: "off",
};

const expected = {
  api: { ...same, application_name: "auditql api", default_transaction_read_only: "off" },
  read: { ...same, application_name: "auditql read", default_transaction_read_only: "on" },
  refusals: { ...same, application_name: "auditql refusals", default_transaction_read_only: "off" },
  looks: { ...same, application_name: "auditql looks", default_transaction_read_only: "off" },
  sessions: { ...same, application_name: "auditql sessions", default_transaction_read_only: "off" },
  reader: { ...same, application_name: "auditql reader", default_transaction_read_only: "on" },
};

describe("the databases", () => {
  it("have the same settings whatever the database's defaults and the URL's parameters", async () => {
    await databases.close();
    for (const setting of [
      "timezone to 'Asia/Kathmandu'",
      "datestyle to 'German'",
      "synchronous_commit to off",
      "default_transaction_isolation to serializable",
      "search_path to audit",
      "statement_timeout to 0",
      "default_transaction_read_only to on",
    ]) {
      await query(adminUrl, `alter database ${database.name} set ${setting}`);
    }
    const odd = (url: string): string => {
      const result = new URL(url);
      result.searchParams.set("options", "-c lock_timeout=1 -c jit=on");
      result.searchParams.set("statement_timeout", "0");
      result.searchParams.set("application_name", "someone else");
      return result.href;
    };
    try {
      databases = await open({ apiUrl: odd(database.apiUrl), readerUrl: odd(database.readerUrl) });
      expect(await settings()).toEqual(expected);
    } finally {
      await query(adminUrl, `alter database ${database.name} reset all`);
    }
  });

  it("let nothing be written where they only read", async () => {
    const sql = "update app.device set name = 'changed'";
    await expect(databases.read.query(sql)).rejects.toMatchObject({ driverError: { code: "25006" } });
    await expect(databases.reader.query("create temporary table scratch ()")).rejects.toMatchObject({ code: "25006" });
    expect(await databases.write.query(sql)).toEqual([[], 0]);
  });

  it("never alter the schema by themselves", () => {
    for (const { options } of [databases.write, databases.read]) {
      expect([options.synchronize, options.dropSchema, options.migrationsRun]).toEqual([false, false, false]);
    }
  });

  it("outlive connections that the server ends, idle or in use", async () => {
    await databases.reader.query("select 1");
    await databases.looks.query("select 1");
    await databases.sessions.query("select 1");
    const client = await databases.refusals.connect();
    await client.query("begin");
    const sql = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = $1 and application_name in
        ('auditql refusals', 'auditql looks', 'auditql sessions', 'auditql reader', 'auditql api', 'auditql read')`;
    await query(database.adminUrl, sql, [database.name]);
    await until(() => new Set(errors.map(({ pool }) => pool)).size === 6, { what: "each pool has told of its loss" });
    client.release(true);
    await Promise.all(Object.values(run("select 1")));
    const message = "terminating connection due to administrator command";
    expect(
      errors
        .filter((error) => error.message === message)
        .map(({ pool }) => pool)
        .sort(),
    ).toEqual(["api", "looks", "read", "reader", "refusals", "sessions"]);
  });

  it("end what waits for a lock or runs too long", async () => {
    await expect(databases.write.query("set statement_timeout = 100; select pg_sleep(5)")).rejects.toMatchObject({
      driverError: { code: "57014" },
    });
  });

  it("leave no session behind once closed, and close once", async () => {
    await Promise.all(Object.values(run("select 1")));
    await Promise.all([databases.close(), databases.close()]);
    const sql = "select application_name from pg_stat_activity where datname = $1 and application_name like 'auditql%'";
    await until(async () => (await query(database.adminUrl, sql, [database.name])).length === 0, {
      what: "no session is left",
    });
    expect(errors).toEqual([]);
  });

  it("wait, when they close, for the transactions under way, and give their connections to nobody else", async () => {
    const underWay = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const runner = databases.write.createQueryRunner();
        await runner.connect();
        await runner.startTransaction();
        return runner;
      }),
    );
    let isServed = false;
    void databases.write.query("select 1").then(
      () => (isServed = true),
      () => undefined,
    );
    const closed = databases.close();
    for (const runner of underWay) {
      expect(await runner.query("select now() = statement_timestamp() as alone")).toEqual([{ alone: false }]);
      await runner.commitTransaction();
      await runner.release();
    }
    await closed;
    expect([isServed, errors]).toEqual([false, []]);
  });

  it("close what they opened where one login is refused", async () => {
    const { apiUrl } = database;
    await databases.close();
    const wrong = new URL(apiUrl);
    wrong.password = "wrong";
    await expect(open({ apiUrl: wrong.href, readerUrl: database.readerUrl })).rejects.toMatchObject({ code: "28P01" });
  });
});

describe("the upkeep of the log's partitions", () => {
  it("makes what is missing as the API's login, and then nothing", async () => {
    const partitions = "select count(*)::int from pg_inherits where inhparent = 'audit.entry'::regclass";
    expect(await keepPartitions(databases.refusals)).toEqual([]);
    expect(await query(database.adminUrl, partitions)).toEqual([{ count: 5 }]);
    expect(await databases.refusals.query("show statement_timeout").then(({ rows }) => rows)).toEqual([
      { statement_timeout: "10s" },
    ]);
  });

  it("gives its connection up where it fails", async () => {
    const pool = openPool({ connectionString: adminUrl });
    try {
      await expect(keepPartitions(pool)).rejects.toMatchObject({ code: "3F000" });
      expect([pool.totalCount, pool.waitingCount]).toEqual([0, 0]);
    } finally {
      await pool.end();
    }
  });
});
