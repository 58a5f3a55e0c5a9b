import { once } from "node:events";
import { open, readFile, realpath, rename } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Account } from "./account.js";
import type { Binaries } from "./binaries.js";
import { withClient } from "../database/connection.js";
import { codeOf } from "../disk/code-of.js";
import { EmbeddedPostgresError } from "./error.js";
import { clearPidFile, readPidFile } from "./pid-file.js";
import { lookUpProcess, waitForEnd } from "../disk/process.js";

/** A server that answers on 127.0.0.1, and the run of the process that is its postmaster. */
export interface Postmaster {
  readonly pid: number;
  readonly started: string;
  readonly port: number;
}

export interface ClusterPlace {
  /** The folder of the cluster; postgres keeps its postmaster.pid there. */
  readonly folder: string;
  readonly password: string;
  readonly logFile: string;
}

const readyDeadline = 30_000;
/** How long a server that a crash left behind may take to answer, and its orphans to end. */
const leftBehindDeadline = 10_000;
const portAttempts = 5;

/** A login of the superuser's, on 127.0.0.1; without TLS whatever PGSSLMODE says, as the server has none. */
export function superuserUrl(port: number, password: string, database: string): string {
  return `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}?sslmode=disable`;
}

/**
 * Finds the server that already runs on the cluster, as a crash leaves one behind; undefined for none.
 *
 * Throws `in-use`, naming process and folder, where something runs there that doesn't answer as ours.
 */
export async function findRunning(place: ClusterPlace): Promise<Postmaster | undefined> {
  const end = performance.now() + leftBehindDeadline;
  let problem: unknown;
  let pid: number | undefined;
  while (performance.now() < end) {
    const recorded = await readPidFile(place.folder);
    const found = recorded && (await lookUpProcess(recorded.pid));
    if (!recorded) return undefined;
    if (found?.name !== "postgres") {
      if (await clearPidFile(place.folder, recorded, leftBehindDeadline)) return undefined;
      throw orphaned(place.folder, recorded.pid);
    }
    pid = recorded.pid;
    problem = recorded.port === undefined ? undefined : await answersAs(place, recorded.port);
    if (recorded.port !== undefined && problem === undefined) {
      return { pid, started: found.started, port: recorded.port };
    }
    if (codeOf(problem) === "28P01") break;
    await delay(50);
  }
  throw notAnswering(place.folder, pid, problem);
}

/**
 * Starts a server and waits until it answers, on a free port unless one is given; tries again where the port was taken
 * meanwhile.
 */
export async function startPostmaster(
  place: ClusterPlace,
  account: Account,
  binaries: Binaries,
  wanted?: number,
): Promise<Postmaster> {
  const orphansEnd = performance.now() + leftBehindDeadline;
  for (let attempt = 1; ;) {
    const port = wanted ?? (await freePort());
    const ended = await launch(place, account, binaries, port);
    if (typeof ended === "object") return ended;
    // Left by a postmaster that was killed: its children notice within moments.
    if (ended.includes("pre-existing shared memory block") && performance.now() < orphansEnd) {
      await delay(100 + Math.random() * 200);
    } else if (!/could not (bind|create any TCP\/IP sockets)/.test(ended) || attempt++ >= portAttempts) {
      throw new EmbeddedPostgresError("start", `PostgreSQL didn't start; ${place.logFile} ends: ${ended}`);
    }
  }
}

/** Ends a server, first by a fast shutdown, then by one that leaves the rest to recovery at the next start. */
export async function stopPostmaster({ pid, started }: Postmaster, folder: string): Promise<void> {
  for (const [signal, deadline] of [["SIGINT", 5_000] as const, ["SIGQUIT", 3_000] as const]) {
    if ((await lookUpProcess(pid))?.started !== started) return;
    signalIfThere(pid, signal);
    if (await waitForEnd(pid, started, deadline)) return;
  }
  throw new EmbeddedPostgresError(
    "stop",
    `PostgreSQL (process ${pid}, ${folder}) still runs after a fast and an immediate shutdown: end it by hand (kill -9 ${pid}).`,
  );
}

/** The running server, or how its log ends where it ended before it answered. */
async function launch(
  place: ClusterPlace,
  account: Account,
  binaries: Binaries,
  port: number,
): Promise<Postmaster | string> {
  // The first start has none; one that can't be moved is gone on with.
  await rename(place.logFile, `${place.logFile}.1`).catch(() => undefined);
  const log = await open(place.logFile, "a", 0o600);
  const child = account.spawn(
    binaries.postgres,
    ["-D", place.folder, ...serverOptions(port)],
    ["ignore", log.fd, log.fd],
  );
  let failure: unknown;
  child.once("error", (error) => (failure = error));
  // Where it can't be run, the listener above has been told why.
  const exited = once(child, "exit").catch(() => undefined);
  child.unref();
  await log.close();
  const { pid } = child;
  const started = pid === undefined ? undefined : (await lookUpProcess(pid))?.started;
  if (pid === undefined) throw new EmbeddedPostgresError("start", "PostgreSQL can't be run.", { cause: failure });
  if (started !== undefined && (await waitUntilReady(place, port, () => child.exitCode ?? child.signalCode))) {
    return { pid, started, port };
  }
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGQUIT");
  await Promise.race([exited, delay(3_000, undefined, { ref: false })]);
  return await tailOf(place.logFile);
}

async function waitUntilReady(place: ClusterPlace, port: number, ended: () => unknown): Promise<boolean> {
  const end = performance.now() + readyDeadline;
  while (performance.now() < end && ended() === null) {
    if ((await answersAs(place, port)) === undefined) return true;
    await delay(20);
  }
  return false;
}

/**
 * Settings on the command line, which nothing in the data folder overrides. The log names no value of anyone's: errors
 * go to the client that caused them, not there, and so it hardly grows either.
 */
function serverOptions(port: number): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 100,
    timezone: "UTC",
    log_timezone: "UTC",
    log_min_messages: "log",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
    log_checkpoints: "off",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** Undefined if the server of that cluster answers on the port, else what was in the way. */
async function answersAs({ folder, password }: ClusterPlace, port: number): Promise<unknown> {
  const connectionString = superuserUrl(port, password, "postgres");
  try {
    const config = { connectionString, connectionTimeoutMillis: 2_000, query_timeout: 2_000 };
    const { rows } = await withClient(config, (client) =>
      client.query<{ data_directory: string }>("SHOW data_directory"),
    );
    const served = rows[0]?.data_directory ?? "";
    return (await realpath(served)) === (await realpath(folder)) ? undefined : new Error(`it serves ${served}`);
  } catch (error) {
    return error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new EmbeddedPostgresError("start", "No port is free.");
  return address.port;
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

async function tailOf(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((error: unknown) => `(it can't be read: ${codeOf(error) ?? "?"})`);
  return text.trim().slice(-1_000) || "(nothing was logged)";
}

function orphaned(folder: string, pid: number): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    "in-use",
    `PostgreSQL on ${folder} (process ${pid}) has ended, but processes that it started still run: end them and start again.`,
  );
}

function notAnswering(folder: string, pid: number | undefined, cause: unknown): EmbeddedPostgresError {
  const why =
    codeOf(cause) === "28P01" ? "it refuses the password kept beside its folder" : "it doesn't answer as our server";
  return new EmbeddedPostgresError(
    "in-use",
    `PostgreSQL already runs on ${folder} as process ${pid}, and ${why}: end it (kill -INT ${pid}) and start again.`,
    { cause },
  );
}
