import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "../disk/code-of.js";

/** What a server says of itself in the postmaster.pid of its cluster. */
export interface PidFile {
  pid: number;
  port: number | undefined;
  sharedMemoryId: number | undefined;
}

/**
 * Reads it; undefined where there is none.
 *
 * One a line: process, folder, start, port, folder of the socket, address, key and id of the shared memory, state.
 */
export async function readPidFile(folder: string): Promise<PidFile | undefined> {
  try {
    const lines = (await readFile(join(folder, "postmaster.pid"), "utf8")).split("\n");
    // The later ones come while the server starts.
    const [pid, port, id] = [Number(lines[0]), Number(lines[3]), lines[6]?.trim().split(/\s+/)[1]];
    if (!Number.isInteger(pid) || pid <= 0) return undefined;
    return { pid, port: port > 0 ? port : undefined, sharedMemoryId: id ? Number(id) : undefined };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Removes the file of a server that has ended: where its id is another program's by now, or waits to be reaped,
 * postgres would take it for running. What postgres asks about the orphans of that server is asked first: whether
 * anyone is still attached to its shared memory. False where someone still is after `deadline` milliseconds.
 */
export async function clearPidFile(folder: string, { sharedMemoryId }: PidFile, deadline: number): Promise<boolean> {
  const end = performance.now() + deadline;
  while (sharedMemoryId !== undefined && (await isAttached(sharedMemoryId))) {
    if (performance.now() > end) return false;
    await delay(20);
  }
  await rm(join(folder, "postmaster.pid"), { force: true });
  return true;
}

/** Elsewhere than on Linux no one can be asked without a program of our own: the orphans end within moments. */
async function isAttached(sharedMemoryId: number): Promise<boolean> {
  const segments = (await readFile("/proc/sysvipc/shm", "utf8").catch(() => "")).split("\n").slice(1);
  const fields = segments.map((line) => line.trim().split(/\s+/));
  return fields.some(([, id, , , , , attached]) => Number(id) === sharedMemoryId && Number(attached) > 0);
}
