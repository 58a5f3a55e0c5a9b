import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holdTransaction, useClient } from "../support/client.js";
import { readLog, type ReadEntry } from "../support/log.js";
import { createDatabase, query } from "../support/postgres.js";
import { startServer, type Answer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

const client = useClient();
const auditor = { subject: "u-8", name: "Sample Auditor", tenant: "acme", roles: ["auditor"] };
const platform = { subject: "u-9", name: "Site Auditor", roles: ["platform_auditor"] };
let device: string;
let theirs: string;

beforeAll(async () => {
  device = await client.make(`createDevice(input: { serialNumber: "SN-1", name: "kiosk" })`);
  await client.mutate(`updateDevice(input: { id: "${device}", name: "kiosk-2" }) { id }`);
  const token = await client.server.token({ subject: "u-5", tenant: "globex", roles: ["admin"] });
  const made = await client.server.request<{ it: { id: string } }>(
    `mutation { it: createDevice(input: { serialNumber: "SN-2", name: "theirs" }) { id } }`,
    { token },
  );
  theirs = made.data?.it.id ?? "";
});

type Reply = Answer<Record<string, unknown>>;

async function ask(source: string, claims: Parameters<TestServer["token"]>[0] | null): Promise<Reply> {
  return client.server.request(source, claims ? { token: await client.server.token(claims) } : {});
}

/** The entries that one request left, as the table has them, by tenant. */
const leftBy = ({ requestId }: Reply) =>
  client.sql<Record<string, unknown>>(
    `select tenant_id, action, event_type, outcome, error_code, resource_type, resource_id, resource_label, operation,
       actor_id, access, sequence_number from audit.entry where request_id = $1 order by tenant_id, id`,
    [requestId],
  );

/** Of each filter the first look in a minute alone has an entry at once: each test asks for something else. */
const list = (filter: string, selection = "nodes { id }") => `{ auditLogs(filter: ${filter}) { ${selection} } }`;

describe("a look at the log", () => {
  it("leaves an entry that says who asked what, and how much was given, as auditors read it", async () => {
    const answer = await ask(list(`{ resourceId: ["${device}"], outcome: [SUCCESS] }`), auditor);
    expect(answer.errors).toBeUndefined();
    const [entry, ...more] = await readLog(client.server, { requestId: [answer.requestId] });
    expect(more).toEqual([]);
    expect(entry).toMatchObject({
      tenantId: "acme",
      actor: { type: "USER", id: "u-8", name: "Sample Auditor" },
      action: "READ",
      eventType: "audit_log.read",
      outcome: "SUCCESS",
      error: null,
      resource: { type: "audit_log", id: null, label: null, link: null, isDeleted: null },
      changes: [],
      attempted: [],
      operation: "auditLogs",
      ip: "127.0.0.1",
      access: { filter: { resourceId: [device], outcome: ["SUCCESS"] }, rows: 2 },
      claimedAt: null,
      repeatCount: null,
      description: "Sample Auditor read 2 entries of the log.",
    });
    expect(entry?.sequenceNumber).toMatch(/^\d+$/);
  });

  it.each([
    ["nothing but the count", "totalCount { value }"],
    ["through fragments", "... on AuditEntryConnection { ... { edges { node { id } } } }"],
  ])("that selects %s leaves one too", async (name, selection) => {
    const answer = await ask(list(`{ resourceId: ["${device}"], actorName: ["${name}"] }`, selection), auditor);
    expect(answer.errors).toBeUndefined();
    expect(await leftBy(answer)).toMatchObject([{ event_type: "audit_log.read", access: { rows: 0 } }]);
  });

  it("leaves one for each field of a document, and none for what reads no log", async () => {
    const two = await ask(
      `{ a: auditLogs(filter: { actorId: ["a"] }) { nodes { id } } b: auditLogs(filter: { actorId: ["b"] }) { nodes { id } } }`,
      auditor,
    );
    // Both are answered at once: which look is written first isn't said.
    expect(new Set((await leftBy(two)).map(({ access }) => access))).toEqual(
      new Set([
        { filter: { actorId: ["a"] }, rows: 0 },
        { filter: { actorId: ["b"] }, rows: 0 },
      ]),
    );
    expect(await leftBy(await ask(`{ __typename devices { nodes { id } } }`, auditor))).toEqual([]);
  });

  it("for one entry names that entry", async () => {
    const [entry] = await readLog(client.server, { resourceId: [device], action: ["CREATE"] });
    const found = await ask(`{ auditEntry(id: "${entry?.id}") { id } }`, auditor);
    expect(found.data).toEqual({ auditEntry: { id: entry?.id } });
    const resource = { resource_type: "audit_log", resource_id: entry?.id, operation: "auditEntry" };
    expect(await leftBy(found)).toMatchObject([{ ...resource, access: { filter: { id: entry?.id }, rows: 1 } }]);
    const missing = "01930000-0000-7000-8000-000000000000";
    const empty = await ask(`{ auditEntry(id: "${missing}") { id } }`, auditor);
    expect(await leftBy(empty)).toMatchObject([
      { outcome: "SUCCESS", resource_id: missing, access: { filter: { id: missing }, rows: 0 } },
    ]);
  });

  it("by a platform auditor stands with every tenant whose entries it was given, and with the platform", async () => {
    const filter = { resourceId: [device, theirs], resourceType: ["device"], tenantId: ["acme", "globex"] };
    const answer = await ask(
      list(`{ resourceId: ["${device}", "${theirs}"], resourceType: ["device"], tenantId: ["acme", "globex"] }`),
      platform,
    );
    const fields = { resourceId: null, resourceType: null };
    expect(await leftBy(answer)).toMatchObject([
      { tenant_id: "$platform", actor_id: "u-9", access: { filter, rows: 0 } },
      { tenant_id: "acme", actor_id: "u-9", access: { filter: { ...fields, tenantId: ["acme"] }, rows: 2 } },
      { tenant_id: "globex", actor_id: "u-9", access: { filter: { ...fields, tenantId: ["globex"] }, rows: 1 } },
    ]);
    const [, acme, globex] = (await leftBy(answer)).map((entry) => JSON.stringify(entry));
    for (const name of ["globex", theirs]) expect(acme).not.toContain(name);
    for (const name of ["acme", device]) expect(globex).not.toContain(name);
    const own = await ask(list(`{ tenantId: ["$platform"], eventType: ["api.started"] }`), platform);
    expect(await leftBy(own)).toMatchObject([{ tenant_id: "$platform", access: { rows: 1 } }]);
  });

  it("by a platform auditor for one entry names it in its tenant's log too", async () => {
    const [entry] = await readLog(client.server, { resourceId: [device], action: ["UPDATE"] });
    const access = { filter: { id: entry?.id } };
    expect(await leftBy(await ask(`{ auditEntry(id: "${entry?.id}") { id } }`, platform))).toMatchObject([
      { tenant_id: "$platform", access: { ...access, rows: 0 } },
      { tenant_id: "acme", access: { ...access, rows: 1 } },
    ]);
  });

  it("by a platform auditor of a tenant has its whole filter in that tenant's log", async () => {
    const answer = await ask(list(`{ resourceId: ["${device}", "${theirs}"] }`), { ...platform, tenant: "acme" });
    const filter = { resourceId: [device, theirs] };
    expect((await leftBy(answer)).map(({ tenant_id, access }) => [tenant_id, access])).toEqual([
      ["$platform", { filter, rows: 0 }],
      ["acme", { filter, rows: 2 }],
      ["globex", { filter: { resourceId: null }, rows: 1 }],
    ]);
  });

  it("that finds nothing stands with the reader's tenant, and with the platform where its auditor looked", async () => {
    const nothing = list(`{ actorId: ["nobody at all"] }`);
    expect((await leftBy(await ask(nothing, auditor))).map(({ tenant_id }) => tenant_id)).toEqual(["acme"]);
    expect((await leftBy(await ask(nothing, platform))).map(({ tenant_id }) => tenant_id)).toEqual(["$platform"]);
    const both = { ...platform, subject: "u-10", tenant: "acme" };
    const tenants = (await leftBy(await ask(nothing, both))).map(({ tenant_id }) => tenant_id);
    expect(tenants).toEqual(["$platform", "acme"]);
  });

  it("that is refused or malformed stands with the reader's own tenant, else with the platform", async () => {
    const foreign = list(`{ tenantId: ["globex"], actorId: ["x"] }`);
    const cases: [Reply, Record<string, unknown>][] = [
      [await ask(list(`{ actorId: ["y"] }`), { ...auditor, roles: ["member"] }), denied("acme", "FORBIDDEN")],
      [await ask(foreign, auditor), denied("acme", "FORBIDDEN")],
      [await ask(list("{}"), null), denied("$platform", "UNAUTHENTICATED")],
      [await ask(list("{}"), { subject: "u-4", roles: ["auditor"] }), denied("$platform", "FORBIDDEN")],
      [await ask(list(`{ ip: ["nowhere"] }`), auditor), failed("acme", { ip: ["nowhere"] })],
      [await ask(list(`{ actorId: [""] }`), platform), failed("$platform", { actorId: [""] })],
      [await ask(`{ auditEntry(id: "d-1") { id } }`, auditor), failed("acme", { id: "d-1" })],
      [await ask(list(`{ actorName: ["a\\u0000b"] }`), auditor), failed("acme", { actorName: ["a\uFFFDb"] })],
    ];
    for (const [answer, entry] of cases) {
      expect(Object.values(answer.data ?? {}).filter((value) => value !== null)).toEqual([]);
      expect(await leftBy(answer)).toMatchObject([{ ...entry, action: "READ", resource_type: "audit_log" }]);
    }
    const [malformed] = cases.slice(-2);
    expect(await leftBy(malformed?.[0] as Reply)).toMatchObject([{ resource_id: null }]);
  });

  it("with a filter too large to keep has its length and a salted digest", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `${String(index)}${"x".repeat(480)}`);
    const answer = await ask(list(`{ actorName: ${JSON.stringify(names)} }`), auditor);
    expect(answer.errors).toBeUndefined();
    const bytes = Buffer.byteLength(JSON.stringify({ actorName: names }));
    expect(await leftBy(answer)).toMatchObject([
      {
        access: { filter: { omitted: { bytes, digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string } }, rows: 0 },
      },
    ]);
  });

  it("shows nothing where its entry can't be written", async () => {
    const locked = await holdTransaction(client.database);
    await locked.sql("lock table audit.entry in share mode");
    const asked = ask(list(`{ actorId: ["u-1"], action: [CREATE] }`), auditor);
    // On connections of its own: who looks holds up no attempt's entry.
    await untilWaiting("auditql looks");
    const answer = await asked;
    await locked.rollback();
    expect(answer.data ?? null).toBeNull();
    expect(answer.errors?.map(({ extensions }) => extensions.code)).toEqual(["AUDIT_UNAVAILABLE"]);
    // The first look is still to be written by itself.
    const again = await ask(list(`{ actorId: ["u-1"], action: [CREATE] }`), auditor);
    expect(await leftBy(again)).toMatchObject([{ outcome: "SUCCESS", access: { rows: 1 } }]);
  });
});

