import "reflect-metadata";
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AuditError } from "../../../src/audit/errors.js";
import { reading, type Statement } from "../../../src/audit/reading.js";
import { checkSessionFilter } from "../../../src/audit/report/session-filter.js";
import { SessionList, type SessionPageArguments } from "../../../src/audit/report/session-list.js";
import { selectSessions } from "../../../src/audit/report/session-rows.js";
import type { AuditSequenceNumbers, AuditSession } from "../../../src/audit/report/session-types.js";
import { connectionConfig } from "../../../src/database/connection.js";
import { createDatabase, openPool, query, type TestDatabase } from "../../support/postgres.js";
import { auditor, caller, platformAuditor } from "../read/log-fixture.js";

let database: TestDatabase;
let pool: pg.Pool;
let list: SessionList;

beforeAll(async () => {
  database = await createDatabase();
  pool = openPool(connectionConfig(database.readerUrl, "auditql reader"));
  list = new SessionList(pool);
});
afterEach(() => query(database.adminUrl, "delete from audit.session"));
afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** A row of `audit.session`; an open one of the API's in `acme` but for what is said. */
async function insert(columns: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const row = { id: randomUUID(), tenant_id: "acme", kind: "API", program: "p", version: "1", host: "h", ...columns };
  const names = Object.keys(row);
  const places = names.map((_, index) => `$${String(index + 1)}`);
  const sql = `insert into audit.session (${names.join(", ")}) values (${places.join(", ")})`;
  await query(database.adminUrl, sql, Object.values(row));
  return row.id;
}

const nodes = async (asked: SessionPageArguments = {}, tenant = "acme"): Promise<readonly AuditSession[]> =>
  (await list.page(auditor(tenant), asked)).nodes;

const shown = ({ ranges }: AuditSequenceNumbers): string =>
  ranges.map(({ first, last }) => (first === last ? first : `${first}-${last}`)).join();

/** What is expected and received, and the numbers that are missing in each way. */
async function account(id: string): Promise<string> {
  const [session] = await nodes({ filter: { sessionId: [id] } });
  if (!session) throw new Error("It isn't listed.");
  const { state, expected, received, missing, lost, inFlight, cutOff } = session;
  expect(shown(missing)).toBe([shown(lost), shown(inFlight), shown(cutOff)].filter(Boolean).join());
  return `${state} ${expected}/${received} lost ${shown(lost)} inFlight ${shown(inFlight)} cutOff ${shown(cutOff)}`;
}

const longAgo = "2026-11-20T10:00:00Z";

