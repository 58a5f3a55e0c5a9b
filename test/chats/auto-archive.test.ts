import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { changesOf, readLog } from "../support/log.js";
import { connect, createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

/** Long enough that what a test changes stays active, short enough that a run comes every three seconds. */
const after = { CHAT_AUTO_ARCHIVE_AFTER: "PT30S" };
/** A run comes every second; nothing stays active. */
const atOnce = { CHAT_AUTO_ARCHIVE_AFTER: "1s" };
const job = "chat_auto_archive";
const deadline = 20_000;

interface Planted {
  readonly below?: string;
  /** Changed just now; two days ago where it isn't said. */
  readonly active?: boolean;
  readonly archived?: boolean;
  readonly pinOrder?: number;
}

describe("chats without activity", () => {
  let database: TestDatabase;
  const servers: TestServer[] = [];

  const start = async (env: Readonly<Record<string, string>> = after): Promise<TestServer> => {
    const server = await startServer({ database, env });
    servers.push(server);
    return server;
  };
  const sql = <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
    query<Row>(database.adminUrl, text, values);

  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.stop("SIGKILL")));
    await database.drop();
  });

  /** Puts chats there and gives their ids by name. */
  async function plant<Name extends string>(chats: Readonly<Record<Name, Planted>>, tenant = "acme") {
    const rows = Object.entries<Planted>(chats).map(([name, chat]) => ({ id: randomUUID(), name, ...chat }));
    const ids = Object.fromEntries(rows.map(({ name, id }) => [name, id])) as Record<Name, string>;
    await sql(
      `insert into app.chat (tenant_id, id, title, owner_id, parent_chat_id, archived, pin_order, updated_at)
       select $1, id, title, 'u-1', parent, archived, pin, now() - idle
       from unnest($2::uuid[], $3::text[], $4::uuid[], $5::boolean[], $6::int[], $7::interval[])
         as planted (id, title, parent, archived, pin, idle)`,
      [
        tenant,
        rows.map(({ id }) => id),
        rows.map(({ name }) => name),
        rows.map(({ below }) => (below === undefined ? null : ids[below as Name])),
        rows.map(({ archived }) => archived ?? false),
        rows.map(({ pinOrder }) => pinOrder ?? 0),
        rows.map(({ active }) => (active ? "0" : "2 days")),
      ],
    );
    return ids;
  }
  const many = (count: number): Record<string, Planted> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`c${String(index)}`, {}]));

  /** The titles of those that are archived. */
  const archived = async (): Promise<string[]> =>
    (await sql<{ title: string }>("select title from app.chat where archived order by title")).map(
      ({ title }) => title,
    );
  const archivedCount = async (): Promise<number> =>
    (await sql<{ count: number }>("select count(*)::int as count from app.chat where archived"))[0]?.count ?? -1;
  const untilArchived = (title: string) =>
    until(async () => (await archived()).includes(title), { what: `${title} is archived`, deadline });
  const bySystem = async (server: TestServer, tenant = "acme") =>
    readLog(server, { actorType: ["SYSTEM"], resourceType: ["chat"] }, tenant);
  const runs = async (server: TestServer, outcome: string): Promise<number> => {
    const text = await (await server.fetch("/metrics")).text();
    const line = text.split("\n").find((each) => each.startsWith(`job_runs_total{job="${job}",outcome="${outcome}"} `));
    return Number(line?.split(" ").at(-1) ?? Number.NaN);
  };
  const untilRun = async (server: TestServer, outcome: string, more = 1): Promise<void> => {
    const before = await runs(server, outcome);
    await until(async () => (await runs(server, outcome)) >= before + more, { what: `a run was ${outcome}`, deadline });
  };

  it("stay as they are unless the setting asks for it", async () => {
    await plant({ idle: {} });
    const server = await start({});
    expect(await runs(server, "ok")).toBeNaN();
    expect(await archived()).toEqual([]);
  });

  it("are archived by the system with an entry each, and pinned, active and archived ones left alone", async () => {
    const ids = await plant({ idle: {}, pinned: { pinOrder: 1 }, below: { pinOrder: -1 }, active: { active: true } });
    await plant({ before: { archived: true } });
    const foreign = await plant({ foreign: {} }, "globex");
    const server = await start();
    await untilArchived("idle");
    await untilRun(server, "ok");
    expect(await archived()).toEqual(["before", "foreign", "idle"]);
    const entry = {
      ...{ action: "UPDATE", eventType: "chat.updated", outcome: "SUCCESS", operation: null, requestId: null },
      ...{ reason: null, ip: null, userAgent: null, traceId: null, ordinal: 0, causeId: null, attempted: [] },
    };
    const actor = { type: "SYSTEM", subsystem: job, id: null, name: null, onBehalfOf: null };
    for (const [tenantId, id] of [
      ["acme", ids.idle],
      ["globex", foreign.foreign],
    ] as const) {
      const entries = await bySystem(server, tenantId);
      expect(entries).toMatchObject([{ ...entry, tenantId, actor, resource: { type: "chat", id } }]);
      expect(changesOf(entries[0])).toEqual({ archived: ["REPLACE", false, true] });
      expect(entries[0]?.sequenceNumber).toBe("0");
      expect(entries[0]?.description).toMatch(/^The system \(chat_auto_archive\) updated chat /);
    }
  });

  it("go with all below them, unless somebody is active or something is pinned there", async () => {
    const ids = await plant({
      ...{ root: {}, left: { below: "root" }, done: { below: "left", archived: true, active: true } },
      leaf: { below: "done" },
      ...{ alive: {}, idleHalf: { below: "alive" }, busyHalf: { below: "alive" } },
      ...{ busy: { below: "busyHalf", active: true }, idleLeaf: { below: "idleHalf" } },
      ...{ keeper: {}, kept: { below: "keeper", pinOrder: 3 } },
    });
    const server = await start();
    await untilArchived("root");
    await untilRun(server, "ok");
    expect(await archived()).toEqual(["done", "idleHalf", "idleLeaf", "leaf", "left", "root"]);
    const entries = await bySystem(server);
    const recorded = entries.map(({ resource }) => resource?.id ?? "").sort();
    expect(recorded).toEqual([ids.root, ids.left, ids.leaf, ids.idleHalf, ids.idleLeaf].sort());
  });

  it("are left alone where somebody was active in them meanwhile, also far below", async () => {
    const ids = await plant({ touched: {}, root: {}, leaf: { below: "root" }, idle: {} });
    const busy = await holdTransaction(database);
    await busy.sql("update app.chat set title = title || '!' where id = any ($1)", [[ids.touched, ids.leaf]]);
    const server = await start();
    await untilBlocked(database, 1);
    await busy.commit();
    await untilArchived("idle");
    await untilRun(server, "ok");
    expect(await archived()).toEqual(["idle"]);
    expect((await bySystem(server)).map(({ resource }) => resource?.id)).toEqual([ids.idle]);
  });

  it("are archived by one process at a time: who finds the lock taken leaves it to the other", async () => {
    const ids = await plant(many(250));
    const holder = await connect(database.adminUrl);
    await holder.query("select pg_advisory_lock(hashtextextended($1, 0))", [`auditql:${job}`]);
    const both = [await start(atOnce), await start(atOnce)];
    const ended = async (server: TestServer) => (await runs(server, "ok")) + (await runs(server, "elsewhere"));
    for (const server of both)
      await until(async () => (await ended(server)) > 0, { what: "a run has ended", deadline });
    expect(await archived()).toEqual([]);
    expect(await Promise.all(both.map((server) => runs(server, "ok")))).toEqual([0, 0]);
    await holder.end();
    await until(async () => (await archivedCount()) === 250, { what: "all are archived", deadline });
    await Promise.all(both.map((server) => untilRun(server, "ok")));
    const [server] = both;
    if (!server) throw new Error("No server.");
    const entries = await bySystem(server);
    expect(entries.map(({ resource }) => resource?.id ?? "").sort()).toEqual(Object.values(ids).sort());
    expect(entries.every(({ outcome }) => outcome === "SUCCESS")).toBe(true);
  });

  it("lose their archiver with its lock's connection, which another process may have from then on", async () => {
    const ids = await plant(many(250));
    const busy = await holdTransaction(database);
    await busy.sql("select from app.chat where id = any ($1) for update", [Object.values(ids)]);
    const server = await start(atOnce);
    await untilBlocked(database, 1);
    await sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'auditql job'");
    const isFree = "select pg_try_advisory_lock(hashtextextended($1, 0)) as free";
    await until(async () => (await sql(isFree, [`auditql:${job}`]))[0]?.["free"], { what: "the lock is free" });
    expect(await archivedCount()).toBe(0);
    await busy.commit();
    await until(async () => (await archivedCount()) === 250, { what: "the next run has done the rest", deadline });
    expect(await bySystem(server)).toHaveLength(250);
  });

  it("are archived by the thousand, in batches, each with its entry", async () => {
    await plant(many(2_300));
    await plant(many(700), "globex");
    await sql("update app.chat set pin_order = 7 where title in ('c5', 'c1001')");
    const server = await start(atOnce);
    await until(async () => (await archivedCount()) === 2_997, { what: "all but the pinned are archived", deadline });
    const [counts] = await sql(
      `select count(*)::int as entries, count(distinct resource_id)::int as chats,
         max(ordinal) as "highestOrdinal", count(distinct (session_id, sequence_number))::int as operations,
         bool_and(outcome = 'SUCCESS' and jsonb_array_length(changes) = 1) as true
       from audit.entry where subsystem = $1`,
      [job],
    );
    // Pages of two thousand rows, cut where a tenant ends.
    expect(counts).toEqual({ entries: 2_997, chats: 2_997, highestOrdinal: 99, operations: 30, true: true });
    expect(server.stderr()).not.toContain('"level":50');
  });

  it("that can't be archived keep no others from it: each is tried, said and tried again", async () => {
    await plant({ ...many(40), poison: {} });
    await sql(`create function public.meddle() returns trigger language plpgsql as
      $$ begin raise exception 'no' using errcode = 'check_violation'; end $$`);
    await sql(`create trigger meddle before update on app.chat for each row
      when (old.title = 'poison' and new.archived) execute function public.meddle()`);
    const server = await start(atOnce);
    await untilRun(server, "failed", 2);
    expect(await archivedCount()).toBe(40);
    expect(server.stderr()).toContain("background work could not be done on these");
    await sql("drop trigger meddle on app.chat");
    await untilArchived("poison");
    const outcomes = (await readLog(server, { resourceType: ["chat"], outcome: ["FAILURE"] })).map(
      ({ actor, error }) => [actor["subsystem"], error?.code],
    );
    expect(new Set(outcomes.map(String))).toEqual(new Set([`${job},BAD_USER_INPUT`]));
  });

  it("are left at a batch's end where the process stops, each archived one with its entry", async () => {
    await plant(many(4_000));
    const server = await start(atOnce);
    await until(async () => (await archivedCount()) > 0, { what: "some are archived", deadline, interval: 1 });
    expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    const count = await archivedCount();
    expect(count).toBeLessThan(4_000);
    const [row] = await sql<{ entries: number }>(
      "select count(*)::int as entries from audit.entry where subsystem = $1 and outcome = 'SUCCESS'",
      [job],
    );
    expect(row?.entries).toBe(count);
    const left = await sql(
      "select from pg_stat_activity where datname = current_database() and application_name ~ '^auditql'",
    );
    expect(left).toEqual([]);
  });
});