/** Waits until a session of that name waits for a lock, and gives its process. */
async function untilWaiting(name: string): Promise<number> {
  const sql = `select pid from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and application_name = $1`;
  const { pid } = await until(async () => (await client.sql<{ pid: number }>(sql, [name]))[0], {
    what: `${name} waits for a lock`,
  });
  return pid;
}

describe("a look like one within the minute", () => {
  /** Holds the log against writers, and ends the first write that waits, as a deadline would. */
  async function failWrite<Answered>(name: string, write: () => Promise<Answered>) {
    const locked = await holdTransaction(client.database);
    await locked.sql("lock table audit.entry in share mode");
    const failing = write();
    await client.sql("select pg_cancel_backend($1)", [await untilWaiting(name)]);
    return { failing, locked };
  }

  /** Asks it until the next is one: another test's refusal may wait for the log still. */
  async function countedLook(actor: string): Promise<string> {
    const look = list(`{ actorId: ["${actor}"] }`);
    expect(await leftBy(await ask(look, auditor))).toHaveLength(1);
    const isCounted = async () => (await leftBy(await ask(look, auditor))).length === 0;
    await until(isCounted, { what: "it is only counted", deadline: 10_000, interval: 100 });
    return look;
  }

  it("isn't only counted once a look's write has failed, until one is written", async () => {
    const look = await countedLook("like one that was written");
    const other = list(`{ actorId: ["whose look fails"] }`);
    const { failing, locked } = await failWrite("auditql looks", () => ask(other, auditor));
    // Its failure can be written, and so no entry waits.
    await untilWaiting("auditql refusals").finally(() => locked.rollback());
    expect((await failing).errors?.map(({ extensions }) => extensions.code)).toEqual(["AUDIT_UNAVAILABLE"]);
    expect(await leftBy(await ask(look, auditor))).toHaveLength(1);
    expect(await leftBy(await ask(look, auditor))).toEqual([]);
  });

  it("isn't only counted while an attempt's entry waits for the log", async () => {
    const look = await countedLook("like another that was written");
    const refused = () =>
      ask(`mutation { deleteGroup(input: { id: "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33" }) { id } }`, auditor);
    const { failing, locked } = await failWrite("auditql refusals", refused);
    expect((await failing).errors?.map(({ extensions }) => extensions.code)).toEqual(["FORBIDDEN"]);
    const asked = ask(look, auditor);
    await untilWaiting("auditql looks").finally(() => locked.rollback());
    expect(await leftBy(await asked)).toHaveLength(1);
  });
});

