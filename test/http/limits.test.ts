import { readFileSync } from "node:fs";
import {
  buildSchema,
  getIntrospectionQuery,
  getNamedType,
  isLeafType,
  isObjectType,
  Kind,
  parse,
  type GraphQLNamedType,
} from "graphql";
import { describe, expect, it } from "vitest";
import { beyondLimits } from "../../src/http/document-limits.js";
import { useClient } from "../support/client.js";
import { readLog } from "../support/log.js";

const client = useClient();

const repeat = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join(" ");

/** Every field of a type that needs no argument, to the leaves. */
function everything(type: GraphQLNamedType | null | undefined): string {
  if (!isObjectType(type)) return "";
  const fields = Object.values(type.getFields()).map((field) => {
    const named = getNamedType(field.type);
    return isLeafType(named) ? field.name : `${field.name} ${everything(named)}`;
  });
  return `{ ${fields.join(" ")} }`;
}

const wholeConnection = everything(buildSchema(readFileSync("schema.graphql", "utf8")).getType("AuditEntryConnection"));

async function ask(query: string, variables?: Readonly<Record<string, unknown>>) {
  const auditor = await client.server.token({ subject: "a-1", tenant: "acme", roles: ["auditor", "admin"] });
  return client.server.request(query, { token: auditor, ...(variables && { variables }) });
}

