import { makeExecutableSchema } from "@graphql-tools/schema";
import { EntitySchema } from "typeorm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completeness, defineAuditedResource, ignore, secret, track } from "../../src/audit/index.js";
import { directiveTypes } from "../support/directive-types.js";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { createRuntime, type TestRuntime } from "../support/runtime.js";
import { thing, thingEntity } from "../support/thing.js";

class Lamp {
  tenantId!: string;
  id!: string;
  colour!: string;
  apiToken!: string;
}

class Torch {
  tenantId!: string;
  id!: string;
  code!: string;
}

class Unlisted {
  id!: string;
  tenantId!: string;
}

const lampEntity = new EntitySchema<Lamp>({
  name: "Lamp",
  target: Lamp,
  schema: "app",
  tableName: "lamp",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "uuid", primary: true },
    colour: { type: "text" },
    apiToken: { name: "api_token", type: "text" },
  },
});

const torchEntity = new EntitySchema<Torch>({
  name: "Torch",
  target: Torch,
  schema: "app",
  tableName: "torch",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "uuid", primary: true },
    code: { name: "unlock_passcode", type: "text" },
  },
});

const named = { tenantId: ignore("The entry says it."), id: ignore("The entry says it.") };
const declaration = { type: "lamp", entity: Lamp, id: "id", tenant: "tenantId", label: () => null } as const;
const lamp = defineAuditedResource({ ...declaration, fields: { ...named, colour: track, apiToken: secret } });

const types = /* GraphQL */ `
  ${directiveTypes}
  type Thing {
    id: ID!
    name: String!
    parts: [Thing!]!
  }
  type Lamp {
    id: ID!
  }
  input ThingInput {
    thingId: ID!
    name: String
    place: Place
  }
  input Place {
    room: ID
  }
  input ThingsInput {
    thingIds: [ID!]!
  }
  input NewThing {
    name: String!
  }
`;
const sound = `ok: Boolean @unaudited(reason: "It changes nothing.")`;

let database: TestDatabase;
let runtime: TestRuntime;

beforeAll(async () => {
  database = await createDatabase();
  runtime = await createRuntime(database, [thingEntity, lampEntity, torchEntity] as never[], [thing, lamp]);
});
afterAll(async () => {
  await runtime.close();
  await database.drop();
});

interface Forgetful {
  readonly mutation?: string;
  readonly query?: string;
  readonly more?: string;
}

const schemaOf = ({ mutation = sound, query = "ok: Boolean", more = "" }: Forgetful) =>
  makeExecutableSchema({
    typeDefs: `${types} ${more} type Query { ${query} } type Mutation { ${mutation} }`,
    assumeValidSDL: true,
  });

/** What the start says of a schema, on a data source and resources that nothing is wrong with. */
const findingsIn = (schema: Forgetful) => completeness(schemaOf(schema), [thing, lamp], runtime.databases.write);

/** What it says of these resources, in a schema that nothing is wrong with. */
const findingsOf = (...resources: Parameters<typeof completeness>[1]) =>
  completeness(schemaOf({}), resources, runtime.databases.write);

