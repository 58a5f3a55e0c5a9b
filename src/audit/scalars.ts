import { GraphQLScalarType, Kind, type ValueNode } from "graphql";
import { hasToJson } from "./canonical-json.js";

/** How deep a JSON input may be nested. */
const MAX_DEPTH = 32;

/**
 * An instant. Inputs are ISO-8601 with an offset and up to six digits of a second; within the program it is a text in
 * UTC with exactly six, `2026-11-21T23:41:56.123456Z`, since a Date would cut it to milliseconds.
 *
 * Results take a Date, such a text, PostgreSQL's own (`2026-11-21 23:41:56.123456+00`) or an object with `toJSON`.
 * A text prints six digits, a Date only the three that it knows.
 */
export const DateTime = new GraphQLScalarType<string, string>({
  name: "DateTime",
  description: "An instant with its offset in inputs; UTC in results, with microseconds where the database has them.",
  serialize: printInstant,
  parseValue: readInstant,
  parseLiteral: (node) => readInstant(stringOf(node, "A DateTime")),
});

/** A 64-bit integer, a `bigint` within the program. Results take a bigint, a decimal string or a safe integer. */
export const BigIntScalar = new GraphQLScalarType<bigint, string>({
  name: "BigInt",
  description: "A 64-bit integer: a decimal string in results, a decimal string or an integer literal in inputs.",
  serialize: (value) => String(readInteger(value)),
  parseValue: readInteger,
  parseLiteral: (node) => {
    if (node.kind === Kind.INT || node.kind === Kind.STRING) return readInteger(node.value);
    throw new TypeError("A BigInt is a decimal string or an integer.");
  },
});

/** Any JSON value: at most 32 levels deep, and without an integer that a JavaScript number would change. */
export const Json = new GraphQLScalarType<unknown, unknown>({
  name: "JSON",
  description: "Any JSON value, at most 32 levels deep; integers beyond 2^53 go as strings.",
  parseValue: (value) => checkedJson(value, 0),
  parseLiteral: (node, variables) => jsonOf(node, variables ?? {}, 0),
});

/** A JSON object; its values are as {@link Json}'s. */
export const JsonObject = new GraphQLScalarType<Record<string, unknown>, unknown>({
  name: "JSONObject",
  description: "A JSON object, at most 32 levels deep; integers beyond 2^53 go as strings.",
  parseValue: (value) => requireObject(checkedJson(value, 0)),
  parseLiteral: (node, variables) => requireObject(jsonOf(node, variables ?? {}, 0)),
});

const isoInstant = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;
const postgresInstant = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([+-]\d\d(?::\d\d){0,2})$/;
const instantForm = "A DateTime is ISO-8601 with an offset, such as 2026-11-21T23:41:56.123456Z";

/**
 * The instant as a text in UTC with six digits of a second.
 * Throws a TypeError where the text has no offset, more than six digits, or names a day or time that doesn't exist.
 */
export function readInstant(value: unknown): string {
  const instant = typeof value === "string" ? normalised(isoInstant.exec(value)) : null;
  if (instant === null) throw new TypeError(`${instantForm}.`);
  return instant;
}

function printInstant(value: unknown): string {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new TypeError("A DateTime can't be an invalid Date.");
    return value.toISOString();
  }
  if (typeof value === "string") {
    const instant = normalised(isoInstant.exec(value) ?? postgresInstant.exec(value));
    if (instant !== null) return instant;
  }
  if (hasToJson(value)) return printInstant(value.toJSON());
  throw new TypeError(`${instantForm}, or a Date.`);
}

function normalised(match: RegExpExecArray | null): string | null {
  if (!match) return null;
  const [, day = "", time = "", fraction = "", offset = ""] = match;
  const local = Date.parse(`${day}T${time}Z`);
  // V8 reads the 30th of February as a day in March; what it prints then tells.
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 19) !== `${day}T${time}`) return null;
  const shift = offsetSeconds(offset);
  if (shift === null) return null;
  const utc = new Date(local - shift * 1000).toISOString();
  // A year outside 0001 to 9999 prints with a sign, or is one that PostgreSQL doesn't have.
  if (!/^\d{4}-/.test(utc) || utc.startsWith("0000")) return null;
  return `${utc.slice(0, 19)}.${fraction.padEnd(6, "0")}Z`;
}

function offsetSeconds(offset: string): number | null {
  if (offset === "Z") return 0;
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(":").map(Number);
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  return (offset.startsWith("-") ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
}

function stringOf(node: ValueNode, what: string): string {
  if (node.kind === Kind.STRING) return node.value;
  throw new TypeError(`${what} is a string.`);
}

function readInteger(value: unknown): bigint {
  const integer = integerOf(value);
  if (integer === null) throw new TypeError("A BigInt is a decimal string or an integer that JSON carries exactly.");
  if (BigInt.asIntN(64, integer) !== integer) throw new TypeError("A BigInt has 64 bits.");
  return integer;
}

function integerOf(value: unknown): bigint | null {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : null;
  // The length comes first: reading a million digits takes time that grows with their square.
  if (typeof value !== "string" || value.length > 20 || !/^(0|-?[1-9]\d*)$/.test(value)) return null;
  return BigInt(value);
}

function checkedJson(value: unknown, depth: number): unknown {
  requireDepth(depth);
  if (typeof value === "number") return requireExact(value);
  if (Array.isArray(value)) return value.map((item) => checkedJson(item, depth + 1));
  if (typeof value !== "object" || value === null) return value;
  return plainObject(Object.entries(value).map(([key, item]) => [key, checkedJson(item, depth + 1)]));
}

function jsonOf(node: ValueNode, variables: Record<string, unknown>, depth: number): unknown {
  requireDepth(depth);
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return requireExact(Number(node.value));
    case Kind.STRING:
    case Kind.BOOLEAN:
      return node.value;
    case Kind.LIST:
      return node.values.map((item) => jsonOf(item, variables, depth + 1));
    case Kind.OBJECT:
      return plainObject(node.fields.map(({ name, value }) => [name.value, jsonOf(value, variables, depth + 1)]));
    case Kind.VARIABLE:
      return checkedJson(variables[node.name.value] ?? null, depth);
    case Kind.ENUM:
      // Without the name itself, which may be a secret whose quotes were forgotten.
      throw new TypeError("JSON has no bare names; a text stands in quotes.");
  }
}

/** Defines every key as data: assigning `__proto__` would change what the object inherits. */
function plainObject(entries: [string, unknown][]): Record<string, unknown> {
  return Object.fromEntries(entries);
}

function requireDepth(depth: number): void {
  if (depth > MAX_DEPTH) throw new TypeError(`JSON may be ${MAX_DEPTH} levels deep.`);
}

function requireExact(value: number): number {
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
    throw new TypeError("JSON can't carry this number exactly; give it as a string.");
  }
  return value;
}

function requireObject(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return Object.fromEntries(Object.entries(value));
  throw new TypeError("A JSONObject is an object.");
}
