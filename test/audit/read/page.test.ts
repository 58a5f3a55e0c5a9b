import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Caller } from "../../../src/audit/context.js";
import { createDatabase, query, type TestDatabase } from "../../support/postgres.js";
import { until } from "../../support/until.js";
import { auditor, caller, insertRows, openLog, platformAuditor, type OpenLog } from "./log-fixture.js";
import type { PageArguments } from "../../../src/audit/read/page-arguments.js";

let database: TestDatabase;
let open: OpenLog;

beforeAll(async () => {
  database = await createDatabase();
  open = openLog(database.readerUrl);
});
afterAll(async () => {
  await open.pool.end();
  await database.drop();
});

/** Ends the connection of whoever waits for a lock. */
async function terminateWaiting({ adminUrl, name }: TestDatabase): Promise<void> {
  const waiting = `select pg_terminate_backend(pid) as ended from pg_stat_activity
    where datname = $1 and wait_event_type = 'Lock'`;
  await until(async () => (await query(adminUrl, waiting, [name])).length > 0, {
    what: "the reader waits for the lock",
  });
}

/** Each test writes to tenants of its own. */
let tenant: string;
let count = 0;
beforeEach(() => {
  tenant = `tenant-${(count += 1)}-${Math.random().toString(36).slice(2, 8)}`;
});

const page = (asked: PageArguments = {}, reader: Caller = auditor(tenant)) => open.log.page(reader, asked);
const idsOf = async (asked: PageArguments = {}, reader: Caller = auditor(tenant)): Promise<string[]> =>
  (await page(asked, reader)).nodes.map(({ id }) => id);

