import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startProxy, type Proxy } from "../support/proxy.js";
import { startInVain, startServer, type Answer, type TestServer } from "../support/server.js";
import { metricOf, untilNothingWaits } from "../support/spool.js";
import { unguarded } from "../support/unguarded.js";
import { until } from "../support/until.js";

interface Row {
  readonly request_id: string;
  readonly outcome: string;
  readonly error_code: string;
  readonly session_id: string;
  readonly sequence_number: string;
  readonly claimed: Date | null;
  readonly occurred: Date;
}
type Told = Answer<Record<string, unknown>>;

let database: TestDatabase;
let proxy: Proxy;
let dataDir: string;
let servers: TestServer[];

beforeEach(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.adminUrl);
  dataDir = mkdtempSync(join(tmpdir(), "auditql-data-"));
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.stop("SIGKILL");
  await proxy.stop();
  await database.drop();
  rmSync(dataDir, { recursive: true });
});

const throughProxy = () => ({
  DATABASE_URL: proxy.through(database.apiUrl),
  READ_DATABASE_URL: proxy.through(database.readerUrl),
});

/** So that each refusal leaves an entry of its own. */
const plain = { AUDIT_DENIED_PER_MINUTE: "1000" };

async function start(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const server = await startServer({ database, env: { ...plain, ...throughProxy(), DATA_DIR: dataDir, ...env } });
  servers.push(server);
  return server;
}

async function mutate(server: TestServer, field: string, roles: readonly string[] = ["admin"]): Promise<Told> {
  const token = await server.token({ subject: "u-1", tenant: "acme", roles });
  return server.request(`mutation { it: ${field} }`, { token });
}
/** Refused by its roles alone: DENIED, without a look at the database. */
const deny = (server: TestServer) => mutate(server, 'createGroup(input: { name: "no" }) { id }', ["auditor"]);
/** Needs the database: fails where that is away. */
const create = (server: TestServer) => mutate(server, 'createGroup(input: { name: "yes" }) { id }');

const codeOf = ({ errors }: Told) => errors?.[0]?.extensions.code;
const idsOf = (answers: readonly Told[]) => answers.map(({ requestId }) => requestId);
const reportsOf = (answers: readonly Told[]) =>
  answers.flatMap(({ extensions }) => extensions?.audit?.map(({ entryIds }) => entryIds) ?? []);

/** The entries of these answers, in the log's order. */
const rowsOf = (answers: readonly Told[]): Promise<Row[]> =>
  query<Row>(
    database.adminUrl,
    `select request_id, outcome, error_code, session_id, sequence_number::text, claimed_at as claimed,
       occurred_at as occurred
     from audit.entry where request_id = any ($1) order by id`,
    [idsOf(answers)],
  );

async function spoolPart(server: TestServer) {
  const report = (await (await server.fetch("/readyz")).json()) as {
    readonly status: string;
    readonly parts: Readonly<Record<string, { readonly status: string; readonly detail?: string }>>;
  };
  return report.parts["spool"];
}

/** Why it can't be written is told once that has been tried. */
const untilSpoolSays = (server: TestServer, why: string) =>
  until(
    async () => {
      const part = await spoolPart(server);
      return part?.detail?.includes(why) ? part : null;
    },
    { what: `what waits says ${why}` },
  );

