import { type ChildProcess, execFile, spawn, type StdioOptions } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import type { Binaries } from "./binaries.js";
import { codeOf } from "../disk/code-of.js";
import { EmbeddedPostgresError } from "./error.js";

/** Runs PostgreSQL's programs as an account that PostgreSQL accepts: it refuses root. */
export interface Account {
  /** Who has to own the cluster's folder; undefined where that is who runs this process. */
  readonly owner: { uid: number; gid: number } | undefined;
  /** Starts a program in a process group of its own, with nothing of this process's environment. */
  spawn(program: string, args: readonly string[], stdio: StdioOptions): ChildProcess;
}

/** Nothing of ours is handed on: it holds secrets, and PG… and LC_… variables would change what the server does. */
const environment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };

interface Runner {
  readonly prefix: readonly string[];
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Chooses the account: this process's own, or, for root, the owner of the cluster's folder, `nobody` or `postgres`.
 *
 * Where that account can't enter a folder on the way to the data or the programs, it is given the one capability to
 * read and enter any. Throws `unavailable` where neither will do.
 */
export async function chooseAccount(dataDir: string, cluster: string, binaries: Binaries): Promise<Account> {
  const clusterOwner = await ownerOf(cluster);
  const self = process.getuid?.();
  if (self !== 0) {
    if (clusterOwner !== undefined && self !== undefined && clusterOwner.uid !== self)
      throw foreign(cluster, clusterOwner);
    return accountOf({ prefix: [] }, undefined);
  }
  const owner = clusterOwner ?? (await unprivilegedUser());
  if (owner.uid === 0) throw foreign(cluster, owner);
  const plain = { prefix: [], ...owner };
  const refusal = await tryOut(plain, dataDir, binaries);
  if (refusal === undefined) return accountOf(plain, owner);
  const capable = { prefix: capabilityPrefix(owner) };
  if ((await tryOut(capable, dataDir, binaries)) === undefined) return accountOf(capable, owner);
  throw new EmbeddedPostgresError(
    "unavailable",
    `PostgreSQL doesn't run as root, and user ${owner.uid} can't reach ${dataDir} or ${binaries.postgres}: ` +
      `${refusal}. Let others enter the folders on the way (chmod o+x), or start as a user other than root, or set DATABASE_URL.`,
  );
}

/**
 * PostgreSQL asks access(2) whether it may run its own programs, and for a user other than root the kernel answers
 * that without capabilities, unless no_setuid_fixup is set.
 */
function capabilityPrefix({ uid, gid }: { uid: number; gid: number }): string[] {
  const capability = "+dac_read_search";
  const user = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--securebits=+no_setuid_fixup"];
  return ["setpriv", ...user, `--inh-caps=${capability}`, `--ambient-caps=${capability}`, "--"];
}

function accountOf(runner: Runner, owner: Account["owner"]): Account {
  return {
    owner,
    spawn(program, args, stdio) {
      const [file, rest] = commandLine(runner, program, args);
      return spawn(file, rest, { ...idsOf(runner), cwd: "/", env: environment, detached: true, stdio });
    },
  };
}

/** Really does what will be needed: enters the data folder, reads the installation, runs a program. Undefined if it can. */
async function tryOut(runner: Runner, dataDir: string, binaries: Binaries): Promise<string | undefined> {
  const script = 'cd "$1" && : < "$2" && test -x "$3" && exec "$3" --version';
  const args = ["-c", script, "sh", dataDir, binaries.bootstrapFile, binaries.postgres];
  const [file, rest] = commandLine(runner, "/bin/sh", args);
  try {
    await promisify(execFile)(file, rest, { ...idsOf(runner), cwd: "/", env: environment, timeout: 10_000 });
    return undefined;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().slice(0, 300) : "";
    return said || (codeOf(error) ?? "permission denied");
  }
}

function commandLine(runner: Runner, program: string, args: readonly string[]): [string, string[]] {
  const [first, ...rest] = [...runner.prefix, program, ...args];
  return [first ?? program, rest];
}

function idsOf({ uid, gid }: Runner): { uid?: number; gid?: number } {
  return uid === undefined || gid === undefined ? {} : { uid, gid };
}

async function ownerOf(folder: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { uid, gid } = await stat(folder);
    return { uid, gid };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  // Where it can't be read, neither is found in it.
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  for (const name of ["nobody", "postgres"]) {
    const [, uid, gid] = new RegExp(`^${name}:[^:]*:(-?\\d+):(-?\\d+):`, "m").exec(users) ?? [];
    // macOS writes nobody's ids as -2.
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
  }
  throw new EmbeddedPostgresError(
    "unavailable",
    "PostgreSQL doesn't run as root, and /etc/passwd has neither nobody nor postgres: start as a user other than root, " +
      "or set DATABASE_URL.",
  );
}

function foreign(cluster: string, { uid }: { uid: number }): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    "unavailable",
    `${cluster} belongs to user ${uid}, and PostgreSQL runs only as the owner of its data, never as root: start as its ` +
      `owner, give it to who starts this (chown -R), or choose another folder with DATA_DIR.`,
  );
}
