import { getMetadataArgsStorage } from "typeorm";
import type { AuditedResource } from "../src/audit/index.js";
import { features } from "../src/features.js";

/** A table whose changes the log records, as its resource declares. */
export interface AuditedTable {
  /** The resource's, such as `group_budget`. */
  readonly type: string;
  /** As SQL names it. */
  readonly name: string;
  readonly idColumn: string;
  readonly tenantColumn: string;
  readonly fields: readonly AuditedColumn[];
}

export interface AuditedColumn {
  /** The entity's property, by which entries name it. */
  readonly field: string;
  readonly column: string;
  readonly secret: boolean;
  /** What the log says of a value of the row, as jsonb shows it. */
  readonly inLog: (value: unknown) => unknown;
}

/** The tables of all audited resources; fields whose policy is `ignore` are left out. */
export function auditedTables(): readonly AuditedTable[] {
  return features.flatMap(({ resources }) => resources.map((resource) => tableOf(resource)));
}

function tableOf(resource: AuditedResource): AuditedTable {
  const storage = getMetadataArgsStorage();
  const [table] = storage.filterTables(resource.entity);
  const columns = storage.filterColumns(resource.entity);
  const columnOf = (field: string) => {
    const found = columns.find(({ propertyName }) => propertyName === field);
    if (!found) throw new Error(`${resource.type} has no column for ${field}.`);
    return { name: found.options.name ?? field, type: found.options.type };
  };
  const tracked = Object.entries(resource.fields).filter(([, { kind }]) => kind !== "ignore");
  return {
    type: resource.type,
    name: `"${table?.schema ?? "public"}"."${table?.name ?? ""}"`,
    idColumn: columnOf(resource.idField).name,
    tenantColumn: columnOf(resource.tenantField).name,
    fields: tracked.map(([field, policy]) => {
      const { name, type } = columnOf(field);
      const asSet = policy.kind === "track" && policy.as === "set";
      return { field, column: name, secret: policy.kind === "secret", inLog: inLog(type, asSet) };
    }),
  };
}

/** 64-bit integers and decimals are texts in the log, and a set is sorted by code point. */
function inLog(type: unknown, asSet: boolean): (value: unknown) => unknown {
  const isNumber = ["bigint", "int8", "numeric", "decimal"].includes(String(type));
  return (value) => {
    if (value === null || value === undefined) return null;
    if (isNumber) return typeof value === "number" ? String(value) : value;
    return asSet && Array.isArray(value) ? sortedSet(value) : value;
  };
}

const sortedSet = (values: readonly unknown[]): unknown[] =>
  [...new Set(values.map(String))].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
