import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startInVain, startServer, type TestServer } from "../support/server.js";
import { readLog } from "../support/log.js";
import { unguarded } from "../support/unguarded.js";
import { until } from "../support/until.js";

const createGroup = `mutation ($name: String!) { createGroup(input: { name: $name }) { id } }`;

describe("the start and the stop of the server", () => {
  let database: TestDatabase;
  const servers: TestServer[] = [];

  const start = async (env: Readonly<Record<string, string | undefined>> = {}): Promise<TestServer> => {
    const server = await startServer({ database, env });
    servers.push(server);
    return server;
  };

  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop("SIGKILL")));
    await database.drop();
  });

  it("prints the database, the mutations, the URLs and a next command, and last that it serves", async () => {
    const server = await start();
    const { username, port } = new URL(database.apiUrl);
    const lines = server.stdout().split("\n");
    expect(lines[0]).toBe("AuditQL");
    expect(lines[1]).toMatch(
      new RegExp(
        `^ {2}database {3}PostgreSQL \\d+\\.\\d+.*, postgres://${username}@127.0.0.1:${port}/${database.name}$`,
      ),
    );
    expect(lines[2]).toBe("  mutations  14: 12 audited, 2 exempt");
    expect(lines[3]).toBe("  auditing   strict: no change is committed without its entry");
    expect(lines[4]).toBe(`  graphql    ${server.origin}/graphql`);
    expect(lines[5]).toBe(`  health     ${server.origin}/healthz  ${server.origin}/readyz  ${server.origin}/metrics`);
    expect(lines[6]).toBe(`  try        curl -s ${server.origin}/readyz`);
    expect(lines.slice(7)).toEqual([`ready ${server.origin}/graphql`, ""]);
    expect(server.stdout()).not.toContain(decodeURIComponent(new URL(database.apiUrl).password));
  });

  it("brackets an IPv6 host", async () => {
    const server = await start({ HOST: "::1" });
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+\/graphql$/);
    expect((await server.fetch("/healthz")).status).toBe(200);
  });

  it("names every setting that is wrong at once, and exits with 78", async () => {
    const env = {
      ...{ PORT: "seventy", LOG_LEVEL: "loud", JWT_AUDIENCE: undefined, TRUSTED_PROXIES: "somewhere" },
      CHAT_AUTO_ARCHIVE_AFTER: "P1M",
    };
    const { exit, stdout, stderr } = await startInVain({ database, env });
    expect(exit).toEqual({ code: 78, signal: null });
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^5 settings are missing or wrong:\n/);
    for (const variable of Object.keys(env)) expect(stderr).toMatch(new RegExp(`^ {2}${variable} .*; expected `, "m"));
  });

  it("refuses to serve where its login could alter the log, naming what to run", async () => {
    const { username } = new URL(database.apiUrl);
    await unguarded(database, `grant update, delete on audit.entry to ${username}`);
    const { exit, stderr } = await startInVain({ database });
    expect(exit?.code).toBe(78);
    expect(stderr).toMatch(/UPDATE/);
    expect(stderr).toMatch(/DELETE/);
    expect(stderr).toMatch(/REVOKE/i);
  });

  it("says which program to end where its port is taken, and exits with 1", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address ? address.port : 0;
    try {
      const { exit, stdout, stderr } = await startInVain({ database, env: { PORT: String(port) } });
      expect(exit).toEqual({ code: 1, signal: null });
      expect(stdout).toBe("");
      expect(stderr).toContain(`Can't listen on 127.0.0.1, port ${String(port)} (EADDRINUSE)`);
      expect(await connections(database)).toBe(0);
    } finally {
      taken.close();
    }
  });

  it("waits a while for a database that can't be reached, and then says so", async () => {
    const env = { DATABASE_URL: "postgres://nobody:hidden-word@127.0.0.1:1/none" };
    const { exit, stderr } = await startInVain({ database, env });
    expect(exit?.code).toBe(69);
    expect(stderr).toContain("PostgreSQL can't be reached with DATABASE_URL");
    expect(stderr).not.toContain("hidden-word");
  });

  it("exits with 0 at SIGTERM and leaves no connection behind", async () => {
    const server = await start();
    const token = await server.token({ tenant: "acme", roles: ["admin"] });
    await server.request(createGroup, { variables: { name: "Research" }, token });
    expect(await connections(database)).toBeGreaterThan(0);
    expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(await connections(database)).toBe(0);
  });

  it("answers the mutations under way at SIGTERM, takes no more, and loses no entry of a commit", async () => {
    const server = await start();
    const token = await server.token({ tenant: "acme", roles: ["admin"] });
    const names = Array.from({ length: 100 }, () => randomUUID());
    const answers = names.map((name) => server.request(createGroup, { variables: { name }, token }));
    const settled = Promise.allSettled(answers);
    await until(async () => (await groupCount(database)) > 5, { what: "some mutations are committed", interval: 1 });
    const started = performance.now();
    expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - started).toBeLessThan(10_000);
    const answered = (await settled).flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(answered.filter(({ data }) => !data?.["createGroup"])).toEqual([]);
    const committed = await query<{ name: string }>(database.adminUrl, "select name from app.group order by name");
    const again = await start();
    const entries = await readLog(again, { operation: ["createGroup"] });
    const recorded = entries
      .filter(({ outcome }) => outcome === "SUCCESS")
      .map(({ resource }) => resource?.label ?? "");
    expect(recorded.sort()).toEqual(committed.map(({ name }) => name));
    expect(committed.length).toBeGreaterThanOrEqual(answered.length);
  });

  it("is killed without losing the entry of a commit", async () => {
    const server = await start();
    const token = await server.token({ tenant: "acme", roles: ["admin"] });
    const answers = Array.from({ length: 60 }, () =>
      server.request(createGroup, { variables: { name: randomUUID() }, token }),
    );
    const settled = Promise.allSettled(answers);
    await until(async () => (await groupCount(database)) > 5, { what: "some mutations are committed", interval: 1 });
    await server.stop("SIGKILL");
    await settled;
    await until(async () => (await connections(database)) === 0, { what: "the database has noticed" });
    const committed = await query<{ name: string }>(database.adminUrl, "select name from app.group order by name");
    const entries = await readLog(await start(), { operation: ["createGroup"] });
    expect(entries.map(({ resource }) => resource?.label ?? "").sort()).toEqual(committed.map(({ name }) => name));
  });

  it("logs what nothing caught, and stops in order with 1", async () => {
    const late = 'process.on("SIGUSR2",()=>{throw new Error("nobody-waits")})';
    const server = await start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(late)}` });
    process.kill(server.pid, "SIGUSR2");
    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.stderr()).toMatch(/"level":"fatal".*"message":"nobody-waits"/);
    expect(await connections(database)).toBe(0);
  });

  it("logs a rejection that nobody awaited, and goes on", async () => {
    const late = 'process.on("SIGUSR2",()=>{Promise.reject(new Error("nobody-waits"))})';
    const server = await start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(late)}` });
    process.kill(server.pid, "SIGUSR2");
    await until(() => server.stderr().includes("nobody-waits"), { what: "the rejection is in the log" });
    expect((await server.fetch("/healthz")).status).toBe(200);
  });

  it("ends at once at a second signal", async () => {
    const server = await start();
    const token = await server.token({ tenant: "acme", roles: ["admin"] });
    await withLock(database, async () => {
      const answer = server.request(createGroup, { variables: { name: "waits" }, token });
      const lost = expect(answer).rejects.toThrow();
      await until(() => waiting(database), { what: "the mutation waits for the lock" });
      process.kill(server.pid, "SIGTERM");
      await until(() => server.stderr().includes('"stopping"'), { what: "it stops" });
      const started = performance.now();
      expect(await server.stop("SIGTERM")).toEqual({ code: 143, signal: null });
      expect(performance.now() - started).toBeLessThan(1_000);
      await lost;
    });
    await until(async () => (await connections(database)) === 0, {
      what: "the database has noticed",
      deadline: 10_000,
    });
    expect(await groupCount(database)).toBe(0);
  });

  it("stops within ten seconds even where a mutation waits for a lock", async () => {
    const server = await start();
    const token = await server.token({ tenant: "acme", roles: ["admin"] });
    await withLock(database, async () => {
      const answer = server.request(createGroup, { variables: { name: "waits" }, token }).catch(() => null);
      await until(() => waiting(database), { what: "the mutation waits for the lock" });
      const started = performance.now();
      expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
      expect(performance.now() - started).toBeLessThan(10_000);
      await answer;
    });
    expect(await groupCount(database)).toBe(0);
  });
});

async function connections(database: TestDatabase): Promise<number> {
  const sql =
    "select count(*)::int as count from pg_stat_activity where datname = $1 and application_name ~ '^auditql'";
  return (await query<{ count: number }>(adminOf(database), sql, [database.name]))[0]?.count ?? 0;
}

async function waiting(database: TestDatabase): Promise<boolean> {
  const sql = "select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'";
  return (await query(adminOf(database), sql, [database.name])).length > 0;
}

async function groupCount(database: TestDatabase): Promise<number> {
  return (
    (await query<{ count: number }>(adminOf(database), "select count(*)::int as count from app.group"))[0]?.count ?? 0
  );
}

const adminOf = ({ adminUrl }: TestDatabase): string => adminUrl;

/** Nobody can write a group while the work is done. */
async function withLock(database: TestDatabase, work: () => Promise<void>): Promise<void> {
  const client = await connect(database.adminUrl);
  try {
    await client.query("begin; lock table app.group in share mode");
    await work();
  } finally {
    await client.end();
  }
}
