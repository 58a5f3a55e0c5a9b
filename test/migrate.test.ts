import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { migrations } from "../migrations/index.js";
import type { MigrationInterface, QueryRunner } from "typeorm";
import { migrate, MigrationError, pending } from "../src/migrate.js";
import { migrationFile } from "../src/migration-error.js";
import { connect, createDatabase, query, urlOf } from "./support/postgres.js";
import { until } from "./support/until.js";

const compiled = new URL("../dist/src/migrate.js", import.meta.url).href;
const total = migrations.length;
const { adminUrl, template } = inject("postgres");

let name: string;
let url: string;
const roles: string[] = [];

beforeEach(async () => {
  name = `${template}_${randomBytes(5).toString("hex")}`;
  url = urlOf(adminUrl, name);
  await query(adminUrl, `create database ${name}`);
});

afterEach(async () => {
  await query(adminUrl, `drop database ${name} with (force)`);
  for (const role of roles.splice(0)) await query(adminUrl, `drop role ${role}`);
});

async function plainLogin(): Promise<string> {
  const login = { user: `${name}_plain`, password: "plain" };
  await query(adminUrl, `create role ${login.user} login password '${login.password}'`);
  roles.push(login.user);
  return urlOf(adminUrl, name, login);
}

async function failure(work: Promise<unknown>): Promise<MigrationError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MigrationError)) throw new Error("It didn't end in a MigrationError.", { cause: error });
  return error;
}

async function appliedNames(): Promise<string[]> {
  const rows = await query<{ name: string }>(url, "select name from auditql.migration order by id");
  return rows.map((row) => row.name);
}

describe("migrating", () => {
  it("runs what is missing, in order, and nothing twice", async () => {
    expect(await pending(url)).toBe(total);
    expect(await migrate(url)).toEqual({ applied: total, total });
    expect(await appliedNames()).toEqual(migrations.map((migration) => migration.name));
    expect(await migrate(url)).toEqual({ applied: 0, total });
    expect(await pending(url)).toBe(0);
  });

  it("lets a login without any right see that nothing is pending, and change nothing of it", async () => {
    const plain = await plainLogin();
    expect(await pending(plain)).toBe(total);
    await migrate(url);
    expect(await pending(plain)).toBe(0);
    await expect(query(plain, "delete from auditql.migration")).rejects.toMatchObject({ code: "42501" });
  });

  it("is done once by five processes that start at once", async () => {
    const program = `
      const { migrate } = await import(process.argv[1]);
      console.log(JSON.stringify(await migrate(process.argv[2])));`;
    const args = ["--input-type=module", "-e", program, compiled, url];
    const runs = await Promise.all(Array.from({ length: 5 }, () => promisify(execFile)(process.execPath, args)));
    const applied = runs.map(({ stdout }) => (JSON.parse(stdout) as { applied: number }).applied);
    expect(applied.sort((left, right) => left - right)).toEqual([0, 0, 0, 0, total]);
    expect(await appliedNames()).toEqual(migrations.map((migration) => migration.name));
  });

  it("waits for another process no longer than its deadline, and says whom to look for", async () => {
    const other = await connect(url);
    try {
      await other.query("select pg_advisory_lock(hashtextextended('auditql.migration', 0))");
      const error = await failure(migrate(url, 200));
      expect([error.reason, error.exitCode]).toEqual(["busy", 1]);
      expect(error.message).toContain("application_name 'auditql migrate'");
      expect(await pending(url)).toBe(total);
    } finally {
      await other.end();
    }
    expect(await migrate(url, 5_000)).toEqual({ applied: total, total });
  });

  it("leaves a database alone where its login may not make what it needs", async () => {
    const error = await failure(migrate(await plainLogin()));
    expect([error.reason, error.exitCode]).toEqual(["refused", 78]);
    expect(error.message).toContain(`permission denied for database ${name}`);
    expect(await query(url, "select to_regnamespace('auditql') as schema")).toEqual([{ schema: null }]);
  });

  it("keeps what was whole before one that failed, and goes on there the next time", async () => {
    await query(url, "create schema app");
    const error = await failure(migrate(url));
    expect([error.reason, error.message]).toEqual([
      "failed",
      "The migration BusinessSchema1795219207000 (migrations/1795219207000-business-schema.ts) failed, and nothing of it " +
        'was kept: schema "app" already exists.',
    ]);
    const before = migrations.findIndex((migration) => migration.name.startsWith("BusinessSchema"));
    expect(await pending(url)).toBe(total - before);
    await query(url, "drop schema app");
    expect(await migrate(url)).toEqual({ applied: total - before, total });
  });

  it.each(["a success", "a failure"])("closes its connections after %s", async (outcome) => {
    if (outcome === "a failure") await query(url, "create schema app");
    await migrate(url).catch(() => undefined);
    const sql = "select pid from pg_stat_activity where datname = $1 and application_name = 'auditql migrate'";
    await until(async () => (await query(adminUrl, sql, [name])).length === 0, { what: "no session is left" });
  });

  it("finds each migration's file by its class", () => {
    expect(migrations.map(({ name }) => migrationFile(name)).filter((file) => !existsSync(file))).toEqual([]);
  });

  it("has migrations whose numbers are all different and ascend", () => {
    const numbers = migrations.map((migration) => Number(/\d{13}$/.exec(migration.name)?.[0]));
    expect(numbers).toEqual([...new Set(numbers)].sort((left, right) => left - right));
  });
});

