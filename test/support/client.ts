import type { QueryResultRow } from "pg";
import { afterAll, beforeAll } from "vitest";
import { connect, createDatabase, query, type TestDatabase } from "./postgres.js";
import { startServer, type Answer, type ServerOptions, type TestServer } from "./server.js";
import { until } from "./until.js";

/** A server on a database of the test file's own, with an admin of the tenant `acme` who sends to it. */
export interface Client {
  readonly server: TestServer;
  readonly database: TestDatabase;
  readonly token: string;
  /** Sends one mutation field as the admin, called `it`. */
  mutate(field: string, variables?: Readonly<Record<string, unknown>>): Promise<Answer<Record<string, unknown>>>;
  /** As `mutate`, where nothing may fail; gives the id of what came. */
  make(field: string): Promise<string>;
  /** Runs SQL as the superuser. */
  sql<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Starts them before the file's tests and stops them after; the client's members are there once a test runs. */
export function useClient(options: Omit<ServerOptions, "database"> = {}): Client {
  const client = {} as { -readonly [Key in keyof Client]: Client[Key] };
  beforeAll(async () => {
    client.database = await createDatabase();
    client.server = await startServer({ ...options, database: client.database });
    client.token = await client.server.token({
      subject: "u-1",
      tenant: "acme",
      roles: ["admin"],
      name: "Sample Admin",
    });
    client.mutate = (field, variables) =>
      client.server.request(`mutation { it: ${field} }`, { token: client.token, ...(variables && { variables }) });
    client.make = async (field) => {
      const { data, errors } = await client.mutate(`${field} { id }`);
      const made = data?.["it"] as { id: string } | null | undefined;
      if (!made) throw new Error(`${field} failed: ${JSON.stringify(errors)}`);
      return made.id;
    };
    client.sql = (text, values) => query(client.database.adminUrl, text, values ? [...values] : []);
  });
  afterAll(async () => {
    await client.server.stop();
    await client.database.drop();
  });
  return client;
}

/** Opens the superuser's own transaction, which holds what it locks until it is ended. */
export async function holdTransaction(database: TestDatabase): Promise<{
  sql(text: string, values?: unknown[]): Promise<unknown[]>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}> {
  const client = await connect(database.adminUrl);
  await client.query("begin");
  const end = async (how: string) => {
    await client.query(how);
    await client.end();
  };
  return {
    sql: async (text, values) => (await client.query<Record<string, unknown>>(text, values)).rows,
    commit: () => end("commit"),
    rollback: () => end("rollback"),
  };
}

/** Waits until so many of the API's sessions wait for a lock. */
export async function untilBlocked(database: TestDatabase, count: number): Promise<void> {
  await until(
    async () => {
      const [row] = await query<{ waiting: number }>(
        database.adminUrl,
        `select count(*)::int as waiting from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock' and application_name like 'auditql%'`,
      );
      return row?.waiting === count;
    },
    { what: `${count} sessions wait for a lock` },
  );
}
