import type { GraphQLSchema } from "graphql";
import {
  mutationDecisions,
  type AuditedResource,
  type FieldPolicy,
  type MutationDecision,
  type ReportedResource,
} from "../audit/index.js";

/**
 * docs/audited-resources.md: each resource with its mutations and each field's policy, what other processes may report, and
 * what leaves no entry.
 */
export function resourcesDocument(
  schema: GraphQLSchema,
  resources: readonly AuditedResource[],
  reported: readonly ReportedResource[],
): string {
  const decisions = mutationDecisions(schema);
  return [
    "# What is audited",
    "Generated from the code by `npm run generate`; the check fails where the two differ.",
    ...[...resources].sort((left, right) => (left.type < right.type ? -1 : 1)).map((it) => section(it, decisions)),
    ...[...reported].sort((left, right) => (left.type < right.type ? -1 : 1)).map(reportedSection),
    exemptions(decisions),
    "",
  ].join("\n\n");
}

function section(resource: AuditedResource, decisions: readonly MutationDecision[]): string {
  const mutations = decisions.flatMap(({ name, audited }) =>
    audited?.resource === resource.type ? [`| \`${name}\` | ${audited.action.join(", ")} | \`${audited.id}\` |`] : [],
  );
  return [
    `## ${resource.type}`,
    ["| mutation | action | id |", "|---|---|---|", ...mutations].join("\n"),
    policies(resource.fields),
  ].join("\n\n");
}

function reportedSection({ type, actions, members, required, fields }: ReportedResource): string {
  const stated = Object.keys(members).map((name) => `\`${name}\`${required.includes(name) ? "" : " (optional)"}`);
  return [
    `## ${type}, as other processes report it`,
    `With \`reportAuditEntries\`; actions: ${actions.join(", ")}. \`fields\` has ${stated.join(", ")}.`,
    policies(fields),
  ].join("\n\n");
}

function policies(fields: AuditedResource["fields"]): string {
  const rows = Object.entries(fields).map(([field, policy]) => `| \`${field}\` | ${cells(policy)} |`);
  return ["| field | policy | why |", "|---|---|---|", ...rows].join("\n");
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
