import { beforeAll, describe, expect, it } from "vitest";
import { holdTransaction, useClient } from "../../support/client.js";
import { changesOf, readLog, type ReadEntry } from "../../support/log.js";
import { newSessionId, report, reported, sendReport, source } from "../../support/report.js";
import { until } from "../../support/until.js";

const client = useClient();
let token: string;
beforeAll(async () => {
  token = await reporter("gw-1", "acme");
});

const reporter = (subject: string, tenant: string, roles: readonly string[] = ["reporter"]) =>
  client.server.token({ subject, tenant, roles, name: "Gateway 1", jti: `token-of-${subject}` });
const send = (input: Readonly<Record<string, unknown>>) => report(client.server, token, input);
const entriesOf = (sessionId: string, more: Readonly<Record<string, unknown>> = {}) =>
  readLog(client.server, { sessionId: [sessionId], ...more });
const reportedOf = (sessionId: string) => entriesOf(sessionId, { resourceType: ["http_request"] });
const numbersOf = (entries: readonly ReadEntry[]) => entries.map(({ sequenceNumber }) => sequenceNumber);

interface SessionNode {
  readonly state: string;
  readonly expected: string;
  readonly received: string;
  readonly missing: { readonly ranges: readonly { readonly first: string; readonly last: string }[] };
}

async function sessionOf(sessionId: string): Promise<SessionNode> {
  const query = `query ($id: [ID!]) { auditSessions(filter: { sessionId: $id }) { nodes {
    kind program version host tenantId reporter state expected received missing { ranges { first last } } duplicates
    dropped { reason count ranges { first last } } } } }`;
  const auditor = await client.server.token({ subject: "a", tenant: "acme", roles: ["auditor"] });
  const { data, errors } = await client.server.request<{ auditSessions: { nodes: SessionNode[] } }>(query, {
    token: auditor,
    variables: { id: [sessionId] },
  });
  const node = data?.auditSessions.nodes[0];
  if (!node) throw new Error(`There is no session ${sessionId}: ${JSON.stringify(errors)}`);
  return node;
}