describe("a migration that a developer adds", () => {
  /** What becomes of one more migration, which does this, on a database that a server has started on. */
  async function ending(sql: string): Promise<unknown> {
    class Badge1795299999000 implements MigrationInterface {
      async up(runner: QueryRunner): Promise<void> {
        await runner.query(sql);
      }
      down = (): Promise<void> => Promise.resolve();
    }
    const database = await createDatabase();
    migrations.push(Badge1795299999000);
    try {
      return await migrate(database.adminUrl).catch((error: unknown) => error);
    } finally {
      migrations.pop();
      await database.drop();
    }
  }
  const failed =
    "The migration Badge1795299999000 (migrations/1795299999000-badge.ts) failed, and nothing of it was kept:";

  it.each([
    [
      "alter table app.group_budget alter column spend_limit_micros type numeric using 7",
      "ALTER TABLE refused: it would write every row of app.group_budget anew, unseen. " +
        "Begin it with SELECT audit_guard.lift_fence('app.group_budget'); The start makes the fence again behind it.",
    ],
    [
      'alter table app."group" rename column name to title',
      'ALTER TABLE refused. The fence of app."group" is broken: a column that it looks at is gone, renamed or of another ' +
        `type. Begin it with SELECT audit_guard.lift_fence('app."group"'); The start makes the fence again behind it.`,
    ],
    [
      "alter table audit.entry add column mood text",
      "ALTER TABLE refused: audit.entry. The audit log is kept by audit_guard alone. " +
        "Change it by a migration, as audit_guard.",
    ],
    ["create table app.badge (name varchr)", 'type "varchr" does not exist.'],
  ])("is named where it fails, with what to do: %s", async (sql, why) => {
    const error = await ending(sql);
    expect(error).toMatchObject({ name: "MigrationError", reason: "failed", message: `${failed} ${why}` });
  });

  it("is named where its login may not", async () => {
    const login = `${name}_weak`;
    await query(adminUrl, `create role ${login} nologin`);
    roles.push(login);
    expect(await ending(`set local role ${login}; select from audit.entry`)).toMatchObject({
      reason: "refused",
      message:
        "The login may not migrate this database: permission denied for schema audit, in Badge1795299999000 " +
        "(migrations/1795299999000-badge.ts).",
    });
  });

  it("alters an audited table once it has lifted the fence", async () => {
    const sql = "select audit_guard.lift_fence('app.group_budget'); alter table app.group_budget add mood text";
    expect(await ending(sql)).toEqual({ applied: 1, total: total + 1 });
  });
});
