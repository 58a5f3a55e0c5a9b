import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Caller } from "../../../src/audit/context.js";
import type { AuditLogFilter } from "../../../src/audit/read/audit-log-filter.js";
import { insertOf } from "../../database/support/entry.js";
import { session } from "../../database/support/session.js";
import { createDatabase, query, type TestDatabase } from "../../support/postgres.js";
import { auditor, insertRows, openLog, platformAuditor, type OpenLog, type Row } from "./log-fixture.js";

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

/** Each test writes to a tenant of its own. */
let tenant: string;
let count = 0;
beforeEach(() => {
  tenant = `tenant-${(count += 1)}-${Math.random().toString(36).slice(2, 8)}`;
});

async function idsOf(filter: AuditLogFilter | null, reader: Caller = auditor(tenant)): Promise<string[]> {
  return (await open.log.page(reader, { filter, order: "OLDEST_FIRST", first: 200 })).nodes.map(({ id }) => id);
}

const insert = (...rows: Row[]): Promise<string[]> =>
  insertRows(
    database,
    rows.map((row) => ({ tenant_id: tenant, ...row })),
  );

/** An entry from before the migration: the trigger stamps it as that one's `audit.fold` does. */
const insertFoldedBefore = (label: string): Promise<string | undefined> =>
  session(database.adminUrl, async (client) => {
    await client.query("begin");
    const { rows } = await client.query<{ now: string }>(
      "select pg_get_functiondef('audit.fold(text)'::regprocedure) as now",
    );
    await client.query(`set local role audit_guard; create or replace function audit.fold(label text) returns text
      language sql immutable parallel safe return lower(upper(label collate "und-x-icu")); reset role`);
    const { text, values } = insertOf({ tenant_id: tenant, resource_label: label });
    const inserted = await client.query<{ id: string }>(text, values);
    await client.query(`set local role audit_guard; ${rows[0]?.now ?? ""}; commit`);
    return inserted.rows[0]?.id;
  });

/** What GraphQL would hand over, however wrong. */
const asFilter = (filter: object): AuditLogFilter => filter;

const uuid = (digit: string): string => `0192f0c1-2d3e-7abc-8def-${digit.repeat(12)}`;
const update = { field: "name", op: "REPLACE", old: "a", new: "b" };

interface FieldCase {
  /** A row that has the value, and one that hasn't. */
  readonly having: Row;
  readonly lacking: Row;
  readonly filter: AuditLogFilter;
}

