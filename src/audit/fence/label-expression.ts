import type { EntityMetadata } from "typeorm";
import type { AuditedResource } from "../resource.js";
import { identifier } from "../sql.js";

/**
 * The label as SQL over a row called `row`: its query, or the column that its function returns as it is. A label that is
 * made of more stays out of what the database writes: null.
 */
export function labelExpression(resource: AuditedResource, metadata: EntityMetadata): string | null {
  if (resource.labelQuery !== null) return resource.labelQuery;
  const marks = new Map(metadata.columns.map((column) => [`\u0000${column.databaseName}\u0000`, column.databaseName]));
  const marked = Object.fromEntries(
    metadata.columns.map((column) => [column.propertyPath, `\u0000${column.databaseName}\u0000`]),
  );
  const column = marks.get(labelOf(resource, marked) ?? "");
  return column === undefined ? null : `"row".${identifier(column)}::text`;
}

/** A label of somebody's may not bear marks in place of its values. */
function labelOf(resource: AuditedResource, row: object): string | null {
  try {
    return resource.label(row);
  } catch {
    return null;
  }
}