describe("what another process reports", () => {
  it("becomes entries that say who reported what, with the fields that are tracked, and no secret", async () => {
    const sessionId = newSessionId();
    const claimedAt = new Date(Date.now() - 5_000).toISOString();
    const requestId = "0192f0c1-2d3e-7abc-8def-0123456789ab";
    const url = "https://u:p@api.example.com:8443/v1/things?key=k#part";
    const fields = { method: "POST", url, rule: "allow *.example.com" };
    const done = reported("0", { claimedAt, requestId, fields, resourceId: "r-1", onBehalfOf: "u-7" });
    const denied = reported(1, { claimedAt, outcome: "DENIED", fields: { ...fields, rule: null } });
    const failed = reported("2", { claimedAt, outcome: "FAILURE", errorCode: "ETIMEDOUT", fields });
    expect(await send({ sessionId, entries: [done, denied, failed] })).toEqual({
      ...{ sessionId, accepted: 3, repeated: 0, refused: [] },
    });
    const entries = await reportedOf(sessionId);
    expect(numbersOf(entries)).toEqual(["0", "1", "2"]);
    expect(entries[0]).toMatchObject({
      tenantId: "acme",
      actor: { type: "USER", id: "gw-1", name: "Gateway 1", onBehalfOf: "u-7", tokenId: "token-of-gw-1" },
      action: "REQUEST",
      eventType: "http_request.requested",
      outcome: "SUCCESS",
      error: null,
      resource: {
        ...{ type: "http_request", id: "r-1", label: "POST https://api.example.com:8443/v1/things" },
        ...{ link: null, isDeleted: null },
      },
      attempted: [],
      description:
        'Reported by gw-1: Gateway 1 on behalf of u-7 made http request "POST https://api.example.com:8443/v1/things".',
      operation: "reportAuditEntries",
      requestId,
      sessionId,
      ordinal: 0,
      claimedAt: claimedAt.replace("Z", "000Z"),
      reportedBy: { id: "gw-1", ...source },
      correlation: null,
    });
    expect(changesOf(entries[0])).toEqual({
      method: ["ADD", null, "POST"],
      url: ["ADD", null, "https://api.example.com:8443/v1/things"],
      query: ["ADD", "secret"],
      userinfo: ["ADD", "secret"],
      rule: ["ADD", null, "allow *.example.com"],
    });
    expect(entries[1]).toMatchObject({
      ...{ outcome: "DENIED", eventType: "http_request.request_denied", changes: [], requestId: null },
      error: { code: "FORBIDDEN", message: null },
      attempted: [
        { field: "method", value: "POST", secret: false },
        { field: "url", value: "https://api.example.com:8443/v1/things", secret: false },
        { field: "query", value: null, secret: true },
        { field: "userinfo", value: null, secret: true },
      ],
    });
    expect(entries[2]).toMatchObject({ eventType: "http_request.request_failed", error: { code: "ETIMEDOUT" } });
  });

  it("of a failure without a code never reads as a fault of the API's", async () => {
    expect(await readLog(client.server, { errorCode: ["UNSPECIFIED"] })).toEqual([]);
    const sessionId = newSessionId();
    await send({ sessionId, entries: [reported(0, { outcome: "FAILURE" })] });
    const entries = await readLog(client.server, { errorCode: ["UNSPECIFIED"] });
    expect(entries).toMatchObject([
      {
        ...{ sessionId, error: { code: "UNSPECIFIED", message: null } },
        description:
          'Reported by gw-1: Gateway 1 tried to make http request "GET https://api.example.com/v1/things" and failed: UNSPECIFIED.',
      },
    ]);
  });

  it("never stands for what the API saw: that of the session is its reporter's word too", async () => {
    const sessionId = newSessionId();
    await send({ sessionId, entries: [reported(0)] });
    const [start, entry] = await entriesOf(sessionId);
    expect(start).toMatchObject({
      ...{ eventType: "audit_session.started", action: "START", sequenceNumber: null, claimedAt: null },
      actor: { id: "gw-1" },
      resource: { type: "audit_session", id: sessionId, label: "boundary 1.2.3 on edge-1" },
      reportedBy: { id: "gw-1", ...source },
      description: 'Reported by gw-1: Gateway 1 started audit session "boundary 1.2.3 on edge-1".',
    });
    expect(changesOf(start)).toEqual({
      kind: ["ADD", null, "REPORTER"],
      program: ["ADD", null, "boundary"],
      version: ["ADD", null, "1.2.3"],
      host: ["ADD", null, "edge-1"],
    });
    expect(entry?.reportedBy?.id).toBe("gw-1");
    const id = await client.make(`createGroup(input: { name: "Own" })`);
    const [own] = await readLog(client.server, { resourceId: [id] });
    expect([own?.reportedBy, own?.correlation, own?.claimedAt]).toEqual([null, null, null]);
  });

  it("is found by its session and number, beyond 2^53 too", async () => {
    const sessionId = newSessionId();
    await send({ sessionId, entries: [reported("9007199254740993"), reported("9007199254740992"), reported(3)] });
    const found = await entriesOf(sessionId, { sequenceNumber: ["9007199254740993", 4] });
    expect(numbersOf(found)).toEqual(["9007199254740993"]);
    await expect(readLog(client.server, { sequenceNumber: ["3"] })).rejects.toThrow("stands beside sessionId alone");
  });

  it("may have any number up to the last but one of 64 bits", async () => {
    const sessionId = newSessionId();
    const numbers = ["9223372036854775806", "9007199254740993", "9223372036854775807", "9223372036854775808", "0"];
    const answer = await send({ sessionId, entries: numbers.map((number) => reported(number)) });
    expect(answer.accepted).toBe(3);
    expect(answer.refused.map(({ index, code }) => [index, code])).toEqual([
      [2, "BAD_USER_INPUT"],
      [3, "BAD_USER_INPUT"],
    ]);
    expect(numbersOf(await reportedOf(sessionId)).sort()).toEqual(["0", "9007199254740993", "9223372036854775806"]);
    expect(await sessionOf(sessionId)).toMatchObject({ expected: "9223372036854775807", received: "3" });
  });

  it("of a type that no one declared as reported is refused, also where it is audited here", async () => {
    const sessionId = newSessionId();
    const { accepted, refused } = await send({ sessionId, entries: [reported(0, { resourceType: "device" })] });
    expect([accepted, refused[0]?.message]).toEqual([
      0,
      "resourceType names nothing that may be reported; there is http_request.",
    ]);
    expect(await reportedOf(sessionId)).toEqual([]);
  });
});

