import type { GraphQLSchema } from "graphql";
import { join } from "node:path";
import {
  applyAudit,
  AuditSubscriber,
  RefusalLog,
  Registry,
  Sessions,
  type AuditObserver,
} from "../../src/audit/index.js";
import { directoryOf, vocabularyOf } from "../../src/audit/directory.js";
import { AuditLog } from "../../src/audit/read/audit-log.js";
import { ReportIntake } from "../../src/audit/report/report-intake.js";
import { SessionList } from "../../src/audit/report/session-list.js";
import { Spool } from "../../src/audit/spool/spool.js";
import { createVerifier } from "../../src/auth.js";
import { openDatabases, type Databases } from "../../src/database.js";
import { connectionConfig, openPool } from "../../src/database/connection.js";
import { features } from "../../src/features.js";
import { createSchema } from "../../src/schema.js";
import { createLog } from "../../src/log.js";
import { Metrics } from "../../src/metrics.js";
import { Readiness } from "../../src/readiness.js";
import { createApiServer } from "../../src/server.js";
import { Telemetry } from "../../src/telemetry.js";
import { applyBare } from "./bare-wrapper.js";
import { applyOneStatement } from "./one-statement.js";
import type { ApiSettings } from "./settings.js";

const complain = (message: string, error: unknown): void => {
  process.stderr.write(
    `bench: ${message} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
};

const observer: AuditObserver = {
  written: () => undefined,
  wrote: () => undefined,
  writeFailed: (error) => {
    complain("An entry could not be written:", error);
  },
  unforeseen: (error, place) => {
    complain(`${place}:`, error);
    return "bench";
  },
};

/** Serves as the application does, but for the mutations of the arm. @returns the port, of 127.0.0.1 */
export async function serve(settings: ApiSettings): Promise<number> {
  const entities = features.flatMap((feature) => [...feature.entities]);
  const databases = await openDatabases(settings, {
    entities,
    onError: (error) => {
      complain("A connection broke:", error);
    },
  });
  const registry = new Registry(
    features.flatMap((feature) => [...feature.resources]),
    databases.write,
  );
  const bare = await createSchema(features);
  const log = new AuditLog({
    pool: databases.reader,
    directory: directoryOf(registry, databases.read),
    vocabulary: vocabularyOf(registry, bare),
    onError: complain,
  });
  const metrics = new Metrics();
  const logger = createLog({ logLevel: "silent", development: false });
  const telemetry = new Telemetry(logger, metrics);
  const spool = await Spool.open(join(settings.dataDir, `spool-${String(process.pid)}`), 64 * 1024 ** 2, telemetry);
  const server = await createApiServer({
    schema: mutationsOf(settings, bare, databases, registry, spool),
    verifier: await createVerifier({ tokens: null, dataDir: settings.dataDir }),
    manager: databases.read.manager,
    auditLog: log,
    sessionList: new SessionList(databases.reader),
    intake: new ReportIntake({
      resources: [],
      sessions: new Sessions(),
      refusals: new RefusalLog(databases.refusals, telemetry, spool),
      observer: telemetry,
    }),
    readiness: new Readiness({
      probes: databases.refusals,
      reader: databases.reader,
      upkeep: { lastError: null },
      spooling: { spool, replayer: { lastError: null } },
      pendingMigrations: () => Promise.resolve(0),
      isEmbedded: true,
    }),
    log: logger,
    metrics,
    telemetry,
    trustedProxies: [],
    auditSocket: null,
    development: false,
  });
  return Number(new URL(await server.listen("127.0.0.1", 0)).port);
}

function mutationsOf(
  { arm, apiUrl }: ApiSettings,
  schema: GraphQLSchema,
  databases: Databases,
  registry: Registry,
  spool: Spool,
): GraphQLSchema {
  if (arm === "statement")
    return applyOneStatement(
      schema,
      openPool({ ...connectionConfig(apiUrl, "auditql api"), max: 10 }, () => undefined),
    );
  if (arm === "bare" || arm === "trigger") return applyBare(schema, { dataSource: databases.write, registry });
  databases.write.subscribers.push(new AuditSubscriber(registry, observer));
  return applyAudit(schema, {
    dataSource: databases.write,
    readDataSource: databases.read,
    registry,
    sessions: new Sessions(),
    refusals: new RefusalLog(databases.refusals, observer, spool),
    observer,
    spool,
    outcomes: databases.refusals,
  });
}
