import { readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ignoreMissing } from "../disk/folder.js";
import { FOLD_FILE_SUFFIX } from "./fold-file.js";
import { readFoldLines, type FoldFileOwner, type FoundFolds } from "./fold-lines.js";

/** What a process left that has ended without writing its summaries. */
export interface LeftFolds extends FoundFolds {
  /** The file has served. */
  readonly discard: () => Promise<null>;
  /** It is for people to look at, under the name that is returned. */
  readonly keepAside: () => Promise<string>;
}

/** Where to look, and whom to tell. */
export interface LeftFoldsOptions {
  readonly folder: string;
  /** With which the files' lines are sealed. */
  readonly key: Buffer;
  readonly isRunning: (owner: FoldFileOwner) => Promise<boolean>;
  /** Told why a file can't be read, which holds up no other. Must not throw. */
  readonly onError: (error: unknown) => void;
}

/** The files of processes that have ended. A file that another start was faster with is as one that never was. */
export async function leftFolds({ folder, key, isRunning, onError }: LeftFoldsOptions): Promise<LeftFolds[]> {
  const names = (await readdir(folder).catch(ignoreMissing)) ?? [];
  const left: LeftFolds[] = [];
  for (const name of names.filter((it) => it.endsWith(FOLD_FILE_SUFFIX)))
    try {
      const found = await readLeft(join(folder, name), key);
      if (found && !(found.owner && (await isRunning(found.owner)))) left.push(found);
    } catch (error) {
      onError(error);
    }
  return left;
}

async function readLeft(path: string, key: Buffer): Promise<LeftFolds | null> {
  const text = await readFile(path, "utf8").catch(ignoreMissing);
  return text === null
    ? null
    : { ...readFoldLines(text, key), discard: () => discard(path), keepAside: () => keepAside(path) };
}

async function discard(path: string): Promise<null> {
  await unlink(path).catch(ignoreMissing);
  return null;
}

async function keepAside(path: string): Promise<string> {
  const aside = `${path}.set-aside`;
  await rename(path, aside).catch(ignoreMissing);
  return aside;
}
