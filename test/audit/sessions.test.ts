import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { readLog, changesOf } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type OperationReport, type TestServer } from "../support/server.js";
import { none, readSessions, type ReadSession } from "../support/sessions.js";
import { unguarded } from "../support/unguarded.js";
import { until } from "../support/until.js";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const version = "0.1.0";
const own = {
  kind: "API",
  program: "auditql",
  version,
  host: hostname(),
  reporter: null,
  duplicates: "0",
  dropped: [],
};

/** Makes a device as an admin of the tenant; refused where the role isn't an admin's. */
async function attempt(server: TestServer, tenant: string, role = "admin"): Promise<OperationReport> {
  const token = await server.token({ subject: "u-1", tenant, roles: [role] });
  const { extensions, errors } = await server.request(
    `mutation { createDevice(input: { name: "kiosk", serialNumber: "${randomUUID()}" }) { id } }`,
    { token },
  );
  const [report] = extensions?.audit ?? [];
  if (!report) throw new Error(`The attempt left nothing in the log: ${JSON.stringify(errors)}`);
  return report;
}

async function sessionOf(server: TestServer, id: string, tenant: string | null): Promise<ReadSession> {
  const [session] = await readSessions(server, { sessionId: [id] }, tenant);
  if (!session) throw new Error(`There is no session ${id}.`);
  return session;
}

/**
 * Waits until the row says so: to look by the query takes numbers itself. Sessions are heard of within a second where one
 * more is opened, as another tenant's attempt does.
 */
async function untilHeard(server: TestServer, id: string, taken: number, received: string): Promise<void> {
  await attempt(server, `t-${randomUUID()}`);
  await until(
    async () => {
      const sql = "select from audit.session where id = $1 and taken = $2 and received = $3";
      return (await query(database.adminUrl, sql, [id, taken, received])).length === 1;
    },
    { what: `the session has taken ${String(taken)} numbers, of which ${received} have entries`, deadline: 12_000 },
  );
}

/** Deletes an entry, as only a superuser can who has put the guards aside. */
const lose = ({ sessionId, sequenceNumber }: OperationReport): Promise<void> =>
  unguarded(
    database,
    `do $$ declare it record; begin
       for it in select tgrelid::regclass as name, tgname from pg_trigger join pg_partition_tree('audit.entry') on relid = tgrelid
         where not tgisinternal and tgname like 'refuse%' loop
         execute format('alter table %s disable trigger %I', it.name, it.tgname);
       end loop;
       delete from audit.entry where session_id = '${sessionId}' and sequence_number = ${sequenceNumber};
       for it in select tgrelid::regclass as name, tgname from pg_trigger join pg_partition_tree('audit.entry') on relid = tgrelid
         where not tgisinternal and tgname like 'refuse%' loop
         execute format('alter table %s enable always trigger %I', it.name, it.tgname);
       end loop;
     end $$`,
  );

/** As if nothing had been heard of it for two minutes. */
const silence = (id: string): Promise<unknown> =>
  query(
    database.adminUrl,
    "update audit.session set last_heard_at = last_heard_at - interval '2 minutes', received_to = null where id = $1",
    [id],
  );

