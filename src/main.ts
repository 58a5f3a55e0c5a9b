import { join } from "node:path";
import { DevelopmentKeyError } from "./auth/development-key.js";
import { ConfigError, loadConfig, type Config } from "./config.js";
import { EmbeddedPostgresError } from "./embedded-postgres.js";
import { readPidFile } from "./embedded-postgres/pid-file.js";
import { createLog, type Logger } from "./log.js";
import { MigrationError } from "./migrate.js";
import { ProvisionError } from "./provision.js";
import { startService } from "./service.js";
import { Shutdown } from "./shutdown.js";
import { StartError } from "./start-error.js";
import { listenToStopSignals } from "./stop-signals.js";

/** sysexits.h: EX_CONFIG. */
const configExitCode = 78;
/** All that has been started is stopped by then, or the process ends all the same. */
const stopDeadline = 9_500;

/** The process: starts, waits for a signal, stops, and ends with a code that says how it went. */
class Run {
  readonly #shutdown: Shutdown;
  readonly #aborting = new AbortController();
  #starting: Promise<string> | undefined;
  #stoppingSince: number | null = null;

  constructor(
    private readonly config: Config,
    private readonly log: Logger,
  ) {
    this.#shutdown = new Shutdown(log);
  }

  async start(): Promise<void> {
    listenToStopSignals({
      since: () => this.#stoppingSince,
      stop: (signal) => {
        this.log.info({ signal }, "stopping");
        void this.#stop(0, signal);
      },
      endAtOnce: (signal, exitCode) => {
        this.log.warn({ signal }, "ending at once");
        void this.#endAtOnce(exitCode);
      },
    });
    process.on("uncaughtException", (error) => void this.#onUncaught(error));
    // A promise that somebody forgot to await: what it was part of has been answered, and others are under way.
    process.on("unhandledRejection", (error) => this.log.error({ error }, "a rejection that nobody awaited"));
    // Whoever read the banner may have gone.
    process.stdout.on("error", () => undefined);
    const { config, log } = this;
    this.#starting = startService({ config, log, shutdown: this.#shutdown, signal: this.#aborting.signal });
    try {
      const banner = await this.#starting;
      if (this.#stoppingSince === null) process.stdout.write(banner);
    } catch (error) {
      if (this.#stoppingSince === null) await this.#stop(this.#exitCodeOf(error), "the start failed");
    }
  }

  async #onUncaught(error: unknown): Promise<void> {
    this.log.fatal({ error }, "an error that nothing caught: stopping");
    if (this.#stoppingSince === null) await this.#stop(1, "an error that nothing caught");
  }

  /** Ends the start if it still goes on, then stops what was started. */
  async #stop(exitCode: number, reason: string): Promise<void> {
    this.#stoppingSince = performance.now();
    this.#aborting.abort();
    setTimeout(() => {
      this.log.error("it didn't stop in time");
      void this.#endAtOnce(1);
    }, stopDeadline);
    // What a start under way has yet to add to the steps would be left behind; what it fails with is told where it began.
    await this.#starting?.catch(() => undefined);
    await this.#shutdown.run(reason);
    process.exit(exitCode);
  }

  /** Leaves what is under way to the database, whose transactions end with their connections. */
  async #endAtOnce(exitCode: number): Promise<void> {
    if (this.config.databaseUrl === null) await killEmbedded(this.config.dataDir);
    process.exit(exitCode);
  }

  #exitCodeOf(error: unknown): number {
    if (error instanceof StartError || error instanceof ProvisionError || error instanceof MigrationError)
      return complain(error.message, error.exitCode);
    if (error instanceof DevelopmentKeyError) return complain(error.message, configExitCode);
    if (error instanceof EmbeddedPostgresError) return complain(error.message, 1);
    this.log.fatal({ error }, "the start failed");
    return 1;
  }
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`${message}\n`);
  return exitCode;
}

/** An immediate shutdown, which the next start recovers from. */
async function killEmbedded(dataDir: string): Promise<void> {
  try {
    const file = await readPidFile(join(dataDir, "postgres"));
    if (file) process.kill(file.pid, "SIGQUIT");
  } catch {
    // It is gone already.
  }
}

try {
  const config = loadConfig(process.env);
  await new Run(config, createLog(config)).start();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.exitCode = complain(error.message, error.exitCode);
}
