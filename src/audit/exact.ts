import type { ColumnMetadata } from "typeorm/metadata/ColumnMetadata.js";
import type { JsonText } from "./entry.js";

/** How a column is selected so that its value loses nothing, and how what comes back becomes JSON. */
export interface ExactReading {
  readonly sql: string;
  readonly toJson: (raw: unknown) => JsonText | null;
}

const plainTypes = new Set<unknown>(
  `text varchar char character uuid boolean bool int int2 int4 integer smallint float4 float8 real enum simple-enum
   citext name`.split(/\s+/),
)
  .add("character varying")
  .add("double precision")
  .add(String)
  .add(Boolean);
const integerTypes = new Set<unknown>(["int8", "bigint"]);
const decimalTypes = new Set<unknown>(["numeric", "decimal"]);
const instantTypes = new Set<unknown>(["timestamptz", "timestamp with time zone", Date]);
const jsonTypes = new Set<unknown>(["json", "jsonb"]);

/** How a column's values are told apart and printed. */
export type ColumnKind = "array" | "json" | "integer" | "decimal" | "instant" | "plain" | "other";

/** The kind of a column, by the type that its entity gives it. */
export function kindOf({ isArray, type }: ColumnMetadata): ColumnKind {
  if (isArray) return "array";
  if (jsonTypes.has(type)) return "json";
  if (integerTypes.has(type)) return "integer";
  if (decimalTypes.has(type)) return "decimal";
  if (instantTypes.has(type)) return "instant";
  return plainTypes.has(type) ? "plain" : "other";
}

const orNull = (toJson: (raw: string) => JsonText) => (raw: unknown) => (raw === null ? null : toJson(raw as string));
const asString = orNull((raw) => JSON.stringify(raw));
const asIs = orNull((raw) => raw);

/**
 * Selects a column exactly: 64-bit integers and decimals as decimal strings, instants in UTC with their microseconds,
 * JSON as PostgreSQL prints it, where the order of keys and space say nothing.
 *
 * @param name the column as SQL names it
 * @param as whether a list's order counts; a set is sorted by code point
 */
export function exactly(name: string, column: ColumnMetadata, as: "value" | "set"): ExactReading {
  switch (kindOf(column)) {
    case "array":
      return { sql: `to_jsonb(${listOfText(name, column)})::text`, toJson: as === "set" ? sorted : asIs };
    case "json":
      return { sql: `${name}::jsonb::text`, toJson: as === "set" ? sorted : asIs };
    case "decimal":
      return { sql: `trim_scale(${name})::text`, toJson: asString };
    case "instant":
      return { sql: `(${name} at time zone 'UTC')::text`, toJson: orNull(instant) };
    case "plain":
      return { sql: name, toJson: plain };
    case "integer":
    case "other":
      return { sql: `${name}::text`, toJson: asString };
  }
}

/** Selects a secret so that a change shows and the value doesn't: its digest, compared and thrown away. */
export const secretly = (name: string): string => `encode(sha256(convert_to(${name}::text, 'UTF8')), 'hex')`;

function plain(raw: unknown): JsonText | null {
  if (raw === null || raw === undefined) return null;
  // NaN and the infinities are values of a float column that JSON has no number for.
  if (typeof raw === "number" && !Number.isFinite(raw)) return JSON.stringify(String(raw));
  return JSON.stringify(raw);
}

function instant(raw: string): JsonText {
  return JSON.stringify(raw.endsWith("infinity") ? raw : `${raw.replace(" ", "T")}Z`);
}

function sorted(raw: unknown): JsonText | null {
  if (raw === null) return null;
  const list: unknown = JSON.parse(raw as string);
  if (!Array.isArray(list)) return raw as string;
  const texts = [...new Set(list.map((element) => JSON.stringify(element)))];
  return `[${texts.sort(byCodePoint).join(",")}]`;
}

/** JavaScript compares by UTF-16 unit, where a character beyond U+FFFF comes before one just below it. */
function byCodePoint(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function listOfText(name: string, column: ColumnMetadata): string {
  return integerTypes.has(column.type) || decimalTypes.has(column.type) ? `${name}::text[]` : name;
}
