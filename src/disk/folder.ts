import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf } from "./code-of.js";

const KEY_BYTES = 32;

/** Makes the folder, for its owner's eyes alone. A process that runs as another user can't use it, and is told so. */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  await syncFolder(dirname(folder));
}

/** The key of the folder's checksums, made where there is none: it is never written elsewhere. */
export async function readOrMakeKey(folder: string): Promise<Buffer> {
  const file = join(folder, "key");
  const found = await readFile(file).catch(ignoreMissing);
  if (found?.length === KEY_BYTES) return found;
  const key = randomBytes(KEY_BYTES);
  await (await createWhole(file, key)).close();
  return key;
}

/**
 * Makes a file appear with its whole content, or not at all, and gives it open for reading and writing. The order holds
 * through a crash: the content is on the disk before it has its name, and the name before this resolves.
 */
export async function createWhole(file: string, content: Buffer | string): Promise<FileHandle> {
  const draft = `${file}.new`;
  const handle = await open(draft, "w+", 0o600);
  try {
    await handle.chmod(0o600);
    await handle.writeFile(content);
    await handle.sync();
    await rename(draft, file);
    await syncFolder(dirname(file));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Has the disk keep the names that the folder holds by now. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** For `catch`: null in place of a file that isn't there; what else was wrong is thrown. */
export function ignoreMissing(error: unknown): null {
  if (codeOf(error) === "ENOENT") return null;
  throw error;
}
