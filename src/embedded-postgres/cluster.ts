import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, chown, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../disk/code-of.js";
import { createWhole, syncFolder } from "../disk/folder.js";
import type { Account } from "./account.js";
import type { Binaries } from "./binaries.js";
import { EmbeddedPostgresError } from "./error.js";

const majorVersion = "18";
const initdbDeadline = 60_000;
const draftMark = ".new.";

/** Reads the superuser's password, which only the owner of the file may read; makes one where there is none. */
export async function readOrMakePassword(file: string, cluster: string): Promise<string> {
  const kept = (await readIfThere(file))?.trim();
  if (kept) {
    await chmod(file, 0o600);
    return kept;
  }
  if (await readIfThere(join(cluster, "PG_VERSION"))) throw passwordLost(file, cluster);
  const password = randomBytes(24).toString("base64url");
  await (await createWhole(file, `${password}\n`)).close();
  return password;
}

/**
 * Makes the cluster in `folder` if there is none; true where it did.
 *
 * It is made beside its place and moved there when whole, so one that a crash cut short is made again. Throws `damaged`
 * for a folder that holds something else, or the data of another version.
 */
export async function makeCluster(
  folder: string,
  password: string,
  account: Account,
  binaries: Binaries,
): Promise<boolean> {
  const version = (await readIfThere(join(folder, "PG_VERSION")))?.trim();
  if (version === majorVersion) return false;
  if (version !== undefined) throw otherVersion(folder, version);
  await removeDrafts(folder);
  // A name of its own: initdb may outlive a killed start, and must not write into the next one's draft.
  const draft = `${folder}${draftMark}${randomBytes(6).toString("hex")}`;
  const passwordFile = `${draft}.password`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, `${password}\n`, { flag: "wx", mode: 0o400 });
    for (const path of account.owner ? [draft, passwordFile] : []) {
      await chown(path, account.owner?.uid ?? -1, account.owner?.gid ?? -1);
    }
    await runInitdb(draft, passwordFile, account, binaries);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await moveWhole(draft, folder);
  return true;
}

/** Draft and password file of starts that were killed. */
async function removeDrafts(folder: string): Promise<void> {
  const names = await readdir(dirname(folder));
  for (const name of names.filter((each) => each.startsWith(`${basename(folder)}${draftMark}`))) {
    await rm(join(dirname(folder), name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

async function runInitdb(folder: string, passwordFile: string, account: Account, binaries: Binaries): Promise<void> {
  const login = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  // PostgreSQL's own C.UTF-8: the same order on every system, whatever locales it has installed.
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const child = account.spawn(
    binaries.initdb,
    [`--pgdata=${folder}`, ...login, ...locale, "--no-instructions"],
    ["ignore", "ignore", "pipe"],
  );
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-2_000)));
  const timer = setTimeout(() => child.kill("SIGKILL"), initdbDeadline);
  try {
    const ended: unknown = await once(child, "close");
    const [code, signal] = Array.isArray(ended) ? ended.map(String) : [];
    if (code === "0") return;
    throw new EmbeddedPostgresError(
      "start",
      `initdb ended with ${code === "null" ? signal : code} for ${folder}: ${said.trim()}`,
    );
  } finally {
    clearTimeout(timer);
  }
}

async function moveWhole(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder);
  } catch (cause) {
    if (codeOf(cause) !== "ENOTEMPTY" && codeOf(cause) !== "EEXIST" && codeOf(cause) !== "ENOTDIR") throw cause;
    throw new EmbeddedPostgresError(
      "damaged",
      `${folder} isn't empty and is no PostgreSQL cluster (PG_VERSION is missing): move it away, or choose another folder with DATA_DIR.`,
      { cause },
    );
  }
  await syncFolder(dirname(folder));
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

function passwordLost(file: string, cluster: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    "damaged",
    `${file} is missing, and only it opens ${cluster}: put it back, or remove ${cluster} to begin anew, without its data.`,
  );
}

function otherVersion(folder: string, version: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    "damaged",
    `${folder} was made by PostgreSQL ${version}, and this is ${majorVersion}: take its data over with pg_dump of ` +
      `${version}, or choose another folder with DATA_DIR.`,
  );
}
