import type { ApolloServerPlugin, GraphQLRequestContext } from "@apollo/server";
import { GraphQLError, OperationTypeNode } from "graphql";
import type { AuditContext } from "../audit/index.js";
import type { AuditLog } from "../audit/read/resolver.js";
import type { ReportIntake } from "../audit/report/resolver.js";
import type { SessionList } from "../audit/report/session-resolver.js";
import type { Logger } from "../log.js";
import type { Metrics, OperationType, RequestOutcome } from "../metrics.js";
import type { Telemetry } from "../telemetry.js";
import { beyondLimits } from "./document-limits.js";
import type { RefusalNotes } from "./refusal-notes.js";
import type { ReplicaLag } from "./replica-lag.js";
import { toldErrors, type ToldError } from "./told-error.js";

/** What every resolver finds in its context. */
export interface RequestContext extends AuditContext {
  readonly log: AuditLog;
  readonly sessionList: SessionList;
  readonly intake: ReportIntake;
}

export interface RequestParts {
  readonly replicaLag: ReplicaLag;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly telemetry: Telemetry;
  readonly notes: RefusalNotes;
}

type Request = GraphQLRequestContext<RequestContext>;

/**
 * Refuses what goes beyond the limits, turns errors into what the client is told, counts, and adds the extensions.
 *
 * @param told gets what the client is told of each error, for whoever formats it
 */
export function requestPlugin(
  parts: RequestParts,
  told: WeakMap<object, ToldError>,
): ApolloServerPlugin<RequestContext> {
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
          const lag = data && request.operation ? await replicaLag.of(request.operation, request.document) : null;
          const extensions = {
            ...(reports.length > 0 && { audit: reports }),
            ...(lag !== null && { replicaLagSeconds: lag }),
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

function tellErrors(parts: RequestParts, told: WeakMap<object, ToldError>, request: Request): void {
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