describe("what is missing of a session", () => {
  const numbers = { taken: 9, settled: 4, received: "{[0,2),[3,6),[8,9)}" };

  test("of the API's is lost where it was settled, else in flight while it is open and cut off once it isn't", async () => {
    expect(await account(await insert(numbers))).toBe("OPEN 9/6 lost 2 inFlight 6-7 cutOff ");
    expect(await account(await insert({ ...numbers, last_heard_at: longAgo }))).toBe(
      "SILENT 9/6 lost 2 inFlight  cutOff 6-7",
    );
    expect(await account(await insert({ ...numbers, closed_at: longAgo }))).toBe(
      "CLOSED 9/6 lost 2 inFlight  cutOff 6-7",
    );
  });

  test("of a reporter's may come until it is closed, also while it is silent, and is lost then", async () => {
    const reporter = { kind: "REPORTER", reporter: "gate", taken: 7, received: "{[0,2),[3,6)}" };
    expect(await account(await insert(reporter))).toBe("OPEN 7/5 lost  inFlight 2,6 cutOff ");
    expect(await account(await insert({ ...reporter, last_heard_at: longAgo }))).toBe(
      "SILENT 7/5 lost  inFlight  cutOff 2,6",
    );
    expect(await account(await insert({ ...reporter, closed_at: longAgo }))).toBe(
      "CLOSED 7/5 lost 2,6 inFlight  cutOff ",
    );
  });

  test("isn't what the reporter dropped, which is listed with its reason", async () => {
    const dropped = [
      { reason: "queue full", ranges: "{[4,6),[9,10)}", count: 3 },
      { reason: "too large", ranges: "{[2,3)}", count: 1 },
    ];
    const id = await insert({
      kind: "REPORTER",
      reporter: "gate",
      closed_at: longAgo,
      received: "{[0,2)}",
      dropped: JSON.stringify(dropped),
      duplicates: "9007199254740993",
    });
    expect(await account(id)).toBe("CLOSED 10/2 lost 3,6-8 inFlight  cutOff ");
    const [session] = await nodes({ filter: { sessionId: [id] } });
    expect(session).toMatchObject({
      kind: "REPORTER",
      reporter: "gate",
      duplicates: "9007199254740993",
      missing: { count: "4" },
      dropped: [
        {
          reason: "queue full",
          count: "3",
          isCapped: false,
          ranges: [
            { first: "4", last: "5" },
            { first: "9", last: "9" },
          ],
        },
        { reason: "too large", count: "1", isCapped: false, ranges: [{ first: "2", last: "2" }] },
      ],
    });
  });

  test("counts with the numbers of which only counts are kept, whose ranges aren't shown", async () => {
    const reporter = {
      ...{
        kind: "REPORTER",
        reporter: "gate",
        taken: "9223372036854775807",
        received: "{[9223372036854775800,9223372036854775805)}",
      },
      ...{ counted_to: "9223372036854775800", received_below: "9223372036854770000", dropped_below: 30 },
      dropped: JSON.stringify([
        { reason: "queue full", ranges: "{[9223372036854775805,9223372036854775806)}", count: 32, below: 31 },
      ]),
    };
    const missing = {
      count: "5771",
      ranges: [{ first: "9223372036854775806", last: "9223372036854775806" }],
      isCapped: true,
    };
    const none = { count: "0", ranges: [], isCapped: false };
    for (const [columns, parts] of [
      [{}, { state: "OPEN", lost: none, inFlight: missing, cutOff: none }],
      [{ last_heard_at: longAgo }, { state: "SILENT", lost: none, inFlight: none, cutOff: missing }],
      [{ closed_at: longAgo }, { state: "CLOSED", lost: missing, inFlight: none, cutOff: none }],
    ] as const) {
      const id = await insert({ ...reporter, ...columns });
      const [session] = await nodes({ filter: { sessionId: [id] } });
      expect(session).toMatchObject({
        ...{ expected: "9223372036854775807", received: "9223372036854770005", countedTo: "9223372036854775800" },
        ...{ missing, ...parts },
        dropped: [{ reason: "queue full", count: "32", isCapped: true }],
      });
    }
  });

  test("is known to the last of 64 bits, also beyond what the process said that it took", async () => {
    const id = await insert({
      taken: 1,
      received: "{[9007199254740993,9007199254740994),[9223372036854775806,9223372036854775807)}",
    });
    expect(await account(id)).toBe(
      "OPEN 9223372036854775807/2 lost  inFlight 0-9007199254740992,9007199254740994-9223372036854775805 cutOff ",
    );
    const [session] = await nodes({ filter: { sessionId: [id] } });
    expect(session?.missing.count).toBe("9223372036854775805");
  });

  test("is shown in a thousand ranges at most, and says so; its count is of all", async () => {
    for (const [ranges, isCapped] of [
      [1_000, false],
      [1_001, true],
    ] as const) {
      const id = await insert({ taken: 2 * ranges, settled: 2 * ranges });
      // Every other number came.
      const sql = `update audit.session set received = (select range_agg(int8range(2 * n - 1, 2 * n))
        from generate_series(1, $2::bigint) n) where id = $1`;
      await query(database.adminUrl, sql, [id, ranges]);
      const [session] = await nodes({ filter: { sessionId: [id] } });
      expect(session?.received).toBe(String(ranges));
      expect(session?.lost).toMatchObject({ count: String(ranges), isCapped });
      expect(session?.lost.ranges.map(({ first }) => first)).toEqual(
        Array.from({ length: 1_000 }, (_, index) => String(2 * index)),
      );
    }
  });
});

