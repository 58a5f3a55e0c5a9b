import "reflect-metadata";
import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { GraphQLSchema } from "graphql";
import {
  applyAudit,
  AuditSubscriber,
  completeness,
  Registry,
  type AuditObserver,
  type AuditRuntime,
} from "./audit/index.js";
import { directoryOf, vocabularyOf } from "./audit/directory.js";
import { AuditLog } from "./audit/read/audit-log.js";
import { ReportIntake } from "./audit/report/report-intake.js";
import { SessionList } from "./audit/report/session-list.js";
import { fencesOf } from "./audit/fence/fence.js";
import { fenceFindings } from "./audit/fence/findings.js";
import { selfCheck } from "./audit/self-check.js";
import { settlingObserver } from "./audit/settling-observer.js";
import { Replayer } from "./audit/spool/replayer.js";
import type { Spool } from "./audit/spool/spool.js";
import { createVerifier } from "./auth.js";
import { BackgroundJob } from "./background-job.js";
import { bannerOf } from "./banner.js";
import type { Config } from "./config.js";
import { openDatabases, type Databases } from "./database.js";
import { connectionConfig, openPool } from "./database/connection.js";
import { codeOf } from "./disk/code-of.js";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "./embedded-postgres.js";
import { features } from "./features.js";
import type { Logger } from "./log.js";
import { inputFindings } from "./input-findings.js";
import { keepLog, type LogKeeping } from "./log-keeping.js";
import { Metrics } from "./metrics.js";
import { pending } from "./migrate.js";
import { openSpool } from "./open-spool.js";
import { PartitionUpkeep } from "./partition-upkeep.js";
import { programFacts } from "./program-facts.js";
import { provision, ProvisionError, type Provisioned } from "./provision.js";
import { Readiness, type ReadinessOptions } from "./readiness.js";
import { provisionFences } from "./provision/fences.js";
import { createSchema } from "./schema.js";
import { createApiServer, type ApiServer } from "./server.js";
import type { Shutdown } from "./shutdown.js";
import { keepSessions } from "./session-keeping.js";
import { refuseToServe, StartError } from "./start-error.js";
import { tableFindings } from "./table-findings.js";
import { Telemetry } from "./telemetry.js";

const reachDeadline = 10_000;
const probeDeadlines = { connect: 2_000, statement: 2_000, lock: 500, idleInTransaction: 5_000 };
const resources = features.flatMap((feature) => feature.resources);
const reported = features.flatMap((feature) => feature.reported ?? []);

/** What the start is made with. */
export interface ServiceOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Gets a step for whatever has been started; who calls runs it, whether the start succeeds or not. */
  readonly shutdown: Shutdown;
  /** Ends the start at its next step. */
  readonly signal: AbortSignal;
}

/**
 * Starts all that serves: PostgreSQL where none is configured, migrations, connections, checks, HTTP.
 *
 * @returns what to print, its last line `ready http://HOST:PORT/graphql`
 * @throws StartError, ProvisionError, MigrationError, EmbeddedPostgresError, DevelopmentKeyError: their messages may be
 * shown to whoever started it
 */
export async function startService(options: ServiceOptions): Promise<string> {
  const { config, log, shutdown, signal } = options;
  const metrics = new Metrics();
  const telemetry = new Telemetry(log, metrics);
  const verifier = await createVerifier(config);
  const embedded = config.databaseUrl === null ? await startDatabase(options) : null;
  const provisioned = await provisionInTime(options, embedded?.url ?? null);
  for (const note of provisioned.notes) log.info(note);
  const owned = await openSpool(config, telemetry);
  const { spool } = owned;
  // Closed behind the connections: what they were cut off from is kept.
  shutdown.add("spool", () => owned.close());
  const databases = await open(options, provisioned);
  const { schema, registry } = await checkedSchema(options, databases, telemetry, provisioned.adminUrl);
  signal.throwIfAborted();
  const program = programFacts("auditql");
  const sessionKeeper = keepSessions({ log, shutdown, pool: databases.sessions, observer: telemetry, program });
  const observer = settlingObserver(telemetry, (entries) => sessionKeeper.settle(entries));
  const keeping = await keepLog({
    config,
    log,
    shutdown,
    pool: databases.refusals,
    looks: databases.looks,
    spool,
    metrics,
    observer,
    program,
    sessionKeeper,
  });
  const probes = openProbes(options, provisioned.apiUrl);
  const upkeep = new PartitionUpkeep(probes, log);
  shutdown.add("partition upkeep", () => {
    upkeep.stop();
  });
  await upkeep.start();
  await keeping.started(schema, [...registry.resources, ...reported]);
  const replayer = new Replayer(spool, databases.refusals, observer, telemetry);
  shutdown.add("replay", () => replayer.stop());
  replayer.start();
  const readiness = readinessOf(options, databases, probes, provisioned.apiUrl, upkeep, { spool, replayer });
  const runtime = runtimeOf(registry, databases, observer, keeping, spool);
  const server = await createApiServer({
    schema: applyAudit(schema, runtime),
    verifier,
    manager: databases.read.manager,
    auditLog: auditLogOf(registry, schema, databases, log),
    sessionList: new SessionList(databases.reader),
    intake: new ReportIntake({ resources: reported, ...keeping, observer }),
    readiness,
    log,
    metrics,
    telemetry,
    trustedProxies: config.trustedProxies,
    auditSocket: config.auditSocket,
    development: config.development,
  });
  shutdown.add("HTTP server", () => server.stop());
  shutdown.add("readiness", () => {
    readiness.stopping();
  });
  signal.throwIfAborted();
  const origin = await listen(server, config);
  startJobs(options, runtime, metrics, provisioned.apiUrl);
  return bannerOf({ config, origin, schema, embedded, write: databases.write, apiUrl: provisioned.apiUrl });
}

