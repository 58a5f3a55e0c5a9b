import type { Server } from "node:http";
import { ApolloServer } from "@apollo/server";
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from "@apollo/server/plugin/disabled";
import { ApolloServerPluginDrainHttpServer } from "@apollo/server/plugin/drainHttpServer";
import { GraphQLError, type GraphQLFormattedError, type GraphQLSchema } from "graphql";
import { AuditError } from "../audit/index.js";
import type { Telemetry } from "../telemetry.js";
import { limits } from "./document-limits.js";
import { requestPlugin, type RequestContext, type RequestParts } from "./request-plugin.js";
import { toldErrors, type ToldError } from "./told-error.js";

export interface ApolloParts extends RequestParts {
  readonly schema: GraphQLSchema;
  readonly development: boolean;
}

/** How long requests under way may take once the server stops; then their connections are closed. */
const drainDeadline = 3_500;

/** Apollo Server with our limits, our errors, and nothing that calls another host. */
export function createApollo(parts: ApolloParts, servers: readonly Server[]): ApolloServer<RequestContext> {
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
      ...servers.map((httpServer) =>
        ApolloServerPluginDrainHttpServer({ httpServer, stopGracePeriodMillis: drainDeadline }),
      ),
      requestPlugin(parts, told),
    ],
  });
}

/** Who calls can't be known: the answer's status is 503. */
export function callerUnknown(cause: Error | null): GraphQLError {
  return new GraphQLError("The token's issuer can't be reached just now. Try again later.", {
    originalError: new AuditError("UNAVAILABLE", "The token's issuer can't be reached.", { cause }),
    extensions: { code: "UNAVAILABLE", http: { status: 503 } },
  });
}

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

const asObject = (error: unknown): object => (typeof error === "object" && error !== null ? error : {});

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error("Something else was thrown."));
