import type { ClientConfig } from "pg";
import type { AuditRuntime } from "./audit/index.js";
import { withClient } from "./database/connection.js";
import type { FeatureJob, JobParts } from "./feature.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";
import { within } from "./within.js";

export interface BackgroundJobOptions {
  readonly job: FeatureJob;
  readonly runtime: AuditRuntime;
  /** How to connect for the lock, as the API's login. */
  readonly connection: ClientConfig;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The first run is soon, so that processes that live shortly do their share too. */
const longestUntilFirst = 30_000;
/** What is under way after that is cut off with its connection, and rolled back. */
const stopDeadline = 500;
const outcomes = ["ok", "failed", "elsewhere"] as const;

/**
 * Runs a feature's job again and again, in one process at a time: each run holds an advisory lock of a session of its
 * own, which goes with its connection.
 */
export class BackgroundJob {
  readonly #options: BackgroundJobOptions;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;

  constructor(options: BackgroundJobOptions) {
    this.#options = options;
    const { job, metrics } = options;
    for (const outcome of outcomes) metrics.jobRuns.inc({ job: job.name, outcome }, 0);
  }

  /** Plans the first run. */
  start(): void {
    this.#plan(Math.random() * Math.min(this.#options.job.interval, longestUntilFirst));
  }

  /** Plans no more runs; one under way ends after its batch, which is waited for half a second. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    if (this.#running) await within(stopDeadline, this.#running);
  }

  #plan(milliseconds: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#run().finally(() => {
        this.#running = null;
        // So that processes don't meet at the same moments for ever.
        this.#plan(this.#options.job.interval * (0.75 + Math.random() / 2));
      });
    }, milliseconds).unref();
  }

  async #run(): Promise<void> {
    const { job, log, metrics } = this.#options;
    let outcome: (typeof outcomes)[number] = "failed";
    try {
      outcome = await this.#runAlone();
    } catch (error) {
      // What was cut off by the end of the process is done by the next.
      if (this.#stopping.signal.aborted) return;
      log.error({ job: job.name, error }, "background work failed; the next run tries again");
    }
    metrics.jobRuns.inc({ job: job.name, outcome });
  }

  #runAlone(): Promise<(typeof outcomes)[number]> {
    const { job, connection, log } = this.#options;
    return withClient(connection, async (client) => {
      const lost = new AbortController();
      client.once("end", () => {
        lost.abort();
      });
      const { rows } = await client.query<{ locked: boolean }>(
        "select pg_try_advisory_lock(hashtextextended($1, 0)) as locked",
        [`auditql:${job.name}`],
      );
      if (!rows[0]?.locked) return "elsewhere";
      const signal = AbortSignal.any([this.#stopping.signal, lost.signal]);
      const { done, failed } = await job.run({
        runtime: this.#options.runtime,
        client,
        signal,
        onError: this.#onError,
      });
      if (done > 0) log.info({ job: job.name, done }, "background work was done");
      return failed > 0 ? "failed" : "ok";
    });
  }

  readonly #onError: JobParts["onError"] = (error, ids) => {
    this.#options.log.error({ job: this.#options.job.name, ids, error }, "background work could not be done on these");
  };
}
