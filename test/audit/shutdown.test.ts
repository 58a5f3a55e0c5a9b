import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { readLog, type ReadEntry } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startProxy } from "../support/proxy.js";
import { type Answer, startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

const calls = 100;
const devices = 5;

let database: TestDatabase;
let server: TestServer;
let token: string;
let ids: string[];

beforeEach(async () => {
  database = await createDatabase();
  server = await startServer({ database });
  token = await server.token({ tenant: "acme", roles: ["admin"] });
  ids = [];
  for (let device = 0; device < devices; device++) {
    const field = `createDevice(input: { serialNumber: "SN-${device}", name: "0" }) { id }`;
    const { data } = await server.request<{ createDevice: { id: string } }>(`mutation { ${field} }`, { token });
    ids.push(data?.createDevice.id ?? "");
  }
});
afterEach(async () => {
  await server.stop("SIGKILL");
  await database.drop();
});

/** Renames devices, a hundred calls at a time or as many as are asked, each to a name of its own. What got no answer is null. */
function renameAll(
  signal?: (call: number) => AbortSignal,
  count = calls,
): Promise<(Answer<Record<string, unknown>> | null)[]> {
  const rename = (call: number) => {
    const field = `updateDevice(input: { id: "${ids[call % devices]}", name: "${call + 1}" }) { name }`;
    const options = { token, ...(signal && { signal: signal(call) }) };
    return server.request(`mutation { ${field} }`, options).catch(() => null);
  };
  return Promise.all(Array.from({ length: count }, (_, call) => rename(call)));
}

const namesOf = async (): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await query<{ id: string; name: string }>(database.adminUrl, "select id, name from app.device")).map(
      ({ id, name }) => [id, name],
    ),
  );

/** How many renames are in the log as committed; each device's have to lead from its first name to the one it has. */
function checkChains(entries: readonly ReadEntry[], names: Readonly<Record<string, string>>): string[] {
  const renames = entries.filter(({ operation, outcome }) => operation === "updateDevice" && outcome === "SUCCESS");
  for (const id of ids) {
    const values = renames.filter(({ resource }) => resource?.id === id).map(({ changes }) => changes[0]);
    expect(["0", ...values.map((change) => change?.new)]).toEqual([...values.map((change) => change?.old), names[id]]);
  }
  return renames.map(({ changes }) => String(changes[0]?.new)).sort();
}

/** The names of those that were told of their success. */
const told = (answers: readonly (Answer<Record<string, unknown>> | null)[]): string[] =>
  answers
    .map((answer) => (answer?.data?.["updateDevice"] as { name: string } | null | undefined)?.name)
    .filter((name) => name !== undefined)
    .sort();

const activity = async (): Promise<number> =>
  (
    await query<{ count: number }>(
      database.adminUrl,
      "select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name ~ '^auditql'",
    )
  )[0]?.count ?? -1;

const committed = async (): Promise<number> =>
  (
    await query<{ count: number }>(
      database.adminUrl,
      "select count(*)::int as count from audit.entry where operation = 'updateDevice' and outcome = 'SUCCESS'",
    )
  )[0]?.count ?? 0;

