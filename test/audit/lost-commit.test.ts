import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startProxy, type HeldCommit, type Proxy } from "../support/proxy.js";
import { startServer, type TestServer } from "../support/server.js";
import { metricOf, untilNothingWaits } from "../support/spool.js";
import { until } from "../support/until.js";

interface Row {
  readonly id: string;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly isLate: boolean;
}

let database: TestDatabase;
let proxy: Proxy;
let server: TestServer;
let token: string;
let group: string;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.adminUrl);
  const env = { DATABASE_URL: proxy.through(database.apiUrl), READ_DATABASE_URL: proxy.through(database.readerUrl) };
  server = await startServer({ database, env });
  token = await server.token({ subject: "u-1", tenant: "acme", roles: ["admin"] });
  const { data } = await mutate('createGroup(input: { name: "before" }) { id }');
  group = (data?.["it"] as { id: string }).id;
});
afterEach(() => untilNothingWaits(server));
afterAll(async () => {
  await server.stop();
  await proxy.stop();
  await database.drop();
});

const mutate = (field: string) => server.request(`mutation { it: ${field} }`, { token });
const rename = (name: string) => mutate(`updateGroup(input: { id: "${group}", name: "${name}" }) { name }`);
const nameOf = async () =>
  (await query<{ name: string }>(database.adminUrl, "select name from app.group where id = $1", [group]))[0]?.name;
const rowsOf = (requestId: string) =>
  query<Row>(
    database.adminUrl,
    `select id, outcome, error_code, error_message, claimed_at is not null as "isLate" from audit.entry
     where request_id = $1 order by id`,
    [requestId],
  );

/** Sends a mutation and does something to its COMMIT while that is held. */
async function during(send: () => ReturnType<typeof mutate>, meddle: (held: HeldCommit) => unknown) {
  const held = proxy.nextCommit();
  const answer = send();
  await meddle(await held);
  return answer;
}

