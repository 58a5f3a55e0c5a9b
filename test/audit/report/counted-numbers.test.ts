import { beforeAll, describe, expect, it } from "vitest";
import { useClient } from "../../support/client.js";
import { readLog } from "../../support/log.js";
import { newSessionId, report, reported } from "../../support/report.js";
import { none, readSessions, type ReadSession } from "../../support/sessions.js";

const client = useClient();
let token: string;
beforeAll(async () => {
  token = await client.server.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
});

const send = (input: Readonly<Record<string, unknown>>) => report(client.server, token, input);
const everySecond = (from: number, count: number) => Array.from({ length: count }, (_, place) => from + 2 * place);
const entriesOf = (numbers: readonly number[]) => numbers.map((number) => reported(number));
const dropped = (reason: string, ...sequenceNumbers: readonly (readonly number[])[]) => [{ reason, sequenceNumbers }];

/** The session's counts, and how the lowest ranges of what is missing begin. */
async function accountOf(sessionId: string) {
  const [session] = await readSessions(client.server, { sessionId: [sessionId] });
  if (!session) throw new Error(`There is no session ${sessionId}.`);
  const { expected, received, countedTo, missing, duplicates } = session;
  expect(partsOf(session)).toBe(missing.count);
  return { expected, received, countedTo, missing: missing.count, first: missing.ranges[0], duplicates };
}

const partsOf = ({ lost, inFlight, cutOff }: ReadSession) =>
  String([lost, inFlight, cutOff].reduce((sum, { count }) => sum + BigInt(count), 0n));

/** What the row keeps of numbers. */
async function rowOf(sessionId: string) {
  const text = `select counted_to, received_below, dropped_below, received::text, dropped,
    (select count(*)::int from audit_guard.ranges_of(received, dropped)) as ranges from audit.session where id = $1`;
  const [row] = await client.sql(text, [sessionId]);
  if (!row) throw new Error(`There is no row of ${sessionId}.`);
  return row;
}

/** A session of which the numbers 0, 2, 4 to 39,998 came: as many ranges as its row may hold. */
async function sessionWithGaps(): Promise<string> {
  const sessionId = newSessionId();
  await send({ sessionId, entries: [reported(0, { claimedAt })] });
  await client.sql(
    `update audit.session set taken = 39999,
       received = (select range_agg(int8range(n, n + 1)) from generate_series(0, 39998, 2) n) where id = $1`,
    [sessionId],
  );
  return sessionId;
}

/** A session of which the numbers 0, 2, 4 to 18 came, and 1, 3, 5 to 39,999 were dropped. */
async function sessionWithDrops(): Promise<string> {
  const sessionId = newSessionId();
  await send({ sessionId, entries: entriesOf(everySecond(0, 10)), taken: 40_000 });
  await client.sql(
    `update audit.session set dropped = jsonb_build_array(jsonb_build_object('reason', 'overflow', 'count', 20000, 'ranges',
       (select range_agg(int8range(n, n + 1)) from generate_series(1, 39999, 2) n)::text)) where id = $1`,
    [sessionId],
  );
  return sessionId;
}

const claimedAt = new Date().toISOString();

describe("a session whose numbers make too many ranges", () => {
  it("goes on being taken: of the lower half only counts are kept, and all counts stay exact", async () => {
    const sessionId = await sessionWithGaps();
    expect(await accountOf(sessionId)).toMatchObject({
      ...{ expected: "39999", received: "20000", missing: "19999", countedTo: "0", first: "1" },
    });
    expect((await send({ sessionId, entries: [reported(40_000)] })).accepted).toBe(1);
    const folded = { expected: "40001", received: "20001", missing: "20000", countedTo: "20001", first: "20001" };
    expect(await accountOf(sessionId)).toMatchObject(folded);
    expect(await rowOf(sessionId)).toMatchObject({ ranges: 10_000, received_below: "10001" });
    expect((await send({ sessionId, entries: entriesOf(everySecond(40_002, 200)) })).accepted).toBe(200);
    await send({ sessionId, close: true });
    const [closed] = await readSessions(client.server, { sessionId: [sessionId] });
    expect(closed).toMatchObject({ state: "CLOSED", received: "20201", inFlight: none, cutOff: none });
    expect([closed?.lost.count, closed?.lost.isCapped]).toEqual(["20200", true]);
  });

  it("takes a number that comes late as any other, and counts it once, however often it is sent", async () => {
    const sessionId = await sessionWithGaps();
    await send({ sessionId, entries: [reported(40_000)] });
    const late = reported(5, { claimedAt });
    expect(await send({ sessionId, entries: [late, late] })).toMatchObject({ accepted: 1, repeated: 1, refused: [] });
    const counted = { expected: "40001", received: "20002", missing: "19999", countedTo: "20001" };
    expect(await accountOf(sessionId)).toMatchObject({ ...counted, duplicates: "1" });
    const counts = await send({
      sessionId,
      entries: [late, reported(0, { claimedAt }), reported(5, { outcome: "DENIED" })],
    });
    expect(counts).toMatchObject({ accepted: 0, repeated: 2, refused: [{ index: 2, code: "CONFLICT" }] });
    expect(await accountOf(sessionId)).toMatchObject({ ...counted, duplicates: "3" });
    const entries = await readLog(client.server, { sessionId: [sessionId], resourceType: ["http_request"] });
    expect(entries.map(({ sequenceNumber }) => sequenceNumber)).toEqual(["0", "40000", "5"]);
  });

  it("is counted exactly by two calls at the same time, which bring some of the same numbers", async () => {
    const sessionId = await sessionWithGaps();
    const low = entriesOf(everySecond(1, 500));
    const calls = [40_000, 41_200].map((from) =>
      send({ sessionId, entries: [...entriesOf(everySecond(from, 400)), ...low] }),
    );
    const more = [40_800, 42_000].map((from) => send({ sessionId, entries: entriesOf(everySecond(from, 200)) }));
    const answers = await Promise.all([...calls, ...more]);
    const sum = (what: "accepted" | "repeated") => answers.reduce((total, answer) => total + answer[what], 0);
    expect([sum("accepted"), sum("repeated")]).toEqual([1_700, 500]);
    const { countedTo, ...account } = await accountOf(sessionId);
    expect(account).toMatchObject({ expected: "42399", received: "21700", missing: "20699" });
    expect(BigInt(countedTo)).toBeGreaterThan(20_000n);
  });
});

