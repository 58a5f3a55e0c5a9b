import { readFileSync } from "node:fs";
import { buildSchema, type GraphQLField, type GraphQLSchema } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completeness, mutationDecisions } from "../../src/audit/index.js";
import { features } from "../../src/features.js";
import { createSchema, printedSchema } from "../../src/schema.js";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { createRuntime, type TestRuntime } from "../support/runtime.js";

const resources = features.flatMap((feature) => feature.resources);
const committed = readFileSync("schema.graphql", "utf8");

const mutationsOf = (schema: GraphQLSchema) => Object.values(schema.getMutationType()?.getFields() ?? {});
const queriesOf = (schema: GraphQLSchema) => Object.values(schema.getQueryType()?.getFields() ?? {});
const names = (fields: readonly GraphQLField<unknown, unknown>[]) => fields.map(({ name }) => name).sort();

/** The names of the directives that the text of a schema has on a field. */
const writtenOn = (field: GraphQLField<unknown, unknown> | undefined): string[] =>
  (field?.astNode?.directives ?? []).map(({ name }) => name.value).sort();

describe("the product's own schema", () => {
  let database: TestDatabase;
  let runtime: TestRuntime;
  let schema: GraphQLSchema;

  beforeAll(async () => {
    database = await createDatabase();
    const entities = features.flatMap((feature) => feature.entities);
    runtime = await createRuntime(database, entities as never, resources);
    schema = await createSchema(features);
  });
  afterAll(async () => {
    await runtime.close();
    await database.drop();
  });

  it("has nothing that the start would refuse", () => {
    expect(completeness(schema, resources, runtime.databases.write)).toEqual([]);
  });

  it("has a decision for every mutation, and its directive where the schema is printed", () => {
    expect(printedSchema(schema)).toBe(committed);
    const printed = mutationsOf(buildSchema(committed));
    const decisions = mutationDecisions(schema);
    expect(decisions.map(({ name }) => name)).toEqual(names(printed));
    expect(decisions.length).toBeGreaterThan(0);
    for (const { name, audited } of decisions)
      expect([name, writtenOn(printed.find((field) => field.name === name))]).toEqual([
        name,
        audited ? ["audited", "requires"] : ["requires", "unaudited"],
      ]);
  });

  it("says of every query who may use it", () => {
    for (const field of queriesOf(buildSchema(committed)))
      expect([field.name, writtenOn(field)]).toEqual([field.name, ["requires"]]);
  });

  it("has each root field wrapped once the directives are made to work, and none before", () => {
    const applied = runtime.apply(schema);
    const roots = (of: GraphQLSchema) => [...mutationsOf(of), ...queriesOf(of)];
    const wrapped = (of: GraphQLSchema) => roots(of).filter(({ extensions }) => extensions["auditApplied"] === true);
    expect(wrapped(schema)).toEqual([]);
    expect(names(wrapped(applied))).toEqual(names(roots(schema)));
    const resolvers = (of: GraphQLSchema) => new Map(roots(of).map(({ name, resolve }) => [name, resolve]));
    for (const [name, resolve] of resolvers(schema)) expect(resolvers(applied).get(name)).not.toBe(resolve);
    expect(resolvers(runtime.apply(applied))).toEqual(resolvers(applied));
  });
});
