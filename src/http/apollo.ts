import type { Server } from "node:http";
import { ApolloServer, type ApolloServerPlugin, type GraphQLRequestContext } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import { ApolloServerPluginDrainHttpServer } from "@apollo/server/plugin/drainHttpServer";
import { GraphQLError, OperationTypeNode, type GraphQLFormattedError, type GraphQLSchema } from "graphql";
import { AuditError, type AuditContext } from "../audit/index.js";
import type { AuditLog } from "../audit/read/resolver.js";
import type { Logger } from "../log.js";
import type { Metrics, OperationType, RequestOutcome } from "../metrics.js";
import type { Telemetry } from "../telemetry.js";
import { beyondLimits, limits } from "./document-limits.js";
import type { RefusalNotes } from "./refusal-notes.js";
import type { ReplicaLag } from "./replica-lag.js";
import { toldErrors, type ToldError } from "./told-error.js";

/** What every resolver finds in its context. */
export interface RequestContext extends AuditContext {
  readonly log: AuditLog;
}

export interface ApolloParts {
  readonly schema: GraphQLSchema;
  readonly development: boolean;
  readonly replicaLag: ReplicaLag;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly telemetry: Telemetry;
  readonly notes: RefusalNotes;
}

/** How long requests under way may take once the server stops; then their connections are closed. */
const drainDeadline = 3_500;

/** Apollo Server with our limits, our errors, and nothing that calls another host. */
export function createApollo(parts: ApolloParts, httpServer: Server): ApolloServer<RequestContext> {
  const told = new WeakMap<object, ToldError>();
  return new ApolloServer<RequestContext>({
    schema: parts.schema,
    introspection: parts.development,
    hideSchemaDetailsFromClientErrors: !parts.development,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    persistedQueries: false,
    allowBatchedHttpRequests: false,
    parseOptions: { maxTokens: limits.tokens },
    maxRecursiveSelections: limits.selections,
    logger: parts.log,
    formatError: (formatted, error) => shown(formatted, told.get(asObject(error)) ?? toldAlone(error, parts.telemetry)),
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginDrainHttpServer({ httpServer, stopGracePeriodMillis: drainDeadline }),
      requestPlugin(parts, told),
    ],
  });
}

type Request = GraphQLRequestContext<RequestContext>;

function requestPlugin(parts: ApolloParts, told: WeakMap<object, ToldError>): ApolloServerPlugin<RequestContext> {
  const { notes, metrics, replicaLag } = parts;
  return {
    requestDidStart: () => {
      let isRefused = false;
      return Promise.resolve({
        didResolveOperation: (request) => {
          refuseBeyondLimits(request);
          return Promise.resolve();
        },
        didEncounterErrors: (request) => {
          tellErrors(parts, told, request);
          // Whatever happens while fields are executed has a path.
          isRefused = request.errors.every((error) => !error.path);
          if (isRefused) notes.note(request.contextValue.origin, codesOf(request.errors, told));
          return Promise.resolve();
        },
        willSendResponse: async (request) => {
          const { body } = request.response;
          if (body.kind !== "single") return;
          const { errors, data } = body.singleResult;
          const outcome: RequestOutcome = isRefused ? "refused" : errors ? "errors" : "ok";
          metrics.requests.inc({ operation: operationType(request), outcome });
          const { reports } = request.contextValue;
          const lag = data && request.operation ? await replicaLag.of(request.operation, request.document) : undefined;
          const extensions = {
            ...(reports.length > 0 && { audit: reports }),
            ...(typeof lag === "number" && { replicaLagSeconds: lag }),
          };
          if (Object.keys(extensions).length > 0) body.singleResult.extensions = extensions;
        },
      });
    },
  };
}

function refuseBeyondLimits({ schema, document, operation, request }: Request): void {
  if (!operation || !document) return;
  if (!schema.getRootType(operation.operation))
    throw new GraphQLError(`There are no ${operation.operation}s here.`, {
      extensions: { code: "OPERATION_RESOLUTION_FAILURE", http: { status: 400 } },
    });
  const beyond = beyondLimits({ schema, document, operation, variables: request.variables ?? {} });
  if (beyond.length === 0) return;
  throw new GraphQLError(`The document asks for too much: ${beyond.join("; ")}. Split it.`, {
    extensions: { code: "LIMIT_EXCEEDED", http: { status: 400 } },
  });
}

function tellErrors(parts: ApolloParts, told: WeakMap<object, ToldError>, request: Request): void {
  const errors = request.errors ?? [];
  const { requestId } = request.contextValue.origin;
  const asked = { schema: request.schema, values: request.request.variables ?? {} };
  const tellings = toldErrors(errors, asked, (error, path) =>
    parts.telemetry.unforeseen(error, `${path}, request ${requestId}`),
  );
  errors.forEach((error, index) => {
    const telling = tellings[index];
    if (!telling) return;
    told.set(error, telling);
    if (error.path && serious.has(telling.code))
      // An INTERNAL error's message has the id under which it stands in this log.
      parts.log.warn({ requestId, path: error.path, code: telling.code, message: telling.message }, "a field failed");
  });
}

const serious: ReadonlySet<string> = new Set(["INTERNAL", "AUDIT_UNAVAILABLE", "UNAVAILABLE"]);

/** An error that came before there was a request to GraphQL, such as one of the context's. */
function toldAlone(error: unknown, telemetry: Telemetry): ToldError {
  const alone = error instanceof GraphQLError ? error : new GraphQLError("", { originalError: asError(error) });
  const [telling] = toldErrors([alone], null, (thrown, path) => telemetry.unforeseen(thrown, path));
  return telling ?? { message: "The request failed.", code: "INTERNAL" };
}

function shown(
  { locations, path }: GraphQLFormattedError,
  { message, code, fields }: ToldError,
): GraphQLFormattedError {
  const extensions = { code, ...(fields && { fields }) };
  return { message, ...(locations && { locations }), ...(path && { path }), extensions };
}

function operationType({ operation }: Request): OperationType {
  switch (operation?.operation) {
    case OperationTypeNode.QUERY:
      return "query";
    case OperationTypeNode.MUTATION:
      return "mutation";
    default:
      return "unknown";
  }
}

const codesOf = (errors: readonly object[], told: WeakMap<object, ToldError>): string[] =>
  errors.map((error) => told.get(error)?.code ?? "BAD_REQUEST");

const asObject = (error: unknown): object => (typeof error === "object" && error !== null ? error : {});

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error("Something else was thrown."));

/** Who calls can't be known: the answer's status is 503. */
export function callerUnknown(cause: Error | null): GraphQLError {
  return new GraphQLError("The token's issuer can't be reached just now. Try again later.", {
    originalError: new AuditError("UNAVAILABLE", "The token's issuer can't be reached.", { cause }),
    extensions: { code: "UNAVAILABLE", http: { status: 503 } },
  });
}