describe("a server that is stopped while a hundred mutations are under way", () => {
  it("ends in time, leaves nothing behind, and every change that was committed or told has its entry", async () => {
    const answers = renameAll();
    await until(async () => (await committed()) >= 3, { what: "some are committed", interval: 1 });
    const begun = performance.now();
    expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(await activity()).toBe(0);
    const successes = told(await answers);
    server = await startServer({ database });
    const recorded = checkChains(await readLog(server, {}), await namesOf());
    expect(recorded).toEqual(expect.arrayContaining(successes));
    expect(recorded.length).toBeGreaterThanOrEqual(3);
  });

  it("may be killed: what was committed has its entry, and what has an entry was committed", async () => {
    const answers = renameAll();
    await until(async () => (await committed()) >= 10, { what: "some are committed", interval: 1 });
    expect(await server.stop("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
    const successes = told(await answers);
    await until(async () => (await activity()) === 0, { what: "the database has noticed", deadline: 10_000 });
    server = await startServer({ database });
    const recorded = checkChains(await readLog(server, {}), await namesOf());
    expect(recorded).toEqual(expect.arrayContaining(successes));
    expect(recorded.length).toBeLessThan(calls);
    const next = await server.request(`mutation { updateDevice(input: { id: "${ids[0]}", name: "after" }) { name } }`, {
      token,
    });
    expect(next.data).toEqual({ updateDevice: { name: "after" } });
  });
});

describe("clients that go away", () => {
  it("at any moment, two hundred of them, take no entry with them", async () => {
    const answers = await renameAll((call) => AbortSignal.timeout(call * 2), 200);
    expect(answers).toContain(null);
    await server.stop("SIGTERM");
    server = await startServer({ database });
    const entries = await readLog(server, {});
    const recorded = checkChains(entries, await namesOf());
    // Each that reached its resolver has one entry, committed or not.
    const renames = entries.filter(({ operation }) => operation === "updateDevice");
    expect(new Set(renames.map(({ sequenceNumber }) => sequenceNumber)).size).toBe(renames.length);
    expect(recorded).toEqual(expect.arrayContaining(told(answers)));
  });

  it("just before the commit take no entry with them either: those under way are committed with theirs", async () => {
    const leaving = new AbortController();
    const holder = await holdTransaction(database);
    await holder.sql("lock table audit.entry in share row exclusive mode");
    const answers = renameAll(() => leaving.signal);
    // One for each device holds its row and waits to write its entry; the others wait for the rows, as far as the pool goes.
    await untilBlocked(database, 10);
    leaving.abort();
    expect(told(await answers)).toEqual([]);
    await holder.rollback();
    await until(async () => (await committed()) >= devices, {
      what: "those under way are committed",
      deadline: 10_000,
    });
    await untilQuiet();
    expect(checkChains(await readLog(server, {}), await namesOf()).length).toBeGreaterThanOrEqual(devices);
  });
});

describe("a database that doesn't answer any more, and doesn't say so", () => {
  it("doesn't keep the server from stopping in time", async () => {
    await server.stop();
    const proxy = await startProxy(database.adminUrl);
    const env = { DATABASE_URL: proxy.through(database.apiUrl), READ_DATABASE_URL: proxy.through(database.readerUrl) };
    server = await startServer({ database, env: { ...env, CHAT_AUTO_ARCHIVE_AFTER: "1s" } });
    try {
      // Connections of every kind, some idle and some in use.
      await readLog(server, {});
      await server.fetch("/readyz");
      const holder = await holdTransaction(database);
      await holder.sql("lock table audit.entry in share row exclusive mode");
      const answers = renameAll();
      await untilBlocked(database, 10);
      proxy.stall();
      const begun = performance.now();
      const exit = await server.stop("SIGTERM").finally(() => holder.rollback());
      expect(exit).toEqual({ code: 0, signal: null });
      expect(performance.now() - begun).toBeLessThan(10_000);
      expect(told(await answers)).toEqual([]);
    } finally {
      await proxy.stop();
    }
    await until(async () => (await activity()) === 0, { what: "the database has noticed", deadline: 10_000 });
    server = await startServer({ database });
    checkChains(await readLog(server, {}), await namesOf());
  });
});

/** Waits until no transaction is open and the count of entries stays as it is. */
async function untilQuiet(): Promise<void> {
  let last = -1;
  await until(
    async () => {
      const [row] = await query<{ open: number }>(
        database.adminUrl,
        "select count(*)::int as open from pg_stat_activity where datname = current_database() and state <> 'idle' and application_name ~ '^auditql'",
      );
      const count = await committed();
      const isQuiet = row?.open === 0 && count === last;
      last = count;
      return isQuiet;
    },
    { what: "nothing is under way any more", deadline: 10_000, interval: 100 },
  );
}