describe("the list", () => {
  test("is newest first, each once, page by page, though many were opened in one microsecond", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index++)
      ids.push(await insert({ opened_at: index < 5 ? "2026-11-20T10:00:00.000001Z" : "2026-11-20T10:00:00.000002Z" }));
    const expected = [...ids.slice(5).sort().reverse(), ...ids.slice(0, 5).sort().reverse()];
    const found: string[] = [];
    let after: string | null = null;
    do {
      const page = await list.page(auditor("acme"), { first: 3, after });
      found.push(...page.nodes.map(({ id }) => id));
      expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
      after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
    } while (after !== null);
    expect(found).toEqual(expected);
  });

  test("is of those that fulfil every field of the filter", async () => {
    const reporter = { kind: "REPORTER", reporter: "gate" };
    const made = {
      open: await insert({ opened_at: "2026-11-01T00:00:00Z" }),
      silent: await insert({ last_heard_at: longAgo, program: "other", opened_at: "2026-11-02T00:00:00Z" }),
      closed: await insert({ closed_at: longAgo, host: "elsewhere", opened_at: "2026-11-03T00:00:00Z" }),
      reporter: await insert({ ...reporter, opened_at: "2026-11-04T00:00:00Z" }),
    };
    const names = async (filter: NonNullable<SessionPageArguments["filter"]>) =>
      (await nodes({ filter })).map(({ id }) => Object.entries(made).find(([, it]) => it === id)?.[0]);
    expect(await names({})).toEqual(["reporter", "closed", "silent", "open"]);
    expect(await names({ state: ["OPEN"] })).toEqual(["reporter", "open"]);
    expect(await names({ state: ["SILENT", "CLOSED"] })).toEqual(["closed", "silent"]);
    expect(await names({ kind: ["REPORTER"] })).toEqual(["reporter"]);
    expect(await names({ kind: ["API"], state: ["OPEN"] })).toEqual(["open"]);
    expect(await names({ program: ["other", "none"] })).toEqual(["silent"]);
    expect(await names({ host: ["elsewhere"] })).toEqual(["closed"]);
    expect(await names({ sessionId: [made.open, made.closed] })).toEqual(["closed", "open"]);
    expect(await names({ openedAt: { from: "2026-11-02T00:00:00Z", to: "2026-11-04T00:00:00Z" } })).toEqual([
      "closed",
      "silent",
    ]);
  });

  test.each([[["acme"]], ["*" as const]])(
    "leads %s to named sessions by their ids, however many there are",
    async (scope) => {
      const ids = [await insert(), await insert()];
      await query(
        database.adminUrl,
        `insert into audit.session (id, tenant_id, kind, program, version, host)
         select gen_random_uuid(), 'acme', 'API', 'p', '1', 'h' from generate_series(1, 2000)`,
      );
      await query(database.adminUrl, "analyze audit.session");
      for (const named of [ids.slice(0, 1), ids]) {
        const plan = await reading(pool, scope, 10_000, async (run) => {
          const statements: Statement[] = [];
          const noted = (statement: Statement) => Promise.resolve(void statements.push(statement)).then(() => []);
          await selectSessions(noted, scope, checkSessionFilter({ sessionId: named }), null, 51);
          const [{ text, values } = { text: "", values: [] }] = statements;
          return run<{ "QUERY PLAN": string }>({ text: `explain ${text}`, values });
        });
        const scans = plan.map((row) => row["QUERY PLAN"]).filter((line) => line.includes("on session"));
        expect(scans).toEqual([expect.stringContaining("session_pkey")]);
      }
      expect((await nodes({ filter: { sessionId: ids } })).map(({ id }) => id)).toEqual([...ids].reverse());
    },
  );

  test("shows an auditor its own tenant's alone, a platform auditor all", async () => {
    const own = await insert();
    const foreign = await insert({ tenant_id: "globex" });
    const platform = await insert({ tenant_id: "$platform" });
    const all = await list.page(platformAuditor, {});
    expect(new Set(all.nodes.map(({ id }) => id))).toEqual(new Set([own, foreign, platform]));
    expect(all.nodes.find(({ id }) => id === platform)?.tenantId).toBeNull();
    const one = await list.page(platformAuditor, { filter: { tenantId: ["globex"] } });
    expect(one.nodes.map(({ id }) => id)).toEqual([foreign]);
    expect((await nodes()).map(({ id }) => id)).toEqual([own]);
    expect(await nodes({ filter: { sessionId: [foreign] } })).toEqual([]);
    await expect(nodes({ filter: { tenantId: ["globex"] } })).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  test("is refused to who may not read it, whatever is asked", async () => {
    const asked = { first: 0 };
    await expect(list.page(caller(["ADMIN"], "acme"), asked)).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(list.page(caller(["REPORTER"], "acme"), asked)).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  test.each<[SessionPageArguments, string]>([
    [{ first: 0 }, "first"],
    [{ first: 201 }, "first"],
    [{ after: "nonsense" }, "after"],
    [{ filter: { sessionId: ["x"] } }, "filter.sessionId"],
    [{ filter: { sessionId: [] } }, "filter.sessionId"],
    [{ filter: { program: null } }, "filter.program"],
    [{ filter: { host: ["\0"] } }, "filter.host"],
    [{ filter: { openedAt: { from: "2026-11-20T10:00:00Z", to: "2026-11-20T10:00:00Z" } } }, "filter.openedAt"],
  ])("refuses %j, naming %s", async (asked, field) => {
    const error: unknown = await nodes(asked).catch((it: unknown) => it);
    if (!(error instanceof AuditError)) throw new Error("It was not refused.");
    expect([error.code, (error.extensions["fields"] as { field: string }[]).map((problem) => problem.field)]).toEqual([
      "BAD_USER_INPUT",
      [field],
    ]);
  });

  test("gives cursors that are good for its filter and reader alone", async () => {
    await insert();
    await insert();
    const { pageInfo } = await list.page(auditor("acme"), { first: 1 });
    const after = pageInfo.endCursor;
    expect(await nodes({ after })).toHaveLength(1);
    expect(await nodes({ first: null, after: null })).toHaveLength(2);
    await expect(nodes({ after, filter: { kind: ["API"] } })).rejects.toMatchObject({ code: "BAD_USER_INPUT" });
    await expect(nodes({ after }, "globex")).rejects.toMatchObject({ code: "BAD_USER_INPUT" });
  });
});
