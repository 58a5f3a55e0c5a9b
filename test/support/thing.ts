import { EntitySchema } from "typeorm";
import { defineAuditedResource, ignore, secret, track, trackSet } from "../../src/audit/index.js";
import { directiveTypes } from "./directive-types.js";
import { query, type TestDatabase } from "./postgres.js";

/** A resource with a column of every type that diffs have gone wrong over. */
export class Thing {
  tenantId!: string;
  id!: string;
  name!: string;
  note!: string | null;
  count!: number | null;
  ratio!: number | null;
  big!: string | null;
  price!: string | null;
  due!: unknown;
  flag!: boolean | null;
  data!: unknown;
  tags!: readonly string[];
  members!: readonly string[];
  hidden!: string | null;
  key!: string | null;
  seen!: number;
}

export const thingEntity = new EntitySchema<Thing>({
  name: "Thing",
  target: Thing,
  schema: "app",
  tableName: "thing",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "uuid", primary: true },
    name: { type: "text" },
    note: { type: "text", nullable: true },
    count: { type: "int", nullable: true },
    ratio: { type: "double precision", nullable: true },
    big: { type: "bigint", nullable: true },
    price: { type: "numeric", nullable: true },
    due: { type: "timestamptz", nullable: true },
    flag: { type: "boolean", nullable: true },
    data: { type: "jsonb", nullable: true },
    tags: { type: "text", array: true },
    members: { type: "text", array: true },
    hidden: { type: "text", nullable: true, select: false },
    key: { type: "text", nullable: true, select: false },
    seen: { type: "int" },
  },
});

export const thing = defineAuditedResource({
  type: "thing",
  entity: Thing,
  id: "id",
  tenant: "tenantId",
  label: ({ name }) => name,
  fields: {
    tenantId: ignore("The entry says it."),
    id: ignore("The entry says it."),
    name: track,
    note: track,
    count: track,
    ratio: track,
    big: track,
    price: track,
    due: track,
    flag: track,
    data: track,
    tags: track,
    members: trackSet,
    hidden: track,
    key: secret,
    seen: ignore("Churn."),
  },
});

export async function createThingTable(database: TestDatabase): Promise<void> {
  await query(
    database.adminUrl,
    `create table app.thing (
       tenant_id text, id uuid default gen_random_uuid(), name text not null, note text, count int, ratio float8,
       big bigint, price numeric, due timestamptz, flag boolean, data jsonb, tags text[] not null default '{}',
       members text[] not null default '{}', hidden text, key text, seen int not null default 0,
       primary key (tenant_id, id))`,
  );
  await query(database.adminUrl, "grant select, insert, update, delete on app.thing to app_api");
}

/** A schema whose resolvers the tests write one by one. */
export const thingTypes = /* GraphQL */ `
  ${directiveTypes}
  type Thing {
    id: ID!
    name: String!
    broken: String!
  }
  type Query {
    ok: Boolean
  }
  type Mutation {
    change(id: ID!): Thing @audited(resource: "thing", action: UPDATE, id: "id")
    changeAll(ids: [ID!]!): [Thing!] @audited(resource: "thing", action: UPDATE, id: "ids")
    put(id: ID!): Thing @audited(resource: "thing", action: [CREATE, UPDATE], id: "id")
    remove(id: ID!): Thing @audited(resource: "thing", action: DELETE, id: "id")
    make(name: String): Thing @audited(resource: "thing", action: CREATE, id: "result.id")
    touch(id: ID!): Thing @unaudited(reason: "Churn.")
  }
`;
