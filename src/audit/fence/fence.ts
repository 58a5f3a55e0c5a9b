import { createHash } from "node:crypto";
import type { DataSource, EntityMetadata } from "typeorm";
import { policyName, type AuditedResource, type FieldPolicy, type PolicyName } from "../resource.js";
import { identifier } from "../sql.js";
import { columnOf } from "../table.js";
import { fenceFunction, type FencedField } from "./fence-function.js";
import { labelExpression } from "./label-expression.js";
import { canonicalColumn } from "./canonical.js";

/**
 * The SQLSTATE of a commit that the fence refuses, for want of a true entry of what was changed.
 *
 * @example
 * FENCE_REFUSED; // "QL001"
 */
export const FENCE_REFUSED = "QL001";

/** What a version still running asks otherwise of fields that are asked now: that passes until then, an instant in ISO 8601. */
export interface Sparing {
  /** It ignores or lacks them: the database writes down what its entries leave out. */
  readonly unasked: readonly string[];
  /** It names them as secrets. */
  readonly asSecret: readonly string[];
  /** It names them with their values, or with the values in another order. */
  readonly asTracked: readonly string[];
  readonly until: string;
}

/** What the database needs to check one audited table's changes at commit. */
export interface Fence {
  readonly type: string;
  /** Quoted, as is its schema. */
  readonly table: string;
  readonly schema: string;
  /** Names of the columns that it looks at. */
  readonly columns: readonly string[];
  readonly policies: Readonly<Record<string, PolicyName>>;
  /** Of all that is made, but for what is spared. */
  readonly digest: string;
  /** Made by the guard. */
  functionSql(sparing: readonly Sparing[]): string;
  /** Made by the table's owner, in this order, behind the function. */
  readonly triggerSql: readonly string[];
}

/** The fences of all these resources, in their order. */
export const fencesOf = (resources: readonly AuditedResource[], dataSource: DataSource): Fence[] =>
  resources.map((resource) => fenceOf(resource, dataSource));

/**
 * Compiles the fence of an audited resource: one trigger function that knows its columns and policies, and the triggers
 * that call it at commit. It asks what the wrapper's comparison tells, by the same expressions.
 *
 * @throws Error where a field has no column, which the start's check has ruled out
 */
function fenceOf(resource: AuditedResource, dataSource: DataSource): Fence {
  const metadata = dataSource.getMetadata(resource.entity);
  const schema = metadata.schema ?? "public";
  const table = `${identifier(schema)}.${identifier(metadata.tableName)}`;
  const fields = Object.entries(resource.fields).flatMap(([name, policy]) => fenced(name, policy, metadata));
  const functionName = `audit_guard.${identifier(`fence_${resource.type}`)}`;
  const keys = [resource.tenantField, resource.idField].map((field) =>
    identifier(columnOf(metadata, field).databaseName),
  );
  const functionSql = (sparing: readonly Sparing[]) =>
    fenceFunction({
      functionName,
      type: resource.type,
      table,
      tenantColumn: keys[0] ?? "",
      idColumn: keys[1] ?? "",
      fields,
      label: labelExpression(resource, metadata),
      sparing,
    });
  const triggerSql = triggersOf(table, functionName);
  const digest = createHash("sha256")
    .update([functionSql([]), ...triggerSql].join("\n"))
    .digest("hex");
  const policies = Object.fromEntries(
    Object.entries(resource.fields).map(([name, policy]) => [name, policyName(policy)]),
  );
  const columns = Object.entries(resource.fields)
    .filter(([name, { kind }]) => kind !== "ignore" || name === resource.idField || name === resource.tenantField)
    .map(([name]) => columnOf(metadata, name).databaseName);
  return { type: resource.type, table, schema: identifier(schema), columns, policies, digest, functionSql, triggerSql };
}

function fenced(name: string, policy: FieldPolicy, metadata: EntityMetadata): FencedField[] {
  if (policy.kind === "ignore") return [];
  const column = columnOf(metadata, name);
  const as = policy.kind === "track" ? policy.as : "value";
  const canonical = canonicalColumn(column, as);
  const compared = policy.kind === "secret" ? (value: string) => `${value}::text collate "C"` : canonical.compared;
  const isSecret = policy.kind === "secret";
  return [{ name, column: identifier(column.databaseName), isSecret, isSet: as === "set", ...canonical, compared }];
}

/** Without a condition: the server parses one anew for each statement, at several times what the function's own look costs. */
function triggersOf(table: string, functionName: string): string[] {
  const names = ["audit_fence", "audit_fence_truncate"];
  return [
    ...names.map((name) => `drop trigger if exists ${name} on ${table}`),
    `create constraint trigger audit_fence after insert or update or delete on ${table} deferrable initially deferred
       for each row execute function ${functionName}()`,
    `create trigger audit_fence_truncate before truncate on ${table}
       for each statement execute function audit_guard.refuse_truncation()`,
    `alter table ${table} ${names.map((name) => `enable always trigger ${name}`).join(", ")}`,
  ];
}