describe("a mutation", () => {
  it.each([
    [`ok(id: ID!): Thing @audited(resource: "thing", action: UPDATE, id: "id")`],
    [`ok(ids: [ID!]!): [Thing!] @audited(resource: "thing", action: [UPDATE, DELETE], id: "ids")`],
    [`ok(input: ThingInput!): Thing @audited(resource: "thing", action: [CREATE, UPDATE], id: "input.thingId")`],
    [`ok(input: ThingInput!): Thing @audited(resource: "thing", action: UPDATE, id: "input.place.room")`],
    [`ok: Thing @audited(resource: "thing", action: CREATE, id: "result.id") @requires(roles: [ADMIN])`],
    [`ok: Boolean @unaudited(reason: "It changes nothing.")`],
  ])("is complete with %s", (mutation) => {
    expect(findingsIn({ mutation })).toEqual([]);
  });

  const paste = (resource: string, action: string, id: string) =>
    ` has neither @audited nor @unaudited. Add one of\n` +
    `    @Audited({ resource: "${resource}", action: "${action}", id: "${id}" })\n` +
    `    @Unaudited("why this leaves no entry")`;
  const onPaint = (args: string, id: string, action = "UPDATE") =>
    `paint${args}: Thing @audited(resource: "thing", action: ${action}, id: "${id}")`;

  it.each<[what: string, mutation: string, findings: string[]]>([
    ["neither directive", `paint(id: ID!): Lamp`, [`Mutation.paint${paste("lamp", "UPDATE", "id")}`]],
    [
      "neither, its id in an input",
      `paint(input: ThingInput!): Thing`,
      [`Mutation.paint${paste("thing", "UPDATE", "input.thingId")}`],
    ],
    [
      "neither, its ids in a list",
      `paint(input: ThingsInput!): [Thing!]`,
      [`Mutation.paint${paste("thing", "UPDATE", "input.thingIds")}`],
    ],
    [
      "neither, and no id among its arguments",
      `paint(input: NewThing!): Thing`,
      [`Mutation.paint${paste("thing", "CREATE", "result.id")}`],
    ],
    [
      "both directives",
      `${onPaint("(id: ID!)", "id")} @unaudited(reason: "Why not?")`,
      ["Mutation.paint carries both @audited and @unaudited: keep one."],
    ],
    ["an empty reason", `paint: Thing @unaudited(reason: " ")`, ["Mutation.paint: @unaudited needs a reason."]],
    [
      "a resource that no one declared",
      `paint(id: ID!): Thing @audited(resource: "wall", action: UPDATE, id: "id")`,
      [
        `Mutation.paint: no audited resource is called "wall"; there are "thing", "lamp". Declare it with defineAuditedResource.`,
      ],
    ],
    [
      "no action",
      onPaint("(id: ID!)", "id", "[]"),
      ["Mutation.paint: @audited needs an action: CREATE, UPDATE or DELETE."],
    ],
    [
      "actions that no mutation does",
      onPaint("(id: ID!)", "id", "[READ, UPDATE, STOP]"),
      [
        "Mutation.paint: @audited(action: READ): no mutation does that: write CREATE, UPDATE or DELETE.",
        "Mutation.paint: @audited(action: STOP): no mutation does that: write CREATE, UPDATE or DELETE.",
      ],
    ],
    [
      "an id path that its arguments don't have",
      onPaint("(input: ThingInput!)", "input.id"),
      [
        `Mutation.paint: @audited(id: "input.id"): there is no input.id; there is thingId, name, place. Write id: "input.thingId".`,
      ],
    ],
    [
      "an id path where there are no arguments",
      onPaint("", "id", "CREATE"),
      [`Mutation.paint: @audited(id: "id"): there is no id; there is nothing. Write id: "result.id".`],
    ],
    [
      "an id path to what is no ID",
      onPaint("(input: ThingInput!)", "input.name"),
      [`Mutation.paint: @audited(id: "input.name"): it is String, not ID or [ID!].`],
    ],
    [
      "an id path that ends at an input",
      onPaint("(input: ThingInput!)", "input"),
      [`Mutation.paint: @audited(id: "input"): it is ThingInput!, not ID or [ID!].`],
    ],
    [
      "an id path through what has no members",
      onPaint("(id: ID!)", "id.id"),
      [`Mutation.paint: @audited(id: "id.id"): id is ID!, which has no members.`],
    ],
    [
      "an id path that its result doesn't have",
      onPaint("", "result.number", "CREATE"),
      [`Mutation.paint: @audited(id: "result.number"): the result has no number.`],
    ],
    [
      "an id path to what is no ID in its result",
      onPaint("", "result.name", "CREATE"),
      [`Mutation.paint: @audited(id: "result.name"): it is String, not ID.`],
    ],
    [
      "an id path into a list of its result",
      onPaint("", "result.parts.id", "CREATE"),
      [`Mutation.paint: @audited(id: "result.parts.id"): the result has no id.`],
    ],
    [
      "an id from the result of an update",
      onPaint("(id: ID!)", "result.id"),
      [
        `Mutation.paint: @audited(id: "result.id"): only a CREATE may take its id from the result: write a path in the arguments, such as "input.id".`,
      ],
    ],
    [
      "an id from the result of what may also update",
      onPaint("(id: ID!)", "result.id", "[CREATE, UPDATE]"),
      [
        `Mutation.paint: @audited(id: "result.id"): only a CREATE may take its id from the result: write a path in the arguments, such as "input.id".`,
      ],
    ],
  ])("isn't, with %s", (_what, mutation, findings) => {
    expect(findingsIn({ mutation })).toEqual(findings);
  });

  it.each<[what: string, mutation: string, findings: RegExp[]]>([
    [
      "an unknown directive",
      `paint: Thing @unaudited(reason: "Why not?") @audit`,
      [/^The schema doesn't hold together: Unknown directive "@audit"\.$/],
    ],
    [
      "an unknown argument",
      `paint: Thing @unaudited(reason: "Why not?", because: "so")`,
      [/^The schema doesn't hold together: Unknown argument "because" on directive "@unaudited"\.$/],
    ],
    [
      "a missing argument",
      `paint(id: ID!): Thing @audited(resource: "thing", id: "id")`,
      [
        /^The schema doesn't hold together: Directive "@audited" argument "action" of type "\[AuditAction!\]!" is required, but it was not provided\.$/,
        /^Mutation\.paint: Argument "action" of required type "\[AuditAction!\]!" was not provided\.$/,
      ],
    ],
    [
      "a value that its argument doesn't take",
      `paint(id: ID!): Thing @audited(resource: "thing", action: PAINT, id: "id")`,
      [/^Mutation\.paint: Argument "action" has invalid value PAINT\.$/],
    ],
    [
      "a role that no one knows",
      `paint: Thing @unaudited(reason: "Why not?") @requires(roles: PAINTER)`,
      [/^Mutation\.paint: Argument "roles" has invalid value PAINTER\.$/],
    ],
  ])("is refused with %s, in the words of graphql-js", (_what, mutation, findings) => {
    expect(findingsIn({ mutation })).toEqual(findings.map((words) => expect.stringMatching(words) as string));
  });
});

describe("a directive elsewhere than on a mutation", () => {
  const audited = `@audited(resource: "thing", action: UPDATE, id: "id")`;
  const alone = "carries @audited or @unaudited, which have effect on mutations alone: remove it.";

  it("is refused on queries, subscriptions, interfaces and nested fields, all at once", () => {
    const query = `things(id: ID!): Thing ${audited} other: Boolean @unaudited(reason: "It reads.")`;
    const more = `
      type Subscription { changed(id: ID!): Thing ${audited} }
      interface Named { name: String! @requires(roles: ADMIN) }
      type Room { lamp(id: ID!): Lamp ${audited} @requires(roles: ADMIN) }`;
    expect(findingsIn({ query, more }).sort()).toEqual([
      "Named.name carries @requires, which has effect on root fields alone: remove it.",
      `Query.other ${alone}`,
      `Query.things ${alone}`,
      `Room.lamp ${alone}`,
      "Room.lamp carries @requires, which has effect on root fields alone: remove it.",
      `Subscription.changed ${alone}`,
    ]);
  });

  it("is welcome on queries where it is @requires", () => {
    expect(findingsIn({ query: "things: Int @requires(roles: [ADMIN, AUDITOR])" })).toEqual([]);
  });
});

describe("a resource", () => {
  /** What the compiler would refuse: JavaScript may still declare it. */
  const lampWith = (fields: object, more: object = {}) =>
    defineAuditedResource({ ...declaration, fields: { ...named, ...fields } as never, ...more });

  it("is complete where each column has its policy", () => {
    expect(findingsOf(thing, lamp)).toEqual([]);
  });

  it("is refused with a column without policy and a policy without column", () => {
    expect(findingsOf(lampWith({ apiToken: secret, shade: track }))).toEqual([
      'Lamp.colour has no field policy: add `colour: track`, `secret` or `ignore("why")`.',
      '"lamp" has a policy for shade, but Lamp has no such column: remove it.',
    ]);
  });

  it("is refused with a column tracked in clear that looks like a secret", () => {
    expect(findingsOf(lampWith({ colour: track, apiToken: track }))).toEqual([
      "Lamp.apiToken looks like a secret but is tracked in clear: write `apiToken: secret`.",
    ]);
  });

  it("is refused with one whose column alone is named as a secret", () => {
    const fields = { ...named, code: track };
    const torch = { type: "torch", entity: Torch, id: "id", tenant: "tenantId", label: () => null } as const;
    expect(findingsOf(defineAuditedResource({ ...torch, fields }))).toEqual([
      "Torch.code, the column unlock_passcode, looks like a secret but is tracked in clear: write `code: secret`.",
    ]);
    expect(findingsOf(defineAuditedResource({ ...torch, fields: { ...named, code: secret } }))).toEqual([]);
  });

  it("is refused with a column ignored for no reason", () => {
    expect(findingsOf(lampWith({ colour: ignore(" "), apiToken: secret }))).toEqual([
      'Lamp.colour is ignored without a reason: write `colour: ignore("why")`.',
    ]);
  });

  it("is refused where its id or its tenant is no column", () => {
    const fields = { colour: track, apiToken: secret };
    expect(findingsOf(lampWith(fields, { id: "number", tenant: "owner" }))).toEqual([
      '"lamp" is found by number, but Lamp has no such column.',
      '"lamp" is found by owner, but Lamp has no such column.',
    ]);
  });

  it("is refused where it, or its entity, is declared twice", () => {
    const same = defineAuditedResource({ ...declaration, fields: lamp.fields as never });
    const other = defineAuditedResource({ ...declaration, type: "torch", fields: lamp.fields as never });
    expect(findingsOf(lamp, same)).toEqual([
      'The audited resource "lamp" is declared twice: give one of them another type.',
      "Lamp is the entity of two audited resources: keep one of them.",
    ]);
    expect(findingsOf(lamp, other)).toEqual(["Lamp is the entity of two audited resources: keep one of them."]);
  });

  it("is refused where it has the name of one of the log's own kinds", () => {
    const own = defineAuditedResource({ ...declaration, type: "audit_log", fields: lamp.fields as never });
    expect(findingsOf(own)).toEqual([
      'The audited resource "audit_log" has the name of a kind of the log\'s own: give it another type.',
    ]);
  });

  it("is refused where the data source doesn't know its entity", () => {
    const fields = { id: ignore("The entry says it."), tenantId: ignore("The entry says it.") };
    const unlisted = { type: "unlisted", entity: Unlisted, id: "id", tenant: "tenantId", label: () => null } as const;
    expect(findingsOf(defineAuditedResource({ ...unlisted, fields }))).toEqual([
      'Unlisted, the entity of "unlisted", isn\'t known to the data source: add it to its entities.',
    ]);
  });
});

describe("a data source", () => {
  it("is refused without the subscriber", () => {
    expect(completeness(schemaOf({}), [thing, lamp], runtime.databases.read)).toEqual([
      "The audit subscriber isn't there: `dataSource.subscribers.push(new AuditSubscriber(…))` after initialize().",
    ]);
  });
});

describe("whatever else is forgotten", () => {
  it("is told at once", () => {
    const schema = schemaOf({
      mutation: `paint(id: ID!): Thing @audit  dim(id: ID!): Thing @audited(resource: "wall", action: PAINT, id: "name")
                 light(id: ID!): Lamp @audited(resource: "lamp", action: UPDATE, id: "lamp")`,
      query: `things: Thing @unaudited(reason: "It reads.")`,
    });
    const incomplete = defineAuditedResource({ ...declaration, fields: { ...named, apiToken: track } as never });
    const findings = completeness(schema, [thing, incomplete, incomplete], runtime.databases.read);
    expect(findings.map((finding) => finding.slice(0, 40))).toEqual([
      "The schema doesn't hold together: Unknow",
      "Query.things carries @audited or @unaudi",
      "Mutation.paint has neither @audited nor ",
      'Mutation.dim: Argument "action" has inva',
      'Mutation.light: @audited(id: "lamp"): th',
      'The audited resource "lamp" is declared ',
      "Lamp is the entity of two audited resour",
      "Lamp.colour has no field policy: add `co",
      "Lamp.apiToken looks like a secret but is",
      "Lamp.colour has no field policy: add `co",
      "Lamp.apiToken looks like a secret but is",
      "The audit subscriber isn't there: `dataS",
    ]);
  });
});