describe("the sessions of the API's runs", () => {
  it("are one for each tenant and run, opened and closed by an entry, with every number and no other", async () => {
    const [first, second] = await Promise.all([startServer({ database }), startServer({ database })]);
    const places = [
      await attempt(first, "acme"),
      await attempt(first, "globex"),
      await attempt(second, "acme", "member"),
      await attempt(first, "acme", "member"),
      await attempt(first, "acme"),
    ];
    // More than are written one by one: the last go into a summary, which the stop writes.
    for (let refused = 0; refused < 12; refused++) await attempt(first, "globex", "member");
    const ids = places.map(({ sessionId }) => sessionId);
    expect(new Set(ids).size).toBe(3);
    expect([ids[3], ids[4]]).toEqual([ids[0], ids[0]]);
    expect(places.map(({ sequenceNumber }) => sequenceNumber)).toEqual(["0", "0", "0", "1", "2"]);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const [acme = "", globex = "", other = ""] = ids;
    await untilHeard(second, other, 1, "{[0,1)}");
    await first.stop();

    expect(await sessionOf(second, other, "acme")).toMatchObject({
      ...own,
      state: "OPEN",
      closedAt: null,
      expected: "1",
      missing: none,
    });
    const whole = { ...own, state: "CLOSED", missing: none, lost: none, inFlight: none, cutOff: none };
    expect(await sessionOf(second, acme, null)).toMatchObject({
      ...whole,
      id: acme,
      tenantId: "acme",
      expected: "3",
      received: "3",
    });
    expect(await sessionOf(second, globex, null)).toMatchObject({
      ...whole,
      tenantId: "globex",
      expected: "13",
      received: "13",
    });

    const entries = await readLog(second, { sessionId: [acme], resourceType: ["audit_session"] });
    expect(entries.map(({ eventType, sequenceNumber }) => [eventType, sequenceNumber])).toEqual([
      ["audit_session.started", null],
      ["audit_session.stopped", null],
    ]);
    const [started, stopped] = entries;
    expect(started).toMatchObject({
      actor: { type: "SYSTEM", subsystem: "sessions" },
      action: "START",
      resource: { type: "audit_session", id: acme, label: `auditql ${version} on ${hostname()}` },
      description: `The system (sessions) started audit session "auditql ${version} on ${hostname()}".`,
    });
    expect(changesOf(started)).toEqual({
      kind: ["ADD", null, "API"],
      program: ["ADD", null, "auditql"],
      version: ["ADD", null, version],
      host: ["ADD", null, hostname()],
    });
    expect(stopped).toMatchObject({ action: "STOP" });
    expect(changesOf(stopped)).toEqual({ taken: ["ADD", null, "3"] });
    const told = first
      .stderr()
      .split("\n")
      .filter((line) => line.includes(acme) && line.includes("a session was opened"));
    expect(told).toHaveLength(1);
    expect(JSON.parse(told[0] ?? "")).toMatchObject({
      tenantId: "acme",
      program: "auditql",
      version,
      host: hostname(),
    });
    await second.stop();
  });

  it("show what was cut off by a kill, told from what the log has lost, and a new run has new ones", async () => {
    const killed = await startServer({ database });
    const { sessionId } = await attempt(killed, "initech");
    const lost = await attempt(killed, "initech");
    // Waits for a row that another holds, until the process is killed.
    const token = await killed.token({ subject: "u-1", tenant: "initech", roles: ["admin"] });
    const [device] = await query<{ id: string }>(
      database.adminUrl,
      "select id from app.device where tenant_id = 'initech'",
    );
    const holder = await holdTransaction(database);
    await holder.sql("select from app.device where id = $1 for update", [device?.id]);
    const cutOff = killed
      .request(`mutation { updateDevice(input: { id: "${device?.id ?? ""}", name: "x" }) { id } }`, { token })
      .catch(() => "cut off");
    await untilBlocked(database, 1);
    await attempt(killed, "initech");
    await untilHeard(killed, sessionId, 4, "{[0,2),[3,4)}");
    expect(await sessionOf(killed, sessionId, "initech")).toMatchObject({
      state: "OPEN",
      expected: "4",
      missing: { count: "1", ranges: ["2"] },
      inFlight: { count: "1", ranges: ["2"] },
      lost: none,
      cutOff: none,
    });
    await killed.stop("SIGKILL");
    expect(await cutOff).toBe("cut off");
    await holder.rollback();
    await silence(sessionId);
    await lose(lost);

    const next = await startServer({ database });
    const place = await attempt(next, "initech");
    expect(place.sessionId).not.toBe(sessionId);
    expect(place.sequenceNumber).toBe("0");
    // What it wrote since it was heard of last, a look, is found by another.
    await untilHeard(next, sessionId, 4, "{[0,2),[3,5)}");
    expect(await sessionOf(next, sessionId, "initech")).toMatchObject({
      state: "SILENT",
      closedAt: null,
      expected: "5",
      received: "4",
      inFlight: none,
      missing: { count: "1", ranges: ["2"] },
      lost: none,
      cutOff: { count: "1", ranges: ["2"] },
    });
    await query(database.apiUrl, "select audit_guard.derive_session($1)", [sessionId]);
    expect(await sessionOf(next, sessionId, "initech")).toMatchObject({
      received: "3",
      missing: { count: "2", ranges: ["1-2"] },
      lost: { count: "1", ranges: ["1"] },
      cutOff: { count: "1", ranges: ["2"] },
    });
    await next.stop();
  });

  it("aren't settled where an entry waits in the spool, and are whole once it is written", async () => {
    const server = await startServer({ database });
    const { sessionId } = await attempt(server, "hooli");
    await unguarded(database, "revoke insert on audit.entry_key from audit_writer");
    const waiting = await attempt(server, "hooli", "member");
    expect(waiting).toMatchObject({ sessionId, sequenceNumber: "1", entryIds: [] });
    await attempt(server, "hooli");
    await untilHeard(server, sessionId, 3, "{[0,1),[2,3)}");
    const [open] = await readSessions(server, { sessionId: [sessionId] }, "hooli");
    expect(open).toMatchObject({ lost: none, inFlight: { count: "1", ranges: ["1"] } });
    await unguarded(database, "grant insert (session_id, sequence_number, ordinal) on audit.entry_key to audit_writer");
    await until(
      async () => (await readLog(server, { sessionId: [sessionId], outcome: ["DENIED"] }, "hooli")).length > 0,
      {
        what: "what waited is written",
        deadline: 10_000,
      },
    );
    await server.stop();
    const sql =
      "select settled = taken as whole, received = int8multirange(int8range(0, taken)) as all from audit.session";
    expect(await query(database.adminUrl, `${sql} where id = $1`, [sessionId])).toEqual([{ whole: true, all: true }]);
  });

  it("are shown to auditors alone, and each look leaves an entry", async () => {
    const server = await startServer({ database });
    const look = async (roles: readonly string[], filter: object) => {
      const token = await server.token({ subject: "looker", tenant: "umbrella", roles });
      const query = "query ($filter: AuditSessionFilter) { auditSessions(filter: $filter) { nodes { id } } }";
      return server.request<{ auditSessions: object }>(query, { token, variables: { filter } });
    };
    expect((await look(["auditor"], { kind: ["API"] })).data).toEqual({ auditSessions: { nodes: [] } });
    expect((await look(["admin"], {})).errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
    const entries = await readLog(server, { operation: ["auditSessions"] }, "umbrella");
    expect(entries).toMatchObject([
      {
        eventType: "audit_log.read",
        access: { filter: { kind: ["API"] }, rows: 0 },
        description: "looker looked at no sessions of the log.",
      },
      { eventType: "audit_log.read_denied", error: { code: "FORBIDDEN" } },
    ]);
    await server.stop();
  });
});
