import { afterEach, beforeEach, expect, test } from "vitest";
import { attempt, type Attempt, type Wish } from "../../drill/attempt.js";
import { queryOf } from "../../drill/mutations.js";
import { evidenceOf, judge, reconcile, type Reconciliation } from "../../drill/reconcile.js";
import { judgeOrder } from "../../drill/reconcile/order.js";
import { reconciled, reportOf } from "../../drill/report.js";
import { installWitness } from "../../drill/witness.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";

let database: TestDatabase;
let server: TestServer;
let attempts: Attempt[];
let device: string;

beforeEach(async () => {
  database = await createDatabase();
  await installWitness(database.adminUrl);
  server = await startServer({ database });
  attempts = [];
  device = await send("createDevice", { serialNumber: "SN-1", name: "first", provisioningSecret: "canary" });
  await send("updateDevice", { id: device, name: "second" });
  await send("createDevice", { serialNumber: "SN-1", name: "taken" });
  await send("updateDevice", { id: device, name: "third", provisioningSecret: "another" });
  const chat = await send("createChat", { title: "Plans", mcpServerIds: ["b", "a"], labels: { b: 1, a: 2 } });
  await send("createChat", { title: "Below", parentChatId: chat });
  await send("archiveChats", { ids: [chat] });
  await send("deleteChat", { id: chat });
  const group = await send("createGroup", { name: "Research" });
  await send("upsertGroupBudget", { groupId: group, spendLimitMicros: "500000000" });
  await send("deleteGroup", { id: group });
});
afterEach(async () => {
  await server.stop();
  await database.drop();
});

async function send(operation: string, input: Wish["input"]): Promise<string> {
  const token = await server.token({ subject: "u-1", tenant: "acme", roles: ["admin"] });
  const wish = { operation, input, query: queryOf(operation), tenantId: "acme", token };
  const made = await attempt(server.origin, wish, { run: 0, client: 0 });
  attempts.push(made);
  return (made.told?.data?.[operation] as { id?: string } | null | undefined)?.id ?? "";
}

/** As a superuser who has put aside all that would refuse or record it. */
async function unguarded(sql: string): Promise<void> {
  await query(
    database.adminUrl,
    `do $$
     declare
       each record;
     begin
       for each in select evtname from pg_event_trigger loop
         execute format('alter event trigger %I disable', each.evtname);
       end loop;
       for each in select oid::regclass as name from pg_class
         where relkind in ('r', 'p') and relnamespace::regnamespace::text in ('app', 'audit')
       loop
         execute format('alter table %s disable trigger user', each.name);
       end loop;
       alter table app.device enable always trigger drill_witness;
       ${sql};
     end $$`,
  );
}

/** How many losses of each kind there are. */
const countsOf = (found: Reconciliation): Record<string, number> =>
  Object.fromEntries(reconciled(found).map(([what, { length }]) => [what, length]));

const none = {
  "changes without a true entry": 0,
  "entries without their change": 0,
  "answers that the log contradicts": 0,
  "missing numbers that nobody can have had": 0,
};
const nameOf = (number: number) => attempts[number]?.requestId ?? "";

test("rows, log and answers agree where nothing was lost", async () => {
  const found = await reconcile(database.adminUrl, attempts);
  expect(countsOf(found)).toEqual(none);
  // The start has a session of its own.
  expect(found.counts).toMatchObject({ attempts: 11, answered: 11, unanswered: 0, sessions: 2, missingNumbers: 0 });
  expect(judgeOrder(await evidenceOf(database.adminUrl, attempts))).toEqual([]);
});