const denied = (tenant: string, code: string) => ({
  tenant_id: tenant,
  event_type: "audit_log.read_denied",
  outcome: "DENIED",
  error_code: code,
});

const failed = (tenant: string, filter: unknown) => ({
  tenant_id: tenant,
  event_type: "audit_log.read_failed",
  outcome: "FAILURE",
  error_code: "BAD_USER_INPUT",
  access: { filter, rows: 0 },
});

describe("equal looks within a minute", () => {
  let server: TestServer;
  let entries: ReadEntry[];

  beforeAll(async () => {
    const database = await createDatabase();
    server = await startServer({ database });
    const admin = await server.token({ subject: "u-1", tenant: "acme", roles: ["admin"] });
    for (const name of ["a", "b", "c"])
      await server.request(`mutation { createGroup(input: { name: "${name}" }) { id } }`, { token: admin });
    const token = await server.token(auditor);
    const other = await server.token({ ...auditor, subject: "u-7" });
    const groups = (page: string) =>
      `{ auditLogs(filter: { resourceType: ["group"] }, ${page}) { nodes { id } pageInfo { endCursor } } }`;
    const first = await server.request<{ auditLogs: { pageInfo: { endCursor: string } } }>(groups("first: 1"), {
      token,
    });
    const after = first.data?.auditLogs.pageInfo.endCursor ?? "";
    await server.request(groups(`first: 2, after: "${after}"`), { token });
    await server.request(groups("first: 3"), { token });
    await server.request(groups("first: 1"), { token: other });
    for (let time = 0; time < 3; time++)
      await server.request(`{ auditLogs(filter: { ip: ["nowhere"] }) { nodes { id } } }`, { token });
    for (let time = 0; time < 12; time++)
      await server.request(`{ auditLogs(filter: { actorId: ["${String(time)}"] }) { nodes { id } } }`, {
        token: admin,
      });
    await server.stop();
    server = await startServer({ database });
    entries = await readLog(server, { resourceType: ["audit_log"], actorId: ["u-1", "u-7", "u-8"] });
  });
  afterAll(async () => {
    const { database } = server;
    await server.stop();
    await database?.drop();
  });

  const of = (actor: string, outcome: string) =>
    entries
      .filter((entry) => entry.actor["id"] === actor && entry.outcome === outcome)
      .map(({ repeatCount, repeatedSequenceNumbers: ranges, access }) => [repeatCount, ranges, access]);

  it("of one reader with one filter become a summary, whichever page they ask for", () => {
    const filter = { resourceType: ["group"] };
    expect(of("u-8", "SUCCESS")).toEqual([
      [null, null, { filter, rows: 1 }],
      [2, [{ first: "4", last: "5" }], { filter, rows: 5 }],
    ]);
    expect(of("u-7", "SUCCESS")).toEqual([[null, null, { filter, rows: 1 }]]);
  });

  it("that fail alike do too", () => {
    const access = { filter: { ip: ["nowhere"] }, rows: 0 };
    expect(of("u-8", "FAILURE")).toEqual([
      [null, null, access],
      [2, [{ first: "8", last: "9" }], access],
    ]);
  });

  it("of who may not look at all are refusals like others, whatever they ask", () => {
    const denials = of("u-1", "DENIED");
    expect(denials.slice(0, 10).map(([count]) => count)).toEqual(Array(10).fill(null));
    expect(denials.slice(10)).toEqual([[2, [{ first: "20", last: "21" }], null]]);
  });
});

describe("a page of many tenants", () => {
  it("leaves an entry with each of them, all or none", async () => {
    const tenants = 199;
    await query(
      client.database.adminUrl,
      `insert into audit.entry (tenant_id, format_version, actor_type, event_type, outcome, resource_type, changes, attempted,
         ordinal, salts, trace_id)
       select 't-' || n, 1, 'DATABASE', 'device.created', 'SUCCESS', 'device', '[]', '[]', 0,
         decode(repeat('00', 160), 'hex'), repeat('ab', 16) from generate_series(1, ${String(tenants)}) n`,
    );
    const answer = await ask(
      `{ auditLogs(first: 200, filter: { traceId: ["${"ab".repeat(16)}"] }) { nodes { id } } }`,
      platform,
    );
    const entries = await leftBy(answer);
    expect(entries).toHaveLength(tenants + 1);
    expect(new Set(entries.map(({ tenant_id }) => tenant_id)).size).toBe(tenants + 1);
    const [row] = await client.sql<{ transactions: number }>(
      "select count(distinct xact_id)::int as transactions from audit.entry where request_id = $1",
      [answer.requestId],
    );
    expect(row?.transactions).toBe(1);
  });
});
