import { afterEach, describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { connect, createDatabase, query } from "../support/postgres.js";
import { startProxy } from "../support/proxy.js";
import { startServer, type TestServer } from "../support/server.js";
import { unguarded } from "../support/unguarded.js";
import { until } from "../support/until.js";

const client = useClient();

interface Report {
  readonly status: string;
  readonly auditing: string;
  readonly database: string;
  readonly parts: Readonly<Record<string, { readonly status: string; readonly detail?: string }>>;
}

async function ready(): Promise<{ status: number; report: Report }> {
  const response = await client.server.fetch("/readyz");
  return { status: response.status, report: (await response.json()) as Report };
}

const untilReadyIs = (status: string) =>
  until(async () => ((await ready()).report.status === status ? ready() : null), {
    what: `/readyz says ${status}`,
    deadline: 15_000,
    interval: 200,
  });

async function metric(line: string): Promise<number> {
  const text = await (await client.server.fetch("/metrics")).text();
  const found = text.split("\n").find((each) => each.startsWith(`${line} `));
  if (found === undefined) throw new Error(`There is no metric ${line}.`);
  return Number(found.slice(line.length + 1));
}

describe("health", () => {
  afterEach(async () => {
    await unguarded(client.database, "grant insert (tenant_id) on audit.entry to audit_writer");
    await untilReadyIs("ready");
  });

  it("is good where all parts are", async () => {
    expect(await (await client.server.fetch("/healthz")).json()).toEqual({ status: "ok" });
    const ok = { status: "ok" };
    expect(await ready()).toEqual({
      status: 200,
      report: {
        status: "ready",
        auditing: "strict",
        database: "external",
        parts: { process: ok, database: ok, log: ok, reader: ok, migrations: ok, partitions: ok, spool: ok },
      },
    });
  });

  it("names a log that can't be written, while reads go on and mutations answer AUDIT_UNAVAILABLE", async () => {
    const before = await metric("audit_write_failures_total");
    const unforeseen = await metric("internal_errors_total");
    await unguarded(client.database, "revoke insert (tenant_id) on audit.entry from audit_writer");
    const { status, report } = await untilReadyIs("degraded");
    expect(status).toBe(200);
    expect(report.parts["log"]).toEqual({
      status: "failed",
      detail: "The log can't be written: mutations answer AUDIT_UNAVAILABLE, reads go on (42501).",
    });
    const refused = await client.mutate('createGroup(input: { name: "unseen" }) { id }');
    expect([refused.status, refused.data?.["it"], refused.errors?.[0]?.extensions.code]).toEqual([
      200,
      null,
      "AUDIT_UNAVAILABLE",
    ]);
    expect(await client.sql("select from app.group where name = 'unseen'")).toEqual([]);
    const groups = await client.server.request("{ groups { nodes { id } } }", { token: client.token });
    expect(groups.errors).toBeUndefined();
    // The change's entry, and the failure's.
    expect(await metric("audit_write_failures_total")).toBe(before + 2);
    expect(await metric("internal_errors_total")).toBe(unforeseen);
  });

  it("names a log that is locked, within moments", async () => {
    const locker = await connect(client.database.adminUrl);
    try {
      await locker.query("begin; lock table audit.entry in access exclusive mode");
      const started = performance.now();
      const { report } = await untilReadyIs("degraded");
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(report.parts["log"]?.detail).toContain("55P03");
    } finally {
      await locker.end();
    }
  });
});

describe("entries in the DEFAULT partition", () => {
  it("are named by /readyz, and have a partition of their own after the next start", async () => {
    const database = await createDatabase();
    const server = await startServer({ database });
    const reportOf = async (asked: TestServer) => (await (await asked.fetch("/readyz")).json()) as Report;
    try {
      const [row] = await query<{ name: string }>(
        database.adminUrl,
        `select 'audit.entry_' || to_char(now() at time zone 'UTC', 'YYYY_MM') as name`,
      );
      await unguarded(database, `drop table ${row?.name ?? ""}`);
      await server.request('mutation { createGroup(input: { name: "astray" }) { id } }', { token: client.token });
      const { parts } = await until(
        async () => {
          const report = await reportOf(server);
          return report.status === "degraded" ? report : null;
        },
        { what: "/readyz says degraded" },
      );
      expect(parts["partitions"]).toEqual({
        status: "failed",
        detail: "Entries are in the DEFAULT partition; the daily upkeep, or a start, makes it their month's.",
      });
      await server.stop();
      const again = await startServer({ database });
      expect((await reportOf(again)).status).toBe("ready");
      await again.stop();
    } finally {
      await server.stop();
      await database.drop();
    }
  });
});

describe("a database that is gone", () => {
  it("makes /readyz bad and answers UNAVAILABLE, until it is back", async () => {
    const proxy = await startProxy(client.database.adminUrl);
    const through = (url: string) => proxy.through(url);
    const { apiUrl, readerUrl } = client.database;
    const env = { DATABASE_URL: through(apiUrl), READ_DATABASE_URL: through(readerUrl) };
    const server = await startServer({ database: client.database, env });
    const ask = (query: string) => server.request(query, { token: client.token });
    const readyStatus = async () => (await server.fetch("/readyz")).status;
    try {
      expect(await readyStatus()).toBe(200);
      await proxy.cut();
      await until(async () => (await readyStatus()) === 503, {
        what: "it isn't ready",
        deadline: 15_000,
        interval: 200,
      });
      const read = await ask("{ groups { nodes { id } } }");
      expect([read.status, read.errors?.[0]?.extensions.code]).toEqual([200, "UNAVAILABLE"]);
      const write = await ask('mutation { createGroup(input: { name: "unseen" }) { id } }');
      expect([write.status, write.errors?.[0]?.extensions.code]).toEqual([200, "UNAVAILABLE"]);
      expect((await server.fetch("/healthz")).status).toBe(200);
      await proxy.mend();
      await until(async () => (await readyStatus()) === 200, { what: "it is ready", deadline: 15_000, interval: 200 });
      expect((await ask("{ groups { nodes { id } } }")).errors).toBeUndefined();
      expect(await (await server.fetch("/metrics")).text()).toMatch(/^internal_errors_total 0$/m);
    } finally {
      expect(await server.stop()).toEqual({ code: 0, signal: null });
      await proxy.stop();
    }
  });
});

describe("metrics", () => {
  it("count entries, requests and refusals, from 0 on", async () => {
    const created = 'audit_entries_total{action="CREATE",outcome="SUCCESS"}';
    const failed = 'audit_entries_total{action="DELETE",outcome="FAILURE"}';
    const mutations = 'graphql_requests_total{operation="mutation",outcome="ok"}';
    const refused = 'graphql_refused_total{code="GRAPHQL_PARSE_FAILED"}';
    const names = [created, failed, mutations, refused];
    const before = await Promise.all(names.map(metric));
    await client.make('createGroup(input: { name: "counted" })');
    await client.mutate('deleteGroup(input: { id: "00000000-0000-4000-8000-000000000000" }) { id }');
    await client.server.request("}", { token: client.token });
    await until(async () => (await metric(refused)) > (before[3] ?? 0), { what: "the refusal is counted" });
    const after = await Promise.all(names.map(metric));
    expect(after.map((value, index) => value - (before[index] ?? 0))).toEqual([1, 1, 1, 1]);
    expect(await metric("audit_write_seconds_count")).toBeGreaterThan(0);
    expect(await metric('graphql_refused_total{code="LIMIT_EXCEEDED"}')).toBeGreaterThanOrEqual(0);
  });
});
