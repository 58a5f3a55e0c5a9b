import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { codeOf } from "./code-of.js";

/** One run of a process. Its id is given to another one sooner or later, `started` is not. */
export interface RunningProcess {
  /** The name of its program, as the system has it: at most 15 characters on Linux. */
  name: string;
  started: string;
}

/**
 * Looks up what runs under a process id: undefined for none, and for one that only waits to be reaped.
 *
 * @throws what keeps the system from telling: who runs all the same isn't taken for ended
 */
export async function lookUpProcess(pid: number): Promise<RunningProcess | undefined> {
  return process.platform === "linux" ? await readProc(pid) : await askPs(pid);
}

/** Waits until that run of the process has ended; false where it still runs after `deadline` milliseconds. */
export async function waitForEnd(pid: number, started: string, deadline: number): Promise<boolean> {
  const end = performance.now() + deadline;
  while ((await lookUpProcess(pid))?.started === started) {
    if (performance.now() > end) return false;
    await delay(20);
  }
  return true;
}

async function readProc(pid: number): Promise<RunningProcess | undefined> {
  const [stat, boot] = await Promise.all([
    readFile(`/proc/${pid}/stat`, "utf8").catch(ifThere),
    // Where it can't be read, two runs of the machine are told apart by their ticks alone.
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => null),
  ]);
  // "pid (name) state …": the name may hold blanks and parentheses; the 22nd field is the start, in ticks since the boot.
  const parts = stat === null ? null : /^\d+ \((.*)\) (\S) (.*)$/s.exec(stat);
  const [, name, state, rest] = parts ?? [];
  const ticks = rest?.split(" ")[18];
  if (name === undefined || ticks === undefined || state === "Z" || state === "X") return undefined;
  return { name, started: `${ticks}@${boot?.trim() ?? ""}` };
}

async function askPs(pid: number): Promise<RunningProcess | undefined> {
  const ask = promisify(execFile);
  try {
    const { stdout } = await ask("ps", ["-o", "lstart=,comm=", "-p", String(pid)], { timeout: 5_000 });
    const [, started, program] = /^\s*(.{24})\s+(.+?)\s*$/.exec(stdout) ?? [];
    if (started === undefined || program === undefined) return undefined;
    return { name: program.slice(program.lastIndexOf("/") + 1), started };
  } catch (error) {
    // What `ps` ends with where there is none.
    if (error instanceof Error && "code" in error && error.code === 1) return undefined;
    throw error;
  }
}

/** A process may end while it is looked at. */
function ifThere(error: unknown): null {
  if (["ENOENT", "ESRCH"].includes(codeOf(error) ?? "")) return null;
  throw error;
}
