import type { GraphQLSchema } from "graphql";
import { mutationDecisions, type AuditedResource, type FieldPolicy, type MutationDecision } from "../audit/index.js";

/** docs/audited-resources.md: each resource with its mutations and each field's policy, and what leaves no entry. */
export function resourcesDocument(schema: GraphQLSchema, resources: readonly AuditedResource[]): string {
  const decisions = mutationDecisions(schema);
  return [
    "# What is audited",
    "Generated from the code by `npm run generate`; the check fails where the two differ.",
    ...[...resources].sort((left, right) => (left.type < right.type ? -1 : 1)).map((it) => section(it, decisions)),
    exemptions(decisions),
    "",
  ].join("\n\n");
}

function section(resource: AuditedResource, decisions: readonly MutationDecision[]): string {
  const mutations = decisions.flatMap(({ name, audited }) =>
    audited?.resource === resource.type ? [`| \`${name}\` | ${audited.action.join(", ")} | \`${audited.id}\` |`] : [],
  );
  const fields = Object.entries(resource.fields).map(([field, policy]) => `| \`${field}\` | ${cells(policy)} |`);
  return [
    `## ${resource.type}`,
    ["| mutation | action | id |", "|---|---|---|", ...mutations].join("\n"),
    ["| field | policy | why |", "|---|---|---|", ...fields].join("\n"),
  ].join("\n\n");
}

function cells(policy: FieldPolicy): string {
  if (policy.kind === "ignore") return `ignore | ${policy.reason}`;
  if (policy.kind === "secret") return "secret | That it changed is recorded, no value.";
  return policy.as === "set" ? "track, as a set | " : "track | ";
}

function exemptions(decisions: readonly MutationDecision[]): string {
  const rows = decisions.flatMap(({ name, unaudited }) => (unaudited ? [`| \`${name}\` | ${unaudited.reason} |`] : []));
  return ["## Mutations that leave no entry", ["| mutation | why |", "|---|---|", ...rows].join("\n")].join("\n\n");
}
