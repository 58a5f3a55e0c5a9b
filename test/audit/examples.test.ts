import { makeExecutableSchema } from "@graphql-tools/schema";
import * as graphql from "graphql";
import { EntitySchema } from "typeorm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as framework from "../../src/audit/index.js";
import { directiveTypes } from "../support/directive-types.js";
import { compileExamples, documentedExports, runnableExample } from "../support/examples.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { createRuntime, type TestRuntime } from "../support/runtime.js";

const exported = documentedExports("src/audit/index.ts");
const values = exported.filter(({ isValue }) => isValue);
const examples = new Map(
  values.flatMap(({ name, examples: own }) =>
    own.map((code, index) => [`${name}, example ${index + 1}`, code] as const),
  ),
);

class Door {
  tenantId!: string;
  id!: string;
  code!: string;
}

const doorEntity = new EntitySchema<Door>({
  name: "Door",
  target: Door,
  schema: "app",
  tableName: "door",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "uuid", primary: true },
    code: { type: "text" },
  },
});

const door = framework.defineAuditedResource({
  type: "door",
  entity: Door,
  id: "id",
  tenant: "tenantId",
  label: ({ id }) => id.slice(0, 8),
  fields: {
    tenantId: framework.ignore("The entry names it."),
    id: framework.ignore("The entry names it."),
    code: framework.secret,
  },
});

const doorId = "a3bb189e-8bf9-4c4b-9d2f-1f6b8f1f0d5e";

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    ${directiveTypes}
    type Door {
      id: ID!
    }
    type Query {
      doors: Int!
    }
    type Mutation {
      openDoor(id: ID!): Door @audited(resource: "door", action: UPDATE, id: "id")
      knock: String @unaudited(reason: "A knock changes nothing.")
    }
  `,
});

/** What an example may use without saying where it comes from, beside what the framework and graphql export. */
const preamble = `
  import type { DataSource } from "typeorm";
  import type { Pool } from "pg";
  import { ${values.map(({ name }) => name).join(", ")}, type AuditedResource, type AuditObserver, type AuditRuntime }
    from "../../src/audit/index.js";
  import { GraphQLObjectType, GraphQLSchema, GraphQLString } from "graphql";
  declare const schema: GraphQLSchema;
  declare const resources: readonly AuditedResource[];
  declare const dataSource: DataSource;
  declare const pool: Pool;
  declare const observer: AuditObserver;
  declare const runtime: AuditRuntime;
  declare class Door { tenantId: string; id: string; code: string; }
  declare const door: AuditedResource<Door>;
  declare const doorId: string;`;

describe("the framework's documentation", () => {
  let database: TestDatabase;
  let runtime: TestRuntime;

  beforeAll(async () => {
    database = await createDatabase();
    await query(
      database.adminUrl,
      `create table app.door (tenant_id text, id uuid, code text, primary key (tenant_id, id));
       grant select, insert, update, delete on app.door to app_api;
       insert into app.door values ('acme', '${doorId}', '1234')`,
    );
    runtime = await createRuntime(database, [doorEntity as never], [door]);
  });
  afterAll(async () => {
    await runtime.close();
    await database.drop();
  });

  /** What stands for each name of the preamble. */
  const scope = (): Readonly<Record<string, unknown>> => {
    const observer: framework.AuditObserver = {
      written: () => undefined,
      wrote: () => undefined,
      writeFailed: () => undefined,
      unforeseen: () => "unforeseen-1",
    };
    const { write: dataSource, read: readDataSource, refusals: pool } = runtime.databases;
    const { GraphQLObjectType, GraphQLSchema, GraphQLString } = graphql;
    const refusals = new framework.RefusalLog(pool, observer);
    const sessions = new framework.Sessions();
    return {
      ...framework,
      ...{ GraphQLObjectType, GraphQLSchema, GraphQLString },
      ...{ schema, resources: [door], dataSource, pool, observer, Door, door, doorId },
      runtime: { dataSource, readDataSource, registry: runtime.registry, sessions, refusals, observer },
    };
  };

  it("says of every export what it is, and has an example of every one that is there at run time", () => {
    expect(exported.length).toBeGreaterThan(30);
    expect(exported.filter(({ documentation }) => documentation === "").map(({ name }) => name)).toEqual([]);
    expect(values.filter(({ examples: own }) => own.length === 0).map(({ name }) => name)).toEqual([]);
    expect(values.map(({ name }) => name).sort()).toEqual(Object.keys(framework).sort());
  });

  it("has examples that compile", () => {
    expect(compileExamples(preamble, examples)).toEqual([]);
  });

  it.each([...examples])("tells the truth: %s", async (_name, example) => {
    const { code, checks } = runnableExample(example);
    const names = scope();
    let checked = 0;
    const check = (actual: unknown, expected: unknown) => {
      checked += 1;
      expect(actual).toEqual(expected);
    };
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the text is our own source's
    const run = new Function("check", ...Object.keys(names), `return (async () => { ${code} })()`) as (
      ...given: unknown[]
    ) => Promise<void>;
    await run(check, ...Object.values(names));
    // One example adds a subscriber to the one that is there.
    runtime.databases.write.subscribers.splice(1);
    expect(checked).toBe(checks);
  });
});

describe("the check of the examples itself", () => {
  it("finds an example that doesn't compile, and compares what stands behind an expression alone", () => {
    expect(compileExamples(preamble, new Map([["wrong", "notFound(7);"]]))).toEqual([
      "notFound(7);: Expected 2-3 arguments, but got 1.",
    ]);
    expect(runnableExample("const one = 1; // one\none + 1; // 2")).toEqual({
      code: '"use strict";\nconst one = 1;\ncheck(one + 1, 2);\n',
      checks: 1,
    });
  });
});