async function startDatabase({ config, log, shutdown, signal }: ServiceOptions): Promise<EmbeddedPostgres> {
  const embedded = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    log: (message) => {
      log.info(message);
    },
  });
  shutdown.add("embedded PostgreSQL", () => embedded.stop());
  signal.throwIfAborted();
  return embedded;
}

/** A database that is started together with us may take a moment; one that refuses us won't change its mind. */
async function provisionInTime({ config, log, signal }: ServiceOptions, embedded: string | null): Promise<Provisioned> {
  const end = performance.now() + reachDeadline;
  for (let wait = 200; ; wait = Math.min(wait * 2, 2_000)) {
    signal.throwIfAborted();
    try {
      return await provision(config, embedded);
    } catch (error) {
      const mayChange = error instanceof ProvisionError && error.exitCode === 69;
      if (!mayChange || performance.now() + wait > end) throw error;
      log.warn({ error }, "the database can't be reached yet");
      await delay(wait * (0.5 + Math.random() / 2), undefined, { signal });
    }
  }
}

async function open({ log, shutdown, signal }: ServiceOptions, urls: Provisioned): Promise<Databases> {
  const databases = await openDatabases(urls, {
    entities: features.flatMap((feature) => [...feature.entities]),
    onError: (error, pool) => {
      log.warn({ error, pool }, "a database connection broke");
    },
  });
  shutdown.add("database connections", () => databases.close());
  signal.throwIfAborted();
  return databases;
}

/** The schema, once nothing is forgotten in it and the log is safe from the login that serves. */
async function checkedSchema(
  { config, log }: ServiceOptions,
  databases: Databases,
  observer: AuditObserver,
  adminUrl: string | null,
) {
  const registry = new Registry(resources, databases.write);
  databases.write.subscribers.push(new AuditSubscriber(registry, observer));
  const schema = await createSchema(features);
  const client = await databases.refusals.connect();
  try {
    const forgotten = [
      ...completeness(schema, resources, databases.write, reported),
      ...inputFindings(features.flatMap((feature) => feature.resolvers)),
      ...(await tableFindings(client, databases.write, config.databaseUrl === null ? config.dataDir : null)),
    ];
    const isComplete = forgotten.length === 0;
    if (isComplete && adminUrl !== null)
      for (const note of await provisionFences(adminUrl, resources, databases.write, config.fenceGrace)) log.info(note);
    refuseToServe("Not everything is audited, so nothing is served", [
      ...forgotten,
      ...(await selfCheck(client)),
      ...(isComplete ? await fenceFindings(client, fencesOf(resources, databases.write)) : []),
    ]);
  } finally {
    client.release();
  }
  return { schema, registry };
}

/** What mutations and background work share: one run of the process has one session for each tenant. */
function runtimeOf(
  registry: Registry,
  databases: Databases,
  observer: AuditObserver,
  { sessions, refusals, folds, access }: LogKeeping,
  spool: Spool,
): AuditRuntime {
  return {
    dataSource: databases.write,
    readDataSource: databases.read,
    registry,
    sessions,
    refusals,
    observer,
    folds,
    access,
    spool,
    outcomes: databases.refusals,
  };
}

/** Begins what the features do on their own; it ends before the server does. */
function startJobs({ config, log, shutdown }: ServiceOptions, runtime: AuditRuntime, metrics: Metrics, apiUrl: string) {
  const connection = connectionConfig(apiUrl, "auditql job");
  for (const job of features.flatMap((feature) => feature.jobs?.(config) ?? [])) {
    const background = new BackgroundJob({ job, runtime, connection, log, metrics });
    shutdown.add(job.name, () => background.stop());
    background.start();
  }
}

function auditLogOf(registry: Registry, schema: GraphQLSchema, { reader, read }: Databases, log: Logger): AuditLog {
  return new AuditLog({
    pool: reader,
    directory: directoryOf(registry, read),
    vocabulary: vocabularyOf(registry, schema, reported),
    onError: (message, error) => {
      log.warn({ error }, message);
    },
  });
}

function readinessOf(
  { config }: ServiceOptions,
  { reader }: Databases,
  probes: pg.Pool,
  apiUrl: string,
  upkeep: PartitionUpkeep,
  spooling: ReadinessOptions["spooling"],
): Readiness {
  const pendingMigrations = () => pending(apiUrl);
  const isEmbedded = config.databaseUrl === null;
  return new Readiness({ probes, reader, upkeep, spooling, pendingMigrations, isEmbedded });
}

/** Connections of the API's login for looks at the database and for its upkeep: no request ever waits for one. */
function openProbes({ log, shutdown }: ServiceOptions, apiUrl: string): pg.Pool {
  const connection = connectionConfig(apiUrl, "auditql probe", probeDeadlines);
  const probes = openPool({ ...connection, max: 2, idleTimeoutMillis: 60_000 }, (error) => {
    log.debug({ error }, "a connection for probes broke");
  });
  shutdown.add("probes", () => probes.end());
  return probes;
}

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there: end it, or set PORT to another (0 for any that is free)",
  EACCES: "this account may not: set PORT to 1024 or more",
  EADDRNOTAVAIL: "this machine has no such address: set HOST to one that it has",
  ENOTFOUND: "no such host is known: set HOST to an address of this machine",
};

async function listen(server: ApiServer, { host, port }: Config): Promise<string> {
  try {
    return await server.listen(host, port);
  } catch (cause) {
    if (cause instanceof StartError) throw cause;
    const code = codeOf(cause) ?? "unknown";
    const why = listenProblems[code] ?? "the system refuses";
    throw new StartError(`Can't listen on ${host}, port ${String(port)} (${code}): ${why}.`, 1, { cause });
  }
}
