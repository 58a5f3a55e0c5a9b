import { describe, expect, it } from "vitest";
import { readLog } from "../support/log.js";
import { expectTyped, post, useWatchedClient } from "./attempt.js";
import { codesOf, refusalsOf } from "./refusals.js";

const client = useWatchedClient();
const { bearer, ask, count, expectRefused } = refusalsOf(client);
const create = (name: string) => `createGroup(input: { name: "${name}" }) { id name }`;

describe("a document", () => {
  it.each([
    "{",
    "mutation",
    "mutation {",
    "mutation { createGroup(input: { name: 'x' }) { id } }",
    'mutation { createGroup(input: { name: "\\q" }) { id } }',
    'mutation { createGroup(input: { name: "\\u{110000}" }) { id } }',
    'mutation { createGroup(input: { name: "\\u{D800}" }) { id } }',
    'mutation { createGroup(input: { name: "line\nbreak" }) { id } }',
    "\u0000",
    "}{",
    "{ été }",
    `{ devices(first: 0123) { nodes { id } } }`,
    `{ devices(first: 1.) { nodes { id } } }`,
    `{ devices(first: -) { nodes { id } } }`,
    "#",
  ])("that isn't GraphQL is refused: %j", async (query) => {
    await expectRefused(() => ask(query), 400, "GRAPHQL_PARSE_FAILED");
  });

  it.each([
    "{ nothing }",
    "mutation { nothing }",
    'mutation { createGroup(input: { name: "x", extra: 1 }) { id } }',
    "mutation { createGroup(input: { name: 1 }) { id } }",
    "mutation { createGroup(input: { name: null }) { id } }",
    "mutation { createGroup(input: {}) { id } }",
    "mutation { createGroup(input: null) { id } }",
    "mutation { createGroup { id } }",
    'mutation { createGroup(input: { name: "x", name: "y" }) { id } }',
    'mutation { createGroup(input: { name: "x" }) }',
    'mutation { createGroup(input: { name: "x" }) { id { id } } }',
    `mutation { updateDevice(input: { id: "x", status: BROKEN }) { id } }`,
    `mutation { updateDevice(input: { id: "x", status: "ACTIVE" }) { id } }`,
    `mutation { upsertGroupBudget(input: { groupId: "x", spendLimitMicros: 1.5 }) { groupId } }`,
    `mutation { upsertGroupBudget(input: { groupId: "x", spendLimitMicros: 99999999999999999999 }) { groupId } }`,
    `mutation { updateChat(input: { id: "x", pinOrder: 99999999999 }) { id } }`,
    `mutation { updateChat(input: { id: 1.5, title: "x" }) { id } }`,
    `mutation { createChat(input: { title: "x", labels: { a: ENUM } }) { id } }`,
    `mutation { createChat(input: { title: "x", labels: { a: 1e999 } }) { id } }`,
    `mutation { createChat(input: { title: "x", labels: [] }) { id } }`,
    `mutation { archiveChats(input: { ids: ["x", null] }) { id } }`,
    "mutation ($unused: Int) { __typename }",
    "mutation ($x: Nothing) { __typename }",
    "mutation { ...Missing }",
    "{ ...Round } fragment Round on Query { ...Round }",
    "{ devices @nothing { nodes { id } } }",
    "{ devices @include { nodes { id } } }",
    `{ devices(first: "x") { nodes { id } } }`,
    `{ devices(first: null) { nodes { id } } }`,
    "{ __schema { types { name } } }",
    '{ __type(name: "Device") { name } }',
    "query A { __typename } query A { __typename }",
  ])("that doesn't fit the schema is refused: %s", async (query) => {
    const before = await count();
    const reply = await ask(query);
    expect([reply.status, reply.data]).toEqual([400, undefined]);
    expect(new Set(codesOf(reply))).toEqual(new Set(["GRAPHQL_VALIDATION_FAILED"]));
    expect(await count()).toBe(before);
  });

  it.each([
    ["no operation", "fragment F on Query { __typename }", {}],
    ["no name for one of two operations", "query A { __typename } query B { __typename }", {}],
    ["a name that no operation has", "query A { __typename }", { operationName: "B" }],
    ["a subscription", "subscription { __typename }", {}],
  ])("with %s is refused", async (_, query, more) => {
    const before = await count();
    const reply = await ask(query, more);
    expect([reply.status, reply.data]).toEqual([400, undefined]);
    expect(["OPERATION_RESOLUTION_FAILURE", "GRAPHQL_VALIDATION_FAILED"]).toContain(codesOf(reply)[0]);
    expect(await count()).toBe(before);
  });

  it("of two operations runs the one that is named alone", async () => {
    const query = `mutation A { it: ${create("named")} } mutation B { it: ${create("other")} }`;
    const reply = await ask(query, { operationName: "A" });
    expect(reply.data?.["it"]).toMatchObject({ name: "named" });
    const entries = await readLog(client.server, { requestId: [reply.requestId] });
    expect(entries.map(({ resource }) => resource?.label)).toEqual(["named"]);
  });

  const nested = (levels: number) =>
    `{ groups { nodes ${"{ budget { group ".repeat(levels)}{ id }${" } }".repeat(levels)} } }`;
  const aliased = (times: number, field: (at: number) => string) =>
    Array.from({ length: times }, (_, at) => `a${String(at)}: ${field(at)}`).join(" ");

  it.each<[string, string]>([
    ["deep", nested(20)],
    ["deeper than any stack", `{ groups { nodes ${"{ budget { group ".repeat(30_000)}`],
    [
      "deep in lists of a literal",
      `mutation { createChat(input: { title: "x", labels: { a: ${"[".repeat(50_000)} } }) { id } }`,
    ],
    ["of a thousand aliases", `{ ${aliased(1_000, () => "groupBudget(groupId: 1) { groupId }")} }`],
    ["of 101 aliases", `{ groups { nodes { ${aliased(101, () => "id")} } } }`],
    ["of a thousand aliases in few words", `{ ${aliased(1_000, () => "__typename")} }`],
    ["of 51 fields at the root", `{ ${aliased(51, () => "groups(first: 1) { nodes { id } }")} }`],
    ["wide", `{ groups { nodes { ${"id ".repeat(5_000)} } } }`],
    [
      "of fragments that double each other",
      `{ groups { nodes { ...F0 } } } ${Array.from({ length: 20 }, (_, at) => `fragment F${String(at)} on Group { ...F${String(at + 1)} ...F${String(at + 1)} }`).join(" ")} fragment F20 on Group { id }`,
    ],
    ["of 21 mutations", `mutation { ${aliased(21, (at) => create(`m${String(at)}`))} }`],
    [
      "of 21 mutations in fragments",
      `mutation { ...M ...N } fragment M on Mutation { ${aliased(20, (at) => create(`m${String(at)}`))} } fragment N on Mutation { last: ${create("last")} }`,
    ],
    [
      "of 21 mutations, some skipped",
      `mutation { ${aliased(21, (at) => `createGroup(input: { name: "m" }) @skip(if: ${String(at > 5)}) { id }`)} }`,
    ],
    [
      "of 21 mutations in an inline fragment",
      `mutation { ... @include(if: true) { ${aliased(21, (at) => create(`m${String(at)}`))} } }`,
    ],
    ["of pages of pages", `{ ${aliased(50, () => "groups(first: 200) { nodes { id budget { group { id } } } }")} }`],
  ])("%s is refused by a limit", async (_, query) => {
    await expectRefused(() => ask(query), 400, "LIMIT_EXCEEDED");
  });

  it("of a page whose size a variable says is measured by it", async () => {
    const query = `query ($n: Int!) { ${aliased(50, () => "groups(first: $n) { nodes { id budget { group { id } } } }")} }`;
    await expectRefused(() => ask(query, { variables: { n: 200 } }), 400, "LIMIT_EXCEEDED");
    expect((await ask(query, { variables: { n: 1 } })).errors).toEqual([]);
  });

  it("of twenty mutations runs them in turn, whatever they are called", async () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty", "__typename2", "then", "data", "errors"];
    const all = [...names, ...Array.from({ length: 12 }, (_, at) => `m${String(at)}`)];
    const reply = await ask(`mutation { ${all.map((name) => `${name}: ${create(name)}`).join(" ")} }`);
    expect(reply.errors).toEqual([]);
    expect(Object.entries(reply.data ?? {}).map(([alias, group]) => [alias, (group as { name: string }).name])).toEqual(
      all.map((name) => [name, name]),
    );
    const entries = await readLog(client.server, { requestId: [reply.requestId] });
    expect(entries.map(({ resource }) => resource?.label)).toEqual(all);
    const { audit } = (JSON.parse(reply.text) as { extensions: { audit: { path: string[]; entryIds: string[] }[] } })
      .extensions;
    expect(audit.map(({ path, entryIds }) => [...path, ...entryIds])).toEqual(
      all.map((name, at) => [name, entries[at]?.id]),
    );
  });

  it("whose mutations fail, each in its own way, has each one's error and entry in its place", async () => {
    const id = await client.make(create("standing").replace(/ \{ id name \}$/, ""));
    const reply = await ask(`mutation {
      a: ${create("")}
      b: updateGroup(input: { id: "7", name: "x" }) { id }
      c: updateGroup(input: { id: "5f0c2a54-9d1e-4c53-8f6a-2b7c1d3e4f50", name: "x" }) { id }
      d: upsertGroupBudget(input: { groupId: "${id}", spendLimitMicros: -1 }) { groupId }
      e: upsertGroupBudget(input: { groupId: "5f0c2a54-9d1e-4c53-8f6a-2b7c1d3e4f50", spendLimitMicros: 1 }) { groupId }
      f: updateGroup(input: { id: "${id}", name: "changed" }) { name }
    }`);
    expect(reply.status).toBe(200);
    expect(reply.data).toEqual({ a: null, b: null, c: null, d: null, e: null, f: { name: "changed" } });
    expect(reply.errors.map(({ path, extensions }) => [path?.[0], extensions.code])).toEqual([
      ["a", "BAD_USER_INPUT"],
      ["b", "BAD_USER_INPUT"],
      ["c", "NOT_FOUND"],
      ["d", "BAD_USER_INPUT"],
      ["e", "NOT_FOUND"],
    ]);
    const entries = await readLog(client.server, { requestId: [reply.requestId] });
    expect(entries.map(({ outcome, error }) => error?.code ?? outcome)).toEqual([
      ...reply.errors.map(({ extensions }) => extensions.code),
      "SUCCESS",
    ]);
  });
});

