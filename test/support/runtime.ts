import { randomUUID } from "node:crypto";
import { graphql, type ExecutionResult, type GraphQLSchema } from "graphql";
import type { EntitySchema } from "typeorm";
import {
  applyAudit,
  AuditSubscriber,
  RefusalLog,
  Registry,
  Sessions,
  type AuditContext,
  type AuditedResource,
  type AuditObserver,
  type AuditRuntime,
} from "../../src/audit/index.js";
import { openDatabases, type Databases } from "../../src/database.js";
import { provisionFences } from "../../src/provision/fences.js";
import { query, type TestDatabase } from "./postgres.js";

/** The framework on a database of the test's own, for schemas that the product doesn't have. */
export interface TestRuntime {
  readonly databases: Databases;
  readonly registry: Registry;
  /** What schemas and background work run on. */
  readonly audit: AuditRuntime;
  /** What no one foresaw, in order. */
  readonly unforeseen: unknown[];
  apply(schema: GraphQLSchema): GraphQLSchema;
  run(
    schema: GraphQLSchema,
    source: string,
    roles?: readonly string[],
    variables?: Readonly<Record<string, unknown>>,
  ): Promise<RunResult>;
  close(): Promise<void>;
}

export interface RunResult extends ExecutionResult<Record<string, unknown>> {
  readonly requestId: string;
  readonly codes: readonly unknown[];
}

/** An entry as the table has it, read by the superuser: for a schema without the log's readers. */
export interface EntryRow {
  readonly event_type: string;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly resource_id: string | null;
  readonly resource_label: string | null;
  readonly changes: readonly Readonly<Record<string, unknown>>[];
  readonly attempted: readonly Readonly<Record<string, unknown>>[];
  readonly ordinal: number;
  readonly id: string;
  readonly cause_id: string | null;
}

export async function createRuntime(
  database: TestDatabase,
  entities: readonly EntitySchema<never>[],
  resources: readonly AuditedResource[],
): Promise<TestRuntime> {
  const unforeseen: unknown[] = [];
  const observer: AuditObserver = {
    written: () => undefined,
    wrote: () => undefined,
    writeFailed: () => undefined,
    unforeseen: (error) => `test-${unforeseen.push(error)}`,
  };
  const databases = await openDatabases(database, {
    entities: [...entities] as never,
    onError: (error) => unforeseen.push(error),
  });
  await fenceThere(database, resources, databases);
  const registry = new Registry(resources, databases.write);
  databases.write.subscribers.push(new AuditSubscriber(registry, observer));
  const refusals = new RefusalLog(databases.refusals, observer);
  const outcomes = databases.refusals;
  const ground = { dataSource: databases.write, readDataSource: databases.read, registry, outcomes };
  const audit = { ...ground, sessions: new Sessions(), refusals, observer };
  return {
    databases,
    registry,
    audit,
    unforeseen,
    apply: (schema) => applyAudit(schema, { ...audit, sessions: new Sessions() }),
    run: async (schema, source, roles = ["ADMIN"], variableValues = {}) => {
      const requestId = randomUUID();
      const contextValue = contextFor(databases, roles, requestId);
      const result = (await graphql({ schema, source, contextValue, variableValues })) as ExecutionResult<
        Record<string, unknown>
      >;
      const codes = (result.errors ?? []).map(({ extensions }) => extensions["code"]);
      return { ...result, requestId, codes };
    },
    close: () => databases.close(),
  };
}

/** A schema that is only looked at needs no tables. */
async function fenceThere(database: TestDatabase, resources: readonly AuditedResource[], { write }: Databases) {
  const paths = resources.map(({ entity }) => write.getMetadata(entity).tablePath);
  const found = await query<{ is: boolean }>(
    database.adminUrl,
    "select to_regclass(path) is not null as is from unnest($1::text[]) with ordinality as it (path, place) order by place",
    [paths],
  );
  const there = resources.filter((_, index) => found[index]?.is);
  await provisionFences(database.adminUrl, there, write, 0);
}

export const entryRows = (database: TestDatabase, requestId: string): Promise<EntryRow[]> =>
  query<EntryRow>(database.adminUrl, "select * from audit.entry where request_id = $1 order by id", [requestId]);

function contextFor(databases: Databases, roles: readonly string[], requestId: string): AuditContext {
  const actor = {
    type: "USER",
    id: "u-1",
    name: "Sample Admin",
    onBehalfOf: null,
    subsystem: null,
    issuer: null,
    tokenId: null,
    clientId: null,
  } as const;
  const origin = { clientRequestId: null, traceId: null, reason: null, ip: null, userAgent: null };
  return {
    caller: { actor, tenantId: "acme", subject: "u-1", roles: new Set(roles) },
    origin: { ...origin, requestId },
    manager: databases.read.manager,
    reports: [],
  };
}
