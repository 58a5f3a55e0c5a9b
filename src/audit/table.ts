import type { EntityMetadata } from "typeorm";
import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata.js";
import { identifier } from "./sql.js";

/** An entity's table as SQL names it, with its schema where the entity says one. */
export const tableOf = ({ schema, tableName }: EntityMetadata): string =>
  [...(schema === undefined ? [] : [schema]), tableName].map(identifier).join(".");

/** The column of an entity's field. @throws Error where it has none, which the start's check has ruled out */
export function columnOf(metadata: EntityMetadata, field: string): ColumnMetadata {
  const column = metadata.findColumnWithPropertyPath(field);
  if (!column) throw new Error(`Entity ${metadata.name} has no column ${field}: name one that it has.`);
  return column;
}