const failure = { outcome: "FAILURE", error_code: "NOT_FOUND" } as const;
const everyField: Record<Exclude<keyof AuditLogFilter, "tenantId" | "occurredAt">, FieldCase> = {
  action: { having: { action: "DELETE" }, lacking: { action: null }, filter: { action: ["DELETE"] } },
  eventType: {
    having: { event_type: "device.deleted" },
    lacking: {},
    filter: { eventType: ["device.deleted", "device.created"] },
  },
  outcome: { having: failure, lacking: {}, filter: { outcome: ["FAILURE", "DENIED"] } },
  errorCode: { having: failure, lacking: {}, filter: { errorCode: ["NOT_FOUND"] } },
  resourceType: { having: { resource_type: "chat" }, lacking: {}, filter: { resourceType: ["chat", "group"] } },
  resourceId: { having: { resource_id: "d-2" }, lacking: { resource_id: "D-2" }, filter: { resourceId: ["d-2"] } },
  resourceLabel: {
    having: { resource_label: "Grain-Bin-01" },
    lacking: { resource_label: "Grain-Bin-011" },
    filter: { resourceLabel: ["gRAIN-bin-01", "GRAIN-BIN-01"] },
  },
  actorId: { having: { actor_id: "u-2" }, lacking: { actor_id: "U-2" }, filter: { actorId: ["u-2"] } },
  actorName: { having: { actor_name: "Ada" }, lacking: { actor_name: "ada" }, filter: { actorName: ["Ada"] } },
  actorType: { having: { actor_type: "SERVICE" }, lacking: {}, filter: { actorType: ["SERVICE", "SYSTEM"] } },
  onBehalfOf: { having: { on_behalf_of: "u-3" }, lacking: {}, filter: { onBehalfOf: ["u-3"] } },
  operation: {
    having: { operation: "updateChat" },
    lacking: { operation: null },
    filter: { operation: ["updateChat"] },
  },
  changedField: {
    having: { changes: [update, { ...update, field: "status" }] },
    lacking: { changes: [{ ...update, field: "title" }] },
    filter: { changedField: ["status", "name"] },
  },
  requestId: {
    having: { request_id: uuid("a") },
    lacking: { request_id: uuid("b") },
    filter: { requestId: [uuid("a").toUpperCase()] },
  },
  sessionId: {
    having: { session_id: uuid("a") },
    lacking: { session_id: uuid("b") },
    filter: { sessionId: [uuid("a")] },
  },
  sequenceNumber: {
    having: { session_id: uuid("a"), sequence_number: "9007199254740993" },
    lacking: { session_id: uuid("a"), sequence_number: "9007199254740992" },
    filter: { sessionId: [uuid("a")], sequenceNumber: [9007199254740993n, 7n] },
  },
  correlation: {
    having: { correlation_session_id: uuid("a"), correlation_sequence_number: "7" },
    lacking: { correlation_session_id: uuid("a"), correlation_sequence_number: "8" },
    filter: { correlation: { sessionId: [uuid("A")], sequenceNumber: [7n, 9n] } },
  },
  traceId: {
    having: { trace_id: "0af7651916cd43dd8448eb211c80319c" },
    lacking: {},
    filter: { traceId: ["0AF7651916CD43DD8448EB211C80319C"] },
  },
  ip: {
    having: { ip: "2001:db8::1" },
    lacking: { ip: "10.0.0.1" },
    filter: { ip: ["2001:0db8:0:0::0001", "2001:DB8::1", "10.0.0.2"] },
  },
};

