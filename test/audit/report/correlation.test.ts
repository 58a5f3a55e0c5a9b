import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useClient } from "../../support/client.js";
import { readLog } from "../../support/log.js";
import { newSessionId, report, reported } from "../../support/report.js";
import { startServer, type TestServer } from "../../support/server.js";

const client = useClient();
let behindProxy: TestServer;
let reporter: string;
beforeAll(async () => {
  behindProxy = await startServer({ database: client.database, env: { TRUSTED_PROXIES: "loopback" } });
  reporter = await client.server.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
});
afterAll(() => behindProxy.stop());

const headersOf = (sessionId: string, sequenceNumber: string) => ({
  "x-audit-session-id": sessionId,
  "x-audit-sequence-number": sequenceNumber,
});

/** Creates a group with these headers, and gives its entry's correlation. */
async function correlationOf(server: TestServer, headers: Readonly<Record<string, string>>, token = client.token) {
  const mutation = `mutation { createGroup(input: { name: "Correlated" }) { id } }`;
  const answer = await server.request<{ createGroup: { id: string } | null }>(mutation, { token, headers });
  expect(answer.errors).toBeUndefined();
  const [entry] = await readLog(client.server, { requestId: [answer.requestId] });
  return entry?.correlation;
}

async function ignored(server: TestServer, why: string): Promise<number> {
  const metrics = await (await server.fetch("/metrics")).text();
  return Number(new RegExp(`^audit_correlations_ignored_total\\{why="${why}"\\} (\\d+)$`, "m").exec(metrics)?.[1]);
}

describe("the headers that name another process's entry", () => {
  it("lead from the API's entry to the boundary's of the same request, and back", async () => {
    const sessionId = newSessionId();
    const number = "9007199254740993";
    const correlation = await correlationOf(behindProxy, headersOf(sessionId.toUpperCase(), number));
    expect(correlation).toEqual({ sessionId, sequenceNumber: number });
    await correlationOf(behindProxy, headersOf(sessionId, "4"));
    await report(client.server, reporter, { sessionId, entries: [reported(number), reported(4)] });
    const [boundary, ...more] = await readLog(client.server, { sessionId: [sessionId], sequenceNumber: [number] });
    expect([boundary?.resource?.type, boundary?.reportedBy?.id, more]).toEqual(["http_request", "gw-1", []]);
    const back = await readLog(client.server, { correlation: { sessionId: [sessionId], sequenceNumber: [number] } });
    expect(back.map((entry) => [entry.eventType, entry.correlation])).toEqual([["group.created", correlation]]);
    expect((await readLog(client.server, { correlation: { sessionId: [sessionId] } })).length).toBe(2);
  });

  it("stand in one query's answer with the boundary's entry", async () => {
    const sessionId = newSessionId();
    await correlationOf(behindProxy, headersOf(sessionId, "0"));
    await report(client.server, reporter, { sessionId, entries: [reported(0)] });
    const query = `query ($id: [ID!]!) {
      seen: auditLogs(filter: { correlation: { sessionId: $id, sequenceNumber: 0 } }) { nodes { eventType } }
      told: auditLogs(filter: { sessionId: $id, sequenceNumber: [0] }) { nodes { eventType } } }`;
    const token = await client.server.token({ subject: "a", tenant: "acme", roles: ["auditor"] });
    const { data } = await client.server.request(query, { token, variables: { id: [sessionId] } });
    expect(data).toEqual({
      seen: { nodes: [{ eventType: "group.created" }] },
      told: { nodes: [{ eventType: "http_request.requested" }] },
    });
  });

  it("are believed of a token with the role reporter from anywhere, and stand in refusals and looks too", async () => {
    const headers = headersOf(newSessionId(), "1");
    const both = await client.server.token({ subject: "b", tenant: "acme", roles: ["reporter", "admin"] });
    expect(await correlationOf(client.server, headers, both)).toEqual({
      ...{ sessionId: headers["x-audit-session-id"], sequenceNumber: "1" },
    });
    const refused = await client.server.request(`mutation { createGroup(input: { name: "" }) { id } }`, {
      ...{ token: both, headers },
    });
    const looked = await client.server.request("{ auditLogs(first: 1) { nodes { id } } }", {
      ...{
        headers,
        token: await client.server.token({ subject: "l", tenant: "acme", roles: ["reporter", "auditor"] }),
      },
    });
    const entries = await readLog(client.server, { requestId: [refused.requestId, looked.requestId] });
    expect(entries.map(({ eventType, correlation }) => [eventType, correlation?.sequenceNumber])).toEqual([
      ["group.creation_failed", "1"],
      ["audit_log.read", "1"],
    ]);
  });

  it("of anyone else are ignored, counted, and told to the server's log once", async () => {
    const before = await ignored(client.server, "untrusted");
    const forwarded = { ...headersOf(newSessionId(), "1"), "x-forwarded-for": "127.0.0.1" };
    for (let time = 0; time < 2; time += 1) expect(await correlationOf(client.server, forwarded)).toBeNull();
    expect((await ignored(client.server, "untrusted")) - before).toBe(2);
    expect(client.server.stderr().match(/X-Audit-Session-Id/g)?.length).toBe(1);
  });

  it.each([
    ["a session that is no UUID", "x", "1"],
    ["nobody's session", "00000000-0000-0000-0000-000000000000", "1"],
    ["a negative number", newSessionId(), "-1"],
    ["a number with more digits than it has", newSessionId(), "01"],
    ["a number of 65 bits", newSessionId(), "9223372036854775808"],
    ["no number", newSessionId(), ""],
    ["two numbers", newSessionId(), "1, 2"],
    ["a megabyte's beginning", "a".repeat(8_000), "1"],
  ])("make no request fail where they are malformed: %s", async (_, sessionId, number) => {
    const before = await ignored(behindProxy, "malformed");
    expect(await correlationOf(behindProxy, headersOf(sessionId, number))).toBeNull();
    expect((await ignored(behindProxy, "malformed")) - before).toBe(1);
  });

  it("go together: one alone says nothing", async () => {
    expect(await correlationOf(behindProxy, { "x-audit-session-id": newSessionId() })).toBeNull();
    expect(await correlationOf(behindProxy, { "x-audit-sequence-number": "1" })).toBeNull();
  });
});
