import { beforeAll, describe, expect, it } from "vitest";
import { insertRows } from "../audit/read/log-fixture.js";
import { readLog } from "../support/log.js";
import { expectTyped, post, useWatchedClient, type Reply } from "./attempt.js";

const client = useWatchedClient();
let auditor: string;
let platform: string;
let groupId: string;

beforeAll(async () => {
  auditor = await client.server.token({ subject: "a-1", tenant: "acme", roles: ["auditor"] });
  platform = await client.server.token({ subject: "p-1", roles: ["platform_auditor"] });
  groupId = await client.make(`createGroup(input: { name: "acme's" })`);
});

const list = `query ($filter: AuditLogFilter, $first: Int, $after: String, $last: Int, $before: String, $order: AuditOrder! = NEWEST_FIRST) {
  auditLogs(filter: $filter, first: $first, after: $after, last: $last, before: $before, order: $order) {
    nodes { id } totalCount { value } pageInfo { endCursor }
  }
}`;

/** Asks with the variables as JSON text, by a tenant's auditor unless said. */
async function ask(variables: string, token = auditor): Promise<Reply> {
  const body = `{"query":${JSON.stringify(list)},"variables":${variables}}`;
  const reply = await post(client.server, body, { authorization: `Bearer ${token}` });
  expectTyped(reply);
  return reply;
}

/** No page, whatever of it, and an error that names the field. */
async function expectRefused(variables: string, field: RegExp): Promise<void> {
  for (const token of [auditor, platform]) {
    const reply = await ask(variables, token);
    expect(reply.data ?? null, reply.text.slice(0, 500)).toBeNull();
    expect(reply.errors.map(({ extensions }) => extensions.code)).toContain("BAD_USER_INPUT");
    const fields = reply.errors.flatMap(({ extensions }) => extensions.fields?.map((it) => it.field) ?? []);
    // Beyond fifty errors the last says that there are more.
    expect(fields.filter((name) => name !== "variables" && !field.test(name))).toEqual([]);
  }
}

const listFields = [
  "tenantId",
  "action",
  "eventType",
  "outcome",
  "errorCode",
  "resourceType",
  "resourceId",
  "resourceLabel",
]
  .concat(["actorId", "actorName", "actorType", "onBehalfOf", "operation", "changedField", "requestId", "sessionId"])
  .concat(["traceId", "ip"]);