describe("variables", () => {
  it("beyond fifty that are wrong are told as far as they are counted", async () => {
    const names = Array.from({ length: 80 }, (_, at) => `v${String(at)}`);
    const query = `query (${names.map((name) => `$${name}: Boolean!`).join(" ")}) { groups { nodes { ${names.map((name) => `... @skip(if: $${name}) { id }`).join(" ")} } } }`;
    const reply = await ask(query, { variables: Object.fromEntries(names.map((name) => [name, "x"])) });
    expect(reply.data).toBeUndefined();
    const many = await ask("mutation ($ids: [ID!]!) { archiveChats(input: { ids: $ids }) { id } }", {
      variables: { ids: Array.from({ length: 5_000 }, () => ({})) },
    });
    expect([many.data, codesOf(many)[0]]).toEqual([undefined, "BAD_USER_INPUT"]);
    expect(many.errors.length).toBeLessThanOrEqual(51);
  });

  it("of an unknown name, a hundred thousand of them, change nothing", async () => {
    const variables = Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`v${String(at)}`, at]));
    expect((await ask("{ __typename }", { variables })).data).toEqual({ __typename: "Query" });
  });

  it("deeper than any stack are refused where they are asked for, and ignored elsewhere", async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    for (const [query, data] of [
      ["{ __typename }", { __typename: "Query" }],
      ["mutation ($deep: CreateChatInput!) { createChat(input: $deep) { id } }", undefined],
      ['mutation ($deep: JSONObject) { createChat(input: { title: "x", labels: $deep }) { id } }', undefined],
      ["mutation ($deep: String!) { createChat(input: { title: $deep }) { id } }", undefined],
      ["mutation ($deep: [ID!]!) { archiveChats(input: { ids: $deep }) { id } }", undefined],
    ] as const) {
      const reply = await post(
        client.server,
        `{"query":${JSON.stringify(query)},"variables":{"deep":${deep}}}`,
        bearer(),
      );
      expectTyped(reply);
      expect(reply.data).toEqual(data);
    }
  });

  it("inside a literal are checked as the literal is", async () => {
    const query = `mutation ($v: Int) { createChat(input: { title: "x", labels: { a: $v } }) { labels } }`;
    expect((await ask(query, { variables: { v: 7 } })).data).toEqual({ createChat: { labels: { a: 7 } } });
    const wrong = await ask(query, { variables: { v: "x" } });
    expect([wrong.data, codesOf(wrong)]).toEqual([undefined, ["BAD_USER_INPUT"]]);
  });
});
