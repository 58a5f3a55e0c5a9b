import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createReporter, type ReportEntry, type ReporterOptions } from "../../src/reporter/index.js";
import type { ReportingTask } from "../support/reporting-process.js";
import { startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

let folder: string;
let server: TestServer;
let token: string;
let auditor: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "auditql-reporter-"));
  const env = { TRUSTED_PROXIES: "loopback", AUDIT_SOCKET: join(folder, "api.sock") };
  server = await startServer({ env });
  token = await server.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
  auditor = await server.token({ subject: "a-1", tenant: "acme", roles: ["auditor"] });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const options = (more: Partial<ReporterOptions> = {}): ReporterOptions => ({
  url: server.url,
  token,
  source: { program: "gateway", version: "1.4.0", host: "edge-1" },
  ...more,
});
const entry = (place: number, more: Partial<ReportEntry> = {}): ReportEntry => ({
  resourceType: "http_request",
  action: "REQUEST",
  outcome: "SUCCESS",
  fields: { method: "GET", url: `https://example.com/${String(place)}` },
  ...more,
});

interface Session {
  readonly state: string;
  readonly expected: string;
  readonly received: string;
  readonly duplicates: string;
  readonly missing: { readonly count: string };
  readonly dropped: readonly { readonly reason: string; readonly count: string }[];
}

async function sessionOf(id: string): Promise<Session | undefined> {
  const query = `query ($id: [ID!]) { auditSessions(filter: { sessionId: $id }) { nodes {
    state expected received duplicates missing { count } dropped { reason count } } } }`;
  const { data, errors } = await server.request<{ auditSessions: { nodes: Session[] } }>(query, {
    ...{ token: auditor, variables: { id: [id] } },
  });
  expect(errors).toBeUndefined();
  return data?.auditSessions.nodes[0];
}

