import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ScratchDatabase } from "./cluster.js";
import { developmentTokenSettings, ensureDevelopmentKey } from "../src/auth/development-key.js";

/** Built, whether this file itself is or not. */
const folder = fileURLToPath(new URL("..", import.meta.url));
const program = join(basename(folder) === "dist" ? folder : join(folder, "dist"), "src", "main.js");
const READY_DEADLINE = 60_000;
const STOP_DEADLINE = 15_000;
const SAID_LENGTH = 4_000;

/** How the API is started: as in production, with its restricted logins. */
export interface ApiSettings {
  readonly database: Pick<ScratchDatabase, "apiUrl" | "readerUrl">;
  /** Kept between its runs, as DATA_DIR. */
  readonly folder: string;
  /** Holds the key that tokens are signed with. */
  readonly keyFolder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The API didn't start: its exit code, and the end of what it said. */
export class ApiStartError extends Error {
  override readonly name = "ApiStartError";

  constructor(
    readonly exitCode: number | null,
    said: string,
  ) {
    super(`The API didn't start (exit code ${String(exitCode)}): ${said}`);
  }
}

/** One run of the API, by its built entrypoint, as a process of its own. */
export class Api {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ended: Promise<unknown>,
    private readonly said: () => string,
    /** Such as `http://127.0.0.1:41234`. */
    readonly origin: string,
  ) {}

  /** @throws ApiStartError where it ends instead, or isn't ready within a minute */
  static async start(settings: ApiSettings): Promise<Api> {
    const child = spawn(process.execPath, ["--enable-source-maps", program], {
      env: await environment(settings),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const kill = () => void child.kill("SIGKILL");
    process.once("exit", kill);
    const ended = once(child, "close").finally(() => process.off("exit", kill));
    let said = "";
    const keep = (text: string) => (said = (said + text).slice(-SAID_LENGTH));
    child.stderr.setEncoding("utf8").on("data", keep);
    const origin = await Promise.race([readyOrigin(child, keep), ended.then(() => null), timeout(READY_DEADLINE)]);
    if (origin !== null) return new Api(child, ended, () => said, origin);
    child.kill("SIGKILL");
    await ended;
    throw new ApiStartError(child.exitCode, said.trim());
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What it said last. */
  get lastWords(): string {
    return this.said().trim();
  }

  /** How it ended where nobody asked it to, with what it said last; null while it runs. */
  get collapse(): string | null {
    const { exitCode, signalCode } = this.child;
    if (exitCode === null && signalCode === null) return null;
    return `it ended by itself (${signalCode ?? `exit code ${String(exitCode)}`}): ${this.lastWords}`;
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  /** Asks it to end, and answers its exit code; null where it had to be killed. */
  async stop(): Promise<number | null> {
    this.child.kill("SIGTERM");
    const inTime = await Promise.race([this.ended.then(() => true), timeout(STOP_DEADLINE)]);
    if (inTime === null) await this.kill();
    return this.child.exitCode;
  }
}

async function environment({ database, folder, keyFolder, env }: ApiSettings): Promise<NodeJS.ProcessEnv> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const key = await ensureDevelopmentKey(keyFolder);
  const { issuer, audience } = developmentTokenSettings(key);
  const keyFile = join(keyFolder, "issuer.pem");
  await writeFile(keyFile, key.publicKey.export({ type: "spki", format: "pem" }));
  return {
    PATH: process.env["PATH"],
    NODE_ENV: "production",
    PORT: "0",
    DATA_DIR: folder,
    LOG_LEVEL: "warn",
    DATABASE_URL: database.apiUrl,
    READ_DATABASE_URL: database.readerUrl,
    JWT_ISSUER: issuer,
    JWT_AUDIENCE: audience,
    JWT_PUBLIC_KEY_FILE: keyFile,
    ...env,
  };
}

function readyOrigin({ stdout }: ChildProcess, keep: (text: string) => void): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    stdout?.setEncoding("utf8").on("data", (text: string) => {
      keep(text);
      said = (said + text).slice(-SAID_LENGTH);
      const url = /^ready (http:\/\/\S+)\n/m.exec(said)?.[1];
      if (url !== undefined) resolve(new URL(url).origin);
    });
  });
}

function timeout(milliseconds: number): Promise<null> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds, null).unref());
}
