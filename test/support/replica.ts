import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFile, chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chooseAccount } from "../../src/embedded-postgres/account.js";
import { locateBinaries } from "../../src/embedded-postgres/binaries.js";
import { type Postmaster, startPostmaster, stopPostmaster } from "../../src/embedded-postgres/postmaster.js";
import { startEmbeddedPostgres } from "../../src/embedded-postgres.js";
import { migrate } from "../../src/migrate.js";
import { fence } from "../../scratch/fence.js";
import { connect, query, type TestDatabase, urlOf } from "./postgres.js";
import { until } from "./until.js";

/** A migrated primary of the test's own, with a replica that streams from it. */
export interface ReplicatedDatabase {
  /** The reader's login leads to the replica, the others to the primary. */
  readonly database: TestDatabase;
  /** Every statement that the replica was sent so far, each as `application|statement`. */
  statements(): Promise<string[]>;
  stopReplica(): Promise<void>;
}

/** Starts both; `database.drop` ends them and removes their data. What the replica shows is so many seconds old. */
export async function startReplicated(delaySeconds: number): Promise<ReplicatedDatabase> {
  const folder = await mkdtemp(join(tmpdir(), "auditql-replica-"));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true, maxRetries: 5 })];
  const drop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    // As root, PostgreSQL runs as another user, who has to enter the folder.
    await chmod(folder, 0o755);
    const primary = await startEmbeddedPostgres({ dataDir: join(folder, "primary") });
    undo.push(() => primary.stop());
    await migrate(primary.url);
    await fence(primary.url);
    const name = new URL(primary.url).pathname.slice(1);
    const [apiUrl, readerUrl] = [
      await loginUrl(primary.url, name, "app_api"),
      await loginUrl(primary.url, name, "audit_reader"),
    ];
    const copy = join(folder, "replica", "postgres");
    await mkdir(join(folder, "replica"), { mode: 0o755 });
    await copyCluster(primary.url, join(folder, "primary", "postgres"), copy, delaySeconds);
    const logFile = join(folder, "replica", "postgres.log");
    const replica = await startReplica(folder, copy, logFile);
    undo.push(() => stopPostmaster(replica, copy));
    await untilStreaming(primary.url);
    const onReplica = new URL(readerUrl);
    onReplica.port = String(replica.port);
    return {
      database: { name, adminUrl: primary.url, apiUrl, readerUrl: onReplica.href, drop },
      statements: async () =>
        (await readFile(logFile, "utf8")).split("\n").flatMap((line) => {
          const [, application = "", statement = ""] =
            /^(.*?)\|LOG: {2}(?:statement|execute [^:]*): (.*)$/.exec(line) ?? [];
          return statement === "" ? [] : [`${application}|${statement}`];
        }),
      stopReplica: () => stopPostmaster(replica, copy),
    };
  } catch (error) {
    await drop();
    throw error;
  }
}

async function loginUrl(adminUrl: string, database: string, role: string): Promise<string> {
  const login = { user: `replica_test_${role}`, password: randomBytes(18).toString("base64url") };
  await query(adminUrl, `create role ${login.user} login password '${login.password}' in role ${role}`);
  return urlOf(adminUrl, database, login);
}

/** A base backup by hand: the programs that npm installs have none for it. */
async function copyCluster(url: string, from: string, to: string, delaySeconds: number): Promise<void> {
  const client = await connect(url);
  try {
    await client.query("select pg_backup_start('replica', true)");
    await promisify(execFile)("cp", ["-a", from, to], { timeout: 30_000 });
    const { rows } = await client.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
    await writeAsOwner(to, "backup_label", rows[0]?.labelfile ?? "");
  } finally {
    await client.end();
  }
  await rm(join(to, "postmaster.pid"), { force: true });
  await writeAsOwner(to, "standby.signal", "");
  const { hostname, port, username, password } = new URL(url);
  const settings = {
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)} sslmode=disable`,
    recovery_min_apply_delay: `${delaySeconds}s`,
    log_statement: "all",
    log_line_prefix: "%a|",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(join(to, "postgresql.auto.conf"), lines.join(""));
}

async function writeAsOwner(folder: string, name: string, content: string): Promise<void> {
  const { uid, gid } = await stat(folder);
  await writeFile(join(folder, name), content);
  await chown(join(folder, name), uid, gid);
}

async function startReplica(folder: string, copy: string, logFile: string): Promise<Postmaster> {
  const binaries = await locateBinaries();
  const password = (await readFile(join(folder, "primary", "postgres-password"), "utf8")).trim();
  const account = await chooseAccount(join(folder, "replica"), copy, binaries);
  const replica = await startPostmaster({ folder: copy, password, logFile }, account, binaries);
  // It runs in a process group of its own, and a signal makes Vitest exit without undoing anything.
  process.once("exit", () => {
    try {
      process.kill(replica.pid, "SIGQUIT");
    } catch {
      // It has ended.
    }
  });
  return replica;
}

async function untilStreaming(primaryUrl: string): Promise<void> {
  const sql = "select from pg_stat_replication where state = 'streaming'";
  await until(async () => (await query(primaryUrl, sql)).length === 1, {
    what: "the replica streams from the primary",
    deadline: 15_000,
  });
}