describe("a report that comes twice", () => {
  it("with the same content leaves one entry, and counts as repeated", async () => {
    const sessionId = newSessionId();
    const claimedAt = new Date().toISOString();
    const [first, second] = [reported(0, { claimedAt }), reported(1)];
    expect(await send({ sessionId, entries: [first, first, second] })).toMatchObject({ accepted: 2, repeated: 1 });
    // The order of keys, an absent null and the digits of a time say nothing.
    const again = { ...reported("0"), claimedAt: claimedAt.replace("Z", "000+00:00"), onBehalfOf: null };
    expect(await send({ sessionId, entries: [again, second] })).toMatchObject({
      accepted: 0,
      repeated: 2,
      refused: [],
    });
    expect(numbersOf(await reportedOf(sessionId))).toEqual(["0", "1"]);
    expect(await sessionOf(sessionId)).toMatchObject({ duplicates: "3", received: "2" });
  });

  it("with another content is CONFLICT by its index, leaves the first as it was, and one entry that names the numbers", async () => {
    const sessionId = newSessionId();
    const first = [0, 1, 2, 3].map((number) => reported(number));
    await send({ sessionId, entries: first });
    const other = { fields: { method: "GET", url: "https://elsewhere.example.com/" } };
    const second = [
      reported(4),
      reported(0, other),
      first[1],
      reported(2, other),
      reported(4, other),
      reported(3, other),
    ];
    expect(await send({ sessionId, entries: second })).toMatchObject({
      ...{ accepted: 1, repeated: 1 },
      refused: [
        { index: 1, sequenceNumber: "0", code: "CONFLICT" },
        { index: 3, sequenceNumber: "2", code: "CONFLICT" },
        { index: 4, sequenceNumber: "4", code: "CONFLICT" },
        { index: 5, sequenceNumber: "3", code: "CONFLICT" },
      ],
    });
    const stored = await reportedOf(sessionId);
    expect(new Set(stored.map((entry) => changesOf(entry)["url"]?.toString()))).toEqual(
      new Set(["ADD,,https://api.example.com/v1/things"]),
    );
    const told = await readLog(client.server, { resourceId: [sessionId], outcome: ["FAILURE"] });
    expect(told).toMatchObject([
      {
        ...{ eventType: "audit_session.report_failed", reportedBy: null, operation: "reportAuditEntries" },
        error: { code: "CONFLICT" },
        attempted: [
          {
            field: "sequenceNumbers",
            value: [
              ["0", "0"],
              ["2", "4"],
            ],
          },
        ],
      },
    ]);
  });

  it("with another content has its entry before anything of the call is committed", async () => {
    const sessionId = newSessionId();
    await send({ sessionId, entries: [reported(0)] });
    // The call can't note what it brought, and so not end.
    const holder = await holdTransaction(client.database);
    await holder.sql("lock table audit.session in share mode");
    const call = send({ sessionId, entries: [reported(0, { outcome: "DENIED" }), reported(1)] });
    const told = () => readLog(client.server, { resourceId: [sessionId], outcome: ["FAILURE"] });
    const look = until(async () => (await told()).length === 1, { what: "the conflict has its entry" });
    const before = await look.then(() => reportedOf(sessionId)).finally(() => holder.rollback());
    expect(numbersOf(before)).toEqual(["0"]);
    expect(await call).toMatchObject({ accepted: 1, refused: [{ index: 0, code: "CONFLICT" }] });
    expect((await told()).length).toBe(1);
  });

  it("in one call too is held against what the log has, not against the call's first", async () => {
    const sessionId = newSessionId();
    const other = { fields: { method: "GET", url: "https://elsewhere.example.com/" } };
    const [mine, theirs] = [reported(5), reported(5, other)];
    await send({ sessionId, entries: [mine] });
    expect(await send({ sessionId, entries: [theirs, theirs] })).toMatchObject({
      ...{ accepted: 0, repeated: 0 },
      refused: [
        { index: 0, sequenceNumber: "5", code: "CONFLICT" },
        { index: 1, sequenceNumber: "5", code: "CONFLICT" },
      ],
    });
    expect(await send({ sessionId, entries: [theirs, mine, reported(6), mine] })).toMatchObject({
      ...{ accepted: 1, repeated: 2 },
      refused: [{ index: 0, sequenceNumber: "5", code: "CONFLICT" }],
    });
    expect(await sessionOf(sessionId)).toMatchObject({ received: "2", duplicates: "2" });
  });

  it("at the same time, on several connections, leaves each entry once", async () => {
    const sessionId = newSessionId();
    const entries = Array.from({ length: 50 }, (_, number) => reported(number));
    const calls = Array.from({ length: 8 }, (_, call) =>
      send({ sessionId, entries: [...entries.slice(call), ...entries.slice(0, call)] }),
    );
    const answers = await Promise.all(calls);
    const sum = (what: "accepted" | "repeated") => answers.reduce((total, answer) => total + answer[what], 0);
    expect([sum("accepted"), sum("repeated")]).toEqual([50, 350]);
    expect(numbersOf(await reportedOf(sessionId)).sort()).toEqual(entries.map((_, index) => String(index)).sort());
    expect((await entriesOf(sessionId, { action: ["START"] })).length).toBe(1);
    expect(await sessionOf(sessionId)).toMatchObject({ received: "50", duplicates: "350", missing: { ranges: [] } });
  });

  it("at the same time with two contents keeps one of them for each number", async () => {
    const sessionId = newSessionId();
    const contents = ["GET", "PUT"].map((method) =>
      Array.from({ length: 20 }, (_, number) =>
        reported(number, { fields: { method, url: "https://a.example.com/" } }),
      ),
    );
    const answers = await Promise.all(contents.map((entries) => send({ sessionId, entries })));
    expect(answers.map(({ accepted }) => accepted).sort((a, b) => a - b)).toEqual([0, 20]);
    expect(answers.map(({ refused }) => refused.length).sort((a, b) => a - b)).toEqual([0, 20]);
    expect((await reportedOf(sessionId)).length).toBe(20);
  });
});

