import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Spool, type SpoolObserver } from "./audit/spool/spool.js";
import type { Config } from "./config.js";
import { codeOf } from "./disk/code-of.js";
import { takeFolderLock, type FolderLock } from "./disk/folder-lock.js";
import { StartError } from "./start-error.js";

/** A spool that this process alone uses, until it closes it or ends. */
export interface OwnedSpool {
  readonly spool: Spool;
  close(): Promise<void>;
}

/**
 * Opens the spool of DATA_DIR. Where another live process has it, or the folder can't be used, nothing is served: attempts
 * couldn't be kept.
 *
 * @throws StartError
 */
export async function openSpool({ dataDir, spoolMaxBytes }: Config, observer: SpoolObserver): Promise<OwnedSpool> {
  const folder = join(dataDir, "spool");
  let lock: FolderLock | undefined;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const held = (lock = await takeFolderLock(join(folder, "lock"), (holder) => inUse(folder, holder)));
    const spool = await Spool.open(folder, spoolMaxBytes, observer);
    const close = async (): Promise<void> => {
      await spool.close();
      await held.release();
    };
    return { spool, close };
  } catch (error) {
    await lock?.release();
    throw error instanceof StartError ? error : unusable(folder, error);
  }
}

function inUse(folder: string, holder: string): StartError {
  const remedy = "stop that first, or give each process a folder of its own with DATA_DIR";
  return new StartError(`${folder} is in use by ${holder}: ${remedy}.`, 1);
}

function unusable(folder: string, cause: unknown): StartError {
  const why = codeOf(cause) ?? (cause instanceof Error ? cause.message : "for an unknown reason");
  const remedy = "give it to who starts this, make room, or choose another folder with DATA_DIR";
  return new StartError(`${folder} can't be used for attempts that wait (${why}): ${remedy}.`, 1, { cause });
}