describe("an answer to COMMIT that is lost", () => {
  it("is found out where it was committed: a normal answer, with its entry", async () => {
    const failures = await metricOf(server, "audit_write_failures_total");
    const successes = await metricOf(server, 'audit_entries_total{action="UPDATE",outcome="SUCCESS"}');
    const answer = await during(
      () => rename("committed"),
      async (held) => {
        await held.carryOut();
        held.breakOff();
      },
    );
    expect([answer.errors, answer.data]).toEqual([undefined, { it: { name: "committed" } }]);
    const rows = await rowsOf(answer.requestId);
    expect(rows).toMatchObject([{ outcome: "SUCCESS", isLate: false }]);
    expect(answer.extensions?.audit?.[0]?.entryIds).toEqual([rows[0]?.id]);
    expect(await metricOf(server, "audit_write_failures_total")).toBe(failures);
    expect(await metricOf(server, 'audit_entries_total{action="UPDATE",outcome="SUCCESS"}')).toBe(successes + 1);
  });

  it("is found out for a creation, and for a deletion with what it brings about", async () => {
    const lose = async (held: HeldCommit) => {
      await held.carryOut();
      held.breakOff();
    };
    const created = await during(() => mutate('createGroup(input: { name: "born" }) { id }'), lose);
    const { id } = created.data?.["it"] as { id: string };
    await mutate(`upsertGroupBudget(input: { groupId: "${id}", spendLimitMicros: 5 }) { spendLimitMicros }`);
    const deleted = await during(() => mutate(`deleteGroup(input: { id: "${id}" }) { id }`), lose);
    expect(deleted.data).toEqual({ it: { id } });
    for (const [answer, count] of [[created, 1] as const, [deleted, 2] as const]) {
      const rows = await rowsOf(answer.requestId);
      expect(rows.map(({ outcome }) => outcome)).toEqual(Array(count).fill("SUCCESS"));
      expect([...(answer.extensions?.audit?.[0]?.entryIds ?? [])].sort()).toEqual(rows.map((row) => row.id).sort());
    }
  });

  it("is found out where COMMIT never arrived: a failure, and nothing changed", async () => {
    const before = await nameOf();
    const answer = await during(
      () => rename("unborn"),
      (held) => held.breakOff(),
    );
    expect(answer.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
    expect(answer.errors?.[0]?.message).toMatch(/nothing was changed/);
    const rows = await rowsOf(answer.requestId);
    expect(rows).toMatchObject([{ outcome: "FAILURE", error_code: "UNAVAILABLE", isLate: false }]);
    expect(answer.extensions?.audit?.[0]?.entryIds).toEqual([rows[0]?.id]);
    expect(await nameOf()).toBe(before);
  });

  it("is found out where the server's process was ended before it", async () => {
    const before = await nameOf();
    const answer = await during(
      () => rename("terminated"),
      async (held) => {
        const ended = await query<{ ended: boolean }>(
          database.adminUrl,
          `select pg_terminate_backend(pid, 5000) as ended from pg_stat_activity
           where datname = current_database() and application_name = 'auditql api' and state = 'idle in transaction'`,
        );
        expect(ended).toEqual([{ ended: true }]);
        held.pass();
      },
    );
    expect(answer.errors?.[0]?.extensions.code).toBe("AUDIT_UNAVAILABLE");
    expect(await rowsOf(answer.requestId)).toMatchObject([{ outcome: "FAILURE", isLate: false }]);
    expect(await nameOf()).toBe(before);
  });
});

describe("a server that panics in COMMIT", () => {
  it("may have written it down: the change that stands has its success, and no failure beside it", async () => {
    const answer = await during(
      () => rename("panicked"),
      (held) => held.panic(),
    );
    expect([answer.errors, answer.data]).toEqual([undefined, { it: { name: "panicked" } }]);
    const rows = await rowsOf(answer.requestId);
    expect(rows).toMatchObject([{ outcome: "SUCCESS", isLate: false }]);
    expect(answer.extensions?.audit?.[0]?.entryIds).toEqual([rows[0]?.id]);
    expect(await nameOf()).toBe("panicked");
  });

  it("shows nothing to who looks at the log, and tells of no failure beside a look that may stand", async () => {
    const auditor = await server.token({ subject: "u-8", tenant: "acme", roles: ["auditor"] });
    const reading = proxy.nextCommit("commit");
    const look = server.request(`{ auditLogs(filter: { actorId: ["u-1"] }) { nodes { id } } }`, { token: auditor });
    const read = await reading;
    const recording = proxy.nextCommit("commit");
    read.pass();
    await (await recording).panic();
    const answer = await look;
    expect(answer.errors?.map(({ extensions }) => extensions.code)).toEqual(["AUDIT_UNAVAILABLE"]);
    expect(answer.data ?? null).toBeNull();
    expect(await rowsOf(answer.requestId)).toMatchObject([{ outcome: "SUCCESS" }]);
  });
});

describe("an outcome that can't be known for now", () => {
  it("is told as such, with the request's id, and a commit later needs nothing more", async () => {
    const answer = await during(
      () => rename("known later"),
      async (held) => {
        await held.carryOut();
        await proxy.cut();
      },
    );
    expect(answer.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
    expect(answer.errors?.[0]?.message).toContain(answer.requestId);
    expect(answer.extensions?.audit?.[0]?.entryIds).toEqual([]);
    expect(await metricOf(server, "audit_spool_entries")).toBe(1);
    await proxy.mend();
    await untilNothingWaits(server);
    expect(await rowsOf(answer.requestId)).toMatchObject([{ outcome: "SUCCESS", isLate: false }]);
    expect(await nameOf()).toBe("known later");
  });

  it("is a failure later where it was never committed", async () => {
    const before = await nameOf();
    const answer = await during(
      () => rename("never"),
      () => proxy.cut(),
    );
    expect(answer.errors?.[0]?.message).toContain(answer.requestId);
    expect(await rowsOf(answer.requestId)).toEqual([]);
    await proxy.mend();
    await untilNothingWaits(server);
    const [row, ...more] = await rowsOf(answer.requestId);
    expect(row).toMatchObject({ outcome: "FAILURE", error_code: "UNAVAILABLE", isLate: true });
    expect(row?.error_message).toMatch(/nothing was changed/);
    expect(more).toEqual([]);
    expect(await nameOf()).toBe(before);
  });

  it("holds up no other attempt while the transaction is still under way", async () => {
    await query(
      database.adminUrl,
      `create function public.dawdle() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock(4711); return null; end $$;
       create constraint trigger dawdle after update on app.group deferrable initially deferred for each row
         when (new.name = 'slow') execute function public.dawdle()`,
    );
    const holder = await holdTransaction(database);
    await holder.sql("select pg_advisory_xact_lock(4711)");
    try {
      // The COMMIT goes out and waits for the lock; meanwhile the way to it breaks.
      const answer = await during(
        () => rename("slow"),
        async (held) => {
          held.pass();
          await untilBlocked(database, 1);
          held.breakOff();
        },
      );
      expect(answer.errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
      const denied = await server.request(`mutation { it: deleteGroup(input: { id: "${group}" }) { id } }`, {
        token: await server.token({ tenant: "acme", roles: ["auditor"] }),
      });
      await until(async () => (await rowsOf(denied.requestId)).length === 1, { what: "the denied attempt is written" });
      expect(await rowsOf(answer.requestId)).toEqual([]);
      await holder.rollback();
      await untilNothingWaits(server);
      expect(await rowsOf(answer.requestId)).toMatchObject([{ outcome: "SUCCESS" }]);
      expect(await nameOf()).toBe("slow");
    } finally {
      await query(database.adminUrl, "drop trigger dawdle on app.group; drop function public.dawdle()");
    }
  });
});

describe("what the API may ask of the log", () => {
  it("is of one operation which entries stand, and nothing else of them", async () => {
    const { extensions } = await rename("asked");
    const [report] = extensions?.audit ?? [];
    const ask = (tenant: string) =>
      query(database.apiUrl, "select * from audit_guard.committed_entries($1, $2, $3, now())", [
        tenant,
        report?.sessionId,
        report?.sequenceNumber,
      ]);
    expect(await ask("acme")).toEqual([{ id: report?.entryIds[0], ordinal: 0 }]);
    expect(await ask("globex")).toEqual([]);
    await expect(
      query(database.readerUrl, "select audit_guard.committed_entries('acme', gen_random_uuid(), 0, now())"),
    ).rejects.toThrow(/permission denied/);
  });
});
