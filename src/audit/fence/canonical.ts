import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata.js";
import { exactly, kindOf, type ColumnKind } from "../exact.js";

/** SQL over a value of one column, given as SQL itself. */
export interface CanonicalColumn {
  /** What a comparison by `is distinct from` tells apart as entries do, or finer: see `refined`. */
  readonly compared: (value: string) => string;
  /** Where `compared` tells apart what entries don't: what they compare, dearer. */
  readonly refined: ((value: string) => string) | null;
  /** The value as entries hold it, as jsonb; null where it is null. */
  readonly json: (value: string) => string;
  /** Whether the jsonb may hold a null of its own inside. */
  readonly isNested: boolean;
  /** Settings of a session that change how such a value prints, and what entries are written with. */
  readonly settings: Readonly<Record<string, string>>;
}

/** What decides how floats, dates, intervals, bytes and zoned times print. */
const printing: Readonly<Partial<Record<ColumnKind, Readonly<Record<string, string>>>>> = {
  plain: { extra_float_digits: "1" },
  array: { extra_float_digits: "1", DateStyle: "ISO", IntervalStyle: "iso_8601", bytea_output: "hex", TimeZone: "UTC" },
  other: { extra_float_digits: "1", DateStyle: "ISO", IntervalStyle: "iso_8601", bytea_output: "hex", TimeZone: "UTC" },
};
const textTypes =
  /^(?:text|varchar|char|character|character varying|citext|name|uuid|bool|boolean|int|int2|int4|integer|smallint|enum|simple-enum)$/;

/** Values of a column as the API's entries hold them, made by the database. */
export function canonicalColumn(column: ColumnMetadata, as: "value" | "set"): CanonicalColumn {
  const kind = kindOf(column);
  const isSet = as === "set" && (kind === "array" || kind === "json");
  const json = (value: string) => {
    const made = jsonOf(value, column, kind);
    return isSet ? `audit_guard.as_set(${made})` : made;
  };
  const prints = typeof column.type === "string" && textTypes.test(column.type) && kind === "plain";
  return {
    compared: (value) => comparedOf(value, column, kind),
    refined: isSet ? json : null,
    json,
    isNested: kind === "json" || kind === "array",
    settings: prints || column.type === String || column.type === Boolean ? {} : (printing[kind] ?? {}),
  };
}

function jsonOf(value: string, column: ColumnMetadata, kind: ColumnKind): string {
  const { sql } = exactly(value, column, "value");
  switch (kind) {
    case "array":
    case "json":
      return sql.replace(/::text$/, "");
    case "instant":
      // As JSON it prints alike whatever the session's DateStyle is.
      return `to_jsonb(case when isfinite(${value}) then (to_json(${value} at time zone 'UTC') #>> '{}') || 'Z' else ${value}::text end)`;
    default:
      return `to_jsonb(${sql})`;
  }
}

/** By its bytes, where a type's or a collation's own equality may take two for one, or where there is none. */
function comparedOf(value: string, column: ColumnMetadata, kind: ColumnKind): string {
  if (kind === "json") return `${value}::jsonb`;
  if (kind === "other") return `${value}::text collate "C"`;
  const isText = column.type === String || /text|char|citext|name/.test(String(column.type));
  return kind === "plain" && isText ? `${value}::text collate "C"` : value;
}
