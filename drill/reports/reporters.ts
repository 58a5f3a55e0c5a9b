import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Cleanup } from "../cleanup.js";

/** What one reporting process is told. */
export interface ReporterSettings {
  readonly socketPath: string;
  /** How many it reports at least: it goes on, slowly, until it is told that it is enough. */
  readonly entries: number;
  readonly seed: number;
  /** Whether some of its entries are such that the API refuses them for good. */
  readonly isFaulted: boolean;
  /** Whether it goes slower where its entries don't get away; one that doesn't has to drop some. */
  readonly isPatient: boolean;
}

/** What it says at its end. */
export interface ReporterOutcome {
  readonly sessionId: string;
  readonly taken: number;
  readonly sent: number;
  readonly setAside: number;
  readonly lost: number;
  readonly isClosed: boolean;
}

const program = fileURLToPath(new URL("reporter-process.js", import.meta.url));

/** Starts a process that reports as it is told until it is enough, and gives what it says at its end. */
export async function report(
  settings: ReporterSettings,
  enough: Promise<unknown>,
  cleanup: Cleanup,
): Promise<ReporterOutcome> {
  const child = fork(program, [JSON.stringify(settings)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  cleanup.add(() => child.kill("SIGKILL"));
  const ended = once(child, "exit");
  void enough.finally(() => child.connected && child.send("enough"));
  const said = once(child, "message") as Promise<[ReporterOutcome]>;
  const outcome = await Promise.race([said, ended.then(() => null)]);
  if (outcome === null) throw new Error(`A reporting process ended early (exit code ${String(child.exitCode)}).`);
  await ended;
  return outcome[0];
}