test("an entry that is left out is named: its change, its answer, its number, and the break in its row's history", async () => {
  await unguarded(`delete from audit.entry where client_request_id = '${nameOf(1)}'`);
  const found = await reconcile(database.adminUrl, attempts);
  expect(countsOf(found)).toEqual({
    ...none,
    "changes without a true entry": 2,
    "answers that the log contradicts": 1,
    "missing numbers that nobody can have had": 2,
  });
  expect(found.changesWithoutEntry[0]).toMatch(
    new RegExp(
      `^device ${device} of acme, transaction \\d+: name "first" to "second", and its entries say nothing of it$`,
    ),
  );
  expect(found.changesWithoutEntry[1]).toContain(`says name was "second", and the one before left "first"`);
  expect(found.contradictedAnswers[0]).toMatch(
    new RegExp(
      `^updateDevice ${nameOf(1)}: it was answered with success, and has no entry \\(session .*, number 1\\)$`,
    ),
  );
  expect(found.unexplainedNumbers[0]).toMatch(/lacks 1, of which clients were told$/);
  const { text, losses } = reportOf([], reconciled(found));
  expect(losses).toHaveLength(5);
  expect(text).toMatch(/changes without a true entry +2 +LOST/);
});

test("a failure's entry that is left out is named by its answer and its number", async () => {
  await unguarded(`delete from audit.entry where client_request_id = '${nameOf(2)}'`);
  expect(countsOf(await reconcile(database.adminUrl, attempts))).toEqual({
    ...none,
    "answers that the log contradicts": 1,
    "missing numbers that nobody can have had": 2,
  });
});

test("a number that is missing is none's who got no answer only where someone got none", async () => {
  await unguarded(`delete from audit.entry where client_request_id = '${nameOf(2)}'`);
  const forgotten = attempts.map((each, place) => (place === 2 ? { ...each, told: null } : each));
  const found = await reconcile(database.adminUrl, forgotten);
  expect(countsOf(found)).toEqual(none);
  expect(found.counts.missingNumbers).toBe(1);
});

test("a change that no entry tells of is named, by the row as it stands too", async () => {
  await unguarded(`update app.device set name = 'silent'`);
  const found = await reconcile(database.adminUrl, attempts);
  expect(countsOf(found)).toEqual({ ...none, "changes without a true entry": 2 });
  expect(found.changesWithoutEntry[1]).toBe(`device ${device} of acme: name is "silent", and by its entries "third"`);
});

test("an entry of a change that nobody made is named", async () => {
  await unguarded(`update audit.entry set changes = jsonb_set(changes, '{0,new}', '"other"')
    where client_request_id = '${nameOf(1)}'`);
  const found = await reconcile(database.adminUrl, attempts);
  expect(countsOf(found)).toMatchObject({ "entries without their change": 1, "answers that the log contradicts": 1 });
  expect(found.entriesWithoutChange[0]).toContain(
    `name "first" to "other" by its entries, and it was "first" to "second"`,
  );
});

test("an operation with a success and a failure is named", async () => {
  await unguarded(`update audit.entry set outcome = 'FAILURE', error_code = 'INTERNAL'
    where client_request_id = '${nameOf(6)}' and ordinal = 1`);
  const found = await reconcile(database.adminUrl, attempts);
  expect(found.contradictedAnswers).toContain(`archiveChats ${nameOf(6)}: it has entries of success and of failure`);
});

test("an answer of an error that succeeded is named", async () => {
  const evidence = await evidenceOf(database.adminUrl, attempts);
  const [first] = attempts;
  if (!first?.told) throw new Error("The first attempt was answered.");
  const told = { ...first.told, data: null, errors: [{ message: "no", extensions: { code: "UNAVAILABLE" } }] };
  expect(judge({ ...evidence, attempts: [{ ...first, told }] }).contradictedAnswers).toEqual([
    `createDevice ${nameOf(0)}: it was answered UNAVAILABLE, and the log says that it succeeded`,
  ]);
});

test("what was answered before another was sent, and stands behind it, is named", async () => {
  const evidence = await evidenceOf(database.adminUrl, attempts);
  const swapped = attempts.map((each, place) => {
    const other = attempts[place === 3 ? 4 : place === 4 ? 3 : place];
    return { ...each, sent: other?.sent ?? 0, ended: other?.ended ?? 0 };
  });
  expect(judgeOrder({ ...evidence, attempts: swapped })).toEqual([
    expect.stringContaining(`${nameOf(4)} was answered before ${nameOf(3)} was sent, and has the later number: 4`),
    expect.stringContaining(`and has the later entry: 4`),
  ]);
});
