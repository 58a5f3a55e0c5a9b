import { randomBytes } from "node:crypto";
import { link, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { codeOf } from "./code-of.js";
import { lookUpProcess } from "./process.js";

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Takes the folder of a lock file for this process, until it releases it or ends.
 *
 * A lock whose holder has ended, however it ended, is taken over. Throws what `inUse` makes, given the holder, where it
 * still runs.
 */
export async function takeFolderLock(file: string, inUse: (holder: string) => Error): Promise<FolderLock> {
  const own = await describeHolder();
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await linkWhole(file, own)) return { release: () => release(file, own) };
    const holder = await readIfThere(file);
    if (holder === undefined) continue;
    const pid = await livePid(file, holder);
    if (pid !== undefined) throw inUse(`process ${pid}`);
    await removeStale(file, holder);
  }
  throw inUse("several processes that start at once");
}

async function describeHolder(): Promise<string> {
  const self = await lookUpProcess(process.pid);
  return `${process.pid} ${self?.started ?? "unknown"}\n`;
}

/** A link makes the lock appear with its content: no one ever reads a lock that names nobody. */
async function linkWhole(file: string, content: string): Promise<boolean> {
  const draft = asideOf(file);
  try {
    await writeFile(draft, content, { flag: "wx", mode: 0o644 });
    await link(draft, file);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    // On a full disk it is there, and empty; where the folder takes no file, it isn't.
    await unlink(draft).catch(() => undefined);
  }
}

async function livePid(file: string, holder: string): Promise<number | undefined> {
  const [, digits, started] = /^(\d+) (.*)\n$/.exec(holder) ?? [];
  if (digits === undefined) return undefined;
  const found = await lookUpProcess(Number(digits)).catch((cause: unknown) => {
    const message = `${file} names process ${digits}, and the system doesn't tell whether it runs: remove the file if not.`;
    throw new Error(message, { cause });
  });
  return found !== undefined && found.started === started ? Number(digits) : undefined;
}

/** Between reading and removing, another starter may have replaced the lock: what is moved aside is read again. */
async function removeStale(file: string, stale: string): Promise<void> {
  const aside = asideOf(file);
  try {
    await rename(file, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  // Where it can't be put back, a third one has taken the lock meanwhile.
  if ((await readIfThere(aside)) !== stale) await link(aside, file).catch(ignoreTaken);
  await unlink(aside);
}

function ignoreTaken(error: unknown): void {
  if (codeOf(error) !== "EEXIST") throw error;
}

async function release(file: string, own: string): Promise<void> {
  if ((await readIfThere(file)) === own) await unlink(file);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function asideOf(file: string): string {
  return `${file}.${process.pid}.${randomBytes(6).toString("hex")}`;
}
