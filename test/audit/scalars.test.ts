import { graphql, GraphQLObjectType, GraphQLSchema, GraphQLString, parseValue, type GraphQLScalarType } from "graphql";
import { describe, expect, test } from "vitest";
import { BigIntScalar, DateTime, Json, JsonObject } from "../../src/audit/scalars.js";

const literal = (scalar: GraphQLScalarType, text: string): unknown => scalar.parseLiteral(parseValue(text), {});

/** The JSON value of `depth` lists within each other. */
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

describe("DateTime", () => {
  test.each([
    ["2026-11-21T23:41:56Z", "2026-11-21T23:41:56.000000Z"],
    ["2026-11-21T23:41:56.1Z", "2026-11-21T23:41:56.100000Z"],
    ["2026-11-21T23:41:56.123456+00:00", "2026-11-21T23:41:56.123456Z"],
    ["2026-03-29T02:30:00.000001+02:00", "2026-03-29T00:30:00.000001Z"],
    ["2026-12-31T23:59:59.999999-05:30", "2027-01-01T05:29:59.999999Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"],
    ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000Z"],
  ])("reads %s as %s", (text, instant) => {
    expect(DateTime.parseValue(text)).toBe(instant);
    expect(literal(DateTime, JSON.stringify(text))).toBe(instant);
  });

  test.each([
    "2026-11-21T23:41:56",
    "2026-11-21",
    "2026-11-21 23:41:56Z",
    "2026-11-21T23:41:56.1234567Z",
    "2026-02-29T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T23:59:60Z",
    "2026-11-21T23:41:56+24:00",
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-00:01",
    "",
    " 2026-11-21T23:41:56Z",
    1_795_304_516,
    null,
  ])("refuses %s", (value) => {
    expect(() => DateTime.parseValue(value)).toThrow(TypeError);
  });

  test.each([
    ["2026-11-21 23:41:56.123456+00", "2026-11-21T23:41:56.123456Z"],
    ["2026-11-21 23:41:56+00", "2026-11-21T23:41:56.000000Z"],
    ["2026-11-22 05:11:56.5+05:30", "2026-11-21T23:41:56.500000Z"],
    ["2026-11-21T23:41:56.123456Z", "2026-11-21T23:41:56.123456Z"],
    [new Date("2026-11-21T23:41:56.123Z"), "2026-11-21T23:41:56.123Z"],
    [{ toJSON: () => "2026-11-21T23:41:56.1+01:00" }, "2026-11-21T22:41:56.100000Z"],
  ])("prints %s as %s", (value, text) => {
    expect(DateTime.serialize(value)).toBe(text);
  });

  test.each(["infinity", "yesterday", new Date(Number.NaN), 12, {}])("doesn't print %s", (value) => {
    expect(() => DateTime.serialize(value)).toThrow(TypeError);
  });
});

describe("BigInt", () => {
  test.each([
    ["9223372036854775807", 9223372036854775807n],
    ["-9223372036854775808", -9223372036854775808n],
    ["0", 0n],
    [500_000_000, 500_000_000n],
    [-1, -1n],
  ])("reads %s exactly", (value, integer) => {
    expect(BigIntScalar.parseValue(value)).toBe(integer);
  });

  test("reads integer literals beyond 2^53 exactly", () => {
    expect(literal(BigIntScalar, "9007199254740993")).toBe(9007199254740993n);
    expect(literal(BigIntScalar, '"9007199254740993"')).toBe(9007199254740993n);
  });

  test.each([
    "9223372036854775808",
    "-9223372036854775809",
    "1".repeat(1_000_000),
    2 ** 53,
    1.5,
    "1.0",
    "1e3",
    "0x10",
    "01",
    "-0",
    "+1",
    " 1",
    "",
    true,
    null,
  ])("refuses %j", (value) => {
    expect(() => BigIntScalar.parseValue(value)).toThrow(TypeError);
  });

  test("refuses literals of another kind", () => {
    expect(() => literal(BigIntScalar, "1.5")).toThrow(TypeError);
    expect(() => literal(BigIntScalar, "9223372036854775808")).toThrow(TypeError);
  });

  test("prints decimal strings", () => {
    expect([9007199254740993n, "9007199254740993", 12].map((value) => BigIntScalar.serialize(value))).toEqual([
      "9007199254740993",
      "9007199254740993",
      "12",
    ]);
    expect(() => BigIntScalar.serialize(2 ** 60)).toThrow(TypeError);
  });
});

describe("JSON", () => {
  const text = '{"a": [1, 2.5, "x", true, null], "b": {"c": -9007199254740991}}';

  test("reads variables and literals alike", () => {
    const value = JSON.parse(text) as unknown;
    expect(Json.parseValue(value)).toEqual(value);
    expect(literal(Json, '{a: [1, 2.5, "x", true, null], b: {c: -9007199254740991}}')).toEqual(value);
  });

  test.each([2 ** 53, -(2 ** 53), 1e300, Number.POSITIVE_INFINITY])("refuses the number %d", (value) => {
    expect(() => Json.parseValue({ value })).toThrow(TypeError);
  });

  test("refuses literals that a number can't hold exactly", () => {
    expect(() => literal(Json, "[9007199254740993]")).toThrow(TypeError);
    expect(() => literal(Json, "1e400")).toThrow(TypeError);
  });

  test("reads 32 levels and refuses a 33rd", () => {
    expect(Json.parseValue(nested(32))).toEqual(nested(32));
    expect(() => Json.parseValue(nested(33))).toThrow(TypeError);
    expect(literal(Json, JSON.stringify(nested(32)))).toEqual(nested(32));
    expect(() => literal(Json, JSON.stringify(nested(33)))).toThrow(TypeError);
  });

  test("keeps a key called __proto__ as data", () => {
    const read = [
      Json.parseValue(JSON.parse('{"__proto__": {"admin": true}}')),
      literal(Json, "{__proto__: {admin: true}}"),
    ];
    for (const value of read) {
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(JSON.stringify(value)).toBe('{"__proto__":{"admin":true}}');
      expect(value).not.toHaveProperty("admin");
    }
  });

  test("reads variables within a literal", () => {
    expect(Json.parseLiteral(parseValue("{a: $b}"), { b: [1] })).toEqual({ a: [1] });
  });
});

describe("JSONObject", () => {
  test("reads objects alone", () => {
    expect(JsonObject.parseValue({ a: 1 })).toEqual({ a: 1 });
    expect(literal(JsonObject, "{a: 1}")).toEqual({ a: 1 });
    for (const value of [[1], "x", 1, null]) expect(() => JsonObject.parseValue(value)).toThrow(TypeError);
    expect(() => literal(JsonObject, "[1]")).toThrow(TypeError);
  });
});

test("a wrong value is told with its place", async () => {
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({
      name: "Query",
      fields: { echo: { type: GraphQLString, args: { at: { type: DateTime } }, resolve: () => "never" } },
    }),
  });
  const literals = await graphql({ schema, source: '{ echo(at: "2026-02-30T00:00:00Z") }' });
  expect(literals.errors?.[0]?.message).toContain('"2026-02-30T00:00:00Z"');
  expect(literals.errors?.[0]?.locations).toEqual([{ line: 1, column: 12 }]);
  const source = "query ($at: DateTime) { echo(at: $at) }";
  const variables = await graphql({ schema, source, variableValues: { at: "2026-11-21T23:41:56" } });
  expect(variables.errors?.[0]?.message).toContain('Variable "$at" got invalid value "2026-11-21T23:41:56"');
});