describe("a filter", () => {
  test.each(Object.entries(everyField))(
    "by %s gives the entries that have one of the values, once",
    async (_, field) => {
      const [having] = await insert(field.having, field.lacking);
      expect(await idsOf(field.filter)).toEqual([having]);
      expect(await idsOf(Object.assign({ tenantId: [tenant] }, field.filter), platformAuditor)).toEqual([having]);
      expect(await open.log.count(auditor(tenant), field.filter)).toEqual({ value: 1, isCapped: false });
      const other = (await insertRows(database, [{ ...field.having, tenant_id: `${tenant}-b` }]))[0];
      expect(await idsOf(field.filter)).toEqual([having]);
      expect(await idsOf(field.filter, platformAuditor)).toEqual(expect.arrayContaining([having, other]));
    },
  );

  test.each([null, {}])("that is %o asks for everything", async (filter) => {
    const ids = await insert({}, { action: null }, failure);
    expect(await idsOf(filter)).toEqual(ids.sort());
  });

  test("by a number needs the session whose number it is, which is none below zero", async () => {
    const sessionId = [uuid("a")];
    const wrong: [filter: object, field: string][] = [
      [{ sequenceNumber: [1n] }, "filter.sequenceNumber"],
      [{ sequenceNumber: [-1n], sessionId }, "filter.sequenceNumber"],
      [{ sequenceNumber: null, sessionId }, "filter.sequenceNumber"],
      [{ correlation: { sequenceNumber: [1n] } }, "filter.correlation"],
      [{ correlation: { sequenceNumber: [-1n], sessionId } }, "filter.correlation.sequenceNumber"],
      [{ correlation: { sessionId: ["x"] } }, "filter.correlation.sessionId"],
    ];
    for (const [filter, field] of wrong)
      await expect(open.log.page(platformAuditor, { filter: asFilter(filter) })).rejects.toMatchObject({
        extensions: { fields: expect.arrayContaining([expect.objectContaining({ field })]) as unknown },
      });
  });

  test("ANDs its fields and ORs the values of one", async () => {
    const rows: Row[] = [];
    for (const resource_type of ["device", "chat", "group"])
      for (const actor_id of ["u-1", "u-2"]) rows.push({ resource_type, actor_id });
    const ids = await insert(...rows);
    expect(await idsOf({ resourceType: ["device", "chat"], actorId: ["u-2"] })).toEqual([ids[1], ids[3]].sort());
    expect(await idsOf({ resourceType: ["device"], actorId: ["u-2"], actorName: ["nobody"] })).toEqual([]);
  });

  test("by an address finds it in whatever form it is asked for", async () => {
    const [mapped, compatible] = await insert({ ip: "127.0.0.1" }, { ip: "::1.2.3.4" });
    for (const ip of ["127.0.0.1", "::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:7f00:0001"])
      expect(await idsOf({ ip: [ip] })).toEqual([mapped]);
    expect(await idsOf({ ip: ["::102:304"] })).toEqual([compatible]);
  });

  test("finds an actor by the name it had, and by its id under every name", async () => {
    const [before, after] = await insert({ actor_name: "Ada Old" }, { actor_name: "Ada New" });
    expect(await idsOf({ actorName: ["Ada Old"] })).toEqual([before]);
    expect(await idsOf({ actorId: ["u-1"] })).toEqual([before, after].sort());
  });

  test("compares labels beyond ASCII without regard to case, and as they are composed", async () => {
    const [label] = await insert({ resource_label: "ÄRGER-Straße" }, { resource_label: "a\u0308rger-straße" });
    expect(await idsOf({ resourceLabel: ["ärger-STRAßE"] })).toEqual([label]);
  });

  const sharp = ["GROẞE STRAẞE", "große straße", "GROSSE STRASSE"];

  test("compares labels with ẞ, ß and ss as one", async () => {
    const ids = (await insert(...sharp.map((resource_label) => ({ resource_label })))).sort();
    await insert({ resource_label: "GROSE STRASE" });
    for (const label of sharp) {
      expect(await idsOf({ resourceLabel: [label] })).toEqual(ids);
      const everywhere = { tenantId: [tenant], resourceLabel: [label], actorId: ["u-1"] };
      expect(await idsOf(everywhere, platformAuditor)).toEqual(ids);
    }
    expect(await open.log.count(auditor(tenant), { resourceLabel: sharp })).toEqual({ value: 3, isCapped: false });
  });

  test("finds labels that were folded before ẞ was one with them", async () => {
    const before = await insertFoldedBefore("GROẞE STRAẞE");
    expect(await idsOf({ resourceLabel: ["große straße"] })).toEqual([before]);
    expect(await idsOf({ resourceLabel: ["groẞe StraẞE"], actorId: ["u-1"] })).toEqual([before]);
    expect(await idsOf({ resourceLabel: ["große gasse"] })).toEqual([]);
  });
});