describe("a filter of the log", () => {
  it.each(listFields)("by %s is refused where it can't mean anything, and never means everything", async (name) => {
    const wrong = [
      "null",
      "[]",
      "[null]",
      '[""]',
      "[[]]",
      "[{}]",
      "{}",
      "[true]",
      String.raw`["\ud800"]`,
      String.raw`["\u0000"]`,
    ].concat([`["${"x".repeat(5_000)}"]`, `[${Array.from({ length: 101 }, (_, at) => `"x${String(at)}"`).join(",")}]`]);
    for (const value of wrong)
      await expectRefused(`{"filter":{"${name}":${value}}}`, new RegExp(`^filter\\.${name}(\\.|$)`));
  });

  it.each<[string, string]>([
    ["action", '["BREW"]'],
    ["action", '["create"]'],
    ["outcome", '["OK"]'],
    ["actorType", '["ROBOT"]'],
    ["eventType", '["device.update"]'],
    ["resourceType", '["devcie"]'],
    ["operation", '["updateDevcie"]'],
    ["changedField", '["__proto__"]'],
    ["errorCode", '["constructor"]'],
    ["requestId", '["7"]'],
    ["requestId", '["{5f0c2a54-0000-4000-8000-000000000001}"]'],
    ["sessionId", '["5f0c2a5400004000800000000000001"]'],
    ["traceId", '["xyz"]'],
    ["ip", '["10.0.0.0/8"]'],
    ["ip", '["1.2.3"]'],
    ["tenantId", '["*"]'],
    ["tenantId", '["acme,globex"]'],
    ["occurredAt", "null"],
    ["occurredAt", "{}"],
    ["occurredAt", '{"from":null}'],
    ["occurredAt", '{"from":"2026-11-21"}'],
    ["occurredAt", '{"from":"2026-11-21T00:00:00"}'],
    ["occurredAt", '{"from":"2026-02-30T00:00:00Z"}'],
    ["occurredAt", '{"from":"2026-11-21T24:00:00Z"}'],
    ["occurredAt", '{"from":"2026-11-21T00:00:00.1234567Z"}'],
    ["occurredAt", '{"from":1795219200000}'],
    ["occurredAt", '{"from":"now"}'],
    ["occurredAt", '{"from":"infinity"}'],
    ["occurredAt", '{"from":"2026-11-22T00:00:00Z","to":"2026-11-21T00:00:00Z"}'],
    ["occurredAt", '{"from":"2026-11-21T00:00:00Z","to":"2026-11-21T00:00:00Z"}'],
    ["occurredAt", '{"from":"2026-11-21T02:00:00+02:00","to":"2026-11-21T00:00:00Z"}'],
    ["nothing", '["x"]'],
    ["__proto__", '["x"]'],
  ])("by %s is refused as %s", async (name, value) => {
    await expectRefused(`{"filter":{"${name}":${value}}}`, new RegExp(`^filter(\\.${name}(\\.|$)|$)`));
  });

  it("finds a label by all that an entry keeps of it", async () => {
    // Each of these is one character to who counts them, and two or more to a machine.
    const name = "👩🏽".repeat(100);
    const id = await client.make(`createGroup(input: { name: "${name}" })`);
    const [entry] = await readLog(client.server, { resourceId: [id] });
    expect(entry?.resource?.label).toBe(name);
    expect(await readLog(client.server, { resourceId: [id], resourceLabel: [name] })).toEqual([entry]);
    const other = await client.make(`createGroup(input: { name: "${"☀\uFE0F".repeat(150)}${"𝔄".repeat(50)}" })`);
    const [cut] = await readLog(client.server, { resourceId: [other] });
    const found = await readLog(client.server, { resourceId: [other], resourceLabel: [cut?.resource?.label ?? ""] });
    expect(found).toEqual([cut]);
  });
});

describe("a day", () => {
  it("has its last microsecond and not the next day's first, in whatever zone it is asked", async () => {
    const at = [
      "2026-10-24T21:59:59.999999Z",
      "2026-10-24T22:00:00.000000Z",
      "2026-10-25T22:59:59.999999Z",
      "2026-10-25T23:00:00.000000Z",
    ];
    const [, first, last] = await insertRows(
      client.database,
      at.map((instant) => ({ at: instant, tenant_id: "acme" })),
    );
    // A day of 25 hours in Berlin.
    const days = [
      { from: "2026-10-25T00:00:00+02:00", to: "2026-10-26T00:00:00+01:00" },
      { from: "2026-10-24T22:00:00Z", to: "2026-10-25T23:00:00Z" },
      { from: "2026-10-24T12:00:00-10:00", to: "2026-10-26T04:45:00+05:45" },
    ];
    for (const occurredAt of days) {
      const found = await readLog(client.server, { occurredAt });
      expect(found.map(({ id, occurredAt: when }) => [id, when])).toEqual([
        [first, at[1]],
        [last, at[2]],
      ]);
    }
    const lastMicrosecond = { from: at[2], to: at[3] };
    expect((await readLog(client.server, { occurredAt: lastMicrosecond })).map(({ id }) => id)).toEqual([last]);
  });
});

