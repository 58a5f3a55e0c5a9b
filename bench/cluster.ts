import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startEmbeddedPostgres } from "../src/embedded-postgres.js";
import { migrate } from "../src/migrate.js";

/** A database of the bench's cluster, with the logins that the application would have. */
export interface BenchDatabase {
  readonly name: string;
  /** As the superuser. */
  readonly adminUrl: string;
  readonly apiUrl: string;
  readonly readerUrl: string;
}

/** A PostgreSQL of the bench's own, in a scratch folder. */
export interface BenchCluster {
  readonly version: string;
  readonly postmaster: number;
  /** Also holds the key that the tokens are signed with. */
  readonly folder: string;
  readonly adminUrl: string;
  /** Makes a migrated database without a fence, or a copy of one that nobody is connected to. */
  database(name: string, template?: string): Promise<BenchDatabase>;
  /** Ends the server and removes the folder. */
  remove(): Promise<void>;
}

const TEMPLATE = "bench_template";

/**
 * Starts it with durability as in production: fsync and synchronous_commit on. Only checkpoints are put off beyond the
 * run, so that none falls on the one side of a comparison.
 */
export async function startCluster(): Promise<BenchCluster> {
  const folder = await mkdtemp(join(tmpdir(), "auditql-bench-"));
  await chmod(folder, 0o755);
  const server = await startEmbeddedPostgres({ dataDir: folder });
  const remove = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await run(
      server.url,
      "alter system set max_wal_size = '16GB'",
      "alter system set checkpoint_timeout = '1h'",
      "select pg_reload_conf()",
    );
    await requireDurable(server.url);
    await run(server.url, `create database ${TEMPLATE}`);
    await migrate(urlOf(server.url, TEMPLATE));
    const [api, reader] = [await makeLogin(server.url, "app_api"), await makeLogin(server.url, "audit_reader")];
    const pidFile = await readFile(join(folder, "postgres", "postmaster.pid"), "utf8");
    return {
      version: server.version,
      postmaster: Number.parseInt(pidFile, 10),
      folder,
      adminUrl: server.url,
      database: async (name, template = TEMPLATE) => {
        await run(server.url, `create database "${name}" template ${template}`);
        const url = (login?: Login) => urlOf(server.url, name, login);
        return { name, adminUrl: url(), apiUrl: url(api), readerUrl: url(reader) };
      },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Runs statements, one by one, on a connection of their own. */
export async function run(url: string, ...statements: readonly string[]): Promise<void> {
  await withClient(url, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

export async function rowsOf<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(sql)).rows);
}

export async function withClient<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function requireDurable(url: string): Promise<void> {
  const [row] = await rowsOf<{ fsync: string; commit: string }>(
    url,
    "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit",
  );
  if (row?.fsync !== "on" || row.commit !== "on") throw new Error("fsync and synchronous_commit have to be on.");
}

interface Login {
  readonly user: string;
  readonly password: string;
}

async function makeLogin(url: string, group: string): Promise<Login> {
  const login = { user: `bench_${group}`, password: randomBytes(18).toString("base64url") };
  await run(url, `create role ${login.user} login password '${login.password}' in role ${group}`);
  return login;
}

function urlOf(serverUrl: string, database: string, login?: Login): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  if (login) [url.username, url.password] = [login.user, login.password];
  return url.href;
}