describe("a reporter's session", () => {
  it("keeps which numbers came, and can be derived again from the entries", async () => {
    const sessionId = newSessionId();
    await send({ sessionId, entries: [0, 1, 2, 7, 8, 11].map((number) => reported(number)), taken: "14" });
    expect(await sessionOf(sessionId)).toMatchObject({
      ...{
        kind: "REPORTER",
        ...source,
        tenantId: "acme",
        reporter: "gw-1",
        state: "OPEN",
        expected: "14",
        received: "6",
      },
      missing: {
        ranges: [
          { first: "3", last: "6" },
          { first: "9", last: "10" },
          { first: "12", last: "13" },
        ],
      },
    });
    const derive = `select received::text as kept, audit_guard.derive_session(id)::text as derived from audit.session where id = $1`;
    const [row] = await client.sql<{ kept: string; derived: string }>(derive, [sessionId]);
    expect(row).toEqual({ kept: "{[0,3),[7,9),[11,12)}", derived: "{[0,3),[7,9),[11,12)}" });
  });

  it("keeps what was dropped with its reasons, however often it is said", async () => {
    const sessionId = newSessionId();
    const dropped = (reason: string, ...ranges: readonly (readonly unknown[])[]) => ({
      reason,
      sequenceNumbers: ranges,
    });
    await send({ sessionId, dropped: [dropped("queue is full", ["3", 9], [12, 12])] });
    const more = [dropped("queue is full", [8, 10]), dropped("set_aside: BAD_USER_INPUT", ["20", "20"])];
    for (let time = 0; time < 2; time += 1) await send({ sessionId, dropped: more });
    expect(await sessionOf(sessionId)).toMatchObject({
      expected: "21",
      dropped: [
        {
          reason: "queue is full",
          count: "9",
          ranges: [
            { first: "3", last: "10" },
            { first: "12", last: "12" },
          ],
        },
        { reason: "set_aside: BAD_USER_INPUT", count: "1", ranges: [{ first: "20", last: "20" }] },
      ],
    });
  });

  it("holds fifty reasons: those beyond count as one", async () => {
    const sessionId = newSessionId();
    for (const from of [0, 40])
      await send({
        sessionId,
        dropped: Array.from({ length: 40 }, (_, n) => ({
          reason: `r-${String(from + n)}`,
          sequenceNumbers: [[from + n, from + n]],
        })),
      });
    const [row] = await client.sql<{ dropped: { reason: string; count: number }[] }>(
      "select dropped from audit.session where id = $1",
      [sessionId],
    );
    expect(row?.dropped.length).toBe(50);
    expect(row?.dropped.at(-1)).toEqual({ reason: "other reasons", ranges: "{[49,80)}", count: 31, below: 0 });
  });

  it("is closed once, by an entry, and takes what still comes", async () => {
    const sessionId = newSessionId();
    await send({ sessionId, entries: [reported(0)], taken: 3 });
    const impostor = { program: "auditql", version: "0.1.0", host: "api-1" };
    for (let time = 0; time < 2; time += 1) await send({ sessionId, close: true, source: impostor });
    expect(await sessionOf(sessionId)).toMatchObject({
      state: "CLOSED",
      expected: "3",
      received: "1",
    });
    await send({ sessionId, entries: [reported(2)] });
    expect(await sessionOf(sessionId)).toMatchObject({
      ...{ state: "CLOSED", received: "2" },
      missing: { ranges: [{ first: "1", last: "1" }] },
    });
    const stops = await entriesOf(sessionId, { action: ["STOP"] });
    expect(stops.map((stop) => [stop.eventType, stop.sequenceNumber, changesOf(stop)])).toEqual([
      ["audit_session.stopped", null, { taken: ["ADD", null, "3"] }],
    ]);
    expect(stops).toMatchObject([
      { resource: { label: "boundary 1.2.3 on edge-1" }, reportedBy: { id: "gw-1", ...source } },
    ]);
  });

  it.each([
    ["another subject's", "gw-2", "acme"],
    ["another tenant's", "gw-1", "globex"],
  ])("is nobody else's: %s token is FORBIDDEN, and leaves a DENIED entry", async (_, subject, tenant) => {
    const sessionId = newSessionId();
    await send({ sessionId, entries: [reported(0)] });
    const foreign = await reporter(subject, tenant);
    const { data, errors } = await sendReport(client.server, foreign, {
      sessionId,
      entries: [reported(1)],
      close: true,
    });
    expect([data, errors?.[0]?.extensions.code]).toEqual([{ reportAuditEntries: null }, "FORBIDDEN"]);
    expect(numbersOf(await reportedOf(sessionId))).toEqual(["0"]);
    expect(await sessionOf(sessionId)).toMatchObject({ state: "OPEN" });
    const denied = await readLog(client.server, { resourceId: [sessionId], outcome: ["DENIED"] }, tenant);
    expect(denied).toMatchObject([
      {
        ...{ eventType: "audit_session.report_denied", tenantId: tenant, reportedBy: null },
        ...{ actor: { id: subject }, error: { code: "FORBIDDEN" } },
      },
    ]);
  });

  it("can't be the API's own, whether its row stands yet or not", async () => {
    const answer = await client.mutate(`createGroup(input: { name: "Mine" }) { id }`);
    const own = answer.extensions?.audit?.[0]?.sessionId ?? "";
    const attempt = async () =>
      (await sendReport(client.server, token, { sessionId: own, entries: [reported("99")] })).errors?.[0]?.extensions
        .code;
    expect(await attempt()).toBe("FORBIDDEN");
    const [row] = await client.sql("delete from audit.session where id = $1 returning kind", [own]);
    expect(await attempt()).toBe("FORBIDDEN");
    if (row)
      await client.sql(
        "insert into audit.session (id, tenant_id, kind, program, version, host) values ($1, 'acme', 'API', 'auditql', '0', 'x')",
        [own],
      );
    expect(await readLog(client.server, { sessionId: [own], resourceType: ["http_request"] })).toEqual([]);
  });
});

