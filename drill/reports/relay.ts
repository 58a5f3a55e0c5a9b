import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** How the relay is started. */
export interface RelaySettings {
  readonly socketPath: string;
  readonly to: string;
  readonly tokenFile: string;
  readonly spool: string;
}

const program = fileURLToPath(new URL("../../src/cli/auditctl.js", import.meta.url));
const READY_DEADLINE = 30_000;
const STOP_DEADLINE = 20_000;
const SAID_LENGTH = 4_000;

/** One run of the relay, by its built entrypoint, as a process of its own. */
export class Relay {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<unknown>,
  ) {}

  static async start({ socketPath, to, tokenFile, spool }: RelaySettings): Promise<Relay> {
    const args = ["relay", "--socket", socketPath, "--to", to, "--token-file", tokenFile, "--spool", spool];
    const child = spawn(process.execPath, ["--enable-source-maps", program, ...args, "--timeout", "2000"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    const keep = (text: string) => (said = (said + text).slice(-SAID_LENGTH));
    child.stderr.setEncoding("utf8").on("data", keep);
    const ended = once(child, "close");
    const ready = new Promise<true>((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        if (keep(text).includes("ready unix:")) resolve(true);
      });
    });
    const late = new Promise<null>((resolve) => void setTimeout(resolve, READY_DEADLINE, null).unref());
    const isReady = await Promise.race([ready, ended.then(() => null), late]);
    if (isReady) return new Relay(child, ended);
    child.kill("SIGKILL");
    await ended;
    throw new Error(`The relay didn't start: ${said.trim()}`);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  /** Asks it to end, and answers its exit code; null where it had to be killed. */
  async stop(): Promise<number | null> {
    this.child.kill("SIGTERM");
    const late = new Promise<null>((resolve) => void setTimeout(resolve, STOP_DEADLINE, null).unref());
    if ((await Promise.race([this.ended, late])) === null) await this.kill();
    return this.child.exitCode;
  }
}
