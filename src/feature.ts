import type { ClientBase } from "pg";
import type { AuditedResource, AuditRuntime, ReportedResource } from "./audit/index.js";
import type { Config } from "./config.js";

/** A part of the application as one value: what `features.ts` lists is all there is. */
export interface Feature {
  /** TypeORM entities. */
  readonly entities: readonly (new () => object)[];
  /** The kinds of resource whose changes the log records. */
  readonly resources: readonly AuditedResource[];
  /** The kinds of resource that other processes report on. */
  readonly reported?: readonly ReportedResource[];
  /** type-graphql resolver classes. */
  readonly resolvers: readonly (new () => object)[];
  /** What it does on its own, as far as the settings ask for it. */
  readonly jobs?: (settings: FeatureSettings) => readonly FeatureJob[];
}

/** The settings that features have a use for. */
export type FeatureSettings = Pick<Config, "chatAutoArchiveAfter">;

/** What a feature does on its own, again and again, in one process at a time. */
export interface FeatureJob {
  /** As the subsystem is called in the log. */
  readonly name: string;
  /** From the end of one run to the next, in milliseconds, give or take a quarter. */
  readonly interval: number;
  /** Does what is due now. What it throws ends this run and is told to the server's log; the next one tries again. */
  run(parts: JobParts): Promise<JobReport>;
}

export interface JobParts {
  readonly runtime: AuditRuntime;
  /** The connection that holds the job's lock, by the API's login: for reading. */
  readonly client: ClientBase;
  /** Aborted where the process stops or the lock is lost: no further batch is begun. */
  readonly signal: AbortSignal;
  /** Told of each thing that couldn't be done. */
  readonly onError: (error: unknown, ids: readonly string[]) => void;
}

export interface JobReport {
  /** How many resources it changed, and how many it couldn't. */
  readonly done: number;
  readonly failed: number;
}