describe("a database that is away", () => {
  it("loses no attempt: each is answered, and stands in the log once, in order, with when it was", async () => {
    const server = await start();
    await proxy.cut();
    const begun = new Date();
    const answers: Told[] = [];
    for (let round = 0; round < 5; round++) answers.push(await deny(server), await create(server));
    const ended = new Date();
    expect(answers.map(codeOf)).toEqual(Array(5).fill(["FORBIDDEN", "UNAVAILABLE"]).flat());
    expect(reportsOf(answers)).toEqual(Array(10).fill([]));
    expect(await metricOf(server, "audit_spool_entries")).toBe(10);
    expect(await metricOf(server, "audit_spool_oldest_seconds")).toBeGreaterThan(0);
    const part = await untilSpoolSays(server, "ECONNREFUSED");
    expect(part.status).toBe("failed");
    expect(part.detail).toMatch(/^10 entries wait since \d{4}-.*Z for the log to be written \(ECONNREFUSED\)\.$/);

    await proxy.mend();
    await untilNothingWaits(server);
    const rows = await rowsOf(answers);
    expect(rows.map((row) => row.request_id)).toEqual(idsOf(answers));
    expect(rows.map((row) => row.outcome)).toEqual(Array(5).fill(["DENIED", "FAILURE"]).flat());
    const claims = rows.map(({ claimed }) => claimed?.getTime() ?? 0);
    expect(claims).toEqual([...claims].sort((left, right) => left - right));
    expect(claims[0]).toBeGreaterThanOrEqual(begun.getTime());
    expect(claims[9]).toBeLessThanOrEqual(ended.getTime());
    // The database's own time is that of the writing.
    expect(Math.min(...rows.map(({ occurred }) => occurred.getTime()))).toBeGreaterThan(ended.getTime());
    expect(await metricOf(server, "audit_replayed_total")).toBe(10);
    expect(await metricOf(server, "audit_spool_oldest_seconds")).toBe(0);
    expect(await metricOf(server, 'audit_entries_total{action="CREATE",outcome="DENIED"}')).toBe(5);

    const later = [await deny(server), await create(server)];
    expect(later.map(codeOf)).toEqual(["FORBIDDEN", undefined]);
    expect(reportsOf(later).map((ids) => ids.length)).toEqual([1, 1]);
    expect((await rowsOf(later)).map(({ claimed }) => claimed)).toEqual([null, null]);
    const numbers = [...rows, ...(await rowsOf(later))].map((row) => row.sequence_number);
    expect(numbers).toEqual(Array.from({ length: 12 }, (_, number) => String(number)));
  });

  it("loses none to a kill either: the next start writes what waited, before what comes then", async () => {
    const killed = await start();
    await proxy.cut();
    const answers = [await deny(killed), await create(killed)];
    const together = await Promise.all(Array.from({ length: 20 }, () => deny(killed)));
    await killed.stop("SIGKILL");
    const before = new Date();
    await proxy.mend();
    const server = await start();
    const later = await deny(server);
    await untilNothingWaits(server);
    const rows = await rowsOf([...answers, ...together, later]);
    expect(rows.map((row) => row.request_id).slice(0, 2)).toEqual(idsOf(answers));
    expect(
      rows
        .map((row) => row.request_id)
        .slice(2, 22)
        .sort(),
    ).toEqual(idsOf(together).sort());
    expect(rows.slice(22).map((row) => row.request_id)).toEqual([later.requestId]);
    for (const { claimed, occurred } of rows.slice(0, 22)) {
      expect(claimed?.getTime()).toBeLessThanOrEqual(before.getTime());
      expect(occurred.getTime()).toBeGreaterThan(before.getTime());
    }
  });

  it("is no hindrance to a stop, and the next start goes on", async () => {
    const stopped = await start();
    await proxy.cut();
    const answers = [await deny(stopped), await create(stopped)];
    const begun = performance.now();
    expect(await stopped.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(5_000);
    await proxy.mend();
    const server = await start();
    await untilNothingWaits(server);
    expect((await rowsOf(answers)).map((row) => row.request_id)).toEqual(idsOf(answers));
  });

  it("is asked again by two processes with the same lines at once: each is written once", async () => {
    const first = await start();
    await proxy.cut();
    const answers = [];
    for (let count = 0; count < 30; count++) answers.push(await deny(first));
    await first.stop("SIGKILL");
    // As a disk that was copied, or a crash in the middle of the replay, leaves them.
    const copy = mkdtempSync(join(tmpdir(), "auditql-data-"));
    cpSync(dataDir, copy, { recursive: true });
    await proxy.mend();
    try {
      const both = await Promise.all([start(), start({ DATA_DIR: copy })]);
      for (const server of both) await untilNothingWaits(server);
      expect((await rowsOf(answers)).map((row) => row.request_id)).toEqual(idsOf(answers));
      const replayed = await Promise.all(both.map((server) => metricOf(server, "audit_replayed_total")));
      expect(replayed).toEqual([30, 30]);
    } finally {
      for (const server of servers) await server.stop("SIGKILL");
      rmSync(copy, { recursive: true });
    }
  });
});

describe("an entry whose own COMMIT is never answered", () => {
  it("is written once, though it is sent again", async () => {
    const server = await start();
    for (const isCarriedOut of [true, false]) {
      const held = proxy.nextCommit();
      const answer = deny(server);
      const commit = await held;
      if (isCarriedOut) await commit.carryOut();
      commit.breakOff();
      expect(reportsOf([await answer])).toEqual([[]]);
      await untilNothingWaits(server);
      expect((await rowsOf([await answer])).map(({ claimed }) => claimed !== null)).toEqual([!isCarriedOut]);
    }
  });
});

describe("a log that refuses entries", () => {
  it("gets them once a right that was taken away is given back", async () => {
    const server = await start();
    await unguarded(database, "revoke insert on audit.entry_key from audit_writer");
    const answers = [await deny(server), await create(server), await deny(server)];
    expect(answers.map(codeOf)).toEqual(["FORBIDDEN", undefined, "FORBIDDEN"]);
    const refused = [answers[0], answers[2]].filter((answer) => answer !== undefined);
    expect(reportsOf(refused)).toEqual([[], []]);
    expect((await untilSpoolSays(server, "42501")).detail).toMatch(/^2 entries wait since .* \(42501\)\.$/);
    await unguarded(database, "grant insert (session_id, sequence_number, ordinal) on audit.entry_key to audit_writer");
    await untilNothingWaits(server);
    expect((await rowsOf(refused)).map((row) => row.request_id)).toEqual(idsOf(refused));
  });

  it("isn't one because of a default that makes transactions read-only: the sessions state their own", async () => {
    await query(database.adminUrl, `alter database ${database.name} set default_transaction_read_only = on`);
    const server = await start();
    const answers = [await deny(server), await create(server)];
    expect(answers.map(codeOf)).toEqual(["FORBIDDEN", undefined]);
    expect(reportsOf(answers).map((ids) => ids.length)).toEqual([1, 1]);
  });

  it("gets them once the connections for them are free again", async () => {
    const server = await start();
    const holder = await holdTransaction(database);
    await holder.sql("lock table audit.entry_key in share row exclusive mode");
    const underway = Promise.all(Array.from({ length: 6 }, () => deny(server)));
    await untilBlocked(database, 2);
    const answers = await underway;
    expect(answers.map(codeOf)).toEqual(Array(6).fill("FORBIDDEN"));
    expect(reportsOf(answers)).toEqual(Array(6).fill([]));
    await holder.rollback();
    await untilNothingWaits(server);
    expect((await rowsOf(answers)).map((row) => row.request_id).sort()).toEqual(idsOf(answers).sort());
  });

  it("holds up nothing with one that it refuses for good: that one is set aside, and told", async () => {
    const server = await start();
    // As a rule of a later version's might: this code's entries break it, all others don't.
    await unguarded(
      database,
      `create function public.meddle() returns trigger language plpgsql as $$ begin
         if new.error_code = 'FORBIDDEN' then
           raise 'no' using errcode = 'check_violation', constraint = 'entry_meddled';
         end if;
         return new;
       end $$;
       create trigger a_meddle before insert on audit.entry for each row execute function public.meddle()`,
    );
    expect(codeOf(await deny(server))).toBe("FORBIDDEN");
    expect(await metricOf(server, "audit_spool_set_aside_total")).toBe(1);
    await proxy.cut();
    const answers = [await create(server), await deny(server), await create(server)];
    await proxy.mend();
    await untilNothingWaits(server);
    expect((await rowsOf(answers)).map((row) => row.request_id)).toEqual([
      answers[0]?.requestId,
      answers[2]?.requestId,
    ]);
    expect(await metricOf(server, "audit_spool_set_aside_total")).toBe(2);
    expect((await spoolPart(server))?.detail).toBe(
      `Lines that can't become entries are in ${join(dataDir, "spool", "set-aside.jsonl")}: look at them, then move it away.`,
    );
  });
});

describe("a full spool", () => {
  it("lets no attempt begin that couldn't be kept, and takes no number for it", async () => {
    const server = await start({ AUDIT_SPOOL_MAX_BYTES: String(8 * 1024 ** 2) });
    await proxy.cut();
    const large = `createGroup(input: { name: "${"x".repeat(1_500_000)}" }) { id }`;
    const answers: Told[] = [];
    await until(
      async () => {
        const answer = await mutate(server, large);
        if (codeOf(answer) === "AUDIT_UNAVAILABLE") return answer;
        answers.push(answer);
        return null;
      },
      { what: "the spool is full", deadline: 20_000, interval: 1 },
    );
    const refused = await mutate(server, large);
    expect([codeOf(refused), refused.extensions?.audit, refused.data]).toEqual([
      "AUDIT_UNAVAILABLE",
      undefined,
      { it: null },
    ]);
    expect(refused.errors?.[0]?.message).toMatch(/nothing was begun/);
    expect(await metricOf(server, "audit_attempts_refused_total")).toBe(2);
    expect(answers.length).toBeGreaterThanOrEqual(2);
    // There is room for a small one still.
    answers.push(await deny(server));
    await proxy.mend();
    await untilNothingWaits(server);
    const rows = await rowsOf(answers);
    expect(rows.map((row) => row.request_id)).toEqual(idsOf(answers));
    expect(rows.map((row) => row.sequence_number)).toEqual(answers.map((_, number) => String(number)));
    expect(await rowsOf([refused])).toEqual([]);
    expect(codeOf(await mutate(server, large))).toBe("BAD_USER_INPUT");
  });
});

describe("a spool that another live process has", () => {
  it("is refused at the start, naming who and what to do; a dead one's is taken over", async () => {
    const server = await start();
    const { exit, stderr } = await startInVain({ database, env: { DATA_DIR: dataDir, ...throughProxy() } });
    expect(exit).toEqual({ code: 1, signal: null });
    expect(stderr).toContain(
      `${join(dataDir, "spool")} is in use by process ${server.pid}: stop that first, or give each process a folder of its own with DATA_DIR.`,
    );
    expect(codeOf(await create(server))).toBeUndefined();
    await server.stop("SIGKILL");
    expect(codeOf(await create(await start()))).toBeUndefined();
  });
});