describe("the limits of a document", () => {
  it.each([
    ["a whole page of the log", `{ auditLogs(first: 200) ${wholeConnection} }`],
    ["groups with their budgets and groups again", "{ groups(first: 200) { nodes { budget { group { name } } } } }"],
    ["fifty fields at the root", `{ ${repeat(50, (index) => `a${String(index)}: __typename`)} }`],
    ["a hundred aliases", `{ groups { nodes { ${repeat(100, (i) => `a${String(i)}: __typename`)} } } }`],
    [
      "a page in twelve fields of depth",
      "{ groups(first: 2) { nodes { budget { group { budget { group { budget { group { budget { group { name } } } } } } } } } } }",
    ],
  ])("let %s pass", async (_, query) => {
    const { status, errors } = await ask(query);
    expect(errors).toBeUndefined();
    expect(status).toBe(200);
  });

  it.each([
    [
      "a hundred pages of the log",
      `{ ${repeat(100, (i) => `a${String(i)}: auditLogs(first: 200) { nodes { id } }`)} }`,
      /cost: 21000 \(at most 10000\)/,
    ],
    [
      "fifty pages of the log",
      `{ ${repeat(50, (i) => `a${String(i)}: auditLogs(first: 200) { nodes { id } }`)} }`,
      /^The document asks for too much: cost: 10500 \(at most 10000\)/,
    ],
    [
      "pages counted from the end",
      `{ ${repeat(50, (i) => `a${String(i)}: auditLogs(last: 200) { nodes { id } }`)} }`,
      /cost: 10500/,
    ],
    [
      "pages behind a fragment",
      `{ ${repeat(50, (i) => `a${String(i)}: auditLogs(first: 200) { ...Page }`)} } fragment Page on AuditEntryConnection { nodes { id } }`,
      /cost: 10500/,
    ],
    [
      "fifty-one fields at the root",
      `{ ${repeat(51, (i) => `a${String(i)}: __typename groupBudget${String(i)}: groupBudget(groupId: "x") { groupId }`)} }`,
      /fields at the root: 51 \(at most 50\)/,
    ],
    [
      "twenty-one mutations",
      `mutation { ${repeat(21, (i) => `a${String(i)}: createGroup(input: { name: "g" }) { id }`)} }`,
      /mutations: 21 \(at most 20\)/,
    ],
    [
      "too many aliases",
      `{ groups { nodes { ${repeat(101, (i) => `a${String(i)}: id`)} } } }`,
      /aliases: 101 \(at most 100\)/,
    ],
    [
      "too many aliases of what every type has",
      `{ groups { nodes { ${repeat(60, (i) => `a${String(i)}: __typename`)} ...More } } }
       fragment More on Group { ${repeat(41, (i) => `b${String(i)}: __typename`)} }`,
      /aliases: 101 \(at most 100\)/,
    ],
    [
      "thirteen fields of depth",
      "{ groups { nodes { budget { group { budget { group { budget { group { budget { group { budget { group { name } } } } } } } } } } } } }",
      /depth: 13 \(at most 12\)/,
    ],
    ["a thousand aliases", `{ ${repeat(1_000, (i) => `a${String(i)}: groups { nodes { id } }`)} }`, /too many tokens/],
    ["a long list", `{ group(id: [${"1 ".repeat(3_000)}]) { id } }`, /too many tokens/],
    [
      "a deep list",
      `{ group(id: ${"[".repeat(3_000)}${"]".repeat(3_000)}) { id } }`,
      /too many tokens|nested too deeply/,
    ],
    [
      "fragments that multiply",
      `{ groups { nodes { ...F0 } } } ${repeat(12, (i) => `fragment F${String(i)} on Group { ...F${String(i + 1)} b: budget { group { ...F${String(i + 1)} } } }`)} fragment F12 on Group { id }`,
      /too many selections/,
    ],
  ])("refuse %s before anything is executed", async (_, query, message) => {
    const { status, data, errors } = await ask(query);
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(["LIMIT_EXCEEDED"]);
    expect(errors?.[0]?.message).toMatch(message);
    expect(status).toBe(400);
    expect(data).toBeUndefined();
  });

  it("count the aliases of introspection, and nothing else of it", () => {
    const schema = buildSchema("type Query { it: Int }");
    const beyond = (source: string) => {
      const document = parse(source);
      const [operation] = document.definitions;
      if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error("It begins with no operation.");
      return beyondLimits({ schema, document, operation, variables: {} });
    };
    expect(beyond(getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true }))).toEqual([]);
    const names = (count: number) => `{ __schema { types { ${repeat(count, (i) => `a${String(i)}: name`)} } } }`;
    expect(beyond(names(100))).toEqual([]);
    expect(beyond(names(101))).toEqual(["aliases: 101 (at most 100)"]);
  });

  it("know the sizes that variables give", async () => {
    const query = `query ($n: Int) { ${repeat(50, (i) => `a${String(i)}: auditLogs(first: $n) { nodes { id } }`)} }`;
    expect((await ask(query, { n: 200 })).errors?.[0]?.extensions.code).toBe("LIMIT_EXCEEDED");
    expect((await ask(query, { n: 1 })).errors).toBeUndefined();
    expect((await ask(query.replace("Int)", "Int = 200)"))).errors?.[0]?.extensions.code).toBe("LIMIT_EXCEEDED");
  });

  it("count a size that is sent as null as the usual one, whatever the variable's default", async () => {
    const nodes = "nodes { actor { id } resource { id } changes { field } attempted { field } }";
    const query = `query ($n: Int = 1) { ${repeat(50, (i) => `a${String(i)}: auditLogs(first: $n) { ${nodes} }`)} }`;
    expect((await ask(query)).errors).toBeUndefined();
    expect((await ask(query, { n: null })).errors?.[0]?.extensions.code).toBe("LIMIT_EXCEEDED");
  });

  it.each([[0], [-1], [201], [1_000_000_000]])("leave a page of %s to the field, which refuses it", async (first) => {
    const { errors } = await ask("query ($n: Int) { auditLogs(first: $n) { nodes { id } } }", { n: first });
    expect(errors?.map(({ extensions }) => [extensions.code, extensions.fields?.[0]?.field])).toEqual([
      ["BAD_USER_INPUT", "first"],
    ]);
  });

  it("let twenty mutations pass, each an operation of its own", async () => {
    const query = `mutation { ${repeat(20, (i) => `a${String(i)}: createGroup(input: { name: "g-${String(i)}" }) { id }`)} }`;
    const { errors, requestId, extensions } = await ask(query);
    expect(errors).toBeUndefined();
    expect(extensions?.audit?.map(({ path }) => path)).toEqual(Array.from({ length: 20 }, (_, i) => [`a${String(i)}`]));
    expect(await readLog(client.server, { requestId: [requestId] })).toHaveLength(20);
  });

  it("let a list of a hundred ids pass, written into the document", async () => {
    const ids = repeat(100, (i) => `"00000000-0000-4000-8000-${String(i).padStart(12, "0")}"`);
    const { status, errors } = await ask(`mutation { archiveChats(input: { ids: [${ids}] }) { id } }`);
    expect(status).toBe(200);
    expect(errors?.[0]?.extensions.code).toBe("NOT_FOUND");
  });
});
