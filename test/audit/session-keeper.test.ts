import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { anonymous, nowhere, type PendingEntry } from "../../src/audit/entry.js";
import { SessionKeeper } from "../../src/audit/session-keeper.js";
import { SessionStore } from "../../src/audit/session-store.js";
import { Sessions, type Session, type SequencePlace } from "../../src/audit/session.js";
import { insertEntries, inTransactionApart } from "../../src/audit/write-apart.js";
import { connectionConfig } from "../../src/database/connection.js";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { createDatabase, openPool, query, type TestDatabase } from "../support/postgres.js";
import { startProxy, type Proxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { insertRows } from "./read/log-fixture.js";

let database: TestDatabase;
let proxy: Proxy;
let pool: pg.Pool;
let runs: Run[];

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  runs = [];
  proxy = await startProxy(database.apiUrl);
  pool = openPool({ ...connectionConfig(proxy.through(database.apiUrl), "auditql sessions"), max: 1 });
});
afterEach(async () => {
  for (const { keeper } of runs) await keeper.stop(0).catch(() => undefined);
  await pool.end();
  await proxy.stop();
});

const facts = { program: "sessions-test", version: "1", host: "here" };

interface Run {
  readonly keeper: SessionKeeper;
  readonly sessions: Sessions;
  readonly opened: Session[];
  readonly errors: unknown[];
}

function startRun(heartbeat = 50): Run {
  const opened: Session[] = [];
  const errors: unknown[] = [];
  const keeper = new SessionKeeper({
    store: new SessionStore(pool, facts, { written: () => undefined }),
    onOpened: (session) => opened.push(session),
    onError: (error) => errors.push(error),
    heartbeat,
  });
  const run = { keeper, sessions: new Sessions(keeper), opened, errors };
  runs.push(run);
  return run;
}

const entryAt = (tenantId: string, place: SequencePlace, more: Partial<PendingEntry> = {}): PendingEntry => ({
  tenantId,
  actor: { ...anonymous, type: "SYSTEM", subsystem: "test" },
  action: "READ",
  eventType: "audit_log.read",
  outcome: "SUCCESS",
  error: null,
  resource: null,
  changes: [],
  attempted: [],
  operation: null,
  origin: nowhere,
  ...place,
  ordinal: 0,
  causeId: null,
  ...more,
});

/** Writes them past the proxy, and tells the keeper that they ended. */
async function write({ keeper }: Run, ...entries: PendingEntry[]): Promise<void> {
  const direct = openPool(connectionConfig(database.apiUrl, "auditql api"));
  await inTransactionApart(direct, (client) => insertEntries(client, entries));
  await direct.end();
  keeper.settle(entries);
}

interface Row {
  readonly taken: string;
  readonly settled: string;
  readonly received: string;
  readonly is_closed: boolean;
}

async function rowOf(id: string): Promise<Row | undefined> {
  const sql =
    "select taken, settled, received::text, closed_at is not null as is_closed from audit.session where id = $1";
  const [row] = await query<Row & Record<string, unknown>>(database.adminUrl, sql, [id]);
  return row;
}

const untilRow = (id: string, wanted: Partial<Row>): Promise<unknown> =>
  until(
    async () => {
      expect(await rowOf(id)).toMatchObject(wanted);
      return true;
    },
    { what: `the session's row is ${JSON.stringify(wanted)}` },
  );

function first<Item>([item]: readonly Item[]): Item {
  if (item === undefined) throw new Error("There is none.");
  return item;
}

const entriesOf = async (id: string): Promise<unknown[]> =>
  (
    await query(
      database.adminUrl,
      "select event_type from audit.entry where session_id = $1 and resource_type = 'audit_session' order by id",
      [id],
    )
  ).map(({ event_type: type }) => type);

describe("a session", () => {
  test("is opened and closed once, with one entry each, where the answers to both COMMITs are lost", async () => {
    const run = startRun();
    const opening = proxy.nextCommit("commit");
    const { sessionId } = run.sessions.next("acme");
    const held = await opening;
    await held.carryOut();
    expect(await entriesOf(sessionId)).toEqual(["audit_session.started"]);
    held.breakOff();
    await untilRow(sessionId, { taken: "1" });
    const closing = proxy.nextCommit("commit");
    const stopped = run.keeper.stop(5_000);
    const second = await closing;
    await second.carryOut();
    second.breakOff();
    await stopped;
    expect(await entriesOf(sessionId)).toEqual(["audit_session.started", "audit_session.stopped"]);
    expect(await rowOf(sessionId)).toEqual({ taken: "1", settled: "0", received: "{}", is_closed: true });
    expect(run.opened.map(({ id }) => id)).toEqual([sessionId]);
  });

  test("gives its numbers while the database is away, and is opened when it is back", async () => {
    const run = startRun();
    await proxy.cut();
    const places = [run.sessions.next("acme"), run.sessions.next("acme")];
    expect(places.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0n, 1n]);
    const { sessionId } = first(places);
    await until(() => run.errors.length > 0, { what: "it is told that the account can't be kept" });
    await proxy.mend();
    await untilRow(sessionId, { taken: "2", settled: "0" });
    expect(await entriesOf(sessionId)).toEqual(["audit_session.started"]);
    expect(run.errors).toHaveLength(1);
  });
});