describe("a range of time", () => {
  test("has its beginning and not its end, to the microsecond", async () => {
    const [first, last, next] = await insert(
      { at: "2026-11-20T00:00:00.000000Z" },
      { at: "2026-11-20T23:59:59.999999Z" },
      { at: "2026-11-21T00:00:00.000000Z" },
    );
    const day = { from: "2026-11-20T00:00:00.000000Z", to: "2026-11-21T00:00:00.000000Z" };
    expect(await idsOf({ occurredAt: day })).toEqual([first, last]);
    expect(await idsOf({ occurredAt: { from: day.to } })).toEqual([next]);
    expect(await idsOf({ occurredAt: { to: "2026-11-20T23:59:59.999999Z" } })).toEqual([first]);
    expect(await idsOf({ occurredAt: { from: "2026-11-20T23:59:59.999999Z", to: day.to } })).toEqual([last]);
  });

  test("has the very first id of its beginning, and not that of its end", async () => {
    const from = "2026-11-18T00:00:00.123457Z";
    const to = "2026-11-18T00:00:00.123458Z";
    const floors = await query<{ id: string }>(
      database.adminUrl,
      "select audit.id_floor(t) as id from unnest($1::timestamptz[]) t",
      [[from, to]],
    );
    const [first] = await insert(...floors.map(({ id }) => ({ id })));
    expect(await idsOf({ occurredAt: { from, to } })).toEqual([first]);
    expect((await open.log.entry(auditor(tenant), first ?? ""))?.occurredAt).toBe(from);
  });

  test("is one of instants: a day of 25 hours in Berlin", async () => {
    const inside = await insert({ at: "2026-10-24T22:00:00Z" }, { at: "2026-10-25T22:59:59.999999Z" });
    await insert({ at: "2026-10-24T21:59:59.999999Z" }, { at: "2026-10-25T23:00:00Z" });
    const day = { from: "2026-10-25T00:00:00+02:00", to: "2026-10-26T00:00:00+01:00" };
    expect(await idsOf({ occurredAt: day })).toEqual(inside);
  });

  test("may begin before there were entries and end after them", async () => {
    const ids = await insert({});
    expect(await idsOf({ occurredAt: { from: "0001-01-01T00:00:00Z", to: "9999-12-31T23:59:59.999999Z" } })).toEqual(
      ids,
    );
    expect(await idsOf({ occurredAt: { to: "1969-12-31T23:59:59Z" } })).toEqual([]);
    expect(await idsOf({ occurredAt: { from: "9999-12-31T00:00:00Z" } })).toEqual([]);
  });

  test("goes together with cursors and every other field", async () => {
    const at = (second: number): string => `2026-11-19T10:00:0${second}Z`;
    const ids = await insert(...[0, 1, 2, 3, 4].map((second) => ({ at: at(second), actor_id: "u-5" })));
    const filter = { occurredAt: { from: at(1), to: at(4) }, actorId: ["u-5"] };
    const first = await open.log.page(auditor(tenant), { filter, first: 2 });
    const second = await open.log.page(auditor(tenant), { filter, first: 2, after: first.pageInfo.endCursor });
    expect([...first.nodes, ...second.nodes].map(({ id }) => id)).toEqual([ids[3], ids[2], ids[1]]);
    expect(await first.totalCount()).toEqual({ value: 3, isCapped: false });
  });
});

