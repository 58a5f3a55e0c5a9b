import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ApiAnswer, ApiQuestion, ApiSettings, SentStatement } from "./settings.js";

const program = fileURLToPath(new URL("main.js", import.meta.url));
const DEADLINE = 30_000;

/** A server in a process of its own, which ends with this one. */
export class ApiProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(settings: ApiSettings, nodeOptions: readonly string[] = []): Promise<ApiProcess> {
    const child = fork(program, [JSON.stringify(settings)], {
      execArgv: ["--enable-source-maps", ...nodeOptions],
      env: { ...process.env, NODE_ENV: "production" },
      stdio: ["ignore", 2, 2, "ipc"],
    });
    const { port } = (await message(child)) as { port: number };
    return new ApiProcess(child, port);
  }

  /** Microseconds that it has used so far. */
  async cpu(): Promise<number> {
    return (await this.#ask("cpu")).cpu ?? NaN;
  }

  /** The statements that it sends to the database while `work` is done. */
  async statementsOf(work: () => Promise<unknown>): Promise<readonly SentStatement[]> {
    await this.#ask("record");
    await work();
    return (await this.#ask("recorded")).statements ?? [];
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, "exit");
    this.child.disconnect();
    await exited;
  }

  async #ask(question: ApiQuestion): Promise<ApiAnswer> {
    const answer = message(this.child);
    this.child.send(question);
    return (await answer) as ApiAnswer;
  }
}

async function message(child: ChildProcess): Promise<unknown> {
  const deadline = AbortSignal.timeout(DEADLINE);
  const ended = new AbortController();
  const signal = AbortSignal.any([deadline, ended.signal]);
  const onExit = () => {
    ended.abort(new Error("The server ended; its error stands above."));
  };
  child.once("exit", onExit);
  try {
    const [answer] = (await once(child, "message", { signal })) as [unknown];
    return answer;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    child.off("exit", onExit);
  }
}
