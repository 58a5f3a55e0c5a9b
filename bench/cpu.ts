import { readdir, readFile } from "node:fs/promises";

/** Clock ticks a second in /proc, which Linux holds at 100 for every program. */
const TICKS = 100;

/**
 * Microseconds of CPU that a PostgreSQL cluster has used: its living processes' to the nanosecond, and by the
 * postmaster's own account (in ticks) those of the ended ones that it has reaped.
 *
 * Linux alone tells it.
 */
export async function clusterCpu(postmaster: number): Promise<number> {
  const own = await readStat(postmaster);
  if (!own) throw new Error(`PostgreSQL (process ${String(postmaster)}) isn't running.`);
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const processes = await Promise.all(names.map(async (name) => ({ pid: Number(name), stat: await readStat(name) })));
  const children = processes.filter(({ stat }) => stat?.parent === postmaster).map(({ pid }) => pid);
  const living = await Promise.all([postmaster, ...children].map(runTime));
  const reaped = (own.childTicks / TICKS) * 1_000_000;
  return living.reduce((sum, each) => sum + each, reaped);
}

/** Microseconds of CPU that a process has used, all its living threads; those of Node's live as long as it does. */
export async function processCpu(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${String(pid)}/task`);
  const times = await Promise.all(threads.map((thread) => runTime(`${String(pid)}/task/${thread}`)));
  return times.reduce((sum, each) => sum + each, 0);
}

/** Parent and the reaped children's user and system time; null where it has just ended. */
async function readStat(pid: number | string): Promise<{ parent: number; childTicks: number } | null> {
  const text = await readIfThere(`/proc/${String(pid)}/stat`);
  // The program's name, in brackets, may hold anything.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields ? { parent: Number(fields[1]), childTicks: Number(fields[13]) + Number(fields[14]) } : null;
}

/** A server process has one thread, whose time on a CPU the scheduler keeps in nanoseconds. */
async function runTime(task: number | string): Promise<number> {
  const [nanoseconds = "0"] = ((await readIfThere(`/proc/${String(task)}/schedstat`)) ?? "").split(" ");
  return Number(nanoseconds) / 1_000;
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return null;
    throw error;
  }
}
