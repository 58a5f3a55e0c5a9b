import type { GraphQLSchema } from "graphql";
import type { ClientBase } from "pg";
import { mutationDecisions, type MutationDecision } from "./mutation-decisions.js";
import type { DeclaredField } from "./own-resources.js";
import { policyName, type AuditedResource } from "./resource.js";

/** What the code says of one mutation, or of one field of a resource. */
export interface Declaration {
  readonly kind: "mutation" | "field_policy";
  /** Such as `createDevice`, or `device.name`. */
  readonly name: string;
  readonly declared: Readonly<Partial<Record<DeclaredField, string | readonly string[] | null>>>;
}

/** All that decides what the log keeps, and who may do what: every mutation's directives, every field's policy. */
export function declarationsOf(
  schema: GraphQLSchema,
  resources: readonly Pick<AuditedResource, "type" | "fields">[],
): Declaration[] {
  const mutations = mutationDecisions(schema).map((decision): Declaration => ({
    kind: "mutation",
    name: decision.name,
    declared: directivesDeclared(decision),
  }));
  const policies = resources.flatMap(({ type, fields }) =>
    Object.entries(fields).map(([field, policy]): Declaration => ({
      kind: "field_policy",
      name: `${type}.${field}`,
      declared: { policy: policyName(policy) },
    })),
  );
  return [...mutations, ...policies];
}

/** What came of comparing. */
export interface RecordedDeclarations {
  /** How many differ from the last start's. */
  readonly differing: number;
  /** Whether no start before this one declared anything, so that all of them are new. */
  readonly isFirst: boolean;
}

/**
 * Compares what is declared with what was at the last start, whichever process made it, and leaves an entry of each
 * difference on the platform's log; the database does so, in one transaction. The first start's are all new.
 */
export async function recordDeclarations(
  client: ClientBase,
  declarations: readonly Declaration[],
): Promise<RecordedDeclarations> {
  const { rows: looks } = await client.query<{ first: boolean }>(neverDeclared);
  const text = "select audit_guard.declare($1::jsonb)::int as differing";
  const { rows } = await client.query<{ differing: number }>(text, [JSON.stringify(declarations)]);
  return { differing: rows[0]?.differing ?? 0, isFirst: looks[0]?.first ?? false };
}

/** The API's login may read no row of it, but may ask for its size: what was never written to has none. */
const neverDeclared = "select pg_relation_size('audit.declaration') = 0 as first";

/** The order in which actions and roles are written says nothing. */
const directivesDeclared = ({ audited, unaudited, requires }: MutationDecision): Declaration["declared"] => ({
  "audited.resource": audited?.resource ?? null,
  "audited.action": audited ? [...audited.action].sort() : null,
  "audited.id": audited?.id ?? null,
  "unaudited.reason": unaudited?.reason ?? null,
  "requires.roles": requires ? [...requires.roles].sort() : null,
});
