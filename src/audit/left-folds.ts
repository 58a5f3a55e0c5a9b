import { readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { FOLD_FILE_SUFFIX } from "./fold-file.js";
import { readFoldLines, type FoldFileOwner, type FoundFolds } from "./fold-lines.js";

/** What a process left that has ended without writing its summaries. */
export interface LeftFolds extends FoundFolds {
  /** The file has served. */
  readonly discard: () => Promise<null>;
  /** It is for people to look at, under the name that is returned. */
  readonly keepAside: () => Promise<string>;
}

/** The files of processes that have ended. */
export async function leftFolds(
  folder: string,
  key: Buffer,
  isRunning: (owner: FoldFileOwner) => Promise<boolean>,
): Promise<LeftFolds[]> {
  const names = await readdir(folder).catch(emptyIfMissing);
  const left: LeftFolds[] = [];
  for (const name of names.filter((it) => it.endsWith(FOLD_FILE_SUFFIX))) {
    const path = join(folder, name);
    const text = await readFile(path, "utf8").catch(() => null);
    if (text === null) continue;
    const found = readFoldLines(text, key);
    if (found.owner && (await isRunning(found.owner))) continue;
    left.push({ ...found, discard: () => discard(path), keepAside: () => keepAside(path) });
  }
  return left;
}

// Another process that starts at the same time may have been faster.
async function discard(path: string): Promise<null> {
  await unlink(path).catch(() => undefined);
  return null;
}

async function keepAside(path: string): Promise<string> {
  const aside = `${path}.set-aside`;
  await rename(path, aside).catch(() => undefined);
  return aside;
}

function emptyIfMissing(error: unknown): string[] {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
  throw error;
}