describe("a token of the role reporter alone", () => {
  it.each([
    ["a query of what it may not see", "{ groups { nodes { id } } }"],
    ["a query of the log", "{ auditLogs { nodes { id } } }"],
    ["a change", `mutation { createGroup(input: { name: "x" }) { id } }`],
    [
      "a change that leaves no entry",
      `mutation { deviceHeartbeat(input: { id: "0192f0c1-2d3e-7abc-8def-0123456789ab" }) { id } }`,
    ],
  ])("does nothing but report: not %s", async (_, query) => {
    const { errors } = await client.server.request(query, { token });
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(["FORBIDDEN"]);
  });

  it("is the only one that reports: no admin's, no auditor's, nobody's, and none without a tenant", async () => {
    const codeOf = async (bearer: string) =>
      (await sendReport(client.server, bearer, { sessionId: newSessionId(), entries: [reported(0)] })).errors?.[0]
        ?.extensions.code;
    expect(await codeOf(client.token)).toBe("FORBIDDEN");
    expect(await codeOf(await client.server.token({ tenant: "acme", roles: ["auditor"] }))).toBe("FORBIDDEN");
    expect(await codeOf("none")).toBe("UNAUTHENTICATED");
    expect(await codeOf(await client.server.token({ roles: ["reporter"] }))).toBe("FORBIDDEN");
    expect(await codeOf(await reporter("both", "acme", ["reporter", "member"]))).toBeUndefined();
  });
});