describe("paging", () => {
  test("gives every entry once, though they share five microseconds and others come meanwhile", async () => {
    const at = (i: number): string => `2026-11-20T10:00:00.00000${i % 5}Z`;
    const inserted = await insertRows(
      database,
      Array.from({ length: 1_000 }, (_, i) => ({ tenant_id: tenant, at: at(i) })),
    );
    const seen: string[] = [];
    let after: string | null = null;
    let pages = 0;
    for (;;) {
      const { nodes, pageInfo } = await page({ first: 7, after });
      seen.push(...nodes.map(({ id }) => id));
      pages += 1;
      if (pages % 20 === 0) await insertRows(database, [{ tenant_id: tenant }, { tenant_id: tenant, at: at(pages) }]);
      if (!pageInfo.hasNextPage) break;
      after = pageInfo.endCursor;
    }
    expect(new Set(seen).size).toBe(seen.length);
    const known = new Set(inserted);
    expect(seen.filter((id) => known.has(id)).sort()).toEqual([...inserted].sort());
    expect(seen).toEqual([...seen].sort().reverse());
  });

  test("goes both ways through both orders, and knows its neighbours", async () => {
    const ids = (
      await insertRows(
        database,
        Array.from({ length: 7 }, () => ({ tenant_id: tenant })),
      )
    ).sort();
    for (const [order, listed] of [
      ["NEWEST_FIRST", [...ids].reverse()],
      ["OLDEST_FIRST", ids],
    ] as const) {
      const first = await page({ first: 3, order });
      expect(first.nodes.map(({ id }) => id)).toEqual(listed.slice(0, 3));
      expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
      const second = await page({ first: 3, after: first.pageInfo.endCursor, order });
      expect(second.nodes.map(({ id }) => id)).toEqual(listed.slice(3, 6));
      expect(second.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
      const third = await page({ first: 3, after: second.pageInfo.endCursor, order });
      expect(third.nodes.map(({ id }) => id)).toEqual(listed.slice(6));
      expect(third.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
      const last = await page({ last: 3, order });
      expect(last.nodes.map(({ id }) => id)).toEqual(listed.slice(4));
      expect(last.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
      const back = await page({ last: 3, before: second.pageInfo.startCursor, order });
      expect(back.nodes.map(({ id }) => id)).toEqual(listed.slice(0, 3));
      expect(back.pageInfo).toEqual(first.pageInfo);
      const between = await page({ first: 9, after: first.edges[0]?.cursor, before: second.edges[0]?.cursor, order });
      expect(between.nodes.map(({ id }) => id)).toEqual(listed.slice(1, 3));
      expect(between.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true });
    }
  });

  test("has no neighbours and no cursors where nothing is", async () => {
    const { edges, nodes, pageInfo } = await page();
    expect({ edges, nodes, pageInfo }).toEqual({
      edges: [],
      nodes: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
    });
  });

  test("gives 50 entries unless asked otherwise, and 200 at most", async () => {
    await insertRows(
      database,
      Array.from({ length: 201 }, () => ({ tenant_id: tenant })),
    );
    expect((await page()).edges).toHaveLength(50);
    expect((await page({ first: 200 })).edges).toHaveLength(200);
    expect((await page({ last: 200 })).pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  });

  test.each([
    ["first", { first: 0 }],
    ["first", { first: -1 }],
    ["first", { first: 201 }],
    ["first", { first: 1_000_000_000 }],
    ["first", { first: Number.NaN }],
    ["last", { last: 0 }],
    ["last", { first: 1, last: 1 }],
  ])("refuses a wrong %s: %o", async (field, asked) => {
    await expect(page(asked)).rejects.toMatchObject({
      code: "BAD_USER_INPUT",
      extensions: { fields: [expect.objectContaining({ field })] },
    });
  });
});

describe("a cursor", () => {
  const refused = (field: string) => ({
    code: "BAD_USER_INPUT",
    extensions: { fields: [expect.objectContaining({ field })] },
  });

  test("is good for its own filter, order and reader alone", async () => {
    await insertRows(database, [{ tenant_id: tenant }, { tenant_id: tenant }, { tenant_id: `${tenant}-b` }]);
    const filter = { resourceType: ["device", "chat"], outcome: ["SUCCESS" as const] };
    const { endCursor: after } = (await page({ first: 1, filter })).pageInfo;
    const same = { outcome: ["SUCCESS" as const], resourceType: ["chat", "device", "chat"] };
    expect(await idsOf({ after, filter: same })).toHaveLength(1);
    await expect(page({ after })).rejects.toMatchObject(refused("after"));
    await expect(page({ after, filter: { resourceType: ["device"] } })).rejects.toMatchObject(refused("after"));
    await expect(page({ after, filter, order: "OLDEST_FIRST" })).rejects.toMatchObject(refused("after"));
    await expect(page({ before: after, filter, order: "OLDEST_FIRST" })).rejects.toMatchObject(refused("before"));
    await expect(page({ after, filter }, auditor(`${tenant}-b`))).rejects.toMatchObject(refused("after"));
    await expect(page({ after, filter }, platformAuditor)).rejects.toMatchObject(refused("after"));
  });

  test("of a platform auditor opens nothing to a tenant's", async () => {
    await insertRows(database, [{ tenant_id: `${tenant}-b` }, { tenant_id: tenant }]);
    const { endCursor: after } = (await page({ first: 1 }, platformAuditor)).pageInfo;
    await expect(page({ after })).rejects.toMatchObject(refused("after"));
  });

  test.each(["", "x", "%%%", "A".repeat(10_000), Buffer.from("1.N.zz.yy").toString("base64url")])(
    "that is malformed is refused: %.20s",
    async (cursor) => {
      await expect(page({ after: cursor })).rejects.toMatchObject(refused("after"));
      await expect(page({ before: cursor })).rejects.toMatchObject(refused("before"));
    },
  );

  test("is refused with anything added to it", async () => {
    await insertRows(database, [{ tenant_id: tenant }]);
    const cursor = (await page()).pageInfo.endCursor ?? "";
    expect(await idsOf({ after: cursor })).toEqual([]);
    for (const altered of [`${cursor}=`, `${cursor}\n`, ` ${cursor}`, cursor.slice(0, -1)]) {
      await expect(page({ after: altered })).rejects.toMatchObject(refused("after"));
    }
  });

  test("that is null is that of the first page, and a size that is null none, as Relay's clients send them", async () => {
    const ids = await insertRows(database, [{ tenant_id: tenant }, { tenant_id: tenant }]);
    const [older, newer] = ids.sort();
    expect(await idsOf({ first: 1, after: null, last: null, before: null })).toEqual([newer]);
    expect(await idsOf({ first: null, after: null, last: 1, before: null })).toEqual([older]);
    expect(await idsOf({ first: null, last: null })).toEqual([newer, older]);
  });
});

describe("who reads", () => {
  test.each([
    ["an admin", caller(["ADMIN"], "acme")],
    ["a member", caller(["MEMBER"], "acme")],
    ["an auditor of no tenant", caller(["AUDITOR"])],
    ["an auditor of a tenant that can't be", caller(["AUDITOR"], "*")],
    ["an auditor whose tenant is a list", caller(["AUDITOR"], "acme,globex")],
    ["an auditor of the platform's log by name", caller(["AUDITOR"], "$platform")],
    ["nobody in particular", caller([])],
  ])("%s is refused page, entry and count", async (_, reader) => {
    const forbidden = { code: "FORBIDDEN" };
    await expect(page({}, reader)).rejects.toMatchObject(forbidden);
    await expect(page({ filter: { action: [] } }, reader)).rejects.toMatchObject(forbidden);
    await expect(open.log.entry(reader, "x")).rejects.toMatchObject(forbidden);
    await expect(open.log.count(reader, null)).rejects.toMatchObject(forbidden);
  });

  test("who isn't known is UNAUTHENTICATED", async () => {
    const reader: Caller = { ...auditor(), actor: { ...auditor().actor, type: "ANONYMOUS", id: null } };
    await expect(page({}, reader)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  });

  test("an auditor reads its own tenant, and is refused another in the same words whether it exists or not", async () => {
    const [own] = await insertRows(database, [{ tenant_id: tenant }]);
    const [foreign] = await insertRows(database, [{ tenant_id: `${tenant}-b` }, { tenant_id: "$platform" }]);
    expect(await idsOf()).toEqual([own]);
    expect(await idsOf({ filter: { tenantId: [tenant] } })).toEqual([own]);
    const answers = await Promise.all(
      [`${tenant}-b`, "$platform", "no-such-tenant"].map((asked) =>
        page({ filter: { tenantId: [tenant, asked] } }).catch((error: unknown) => error),
      ),
    );
    for (const answer of answers) expect(answer).toMatchObject({ code: "FORBIDDEN" });
    expect(new Set(answers.map(String)).size).toBe(1);
    expect(await open.log.entry(auditor(tenant), own ?? "")).toMatchObject({ id: own, tenantId: tenant });
    expect(await open.log.entry(auditor(tenant), foreign ?? "")).toBeNull();
  });

  test("a platform auditor reads every tenant and what belongs to none, also where it is an auditor too", async () => {
    const rows = [{ tenant_id: tenant }, { tenant_id: `${tenant}-b` }, { tenant_id: "$platform" }];
    const [a, b, platform] = await insertRows(
      database,
      rows.map((row) => ({ ...row, actor_id: tenant })),
    );
    for (const reader of [platformAuditor, caller(["PLATFORM_AUDITOR", "AUDITOR"], tenant)]) {
      expect((await idsOf({ filter: { actorId: [tenant] } }, reader)).sort()).toEqual([a, b, platform].sort());
      expect(await idsOf({ filter: { actorId: [tenant], tenantId: ["$platform"] } }, reader)).toEqual([platform]);
      expect((await idsOf({ filter: { tenantId: [tenant, `${tenant}-b`] } }, reader)).sort()).toEqual([a, b].sort());
      expect(await open.log.entry(reader, platform ?? "")).toMatchObject({ id: platform, tenantId: null });
    }
  });

  test("the database shows nothing to a reader that names no tenants, nor any salt", async () => {
    await insertRows(database, [{ tenant_id: tenant }]);
    for (const table of ["audit.entry", "audit.entry_field"]) {
      expect(await query(database.readerUrl, `select count(*)::int as count from ${table}`)).toEqual([{ count: 0 }]);
    }
    await expect(query(database.readerUrl, "select salts from audit.entry")).rejects.toMatchObject({ code: "42501" });
    const texts = open.statements.map(({ text }) => text).join("\n");
    expect(texts).not.toMatch(/salts|offset/i);
  });
});

describe("an entry", () => {
  test("is found by its id, and refused where that is none", async () => {
    const [id = ""] = await insertRows(database, [{ tenant_id: tenant }]);
    expect(await open.log.entry(auditor(tenant), id.toUpperCase())).toMatchObject({ id });
    expect(await open.log.entry(auditor(tenant), "00000000-0000-7000-8000-000000000000")).toBeNull();
    for (const wrong of ["", "1", `${id}0`, "x'; drop table audit.entry; --"]) {
      await expect(open.log.entry(auditor(tenant), wrong)).rejects.toMatchObject({
        code: "BAD_USER_INPUT",
        extensions: { fields: [expect.objectContaining({ field: "id" })] },
      });
    }
  });

  test("is read as it was written", async () => {
    const [id] = await insertRows(database, [
      {
        tenant_id: tenant,
        at: "2026-11-20T10:00:00.123456Z",
        actor_type: "SERVICE",
        actor_id: "bot",
        actor_name: null,
        on_behalf_of: "u-2",
        outcome: "FAILURE",
        error_code: "CONFLICT",
        error_message: "Taken.",
        changes: [
          { field: "name", op: "REPLACE", old: "", new: 0 },
          { field: "status", op: "ADD", new: false },
          { field: "serial", op: "REPLACE", secret: true },
          { field: "title", op: "REMOVE", oldOmitted: { bytes: 70_000, digest: "ab" } },
        ],
        attempted: [
          { field: "name", value: { a: [1] } },
          { field: "serial", secret: true },
        ],
        request_id: "0192f0c1-2d3e-7abc-8def-0123456789ab",
        sequence_number: "9007199254740993",
        trace_id: "0af7651916cd43dd8448eb211c80319c",
        ip: "2001:db8::1",
      },
    ]);
    const entry = (await page()).nodes[0];
    expect(entry).toMatchObject({
      id,
      occurredAt: "2026-11-20T10:00:00.123456Z",
      tenantId: tenant,
      actor: { type: "SERVICE", id: "bot", name: null, onBehalfOf: "u-2", subsystem: null },
      action: "UPDATE",
      eventType: "device.updated",
      outcome: "FAILURE",
      error: { code: "CONFLICT", message: "Taken." },
      resource: { type: "device", id: "d-1", label: "kiosk-7" },
      changes: [
        { field: "name", op: "REPLACE", old: "", new: 0, oldOmitted: null, newOmitted: null, secret: false },
        { field: "status", op: "ADD", old: null, new: false, secret: false },
        { field: "serial", op: "REPLACE", old: null, new: null, secret: true },
        { field: "title", op: "REMOVE", old: null, new: null, oldOmitted: { bytes: 70_000, digest: "ab" } },
      ],
      attempted: [
        { field: "name", value: { a: [1] }, secret: false, omitted: null },
        { field: "serial", value: null, secret: true, omitted: null },
      ],
      requestId: "0192f0c1-2d3e-7abc-8def-0123456789ab",
      sequenceNumber: "9007199254740993",
      ordinal: 0,
      traceId: "0af7651916cd43dd8448eb211c80319c",
      ip: "2001:db8::1",
      causeId: null,
    });
    expect(entry?.description()).toBe('bot on behalf of u-2 tried to update device "kiosk-7" and failed: CONFLICT.');
  });

  test("acts on nothing where no resource is named", async () => {
    const nothing = { action: null, event_type: "process.started", resource_type: null, resource_id: null };
    const server = { actor_type: "SYSTEM", actor_id: null, actor_name: null, subsystem: "server" };
    await insertRows(database, [{ tenant_id: tenant, ...nothing, ...server, resource_label: null, operation: null }]);
    expect((await page()).nodes).toMatchObject([{ resource: null, action: null, eventType: "process.started" }]);
  });
});

describe("a count", () => {
  test("is taken only where it is asked for, and once", async () => {
    await insertRows(database, [{ tenant_id: tenant }, { tenant_id: tenant, resource_type: "chat" }]);
    open.statements.length = 0;
    const connection = await page({ first: 1, filter: { resourceType: ["chat"] } });
    expect(open.statements.filter(({ text }) => text.includes("count("))).toEqual([]);
    expect(await Promise.all([connection.totalCount(), connection.totalCount()])).toEqual([
      { value: 1, isCapped: false },
      { value: 1, isCapped: false },
    ]);
    expect(open.statements.filter(({ text }) => text.includes("count("))).toHaveLength(1);
    expect(await (await page()).totalCount()).toEqual({ value: 2, isCapped: false });
  });

  test("is exact up to 10,000 and says so beyond", async () => {
    const rows = Array.from({ length: 10_000 }, () => ({ tenant_id: tenant, actor_id: tenant }));
    await insertRows(database, rows);
    const filter = { actorId: [tenant] };
    for (const reader of [auditor(tenant), platformAuditor]) {
      expect(await open.log.count(reader, filter)).toEqual({ value: 10_000, isCapped: false });
    }
    await insertRows(database, rows.slice(0, 1));
    for (const reader of [auditor(tenant), platformAuditor]) {
      expect(await open.log.count(reader, filter)).toEqual({ value: 10_000, isCapped: true });
    }
  });

  test("is null where it takes too long, and the page is there all the same", async () => {
    const ids = await insertRows(database, [{ tenant_id: tenant }]);
    const hurried = openLog(database.readerUrl, undefined, 150);
    const blocker = openLog(database.adminUrl).pool;
    const client = await blocker.connect();
    try {
      const connection = await hurried.log.page(auditor(tenant), {});
      await client.query("begin");
      await client.query("lock table audit.entry in access exclusive mode");
      expect(await connection.totalCount()).toBeNull();
      expect(connection.nodes.map(({ id }) => id)).toEqual(ids);
    } finally {
      await client.query("rollback");
      client.release();
      await Promise.all([hurried.pool.end(), blocker.end()]);
    }
  });
});

describe("what goes wrong", () => {
  test("is UNAVAILABLE where the database can't be reached", async () => {
    const away = openLog("postgres://nobody:nothing@127.0.0.1:1/none");
    await expect(away.log.page(auditor(), {})).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(away.log.entry(auditor(), "00000000-0000-7000-8000-000000000000")).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    await away.pool.end();
  });

  test("is UNAVAILABLE for the one whose connection broke, and over for the next", async () => {
    const [id] = await insertRows(database, [{ tenant_id: tenant }]);
    const victim = openLog(database.readerUrl);
    const blocker = openLog(database.adminUrl).pool;
    const client = await blocker.connect();
    try {
      await client.query("begin");
      await client.query("lock table audit.entry in access exclusive mode");
      const reading = victim.log.page(auditor(tenant), {}).catch((error: unknown) => error);
      await terminateWaiting(database);
      expect(await reading).toMatchObject({ code: "UNAVAILABLE" });
      await client.query("rollback");
      expect((await victim.log.page(auditor(tenant), {})).nodes.map((node) => node.id)).toEqual([id]);
    } finally {
      client.release();
      await Promise.all([victim.pool.end(), blocker.end()]);
    }
  });

  test("an idle connection that breaks is told, and harms nobody", async () => {
    const idle = openLog(database.readerUrl);
    await idle.log.page(auditor(tenant), {});
    await query(
      database.adminUrl,
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and state = 'idle' and pid <> pg_backend_pid()",
      [database.name],
    );
    await until(() => idle.errors.length > 0, { what: "the broken connection is told" });
    expect((await idle.log.page(auditor(tenant), {})).nodes).toEqual([]);
    await idle.pool.end();
  });

  test("a database that is no replica has no lag", async () => {
    expect(await open.log.lag()).toBeNull();
  });
});
