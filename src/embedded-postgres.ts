import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { withClient } from "./database/connection.js";
import { codeOf } from "./disk/code-of.js";
import { type FolderLock, takeFolderLock } from "./disk/folder-lock.js";
import { chooseAccount } from "./embedded-postgres/account.js";
import { locateBinaries } from "./embedded-postgres/binaries.js";
import { makeCluster, readOrMakePassword } from "./embedded-postgres/cluster.js";
import { EmbeddedPostgresError } from "./embedded-postgres/error.js";
import {
  type ClusterPlace,
  findRunning,
  type Postmaster,
  startPostmaster,
  stopPostmaster,
  superuserUrl,
} from "./embedded-postgres/postmaster.js";

export { EmbeddedPostgresError } from "./embedded-postgres/error.js";

export interface EmbeddedPostgresOptions {
  /** Holds the cluster, its password and its log; made where it is missing. One running process a folder. */
  dataDir: string;
  /** Where it listens; on any port that is free unless it is said. */
  port?: number;
  log?: (message: string) => void;
}

export interface EmbeddedPostgres {
  /** The superuser's login to the database `auditql`; holds its password: never log it. */
  url: string;
  /** Such as `18.4`. */
  version: string;
  /** Whether the server already ran, left behind by a process that was killed. */
  reused: boolean;
  /** Ends the server, a reused one too, within 8 seconds; asked again, it answers the same. */
  stop(): Promise<void>;
}

const database = "auditql";

/**
 * Starts a PostgreSQL of our own on 127.0.0.1 and a free port, its data in `<dataDir>/postgres`.
 *
 * It outlives this process, so that nothing but `stop` ends it before we have drained; where a killed process left it
 * running, that very server is reused. Works as root and as any user. Throws EmbeddedPostgresError, naming folder,
 * process and remedy.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir);
  let lock: FolderLock | undefined;
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o755 });
    lock = await takeFolderLock(join(dataDir, "postgres.lock"), (holder) => inUse(dataDir, holder));
    return await start(dataDir, lock, options);
  } catch (error) {
    await lock?.release();
    throw asEmbeddedPostgresError(error, dataDir);
  }
}

/** What the file system refuses is told with the folder and the remedy; what isn't its refusal stays what it is. */
function asEmbeddedPostgresError(error: unknown, dataDir: string): unknown {
  const code = codeOf(error) ?? "";
  if (!["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "EEXIST"].includes(code)) return error;
  const remedy = "give it to who starts this, make room, or choose another folder with DATA_DIR";
  return new EmbeddedPostgresError("unavailable", `${dataDir} can't be used (${code}): ${remedy}.`, { cause: error });
}

function inUse(dataDir: string, holder: string): EmbeddedPostgresError {
  const remedy = "stop that first, or choose another folder with DATA_DIR";
  return new EmbeddedPostgresError("in-use", `${dataDir} is in use by ${holder}: ${remedy}.`);
}

async function start(dataDir: string, lock: FolderLock, options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const folder = join(dataDir, "postgres");
  const password = await readOrMakePassword(join(dataDir, "postgres-password"), folder);
  const place = { folder, password, logFile: join(dataDir, "postgres.log") };
  const left = await findRunning(place);
  if (left) log(`reusing the PostgreSQL that already runs on ${folder} (process ${left.pid})`);
  const postmaster = left ?? (await startOn(place, dataDir, options.port, log));
  try {
    const version = await prepareDatabase(superuserUrl(postmaster.port, password, "postgres"));
    const url = superuserUrl(postmaster.port, password, database);
    return { url, version, reused: left !== undefined, stop: stopper(postmaster, folder, lock) };
  } catch (error) {
    // What we started ourselves isn't left behind by a start that failed.
    if (!left)
      await stopPostmaster(postmaster, folder).catch((failure: unknown) => {
        log(failure instanceof EmbeddedPostgresError ? failure.message : `PostgreSQL on ${folder} couldn't be stopped`);
      });
    throw error;
  }
}

async function startOn(
  place: ClusterPlace,
  dataDir: string,
  port: number | undefined,
  log: (message: string) => void,
): Promise<Postmaster> {
  const binaries = await locateBinaries();
  const account = await chooseAccount(dataDir, place.folder, binaries);
  if (await makeCluster(place.folder, place.password, account, binaries))
    log(`made a PostgreSQL cluster in ${place.folder}`);
  const postmaster = await startPostmaster(place, account, binaries, port);
  log(`PostgreSQL runs on ${place.folder} (process ${postmaster.pid}, port ${postmaster.port})`);
  return postmaster;
}

/** Makes our database where a crash came before it, and answers the server's version. */
async function prepareDatabase(url: string): Promise<string> {
  const config = { connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 30_000 };
  return withClient(config, async (client) => {
    const { rows } = await client.query<{ version: string; missing: boolean }>(
      `SELECT current_setting('server_version') AS version,
              NOT EXISTS (SELECT FROM pg_database WHERE datname = $1) AS missing`,
      [database],
    );
    if (rows[0]?.missing) await client.query(`CREATE DATABASE ${database}`);
    return rows[0]?.version ?? "unknown";
  });
}

function stopper(postmaster: Postmaster, folder: string, lock: FolderLock): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  return () => (stopped ??= stopPostmaster(postmaster, folder).finally(() => lock.release()));
}