describe("a session with too many ranges of dropped numbers", () => {
  const folded = { expected: "40002", received: "10", missing: "19991", countedTo: "20002", first: "20002" };

  it("keeps how many they were, by reason, and is the same derived again from the entries", async () => {
    const sessionId = await sessionWithDrops();
    // The one came all the same, and the other is dropped twice.
    const twice = dropped("crash", [0, 0], [1, 1]);
    await send({ sessionId, dropped: [...dropped("overflow", [40_001, 40_001]), ...twice] });
    expect(await accountOf(sessionId)).toMatchObject(folded);
    const [session] = await readSessions(client.server, { sessionId: [sessionId] });
    expect(session?.dropped).toMatchObject([
      { reason: "overflow", count: "20001", isCapped: true },
      { reason: "crash", count: "2", ranges: [], isCapped: true },
    ]);
    expect(session?.dropped[0]?.ranges[0]).toBe("20003");
    const row = await rowOf(sessionId);
    expect(row).toMatchObject({ ranges: 10_000, received_below: "10", dropped_below: "10001" });
    await send({ sessionId, entries: [reported(40_002)] });
    const derive = "select audit_guard.derive_session($1)::text as above";
    expect(await client.sql(derive, [sessionId])).toEqual([{ above: "{[40002,40003)}" }]);
    expect(await rowOf(sessionId)).toEqual({ ...row, received: "{[40002,40003)}", ranges: 10_001 });
    // Of three that came and weren't counted it isn't known whether they were dropped.
    await client.sql("update audit.session set received = '{}', received_below = 7 where id = $1", [sessionId]);
    await client.sql(derive, [sessionId]);
    expect(await rowOf(sessionId)).toMatchObject({
      ...{ received: "{[40002,40003)}", received_below: "10", dropped_below: "9998" },
    });
  });

  it("shows as missing what is said too late to be dropped, as far as only counts are kept", async () => {
    const sessionId = await sessionWithDrops();
    await send({ sessionId, dropped: dropped("overflow", [40_001, 40_001]) });
    const late = [...dropped("overflow", [30, 31], [20_000, 20_004]), ...dropped("crash", [40, 40])];
    for (let time = 0; time < 2; time += 1) await send({ sessionId, dropped: late });
    expect(await accountOf(sessionId)).toMatchObject({ ...folded, missing: "19989", first: "20006" });
    const [session] = await readSessions(client.server, { sessionId: [sessionId] });
    expect(session?.dropped).toMatchObject([
      { reason: "overflow", count: "20003", isCapped: true },
      { reason: "crash", ...none },
    ]);
  });

  it("takes a number that comes late for a dropped one, as long as it may be, and hides no other by it", async () => {
    const sessionId = await sessionWithDrops();
    await send({ sessionId, dropped: dropped("overflow", [40_001, 40_001]) });
    // One that was dropped, and one that wasn't.
    expect((await send({ sessionId, entries: entriesOf([31, 30]) })).accepted).toBe(2);
    expect(await accountOf(sessionId)).toMatchObject({ ...folded, received: "12" });
    await client.sql("update audit.session set dropped_below = 1 where id = $1", [sessionId]);
    const before = await accountOf(sessionId);
    await send({ sessionId, entries: entriesOf([32, 34, 36]) });
    const after = await accountOf(sessionId);
    expect(BigInt(before.missing) - BigInt(after.missing)).toBe(2n);
  });
});
