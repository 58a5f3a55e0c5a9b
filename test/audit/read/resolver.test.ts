import "reflect-metadata";
import { graphql, type ExecutionResult, type GraphQLSchema } from "graphql";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AuditLogResolver } from "../../../src/audit/read/resolver.js";
import { buildSchema } from "../../../src/audit/type-graphql.js";
import { createDatabase, type TestDatabase } from "../../support/postgres.js";
import { auditor, insertRows, openLog, StandingResources, type OpenLog } from "./log-fixture.js";

let database: TestDatabase;
let open: OpenLog;
let schema: GraphQLSchema;

beforeAll(async () => {
  database = await createDatabase();
  open = openLog(database.readerUrl, new StandingResources([{ tenantId: "acme", id: "d-1" }]));
  schema = await buildSchema({ resolvers: [AuditLogResolver], validate: { forbidUnknownValues: true } });
});
afterAll(async () => {
  await open.pool.end();
  await database.drop();
});

const ask = (source: string, variableValues: Record<string, unknown> = {}): Promise<ExecutionResult> =>
  graphql({ schema, source, variableValues, contextValue: { log: open.log, caller: auditor("acme") } });

const list = `query ($filter: AuditLogFilter, $first: Int, $after: String, $order: AuditOrder! = NEWEST_FIRST) {
  auditLogs(filter: $filter, first: $first, after: $after, order: $order) { nodes { id } totalCount { value isCapped } }
}`;

test("the contract's query gives an entry whole", async () => {
  const [id] = await insertRows(database, [
    {
      at: "2026-11-20T10:00:00.120Z",
      outcome: "FAILURE",
      error_code: "CONFLICT",
      changes: [
        { field: "name", op: "REPLACE", old: { a: "9007199254740993" }, newOmitted: { bytes: 70_000, digest: "ab" } },
      ],
      attempted: [{ field: "name", secret: true }],
      sequence_number: "9223372036854775807",
      claimed_at: "2026-11-20T09:59:00.000001Z",
      repeat_count: 7,
      repeated_sequence_numbers: "{[3,7],[9223372036854775800,9223372036854775801]}",
      access: { filter: { requestId: ["x"] }, rows: 2 },
    },
  ]);
  const fields = `id occurredAt tenantId actor { type id name onBehalfOf subsystem issuer tokenId clientId } action eventType
    outcome error { code message } resource { type id label link isDeleted }
    changes { field op old new oldOmitted { bytes digest } newOmitted { bytes digest } secret }
    attempted { field value secret omitted { bytes digest } }
    description reason operation requestId clientRequestId sessionId sequenceNumber ordinal traceId ip userAgent causeId
    claimedAt repeatCount repeatedSequenceNumbers { first last } repeatCountIsLeast access { filter rows }`;
  const source = `query ($id: ID!) {
    auditEntry(id: $id) { ${fields} }
    auditLogs(first: 1) { edges { cursor node { ${fields} } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
  }`;
  const { data, errors } = await ask(source, { id });
  expect(errors).toBeUndefined();
  expect(data?.["auditEntry"]).toEqual({
    id,
    occurredAt: "2026-11-20T10:00:00.120000Z",
    tenantId: "acme",
    actor: {
      type: "USER",
      id: "u-1",
      name: "Sample Admin",
      onBehalfOf: null,
      subsystem: null,
      issuer: null,
      tokenId: null,
      clientId: null,
    },
    action: "UPDATE",
    eventType: "device.updated",
    outcome: "FAILURE",
    error: { code: "CONFLICT", message: null },
    resource: { type: "device", id: "d-1", label: "kiosk-7", link: "/devices/d-1", isDeleted: false },
    changes: [
      {
        field: "name",
        op: "REPLACE",
        old: { a: "9007199254740993" },
        new: null,
        oldOmitted: null,
        newOmitted: { bytes: 70_000, digest: "ab" },
        secret: false,
      },
    ],
    attempted: [{ field: "name", value: null, secret: true, omitted: null }],
    description: '7 more attempts: Sample Admin tried to update device "kiosk-7" and failed: CONFLICT.',
    reason: null,
    operation: "updateDevice",
    requestId: null,
    clientRequestId: null,
    sessionId: null,
    sequenceNumber: "9223372036854775807",
    ordinal: 0,
    traceId: null,
    ip: null,
    userAgent: null,
    causeId: null,
    claimedAt: "2026-11-20T09:59:00.000001Z",
    repeatCount: 7,
    repeatedSequenceNumbers: [
      { first: "3", last: "7" },
      { first: "9223372036854775800", last: "9223372036854775801" },
    ],
    repeatCountIsLeast: null,
    access: { filter: { requestId: ["x"] }, rows: 2 },
  });
  const connection = data?.["auditLogs"] as {
    edges: { cursor: string; node: unknown }[];
    nodes: unknown;
    pageInfo: unknown;
  };
  const cursor = connection.edges[0]?.cursor;
  expect(connection).toEqual({
    edges: [{ cursor: expect.any(String) as string, node: data?.["auditEntry"] }],
    nodes: [{ id }],
    pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: cursor, endCursor: cursor },
  });
});

test("an absent filter, a null one and an empty one are the same, as are sizes and cursors that are null", async () => {
  const nulls = { filter: {}, first: null, after: null };
  const answers = [await ask(list), await ask(list, { filter: null }), await ask(list, nulls)];
  expect(answers[0]?.errors).toBeUndefined();
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[2]).toEqual(answers[0]);
});

test("a field of the filter whose variable isn't sent is none, and one whose variable is null is refused", async () => {
  const source = `query ($of: [ID!]) { auditLogs(filter: { resourceId: $of }) { nodes { id } } }`;
  const everything = (await ask(list)).data?.["auditLogs"];
  expect((await ask(source)).data?.["auditLogs"]).toEqual({ nodes: (everything as { nodes: unknown }).nodes });
  const { errors } = await ask(source, { of: null });
  expect(errors?.map(({ extensions }) => extensions["fields"])).toEqual([
    [{ field: "filter.resourceId", message: "can't be null; leave it out instead" }],
  ]);
});

test.each([
  [{ filter: { action: null } }, "filter.action"],
  [{ filter: { action: [] } }, "filter.action"],
  [{ filter: { occurredAt: { from: null } } }, "filter.occurredAt"],
  [{ filter: { requestId: ["x"] } }, "filter.requestId"],
  [{ first: 0 }, "first"],
  [{ first: 1_000_000_000 }, "first"],
  [{ after: "x" }, "after"],
])("the log refuses %j", async (variables, field) => {
  const { data, errors } = await ask(list, variables);
  expect(data).toBeNull();
  expect(errors?.map(({ extensions }) => extensions)).toEqual([
    {
      code: "BAD_USER_INPUT",
      fields: expect.arrayContaining([
        expect.objectContaining({ field: expect.stringContaining(field) as string }),
      ]) as unknown,
    },
  ]);
});

test.each([
  { filter: { action: ["BREW"] } },
  { filter: { nothing: ["x"] } },
  { filter: { occurredAt: { from: "2026-02-30T00:00:00Z" } } },
  { filter: { occurredAt: { from: "2026-02-01T00:00:00" } } },
  { filter: { actorId: [null] } },
  { first: 2_147_483_648 },
  { first: "10" },
  { order: null },
  { order: "RANDOM" },
])("GraphQL refuses %j", async (variables) => {
  const { data, errors } = await ask(list, variables);
  expect(data).toBeUndefined();
  expect(errors).toHaveLength(1);
});
