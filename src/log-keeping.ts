import { join } from "node:path";
import type { GraphQLSchema } from "graphql";
import type pg from "pg";
import { AccessLog } from "./audit/access-log.js";
import { declarationsOf, recordDeclarations, type RecordedDeclarations } from "./audit/declarations.js";
import type { PendingEntry } from "./audit/entry.js";
import { FoldFile } from "./audit/fold-file.js";
import type { FoldFileOwner } from "./audit/fold-lines.js";
import { leftFolds, type LeftFolds } from "./audit/left-folds.js";
import { Folds } from "./audit/fold.js";
import { RefusalLog, Sessions, type AuditedResource, type AuditObserver } from "./audit/index.js";
import type { SessionKeeper } from "./audit/session-keeper.js";
import type { ProgramFacts } from "./audit/session-entry.js";
import { ProcessLog } from "./audit/process-log.js";
import type { Spool } from "./audit/spool/spool.js";
import { refusedForGood } from "./audit/refused-for-good.js";
import { inTransactionApart, writeOnce } from "./audit/write-apart.js";
import type { Config } from "./config.js";
import { readOrMakeKey } from "./disk/folder.js";
import { lookUpProcess } from "./disk/process.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";
import type { Shutdown } from "./shutdown.js";
import { StartError } from "./start-error.js";
import { within } from "./within.js";

/** What the log is kept with, beside the operations' own transactions. */
export interface LogKeeping {
  readonly sessions: Sessions;
  readonly refusals: RefusalLog;
  readonly folds: Folds;
  readonly access: AccessLog;
  /** Tells the log of this start, and of what is declared otherwise than at the last. @throws StartError */
  started(schema: GraphQLSchema, resources: readonly Pick<AuditedResource, "type" | "fields">[]): Promise<void>;
}

interface KeepingOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly shutdown: Shutdown;
  /** Of the API's login, apart from the operations'. */
  readonly pool: pg.Pool;
  /** Of the same login, for entries of looks at the log. */
  readonly looks: pg.Pool;
  readonly spool: Spool;
  readonly metrics: Metrics;
  readonly observer: AuditObserver;
  readonly program: ProgramFacts;
  readonly sessionKeeper: SessionKeeper;
}

/** Together with the requests' own, within what a stop may take. */
const closeDeadline = 1_500;

/** Takes over what a process before left, and plans what is written at the stop, before the connections close. */
export async function keepLog(options: KeepingOptions): Promise<LogKeeping> {
  const { log, shutdown, pool, looks, spool, observer, sessionKeeper } = options;
  const sessions = new Sessions(sessionKeeper);
  const refusals = new RefusalLog(pool, observer, spool);
  const processLog = processLogOf(options, sessions);
  const folds = await openFolds(options);
  let isStarted = false;
  shutdown.add("the log's own entries", async (reason) => {
    const written = async () => {
      await folds.close();
      if (isStarted) await processLog.stopped(reason);
    };
    if ((await within(closeDeadline, written())) === null) log.error("the log could not be told of the stop in time");
  });
  return {
    sessions,
    refusals,
    folds,
    access: new AccessLog({ pool: looks, sessions, refusals, folds, observer }),
    started: async (schema, resources) => {
      try {
        await processLog.started();
        isStarted = true;
        const declared = declarationsOf(schema, resources);
        tellDeclared(log, await inTransactionApart(pool, (client) => recordDeclarations(client, declared)));
      } catch (cause) {
        const message = "The log can't be told of this start, so nothing is served: see the error in the server's log.";
        log.error({ error: cause }, "the start could not be entered in the log");
        throw new StartError(message, 1, { cause });
      }
    },
  };
}

function tellDeclared(log: Logger, { differing, isFirst }: RecordedDeclarations): void {
  if (isFirst) log.info({ declarations: differing }, "declarations were entered in the log, for the first time");
  else if (differing > 0) log.info({ differing }, "declarations differ from those of the last start");
}

function processLogOf({ config, pool, observer, program }: KeepingOptions, sessions: Sessions): ProcessLog {
  const { version, host } = program;
  const settings = {
    version,
    auditing: "strict",
    database: config.databaseUrl === null ? "embedded" : "external",
    environment: config.environment,
    deniedPerMinute: config.deniedPerMinute,
  };
  return new ProcessLog({ label: `${host}, version ${version}`, settings }, sessions, async (entry) => {
    await writeOnce(pool, entry);
    observer.written([entry]);
  });
}

async function openFolds({ config, log, pool, metrics, observer, sessionKeeper }: KeepingOptions): Promise<Folds> {
  const folder = join(config.dataDir, "folds");
  const write = async (summary: Parameters<typeof writeOnce>[1]): Promise<void> => {
    await writeOnce(pool, summary);
    observer.written([summary]);
  };
  const onFileError = (error: unknown) => log.warn({ error, folder }, "what is folded can't be kept on disk");
  // One key for all that waits in DATA_DIR: the spool, which is open already, made it.
  const key = await readOrMakeKey(join(config.dataDir, "spool"));
  await writeLeft({ folder, key, write, log });
  const file = await FoldFile.open({ folder, key, owner: await thisProcess(), onError: onFileError }).catch(
    (error: unknown) => {
      onFileError(error);
      return undefined;
    },
  );
  return new Folds({
    deniedPerMinute: config.deniedPerMinute,
    write,
    onError: (error, summary) => observer.writeFailed(error, [summary]),
    onFold: (entry, summary) => {
      metrics.folded.inc();
      sessionKeeper.folded(entry, summary);
    },
    ...(file && { file }),
  });
}

interface LeftGround {
  readonly folder: string;
  readonly key: Buffer;
  readonly write: (summary: PendingEntry) => Promise<void>;
  readonly log: Logger;
}

/** Writes the summaries of processes that ended without doing so. What can't be written of one holds up no other's. */
async function writeLeft(ground: LeftGround): Promise<void> {
  const { folder, key, log } = ground;
  const isRunning = async ({ pid, started }: FoldFileOwner) => (await lookUpProcess(pid))?.started === started;
  const notYet = "what an ended process had folded can't be written yet: the next start tries again";
  const onError = (error: unknown) => log.error({ error, folder }, notYet);
  const files = await leftFolds({ folder, key, isRunning, onError }).catch((error: unknown) => {
    onError(error);
    return [];
  });
  for (const file of files) await writeFrom(file, ground).catch(onError);
}

async function writeFrom({ summaries, badLines, discard, keepAside }: LeftFolds, { write, log }: LeftGround) {
  let refused = 0;
  for (const summary of summaries) {
    try {
      await write(summary);
    } catch (error) {
      if (refusedForGood(error) === null) throw error;
      refused += 1;
      log.error({ error }, "the database refuses a summary of what an ended process had folded");
    }
  }
  const keptAside = badLines + refused > 0 ? await keepAside() : await discard();
  const written = summaries.length - refused;
  log.warn({ summaries: written, refused, badLines, keptAside }, "wrote what an ended process had folded");
}

async function thisProcess(): Promise<FoldFileOwner> {
  return { pid: process.pid, started: (await lookUpProcess(process.pid))?.started ?? "unknown" };
}
