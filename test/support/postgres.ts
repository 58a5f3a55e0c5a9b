import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { inject } from "vitest";
import { openClient, openPool as openHeardPool, withClient } from "../../src/database/connection.js";

/** What the global setup hands to each test file. */
export interface TestServer {
  /** A superuser's login to a database that no test changes. */
  readonly adminUrl: string;
  /** The migrated database that is cloned; its name begins those of all the run's databases. */
  readonly template: string;
  readonly api: Login;
  readonly reader: Login;
}

export interface Login {
  readonly user: string;
  readonly password: string;
}

export interface TestDatabase {
  readonly name: string;
  /** As the superuser. */
  readonly adminUrl: string;
  /** As a member of `app_api`. */
  readonly apiUrl: string;
  /** As a member of `audit_reader`. */
  readonly readerUrl: string;
  drop(): Promise<void>;
}

declare module "vitest" {
  interface ProvidedContext {
    postgres: TestServer;
  }
}

/** Clones the migrated template into a database of the caller's own, who drops it at its end. */
export async function createDatabase(): Promise<TestDatabase> {
  const { adminUrl, template, api, reader } = inject("postgres");
  const name = `${template}_${randomBytes(5).toString("hex")}`;
  await cloneTemplate(adminUrl, template, name);
  return {
    name,
    adminUrl: urlOf(adminUrl, name),
    apiUrl: urlOf(adminUrl, name, api),
    readerUrl: urlOf(adminUrl, name, reader),
    drop: async () => {
      await query(adminUrl, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`);
    },
  };
}

/** Runs one statement on a connection of its own. */
export async function query<Row extends pg.QueryResultRow = Record<string, unknown>>(
  url: string,
  sql: string,
  params: unknown[] = [],
): Promise<Row[]> {
  return withClient(configOf(url), async (client) => (await client.query<Row>(sql, params)).rows);
}

/** A connection that the caller ends. */
export const connect = (url: string): Promise<pg.Client> => openClient(configOf(url));

const configOf = (url: string): pg.ClientConfig => ({ connectionString: url, connectionTimeoutMillis: 10_000 });

/** A pool that the caller ends; its connections may outlast its end, and then break as the database is dropped. */
export const openPool = (config: pg.PoolConfig): pg.Pool => openHeardPool(config, () => undefined);

/** The same server's URL for another database, and another login where one is given. */
export function urlOf(serverUrl: string, database: string, login?: Login): string {
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  if (login) {
    url.username = encodeURIComponent(login.user);
    url.password = encodeURIComponent(login.password);
  }
  return url.href;
}

/** Two clones of one template at a time are one too many for PostgreSQL now and then: "being accessed by other users". */
async function cloneTemplate(adminUrl: string, template: string, name: string): Promise<void> {
  const end = performance.now() + 20_000;
  const [clone, source] = [pg.escapeIdentifier(name), pg.escapeIdentifier(template)];
  for (;;) {
    try {
      await query(adminUrl, `CREATE DATABASE ${clone} TEMPLATE ${source}`);
      return;
    } catch (error) {
      const busy = error instanceof pg.DatabaseError && error.code === "55006";
      if (!busy || performance.now() > end) throw error;
      await delay(50 + Math.random() * 100);
    }
  }
}
