import type { GraphQLSchema } from "graphql";
import type { DataSource } from "typeorm";
import { directiveFindings } from "./directive-findings.js";
import { looksSecret } from "./looks-secret.js";
import { ownResourceTypes } from "./own-resources.js";
import type { ReportedResource } from "./reported-resource.js";
import type { AuditedResource } from "./resource.js";
import { AuditSubscriber } from "./subscriber.js";

/**
 * Everything that the developer forgot, all at once, each with what to write: mutations without a decision, directives
 * that say what can't be, columns without a policy, and a data source without the subscriber. Empty where nothing is.
 *
 * @example
 * const problems = completeness(schema, resources, dataSource);
 * if (problems.length > 0) throw new Error(problems.join("\n"));
 */
export function completeness(
  schema: GraphQLSchema,
  resources: readonly AuditedResource[],
  dataSource: DataSource,
  reported: readonly ReportedResource[] = [],
): string[] {
  return [
    ...directiveFindings(schema, resources),
    ...duplicates(resources, reported),
    ...reported.flatMap(reportedFindings),
    ...resources.flatMap((resource) => policyFindings(resource, dataSource)),
    ...subscriberFindings(dataSource),
  ];
}

function duplicates(resources: readonly AuditedResource[], reported: readonly ReportedResource[]): string[] {
  const all = [...resources, ...reported];
  const types = repeated(all.map(({ type }) => type));
  const entities = repeated(resources.map(({ entity }) => entity));
  return [
    ...types.map((type) => `The audited resource "${type}" is declared twice: give one of them another type.`),
    ...all
      .filter(({ type }) => ownResourceTypes.some((own) => own === type))
      .map(
        ({ type }) => `The audited resource "${type}" has the name of a kind of the log's own: give it another type.`,
      ),
    ...entities.map(({ name }) => `${name} is the entity of two audited resources: keep one of them.`),
  ];
}

const repeated = <Value>(values: readonly Value[]): Value[] => [
  ...new Set(values.filter((value, index) => values.indexOf(value) !== index)),
];

function policyFindings(resource: AuditedResource, dataSource: DataSource): string[] {
  const { name } = resource.entity;
  if (!dataSource.hasMetadata(resource.entity))
    return [`${name}, the entity of "${resource.type}", isn't known to the data source: add it to its entities.`];
  const { columns: mapped } = dataSource.getMetadata(resource.entity);
  const columns = mapped.map((column) => column.propertyPath);
  const named = new Map(mapped.map((column) => [column.propertyPath, column.databaseName]));
  const fields = Object.keys(resource.fields);
  return [
    ...columns
      .filter((column) => !fields.includes(column))
      .map(
        (column) => `${name}.${column} has no field policy: add \`${column}: track\`, \`secret\` or \`ignore("why")\`.`,
      ),
    ...fields
      .filter((field) => !columns.includes(field))
      .map((field) => `"${resource.type}" has a policy for ${field}, but ${name} has no such column: remove it.`),
    ...unfitPolicies(name, resource.fields, named),
    ...[resource.idField, resource.tenantField]
      .filter((field) => !columns.includes(field))
      .map((field) => `"${resource.type}" is found by ${field}, but ${name} has no such column.`),
  ];
}

/** @param columns what the table calls each field, where there is one */
function unfitPolicies(
  name: string,
  fields: AuditedResource["fields"],
  columns: ReadonlyMap<string, string> = new Map(),
): string[] {
  return [
    ...Object.entries(fields)
      .filter(([, policy]) => policy.kind === "track")
      .flatMap(([field]) => {
        const suspect = [field, columns.get(field) ?? field].find(looksSecret);
        if (suspect === undefined) return [];
        const place = suspect === field ? "" : `, the column ${suspect},`;
        return [`${name}.${field}${place} looks like a secret but is tracked in clear: write \`${field}: secret\`.`];
      }),
    ...Object.entries(fields)
      .filter(([, policy]) => policy.kind === "ignore" && policy.reason.trim() === "")
      .map(([field]) => `${name}.${field} is ignored without a reason: write \`${field}: ignore("why")\`.`),
  ];
}

function reportedFindings({ type, members, required, fields }: ReportedResource): string[] {
  return [
    ...unfitPolicies(type, fields),
    ...required
      .filter((name) => !(name in members))
      .map((name) => `"${type}" requires ${name}, but has no such field: remove it, or give it a policy.`),
  ];
}

function subscriberFindings(dataSource: DataSource): string[] {
  if (dataSource.subscribers.some((subscriber) => subscriber instanceof AuditSubscriber)) return [];
  return [
    "The audit subscriber isn't there: `dataSource.subscribers.push(new AuditSubscriber(…))` after initialize().",
  ];
}
