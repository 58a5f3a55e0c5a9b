import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expressMiddleware } from "@as-integrations/express5";
import express from "express";
import type { GraphQLSchema } from "graphql";
import type { EntityManager } from "typeorm";
import type { AuditLog } from "./audit/read/resolver.js";
import type { ReportIntake } from "./audit/report/resolver.js";
import type { SessionList } from "./audit/report/session-resolver.js";
import type { Verifier } from "./auth.js";
import { callerUnknown, createApollo } from "./http/apollo.js";
import { Correlations } from "./http/correlation.js";
import { serveGraphiql } from "./http/graphiql.js";
import { health } from "./http/health.js";
import { jsonBody, requireAcceptable } from "./http/json-body.js";
import { answerErrors, answerNonsense, answerTunnel, notFound, refuseImproper } from "./http/refusals.js";
import { RefusalNotes } from "./http/refusal-notes.js";
import { ReplicaLag } from "./http/replica-lag.js";
import { nameRequest, requestOrigin } from "./http/request-origin.js";
import type { RequestContext } from "./http/request-plugin.js";
import { listenOnSocket, type UnixSocket } from "./http/unix-socket.js";
import type { Logger } from "./log.js";
import type { Metrics } from "./metrics.js";
import type { Readiness } from "./readiness.js";
import type { Telemetry } from "./telemetry.js";

export type { RequestContext } from "./http/request-plugin.js";

/** What is served, and what it needs. */
export interface ServerParts {
  readonly schema: GraphQLSchema;
  readonly verifier: Verifier;
  /** Can only read. */
  readonly manager: EntityManager;
  readonly auditLog: AuditLog;
  readonly sessionList: SessionList;
  readonly intake: ReportIntake;
  readonly readiness: Readiness;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly telemetry: Telemetry;
  readonly trustedProxies: readonly string[];
  /** Where it is served besides, for processes on this machine. */
  readonly auditSocket: string | null;
  /** Whether introspection, suggestions and GraphiQL are offered. */
  readonly development: boolean;
}

export interface ApiServer {
  /**
   * Serves on the socket too, where one is set.
   *
   * @returns where it serves, such as `http://[::1]:4000`
   * @throws what the system says, such as EADDRINUSE; StartError where the socket can't be used
   */
  listen(host: string, port: number): Promise<string>;
  /** Takes no more connections, answers the requests under way for 3.5 seconds at most, and closes every connection. */
  stop(): Promise<void>;
}

const deadlines = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  // Longer than load balancers keep theirs, so that it is they who close.
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
};
const largestHeaders = 16 * 1024;

/** The API over HTTP: GraphQL, health, metrics, and in development GraphiQL. */
export async function createApiServer(parts: ServerParts): Promise<ApiServer> {
  const app = express();
  const server = serverOf(app, parts);
  const local = parts.auditSocket === null ? null : serverOf(app, parts);
  const notes = new RefusalNotes(parts.log, parts.metrics);
  const apollo = createApollo(
    { ...parts, notes, replicaLag: new ReplicaLag(parts.auditLog) },
    local ? [server, local] : [server],
  );
  await apollo.start();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("trust proxy", [...parts.trustedProxies]);
  app.use(nameRequest, refuseImproper);
  app.use(health(parts.readiness, parts.metrics));
  if (parts.development) serveGraphiql(app);
  app.all(
    "/graphql",
    notes.watch,
    requireAcceptable,
    ...jsonBody(async ({ headers }) =>
      (await parts.verifier.verify(headers.authorization)).caller.roles.has("REPORTER"),
    ),
    expressMiddleware(apollo, { context: contextOf(parts, notes) }),
  );
  app.use(notFound);
  app.use(answerErrors(notes, parts.telemetry));
  let socket: UnixSocket | null = null;
  return {
    listen: async (host, port) => {
      if (local && parts.auditSocket !== null) socket = await listenOnSocket(local, parts.auditSocket);
      return listen(server, host, port);
    },
    stop: async () => {
      await apollo.stop();
      await socket?.release();
    },
  };
}

function serverOf(app: express.Express, { log, metrics }: ServerParts): Server {
  const server = createServer({ ...deadlines, maxHeaderSize: largestHeaders, requireHostHeader: false }, app);
  server.on("clientError", answerNonsense(log, metrics));
  // Node's own answers to these two have neither a body nor an id.
  server.on("checkExpectation", app);
  server.on("connect", answerTunnel);
  return server;
}

function contextOf(parts: ServerParts, notes: RefusalNotes) {
  const { verifier, manager, auditLog, sessionList, intake, log, metrics } = parts;
  const correlations = new Correlations(log, metrics);
  return async ({ req }: { readonly req: express.Request }): Promise<RequestContext> => {
    const { caller, unavailable, cause } = await verifier.verify(req.headers.authorization);
    const origin = requestOrigin(req);
    if (unavailable) {
      log.warn({ requestId: origin.requestId, error: cause }, "the issuer's keys can't be had");
      notes.note(origin, ["UNAVAILABLE"]);
      throw callerUnknown(cause);
    }
    const correlation = correlations.of(req, caller);
    return { caller, origin, correlation, manager, log: auditLog, sessionList, intake, reports: [] };
  };
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  server.listen(port, host);
  await once(server, "listening");
  const { address, family, port: taken } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${String(taken)}`;
}