/** Runs the program that reports, and kills it once it has taken so many numbers; else waits for its end. */
async function run(task: ReportingTask, killAt = Infinity): Promise<string[]> {
  const program = join("dist", "test", "support", "reporting-process.js");
  const child = spawn(process.execPath, [program, JSON.stringify(task)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let said = "";
  const numbers = (): string[] => said.split("\n").filter((line) => /^\d+$/.test(line));
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  if (killAt < Infinity) {
    await until(() => numbers().length >= killAt, { what: "it has reported enough", interval: 1, deadline: 10_000 });
    child.kill("SIGKILL");
  }
  await ended;
  return numbers();
}

describe("a reporter of this API", () => {
  it("has every entry in the log, or set aside, and its session closed", async () => {
    const reporter = await createReporter(options({ handleExit: false, onNotice: () => undefined }));
    for (let place = 0; place < 25; place++) reporter.report(entry(place));
    reporter.report(entry(25, { claimedAt: Date.UTC(9999, 1) }));
    reporter.report(entry(26, { resourceType: "spaceship" }));
    reporter.report(entry(27, { fields: { method: "GET", rule: "\0" } }));
    expect(await reporter.close()).toEqual({ sent: 25, setAside: 3, lost: 0, kept: 0, isClosed: true });
    expect(await sessionOf(reporter.sessionId)).toEqual({
      state: "CLOSED",
      expected: "28",
      received: "25",
      duplicates: "0",
      missing: { count: "0" },
      dropped: [{ reason: "set_aside: BAD_USER_INPUT", count: "3" }],
    });
  });

  it("joins both sides of a request that it lets through", async () => {
    const socketPath = join(folder, "api.sock");
    const { url: _, ...rest } = options({
      handleExit: false,
      correlation: { targets: [{ host: "127.0.0.1", path: "/graphql" }] },
    });
    const reporter = await createReporter({ ...rest, socketPath });
    const admin = await server.token({ subject: "u-9", tenant: "acme", roles: ["admin"] });
    const response = await reporter.fetch(server.url, {
      method: "POST",
      headers: {
        authorization: `Bearer ${admin}`,
        "content-type": "application/json",
        "x-audit-session-id": "smuggled",
      },
      body: JSON.stringify({ query: 'mutation { createGroup(input: { name: "Joined" }) { id } }' }),
      audit: { fields: { rule: "api" } },
    });
    expect(await response.json()).toMatchObject({ data: { createGroup: { id: expect.any(String) } } });
    expect(await reporter.close()).toMatchObject({ sent: 1, isClosed: true });
    const query = `query ($id: [ID!]!) {
      seen: auditLogs(filter: { correlation: { sessionId: $id, sequenceNumber: [0] } }) { nodes { eventType actor { id } } }
      told: auditLogs(filter: { sessionId: $id, sequenceNumber: [0] }) { nodes { eventType reportedBy { id program } } } }`;
    const variables = { id: [reporter.sessionId] };
    expect((await server.request(query, { token: auditor, variables })).data).toEqual({
      seen: { nodes: [{ eventType: "group.created", actor: { id: "u-9" } }] },
      told: { nodes: [{ eventType: "http_request.requested", reportedBy: { id: "gw-1", program: "gateway" } }] },
    });
  });

  it("is finished by the next run after kills, with every number accounted for", async () => {
    const spool = { folder: join(folder, "spool") };
    const taken: string[] = [];
    for (const killAt of [150, 260]) taken.push(...(await run({ options: options({ spool, maxDelay: 20 }) }, killAt)));
    taken.push(...(await run({ options: options({ spool }), count: 5 })));
    expect(new Set(taken).size).toBe(taken.length);
    const last = BigInt(taken.at(-1) ?? 0);
    const query = `{ auditSessions(filter: { program: ["gateway"] }, first: 1) { nodes { id } } }`;
    const newest = await server.request<{ auditSessions: { nodes: { id: string }[] } }>(query, { token: auditor });
    const session = await sessionOf(newest.data?.auditSessions.nodes[0]?.id ?? "");
    expect(session).toMatchObject({ state: "CLOSED", expected: String(last + 1n), missing: { count: "0" } });
    const dropped = session?.dropped.reduce((sum, { count }) => sum + BigInt(count), 0n) ?? 0n;
    expect(BigInt(session?.received ?? 0) + dropped).toBe(last + 1n);
    expect(session?.dropped.filter(({ reason }) => reason !== "crash")).toEqual([]);
  });

  it("shows as missing what a reporter without a spool had taken as it ended", async () => {
    let calls = 0;
    const once = (): string => (calls++ === 0 ? token : "");
    const quiet = { handleExit: false, onNotice: () => undefined };
    const reporter = await createReporter(options({ ...quiet, token: once, maxBatchSize: 10 }));
    for (let place = 0; place < 15; place++) reporter.report(entry(place));
    await until(() => reporter.stats().sent === 10, { what: "a batch is there" });
    expect(await reporter.close({ deadline: 50 })).toEqual({
      sent: 10,
      setAside: 0,
      lost: 5,
      kept: 0,
      isClosed: false,
    });
    expect(await sessionOf(reporter.sessionId)).toMatchObject({
      ...{ state: "OPEN", expected: "15", received: "10", missing: { count: "5" }, dropped: [] },
    });
  });

  it("keeps what it has where the session is another tenant's", async () => {
    const spool = { folder: join(folder, "other") };
    const quiet = { handleExit: false, onNotice: () => undefined, callTimeout: 2_000 };
    const first = await createReporter(options({ ...quiet, spool }));
    first.report(entry(0));
    expect(await first.flush()).toBe(true);
    for (let place = 1; place < 4; place++) first.report(entry(place));
    const { kept } = await first.close({ deadline: 0 });
    const foreign = await server.token({ subject: "gw-2", tenant: "globex", roles: ["reporter"] });
    const second = await createReporter(options({ ...quiet, spool, token: foreign }));
    second.report(entry(4));
    expect(await second.close({ deadline: 300 })).toMatchObject({
      sent: 0,
      setAside: 0,
      kept: kept + 1,
      isClosed: false,
    });
    const third = await createReporter(options({ ...quiet, spool }));
    expect(await third.close()).toMatchObject({ sent: kept + 1, isClosed: true });
    expect(await sessionOf(third.sessionId)).toMatchObject({ state: "CLOSED", received: "5", missing: { count: "0" } });
  });
});
