import type pg from "pg";
import { keepPartitions } from "./database.js";
import { codeOf } from "./disk/code-of.js";
import type { Logger } from "./log.js";

const daily = 24 * 60 * 60 * 1_000;
/** After a failure, long before the months that are kept ahead run out. */
const hourly = 60 * 60 * 1_000;

/** Keeps the log's partitions ahead: once at the start, then daily, hourly after a failure; never twice at a time. */
export class PartitionUpkeep {
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #isStopped = false;
  #lastError: string | null = null;

  constructor(pool: pg.Pool, log: Logger) {
    this.#pool = pool;
    this.#log = log;
  }

  /** The last run's, as a code of PostgreSQL's or the system's; null where it went well. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /** Runs once and settles when it has run, well or not; the next run is planned. */
  async start(): Promise<void> {
    await (this.#running ??= this.#run().finally(() => (this.#running = null)));
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.start(), this.#lastError === null ? daily : hourly).unref();
  }

  /** Plans no more runs; one under way ends with its connection. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    try {
      const done = await keepPartitions(this.#pool);
      this.#lastError = null;
      if (done.length > 0) this.#log.info({ done }, "kept the log's partitions ahead");
    } catch (error) {
      this.#lastError = codeOf(error) ?? "unknown";
      this.#log.error({ error }, "the log's partitions could not be kept ahead");
    }
  }
}