describe("what is known of a session's numbers", () => {
  test("is settled below the lowest that goes on, and received as far as entries say so", async () => {
    const run = startRun();
    const [zero, one, two] = [run.sessions.next("acme"), run.sessions.next("acme"), run.sessions.next("acme")];
    await write(run, entryAt("acme", zero), entryAt("acme", two));
    await untilRow(zero.sessionId, { taken: "3", settled: "1", received: "{[0,1),[2,3)}" });
    await write(run, entryAt("acme", one));
    await untilRow(zero.sessionId, { taken: "3", settled: "3", received: "{[0,3)}" });
    // Kept nowhere: it is over with it all the same.
    run.keeper.settle([entryAt("acme", run.sessions.next("acme"))]);
    await untilRow(zero.sessionId, { taken: "4", settled: "4", received: "{[0,3)}" });
  });

  test("isn't settled while a summary has yet to tell of them, whatever comes behind it", async () => {
    const run = startRun();
    const places = Array.from({ length: 5 }, () => run.sessions.next("globex"));
    const [zero, one, two, three, four] = places.map((place) => entryAt("globex", place));
    if (!zero || !one || !two || !three || !four) throw new Error("There are five.");
    // The attempt with number 1 came to be folded after those of 2 and 4.
    for (const folded of [two, four, one]) run.keeper.folded(folded, { firstNumber: 2n });
    await write(run, zero, three);
    await untilRow(zero.sessionId, { taken: "5", settled: "1", received: "{[0,1),[3,4)}" });
    const repeats = {
      count: 3,
      sequenceNumbers: [
        [2n, 2n],
        [4n, 4n],
        [1n, 1n],
      ],
    } as const;
    await write(run, { ...two, repeats });
    await untilRow(zero.sessionId, { taken: "5", settled: "5", received: "{[0,5)}" });
  });

  test("comes to be known of a run that ended before, once its entries are written by another", async () => {
    const ended = startRun();
    const place = ended.sessions.next("initech");
    await untilRow(place.sessionId, { taken: "1" });
    await ended.keeper.stop(1_000);
    const next = startRun();
    next.sessions.next("initech");
    await write(next, entryAt("initech", place));
    await untilRow(place.sessionId, { taken: "1", settled: "0", received: "{[0,1)}", is_closed: true });
  });

  test("is looked for in all entries before a gap is believed: the database's clock may have been set back", async () => {
    const run = startRun();
    const { sessionId } = run.sessions.next("acme");
    await untilRow(sessionId, { taken: "1" });
    await query(database.adminUrl, "update audit.session set received_to = audit.new_id() where id = $1", [sessionId]);
    const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
    await insertRows(database, [{ at: hourAgo, session_id: sessionId, sequence_number: "0" }]);
    run.keeper.settle([entryAt("acme", { sessionId, sequenceNumber: 0n })]);
    await untilRow(sessionId, { settled: "1", received: "{[0,1)}" });
  });

  test("is the same derived from the entries again, whoever's session it is, up to the last of 64 bits", async () => {
    const id = randomUUID();
    await query(
      database.adminUrl,
      `insert into audit.session (id, tenant_id, kind, program, version, host, reporter)
       values ($1, 'acme', 'REPORTER', 'p', '1', 'h', 'r')`,
      [id],
    );
    await insertRows(database, [
      { session_id: id, sequence_number: "0" },
      { session_id: id, sequence_number: "9223372036854775806" },
      {
        session_id: id,
        sequence_number: "3",
        repeat_count: 2,
        repeated_sequence_numbers: "{[3,3],[9007199254740993,9007199254740993]}",
      },
      // Without a number, and without a place in a range.
      { session_id: id, sequence_number: null },
      { session_id: id, sequence_number: "9223372036854775807" },
      { session_id: id, tenant_id: "globex", sequence_number: "1" },
    ]);
    const derived = await query<{ derived: string }>(
      database.apiUrl,
      "select audit_guard.derive_session($1)::text as derived",
      [id],
    );
    const wanted = "{[0,1),[3,4),[9007199254740993,9007199254740994),[9223372036854775806,9223372036854775807)}";
    expect(derived).toEqual([{ derived: wanted }]);
    expect(await rowOf(id)).toMatchObject({ received: wanted });

    const run = startRun();
    const places = Array.from({ length: 40 }, () => run.sessions.next("hooli"));
    const kept = places.filter(({ sequenceNumber }) => sequenceNumber % 7n !== 3n).map((it) => entryAt("hooli", it));
    for (let start = 0; start < kept.length; start += 9) await write(run, ...kept.slice(start, start + 9));
    const { sessionId } = first(places);
    await run.keeper.stop(1_000);
    const before = await rowOf(sessionId);
    expect(before?.received).toBe("{[0,3),[4,10),[11,17),[18,24),[25,31),[32,38),[39,40)}");
    await query(database.apiUrl, "select audit_guard.derive_session($1)", [sessionId]);
    expect(await rowOf(sessionId)).toEqual(before);
  });
});

