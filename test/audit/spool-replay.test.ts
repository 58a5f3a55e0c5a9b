import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { anonymous } from "../../src/audit/entry.js";
import { RefusalLog, type AuditObserver } from "../../src/audit/index.js";
import type { SpooledAttempt } from "../../src/audit/spool/attempt-line.js";
import { Replayer } from "../../src/audit/spool/replayer.js";
import { Spool, type SpoolObserver } from "../../src/audit/spool/spool.js";
import { createDatabase, openPool, query, type TestDatabase } from "../support/postgres.js";
import { until } from "../support/until.js";

let database: TestDatabase;
let pool: pg.Pool;
let folder: string;
let spool: Spool;
let replayer: Replayer;
let aside: string[];
const session = randomUUID();

const audit: AuditObserver = {
  written: () => undefined,
  wrote: () => undefined,
  writeFailed: () => undefined,
  unforeseen: () => "test",
};
const observer: SpoolObserver = {
  waiting: () => undefined,
  setAside: (_, why) => void aside.push(why),
  replayed: () => undefined,
  replayFailed: () => undefined,
  refused: () => undefined,
  troubled: (error) => void aside.push(String(error)),
};

beforeEach(async () => {
  database = await createDatabase();
  pool = openPool({ connectionString: database.apiUrl, max: 2 });
  folder = mkdtempSync(join(tmpdir(), "auditql-replay-"));
  aside = [];
  spool = await Spool.open(join(folder, "spool"), 64 * 1024 ** 2, observer);
  replayer = new Replayer(spool, pool, audit, observer);
});
afterEach(async () => {
  await replayer.stop();
  await spool.close();
  await pool.end();
  await database.drop();
  rmSync(folder, { recursive: true });
});

function attempt(
  place: number,
  claimedAt: string,
  tenantId = "acme",
  ordinals: readonly number[] = [0],
): SpooledAttempt {
  const staged = ordinals.map((ordinal) => ({
    entry: {
      tenantId,
      actor: { ...anonymous, type: "USER" as const, id: "u-1" },
      action: "UPDATE" as const,
      eventType: "thing.update_denied",
      outcome: "DENIED" as const,
      error: { code: "FORBIDDEN", message: null },
      resource: { type: "thing", id: `t-${String(ordinal)}`, label: null },
      changes: [],
      attempted: [],
      operation: "updateThing",
      origin: {
        requestId: randomUUID(),
        clientRequestId: null,
        traceId: null,
        reason: null,
        ip: null,
        userAgent: null,
      },
      sessionId: session,
      sequenceNumber: BigInt(place),
      ordinal,
      causeId: null,
    },
    causedBy: ordinal === 0 ? null : ordinals.indexOf(0),
  }));
  return { claimedAt, undecided: null, staged };
}

const rows = () =>
  query<{ place: string; ordinal: number; claimed: Date; caused: boolean }>(
    database.adminUrl,
    `select sequence_number as place, ordinal, claimed_at as claimed, cause_id is not null as caused
     from audit.entry where session_id = $1 order by id`,
    [session],
  );
const replayed = async () => {
  replayer.start();
  await until(() => spool.isEmpty, { what: "all is written" });
  return rows();
};

describe("the replay", () => {
  it("keeps the spool's order and what the clock said, where that was set back meanwhile", async () => {
    const clock = ["2026-01-01T12:00:00.000Z", "2026-01-01T12:00:01.000Z", "2026-01-01T09:00:00.000Z"];
    for (const [place, claimedAt] of clock.entries()) await spool.append(attempt(place, claimedAt));
    const found = await replayed();
    expect(found.map(({ place, claimed }) => [place, claimed.toISOString()])).toEqual(
      clock.map((claimedAt, place) => [String(place), claimedAt]),
    );
  });

  it("writes an attempt's entries together, the one that brought the others about named in them", async () => {
    await spool.append(attempt(0, "2026-01-01T12:00:00.000Z", "acme", [1, 0, 2]));
    expect((await replayed()).map(({ ordinal, caused }) => [ordinal, caused])).toEqual([
      [0, false],
      [1, true],
      [2, true],
    ]);
  });

  it("sets aside what breaks a rule of the log, in the middle of a batch, and writes the rest in order", async () => {
    for (const place of [0, 1, 2, 3, 4])
      await spool.append(attempt(place, "2026-01-01T12:00:00.000Z", place === 2 ? "No tenant" : "acme"));
    expect((await replayed()).map(({ place }) => place)).toEqual(["0", "1", "3", "4"]);
    expect(aside).toEqual(["refused with 23514 entry_tenant_id"]);
    expect(await query(database.adminUrl, "select from audit.entry_key where session_id = $1", [session])).toHaveLength(
      4,
    );
  });

  it("sets aside an attempt of which a part alone stands", async () => {
    await query(
      database.apiUrl,
      "insert into audit.entry_key (session_id, sequence_number, ordinal) values ($1, 0, 1)",
      [session],
    );
    await spool.append(attempt(0, "2026-01-01T12:00:00.000Z", "acme", [0, 1]));
    await spool.append(attempt(1, "2026-01-01T12:00:00.000Z"));
    expect((await replayed()).map(({ place }) => place)).toEqual(["1"]);
    expect(aside).toEqual(["refused with EntryKeyError"]);
  });

  it("takes thousands of lines, each once", async () => {
    const places = Array.from({ length: 2_000 }, (_, place) => place);
    await Promise.all(places.map((place) => spool.append(attempt(place, "2026-01-01T12:00:00.000Z"))));
    replayer.start();
    await until(() => spool.isEmpty, { what: "all is written", deadline: 25_000 });
    expect((await rows()).map(({ place }) => Number(place))).toEqual(places);
  });
});

describe("an attempt that the database refuses for good", () => {
  it("is set aside, and waits with the others where that file is full", async () => {
    const refusals = new RefusalLog(pool, audit, spool);
    const write = (place: number) => refusals.write(attempt(place, "2026-01-01T12:00:00.000Z", "No tenant").staged);
    expect([await write(0), spool.state.entries, aside]).toEqual([[], 0, ["refused with 23514 entry_tenant_id"]]);
    const file = join(folder, "spool", "set-aside.jsonl");
    writeFileSync(file, "");
    truncateSync(file, 64 * 1024 ** 2);
    expect([await write(1), spool.state.entries, aside.length]).toEqual([[], 1, 1]);
  });
});
