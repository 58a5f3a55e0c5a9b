import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { ReportingTask } from "./reporting-process.js";

/** A process with a reporter. */
export interface ReportingChild {
  readonly process: ChildProcess;
  /** The numbers that it has said to have taken. */
  readonly numbers: string[];
  /** What else it said. */
  readonly said: string[];
  stderr: string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

const program = join("dist", "test", "support", "reporting-process.js");

/** Runs a program as PID 1 of its own; ended with it. */
export const asFirstProcess = ["unshare", "-Urpf", "--kill-child"] as const;

/**
 * Whoever starts it ends it.
 *
 * @param env what it gets beside this process's own
 * @param through the command that runs it, and is then the child
 */
export function startReporting(
  task: ReportingTask,
  env: NodeJS.ProcessEnv = {},
  through: readonly string[] = [],
): ReportingChild {
  const [command, ...args] = [...through, process.execPath, program, JSON.stringify(task)];
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal }));
  const told: ReportingChild = { process: child, numbers: [], said: [], stderr: "", ended };
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) (/^\d+$/.test(line) ? told.numbers : told.said).push(line);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (told.stderr += text));
  return told;
}