describe("a session that is derived again", () => {
  test("keeps what a call brings that has its row at that time", async () => {
    const id = randomUUID();
    await query(
      database.adminUrl,
      `insert into audit.session (id, tenant_id, kind, program, version, host, reporter)
       values ($1, 'acme', 'REPORTER', 'p', '1', 'h', 'r')`,
      [id],
    );
    const call = await holdTransaction(database);
    await call.sql("update audit.session set received = '{[0,1)}' where id = $1", [id]);
    const derived = pool.query<{ derived: string }>("select audit_guard.derive_session($1)::text as derived", [id]);
    await untilBlocked(database, 1);
    await insertRows(database, [{ session_id: id, sequence_number: "0" }]);
    await call.commit();
    expect((await derived).rows).toEqual([{ derived: "{[0,1)}" }]);
  });
});

describe("sessions of others", () => {
  test("are looked for however many reports come at the time, which note their numbers themselves", async () => {
    const ended = startRun();
    const place = ended.sessions.next("initech");
    await untilRow(place.sessionId, { taken: "1" });
    await ended.keeper.stop(1_000);
    const next = startRun(60_000);
    const reports = Array.from({ length: 1_000 }, () =>
      entryAt("acme", { sessionId: randomUUID(), sequenceNumber: 0n }, { reportedBy: "gw-1" }),
    );
    next.keeper.settle(reports);
    await write(next, entryAt("initech", place));
    next.sessions.next("acme");
    await untilRow(place.sessionId, { taken: "1", received: "{[0,1)}", is_closed: true });
  });
});

describe("a stop", () => {
  test("closes the sessions of many tenants batch by batch, each with its entry", async () => {
    const run = startRun(60_000);
    for (let tenant = 0; tenant < 1_100; tenant++) run.sessions.next(`t-${String(tenant)}`);
    await run.keeper.stop(20_000);
    const counts = await query(
      database.adminUrl,
      `select event_type, count(*)::int, count(distinct session_id)::int as sessions from audit.entry
       where tenant_id like 't-%' group by 1 order by 1`,
    );
    expect(counts).toEqual([
      { event_type: "audit_session.started", count: 1_100, sessions: 1_100 },
      { event_type: "audit_session.stopped", count: 1_100, sessions: 1_100 },
    ]);
    const open = await query(
      database.adminUrl,
      "select from audit.session where tenant_id like 't-%' and closed_at is null",
    );
    expect(open).toEqual([]);
  });

  test("says which it had no time to close, and those stay open", async () => {
    const run = startRun(60_000);
    const { sessionId } = run.sessions.next("acme");
    await untilRow(sessionId, {});
    await expect(run.keeper.stop(0)).rejects.toThrow("1 sessions stay open.");
    expect(await rowOf(sessionId)).toMatchObject({ is_closed: false });
  });
});

describe("more tenants than are kept at a time", () => {
  test("have the session of the one idle longest closed once all of it is settled", async () => {
    const left: string[] = [];
    const sessions = new Sessions({ opened: () => undefined, left: ({ tenantId }) => left.push(tenantId) });
    for (let tenant = 0; tenant < 10_000; tenant++) sessions.next(`t-${String(tenant)}`);
    sessions.next("t-0");
    sessions.next("one-more");
    expect(left).toEqual(["t-1"]);

    const run = startRun();
    const idle = run.sessions.next("idle");
    run.keeper.left(first(run.opened));
    await untilRow(idle.sessionId, { taken: "1", is_closed: false });
    await write(run, entryAt("idle", idle));
    await untilRow(idle.sessionId, { taken: "1", settled: "1", received: "{[0,1)}", is_closed: true });
  });
});
