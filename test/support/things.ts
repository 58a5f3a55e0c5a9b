import { makeExecutableSchema } from "@graphql-tools/schema";
import type { GraphQLSchema } from "graphql";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { MutationContext } from "../../src/audit/index.js";
import { createDatabase, query, type TestDatabase } from "./postgres.js";
import { createRuntime, type RunResult, type TestRuntime } from "./runtime.js";
import { createThingTable, Thing, thing, thingEntity, thingTypes } from "./thing.js";

/** A resolver of whatever mutation of things; of its arguments, those are there that its field has. */
export type ThingResolver = (args: { id: string; ids: string[] }, context: MutationContext<Thing>) => unknown;

/** The framework with one resource, on a database of the test file's own. */
export interface Things {
  readonly database: TestDatabase;
  readonly runtime: TestRuntime;
  /** The schema with this resolver behind every mutation. @param broken resolves the field of that name */
  readonly schemaOf: (resolver: ThingResolver, broken?: () => never) => GraphQLSchema;
  /** Puts one there, called "before" unless said, and gives its id. */
  readonly insertThing: (columns?: Readonly<Record<string, unknown>>) => Promise<string>;
  /** What it is called; undefined where it is gone. */
  readonly nameOf: (id: string) => Promise<string | undefined>;
  /** Runs `change` with this resolver, as an admin of `acme`. */
  readonly change: (id: string, resolver: ThingResolver) => Promise<RunResult>;
}

const mutations = ["change", "changeAll", "put", "remove", "make", "touch"];

/** Makes them before the file's tests, or those of a `describe`, and drops them after; members are there once a test runs. */
export function useThings(): Things {
  const sql = async <Row extends Record<string, unknown>>(text: string, values: unknown[]) =>
    (await query<Row>(things.database.adminUrl, text, values))[0];
  const schemaOf: Things["schemaOf"] = (resolver, broken) => {
    const resolve = (_: unknown, args: { id: string; ids: string[] }, context: MutationContext<Thing>) =>
      resolver(args, context);
    const resolvers = {
      Mutation: Object.fromEntries(mutations.map((name) => [name, resolve])),
      ...(broken && { Thing: { broken } }),
    };
    return things.runtime.apply(makeExecutableSchema({ typeDefs: thingTypes, resolvers }));
  };
  const things = {
    schemaOf,
    insertThing: async (columns = {}) => {
      const row = { tenant_id: "acme", name: "before", ...columns };
      const names = Object.keys(row);
      const places = names.map((_, index) => `$${String(index + 1)}`);
      const text = `insert into app.thing (${names.join(", ")}) values (${places.join(", ")}) returning id`;
      return (await sql<{ id: string }>(text, Object.values(row)))?.id ?? "";
    },
    nameOf: async (id) => (await sql<{ name: string }>("select name from app.thing where id = $1", [id]))?.name,
    change: (id, resolver) => things.runtime.run(schemaOf(resolver), `mutation { change(id: "${id}") { id } }`),
  } as { -readonly [Key in keyof Things]: Things[Key] };
  beforeAll(async () => {
    things.database = await createDatabase();
    await createThingTable(things.database);
    things.runtime = await createRuntime(things.database, [thingEntity as never], [thing]);
  });
  afterEach(() => {
    things.runtime.unforeseen.length = 0;
  });
  afterAll(async () => {
    await things.runtime.close();
    await things.database.drop();
  });
  return things;
}
