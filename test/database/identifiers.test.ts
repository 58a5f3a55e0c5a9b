import { afterAll, beforeAll, expect, test } from "vitest";
import { session } from "./support/session.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

test("identifiers made one after the other never go back, also within a millisecond", async () => {
  const rows = await query(
    database.adminUrl,
    `with made as (select n, left(audit.new_id()::text, 18) as clock from generate_series(1, 20000) as n)
     select count(*) filter (where clock < before)::int as inversions, count(distinct left(clock, 13)) < 20000 as dense
     from (select clock, lag(clock) over (order by n) as before from made) as pairs`,
  );
  expect(rows).toEqual([{ inversions: 0, dense: true }]);
});

test("an identifier is a UUIDv7 of the database's clock", async () => {
  const rows = await query(
    database.adminUrl,
    `select count(*)::int as strangers
     from (select clock_timestamp() as before, audit.new_id() as id, clock_timestamp() as after
           from generate_series(1, 1000)) as made
     where id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
       or audit.id_time(id) not between before - interval '1 microsecond' and after`,
  );
  expect(rows).toEqual([{ strangers: 0 }]);
});

test("id_time gives back every microsecond that id_floor was made of", async () => {
  const rows = await query(
    database.adminUrl,
    `select count(*)::int as wrong
     from (select timestamptz '2026-03-29 00:59:59.99+00' + n * interval '1 microsecond' as instant
           from generate_series(0, 20000) as n) as instants
     where audit.id_time(audit.id_floor(instant)) <> instant
       or audit.id_floor(instant) >= audit.id_floor(instant + interval '1 microsecond')`,
  );
  expect(rows).toEqual([{ wrong: 0 }]);
});

test("an identifier lies between the floors of its microsecond and of the next", async () => {
  const rows = await query(
    database.adminUrl,
    `select count(*)::int as outside
     from (select audit.new_id() as id from generate_series(1, 20000)) as made
     where not (id >= audit.id_floor(audit.id_time(id))
       and id < audit.id_floor(audit.id_time(id) + interval '1 microsecond'))`,
  );
  expect(rows).toEqual([{ outside: 0 }]);
});

test("the functions of identifiers don't depend on the session's time zone or search_path", async () => {
  const rows = await session(database.adminUrl, async (client) => {
    await client.query(`set timezone = 'Pacific/Auckland'; set search_path = ''`);
    const sql = `select audit.id_floor('2026-11-21T23:59:59.999999Z') as floor,
      audit.id_time('01a2008d-73ff-7ffc-bfff-ffffffffffff')::text as time`;
    return (await client.query<{ floor: string; time: string }>(sql)).rows;
  });
  expect(rows).toEqual([{ floor: "01a2008d-73ff-7ffc-8000-000000000000", time: "2026-11-22 12:59:59.999999+13" }]);
});
