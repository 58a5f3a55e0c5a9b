import { lexicographicSortSchema, type GraphQLSchema } from "graphql";
import { printSchemaWithDirectives } from "@graphql-tools/utils";
import { withAuditDirectives } from "./audit/index.js";
import { AuditLogResolver } from "./audit/read/resolver.js";
import { ReportResolver } from "./audit/report/resolver.js";
import { AuditSessionResolver } from "./audit/report/session-resolver.js";
import { buildSchema, type NonEmptyArray } from "./audit/type-graphql.js";
import type { Feature } from "./feature.js";

/** The features' types and resolvers as one schema with its directives; `applyAudit` has yet to make them work. */
export async function createSchema(features: readonly Feature[]): Promise<GraphQLSchema> {
  const own = [AuditLogResolver, AuditSessionResolver, ReportResolver];
  const resolvers = [...features.flatMap((feature) => feature.resolvers), ...own];
  const bare = await buildSchema({
    resolvers: resolvers as unknown as NonEmptyArray<new () => object>,
    // An error must not echo the input: it may hold a secret. A null is not a missing property: it is judged.
    validate: {
      validationError: { target: false, value: false },
      forbidUnknownValues: true,
      skipMissingProperties: false,
    },
  });
  return withAuditDirectives(bare);
}

/** The schema as schema.graphql holds it: sorted, with the directives that printSchema leaves out. */
export function printedSchema(schema: GraphQLSchema): string {
  return `${printSchemaWithDirectives(lexicographicSortSchema(schema))}\n`;
}
