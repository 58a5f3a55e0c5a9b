import { createServer, type Server } from "node:http";
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginLandingPageDisabled } from "@apollo/server/plugin/disabled";
import { ApolloServerPluginDrainHttpServer } from "@apollo/server/plugin/drainHttpServer";
import { expressMiddleware } from "@as-integrations/express5";
import express from "express";
import type { GraphQLSchema } from "graphql";
import type { EntityManager } from "typeorm";
import { AuditError, type AuditContext } from "./audit/index.js";
import type { AuditLog } from "./audit/read/resolver.js";
import type { Verifier } from "./auth.js";
import { originOf } from "./context.js";

/** What every resolver finds in its context. */
export interface RequestContext extends AuditContext {
  readonly log: AuditLog;
}

export interface ServerParts {
  readonly schema: GraphQLSchema;
  readonly verifier: Verifier;
  readonly manager: EntityManager;
  readonly log: AuditLog;
  readonly trustedProxies: readonly string[];
}

export async function createHttpServer(parts: ServerParts): Promise<Server> {
  const app = express();
  const server = createServer(app);
  app.set("trust proxy", [...parts.trustedProxies]);
  app.disable("x-powered-by");
  const apollo = new ApolloServer<RequestContext>({
    schema: parts.schema,
    includeStacktraceInErrorResponses: false,
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginDrainHttpServer({ httpServer: server }),
      {
        requestDidStart: () =>
          Promise.resolve({
            willSendResponse: ({ response, contextValue }) => {
              if (response.body.kind === "single" && contextValue.reports.length > 0)
                response.body.singleResult.extensions = {
                  ...response.body.singleResult.extensions,
                  audit: contextValue.reports,
                };
              return Promise.resolve();
            },
          }),
      },
    ],
  });
  await apollo.start();
  app.use(
    "/graphql",
    express.json({ limit: "2mb" }),
    expressMiddleware(apollo, {
      context: async ({ req }) => {
        const { caller, unavailable, cause } = await parts.verifier.verify(req.headers.authorization);
        if (unavailable) throw new AuditError("UNAVAILABLE", "The token's issuer can't be reached just now.", { cause });
        return { caller, origin: originOf(req), manager: parts.manager, log: parts.log, reports: [] };
      },
    }),
  );
  return server;
}