describe("what a filter can't mean is refused:", () => {
  const listFields = [...Object.keys(everyField), "tenantId"];

  test.each(listFields)(
    "%s as null, empty, too long a list, or with null, an empty or a broken text in it",
    async (field) => {
      const wrong: unknown[] = [
        null,
        [],
        Array.from({ length: 101 }, (_, i) => `x${i}`),
        [null],
        [""],
        ["a\0"],
        ["\ud800"],
        ["x".repeat(513)],
      ];
      for (const values of wrong) {
        await expect(open.log.page(platformAuditor, { filter: asFilter({ [field]: values }) })).rejects.toMatchObject({
          code: "BAD_USER_INPUT",
          extensions: {
            fields: expect.arrayContaining([expect.objectContaining({ field: `filter.${field}` })]) as unknown,
          },
        });
      }
    },
  );

  test.each([
    ["requestId", ["not-a-uuid"]],
    ["requestId", ["0192f0c12d3e7abc8def0123456789ab"]],
    ["sessionId", ["{0192f0c1-2d3e-7abc-8def-0123456789ab}"]],
    ["ip", ["300.1.1.1"]],
    ["ip", ["10.0.0.0/8"]],
    ["ip", ["fe80::1%eth0"]],
    ["traceId", ["0af7651916cd43dd"]],
    ["tenantId", ["Acme"]],
    ["tenantId", ["*"]],
    ["tenantId", ["acme,globex"]],
    ["tenantId", ["$other"]],
    ["action", ["BREW"]],
    ["outcome", ["success"]],
    ["actorType", ["ROBOT"]],
    ["resourceType", ["devcie"]],
    ["eventType", ["device.update"]],
    ["operation", ["updateDevcie"]],
    ["changedField", ["nmae"]],
    ["errorCode", ["FORBIDEN"]],
    ["occurredAt", null],
    ["occurredAt", {}],
    ["occurredAt", { from: "2026-11-21T00:00:00Z", to: "2026-11-21T00:00:00Z" }],
    ["occurredAt", { from: "2026-11-22T00:00:00Z", to: "2026-11-21T00:00:00Z" }],
    ["occurredAt.from", { from: null }],
    ["occurredAt.to", { from: "2026-11-21T00:00:00Z", to: null }],
    ["occurredAt.from", { from: "2026-02-30T00:00:00Z" }],
  ])("%s as %j", async (path, value) => {
    const [field = ""] = path.split(".");
    const filter = asFilter({ [field]: value });
    const refusal = {
      code: "BAD_USER_INPUT",
      extensions: { fields: expect.arrayContaining([expect.objectContaining({ field: `filter.${path}` })]) as unknown },
    };
    await expect(open.log.page(platformAuditor, { filter })).rejects.toMatchObject(refusal);
    await expect(open.log.count(platformAuditor, filter)).rejects.toMatchObject(refusal);
  });

  test("and every wrong field is named at once", async () => {
    const filter = asFilter({ action: [], ip: ["x"], occurredAt: {}, requestId: ["y", "z"] });
    const error: unknown = await open.log.page(auditor(tenant), { filter }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      extensions: {
        fields: ["occurredAt", "requestId", "requestId", "ip", "action"].map((field): unknown =>
          expect.objectContaining({ field: `filter.${field}` }),
        ),
      },
    });
  });
});

describe("what the code no longer knows", () => {
  test("lists, reads and filters like the rest, for those whose log has it", async () => {
    const retired: Row = {
      resource_type: "coffee_machine",
      event_type: "coffee_machine.brewed",
      operation: "brewCoffee",
      changes: [{ ...update, field: "beans" }],
      outcome: "FAILURE",
      error_code: "TOO_HOT",
    };
    const [id = ""] = await insert(retired);
    const filters: AuditLogFilter[] = [
      { resourceType: ["coffee_machine"] },
      { eventType: ["coffee_machine.brewed"] },
      { operation: ["brewCoffee"] },
      { changedField: ["beans"] },
      { errorCode: ["TOO_HOT"] },
      { resourceType: ["coffee_machine", "device"], changedField: ["name", "beans"] },
    ];
    for (const filter of filters) {
      expect(await idsOf(filter)).toEqual([id]);
      expect(await idsOf(filter, platformAuditor)).toContain(id);
      await expect(idsOf(filter, auditor(`${tenant}-b`))).rejects.toMatchObject({ code: "BAD_USER_INPUT" });
    }
    const entry = await open.log.entry(auditor(tenant), id);
    expect(entry?.resource?.type).toBe("coffee_machine");
    expect(await entry?.resource?.isDeleted()).toBeNull();
    expect(entry?.description()).toBe('Sample Admin tried to update coffee machine "kiosk-7" and failed: TOO_HOT.');
  });

  test("is refused by the value that nothing knows, not by the one that is known beside it", async () => {
    await insert({ resource_type: "coffee_machine" });
    await expect(idsOf({ resourceType: ["coffee_machine", "tea_pot"] })).rejects.toMatchObject({
      extensions: { fields: [{ field: "filter.resourceType", message: expect.stringContaining("tea_pot") as string }] },
    });
  });
});
