import { makeExecutableSchema } from "@graphql-tools/schema";
import { EntitySchema } from "typeorm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completeness, defineAuditedResource, ignore, track, type MutationContext } from "../../src/audit/index.js";
import { directiveTypes } from "../support/directive-types.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { createRuntime, entryRows, type TestRuntime } from "../support/runtime.js";

class Door {
  tenantId!: string;
  id!: string;
  open!: boolean;
}

const doorEntity = new EntitySchema<Door>({
  name: "Door",
  target: Door,
  schema: "app",
  tableName: "door",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "uuid", primary: true },
    open: { type: "boolean" },
  },
});

const door = defineAuditedResource({
  type: "door",
  entity: Door,
  id: "id",
  tenant: "tenantId",
  label: ({ id }) => id.slice(0, 4),
  fields: { tenantId: ignore("The entry says it."), id: ignore("The entry says it."), open: track },
});

const typeDefs = /* GraphQL */ `
  ${directiveTypes}
  type Door {
    id: ID!
    open: Boolean!
  }
  type Query {
    doors: Int! @requires(roles: ADMIN)
  }
  type Mutation {
    setDoor(id: ID!, open: Boolean!): Door @audited(resource: "door", action: UPDATE, id: "id") @requires(roles: ADMIN)
    knock: String @unaudited(reason: "A knock changes nothing.")
  }
`;

const resolvers = {
  Query: { doors: () => 7 },
  Mutation: {
    setDoor: async (_: unknown, args: { id: string; open: boolean }, { manager, prior }: MutationContext<Door>) => {
      await manager.update(Door, { tenantId: prior.tenantId, id: prior.id }, { open: args.open });
      return prior;
    },
    knock: () => "Who is there?",
  },
};

describe("a schema written in SDL", () => {
  const id = "0b8f4d3c-52f3-4f6f-8f3f-3f6d8a3b9c01";
  let database: TestDatabase;
  let runtime: TestRuntime;
  const bare = makeExecutableSchema({ typeDefs, resolvers });

  beforeAll(async () => {
    database = await createDatabase();
    await query(
      database.adminUrl,
      "create table app.door (tenant_id text, id uuid, open boolean, primary key (tenant_id, id))",
    );
    await query(database.adminUrl, "grant select, insert, update, delete on app.door to app_api");
    await query(database.adminUrl, "insert into app.door values ('acme', $1, false)", [id]);
    runtime = await createRuntime(database, [doorEntity as never], [door]);
  });
  afterAll(async () => {
    await runtime.close();
    await database.drop();
  });

  it("has nothing that the start would refuse", () => {
    expect(completeness(bare, [door], runtime.databases.write)).toEqual([]);
  });

  it("leaves the same entry from its directives as a schema from code", async () => {
    const schema = runtime.apply(bare);
    const { data, requestId } = await runtime.run(schema, `mutation { setDoor(id: "${id}", open: true) { id open } }`);
    expect(data).toEqual({ setDoor: { id, open: true } });
    const rows = await entryRows(database, requestId);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      event_type: "door.updated",
      resource_label: "0b8f",
      changes: [{ field: "open", op: "REPLACE", old: false, new: true }],
    });
  });

  it("refuses by @requires, on mutations with an entry and on queries without", async () => {
    const schema = runtime.apply(bare);
    const mutation = await runtime.run(schema, `mutation { setDoor(id: "${id}", open: false) { id } }`, ["MEMBER"]);
    expect(mutation.codes).toEqual(["FORBIDDEN"]);
    expect((await entryRows(database, mutation.requestId)).map((row) => row.event_type)).toEqual([
      "door.update_denied",
    ]);
    const read = await runtime.run(schema, "{ doors }", ["MEMBER"]);
    expect(read.codes).toEqual(["FORBIDDEN"]);
    expect((await runtime.run(schema, "{ doors }")).data).toEqual({ doors: 7 });
  });

  it("is wrapped once, however often it is applied", async () => {
    const schema = runtime.apply(runtime.apply(bare));
    const { requestId } = await runtime.run(schema, `mutation { setDoor(id: "${id}", open: false) { id } }`);
    expect(await entryRows(database, requestId)).toHaveLength(1);
  });

  it("leaves no entry for what is exempt", async () => {
    const { data, requestId } = await runtime.run(runtime.apply(bare), "mutation { knock }");
    expect(data).toEqual({ knock: "Who is there?" });
    expect(await entryRows(database, requestId)).toEqual([]);
  });
});