describe("a page of the log", () => {
  it.each([
    "0",
    "-1",
    "201",
    "1000000000",
    "2147483647",
    "2147483648",
    "1e100",
    '"x"',
    '"10"',
    "1.5",
    "true",
    "[]",
    "{}",
    "[1]",
  ])("of %s entries is refused, by first and by last", async (size) => {
    // A list's single value needs no brackets, but a size is no list.
    await expectRefused(`{"first":${size}}`, /^first/);
    await expectRefused(`{"last":${size}}`, /^last/);
  });

  it("is not counted from both its ends; a null counts from neither", async () => {
    await expectRefused('{"first":1,"last":1}', /^last$/);
    await client.make(`createGroup(input: { name: "first" })`);
    for (const variables of ['{"first":1,"last":null,"before":null}', '{"first":null,"last":1,"after":null}']) {
      const { data, errors } = await ask(variables);
      expect([errors, (data?.["auditLogs"] as { nodes: unknown[] }).nodes.length], variables).toEqual([[], 1]);
    }
  });

  it.each([
    '""',
    '"x"',
    '"bnVsbA"',
    String.raw`"\u0000"`,
    String.raw`"\ud800"`,
    `"${"A".repeat(100_000)}"`,
    "7",
    "[]",
    '"MS5OLjAwLjAw"',
  ])("after %.20s is refused: it is no cursor", async (cursor) => {
    await expectRefused(`{"after":${cursor}}`, /^after/);
    await expectRefused(`{"before":${cursor}}`, /^before/);
  });

  it("is not continued by a cursor of another filter, order or reader, nor by one that was touched", async () => {
    await client.make(`createGroup(input: { name: "second" })`);
    const page = await ask('{"first":1}');
    const cursor = (page.data?.["auditLogs"] as { pageInfo: { endCursor: string } }).pageInfo.endCursor;
    expect((await ask(`{"after":"${cursor}"}`)).errors).toEqual([]);
    const touched = `${cursor.slice(0, 8)}${cursor[8] === "A" ? "B" : "A"}${cursor.slice(9)}`;
    for (const variables of [
      `{"after":"${cursor}","filter":{"action":["CREATE"]}}`,
      `{"after":"${cursor}","order":"OLDEST_FIRST"}`,
      `{"after":"${cursor}="}`,
      `{"after":" ${cursor}"}`,
      `{"after":"${touched}"}`,
    ])
      expect((await ask(variables)).errors[0]?.extensions.code, variables).toBe("BAD_USER_INPUT");
    expect((await ask(`{"after":"${cursor}"}`, platform)).errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });

  it.each(["READ", "newest_first", "", "null"])("in the order %s is refused", async (order) => {
    const reply = await ask(order === "null" ? '{"order":null}' : `{"order":"${order}"}`);
    expect([reply.data, reply.errors[0]?.extensions.code]).toEqual([undefined, "BAD_USER_INPUT"]);
  });

  it("by the hundred, of 200 entries each, is refused for its cost before anything is read", async () => {
    const aliases = Array.from({ length: 100 }, (_, at) => `a${String(at)}: auditLogs(first: 200) { nodes { id } }`);
    const forms = [
      `{ ${aliases.join(" ")} }`,
      `query ($n: Int = 200) { ${aliases.join(" ").replaceAll("200", "$n")} }`,
      `{ ...A ...B } fragment A on Query { ${aliases.slice(0, 50).join(" ")} } fragment B on Query { ${aliases.slice(50).join(" ")} }`,
      `{ ${aliases.slice(0, 40).join(" ").replaceAll("first: 200", "last: 200").replaceAll("{ id }", "{ id resource { id } changes { field } }")} }`,
    ];
    for (const query of forms) {
      const reply = await post(client.server, JSON.stringify({ query }), { authorization: `Bearer ${auditor}` });
      expectTyped(reply);
      expect([reply.status, reply.data, reply.errors[0]?.extensions.code]).toEqual([400, undefined, "LIMIT_EXCEEDED"]);
    }
  });
});

describe("an entry by its id", () => {
  it.each([
    "",
    "x",
    "\0",
    "00000000-0000-0000-0000-00000000000g",
    "{5f0c2a54-0000-4000-8000-000000000001}",
    "x".repeat(100_000),
  ])("is refused for %.40j, which is no id", async (id) => {
    const query = "query ($id: ID!) { auditEntry(id: $id) { id } }";
    const body = JSON.stringify({ query, variables: { id } });
    const reply = await post(client.server, body, { authorization: `Bearer ${auditor}` });
    expectTyped(reply);
    expect(reply.data).toEqual({ auditEntry: null });
    expect(reply.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", fields: [{ field: "id" }] });
  });

  it("is null where none has it, and found in capitals", async () => {
    const [entry] = await readLog(client.server, { resourceId: [groupId] });
    const query = `{ none: auditEntry(id: "00000000-0000-0000-0000-000000000000") { id } it: auditEntry(id: "${entry?.id.toUpperCase() ?? ""}") { id } }`;
    const reply = await post(client.server, JSON.stringify({ query }), { authorization: `Bearer ${auditor}` });
    expect(reply.data).toEqual({ none: null, it: { id: entry?.id } });
  });
});
