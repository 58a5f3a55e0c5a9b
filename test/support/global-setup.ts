import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/embedded-postgres.js";
import { migrate } from "../../src/migrate.js";
import { fence } from "../../scratch/fence.js";
import { type Login, query, urlOf } from "./postgres.js";

/**
 * One PostgreSQL for the whole run, with a migrated template that each test file clones: an embedded one, or the server
 * of TEST_DATABASE_URL (a superuser's login), where only what was made here is removed again.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const undo: (() => Promise<void>)[] = [];
  const teardown = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const adminUrl = process.env["TEST_DATABASE_URL"] ?? (await startServer(undo));
    const rolesBefore = await roleNames(adminUrl);
    const made: string[] = [];
    undo.push(() => dropRoles(adminUrl, made));
    const template = `auditql_test_${randomBytes(4).toString("hex")}`;
    undo.push(() => dropDatabases(adminUrl, template));
    await query(adminUrl, `CREATE DATABASE ${template}`);
    await migrate(urlOf(adminUrl, template));
    // Most tests start a server without the migrating login.
    await fence(urlOf(adminUrl, template));
    made.push(...(await roleNames(adminUrl)).filter((role) => !rolesBefore.includes(role)));
    // Whoever is connected to a template keeps it from being cloned.
    await query(adminUrl, `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
    const api = await makeLogin(adminUrl, "app_api");
    made.push(api.user);
    const reader = await makeLogin(adminUrl, "audit_reader");
    made.push(reader.user);
    project.provide("postgres", { adminUrl, template, api, reader });
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}

async function startServer(undo: (() => Promise<void>)[]): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), "auditql-test-"));
  undo.push(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }));
  // As root, PostgreSQL runs as another user, who has to enter the folder.
  await chmod(dataDir, 0o755);
  const server = await startEmbeddedPostgres({ dataDir });
  const kill = killAtExit(dataDir);
  undo.push(async () => {
    process.off("exit", kill);
    await server.stop();
  });
  // Nothing here has to outlive a power cut. What a commit means to other connections stays as it is.
  await query(server.url, "ALTER SYSTEM SET fsync = off");
  await query(server.url, "ALTER SYSTEM SET full_page_writes = off");
  await query(server.url, "SELECT pg_reload_conf()");
  return server.url;
}

/** A signal makes Vitest exit without its teardown, and the server runs in a process group of its own. */
function killAtExit(dataDir: string): () => void {
  const kill = (): void => {
    try {
      const [pid] = readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8").split("\n");
      process.kill(Number(pid), "SIGQUIT");
      rmSync(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    } catch (error) {
      console.error(`a PostgreSQL may be left in ${dataDir}`, error);
    }
  };
  process.once("exit", kill);
  return kill;
}

async function makeLogin(adminUrl: string, role: string): Promise<Login> {
  const login = {
    user: `test_${role}_${randomBytes(4).toString("hex")}`,
    password: randomBytes(18).toString("base64url"),
  };
  await query(adminUrl, `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}' IN ROLE ${role}`);
  return login;
}

async function roleNames(adminUrl: string): Promise<string[]> {
  const rows = await query<{ rolname: string }>(adminUrl, "SELECT rolname FROM pg_roles");
  return rows.map(({ rolname }) => rolname);
}

async function dropDatabases(adminUrl: string, prefix: string): Promise<void> {
  const sql = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)";
  for (const { datname } of await query<{ datname: string }>(adminUrl, sql, [prefix])) {
    await query(adminUrl, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(datname)} WITH (FORCE)`);
  }
}

/** Roles belong to the whole server: one that another database has come to rest on meanwhile stays. */
async function dropRoles(adminUrl: string, roles: string[]): Promise<void> {
  for (const role of roles) {
    await query(adminUrl, `DROP ROLE IF EXISTS ${pg.escapeIdentifier(role)}`).catch((error: unknown) => {
      if (!(error instanceof pg.DatabaseError && error.code === "2BP01")) throw error;
    });
  }
}
