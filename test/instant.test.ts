import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EntitySchema } from "typeorm";
import { type Databases, openDatabases } from "../src/database.js";
import { Instant } from "../src/instant.js";
import { createDatabase, query, type TestDatabase } from "./support/postgres.js";

describe("an instant", () => {
  it.each([
    ["2026-11-21 23:41:56.123456+00", "2026-11-21T23:41:56.123456Z"],
    ["2026-11-21 23:41:56.1+00", "2026-11-21T23:41:56.100000Z"],
    ["2026-11-21 23:41:56+00", "2026-11-21T23:41:56.000000Z"],
    ["2026-11-21T23:41:56.123456Z", "2026-11-21T23:41:56.123456Z"],
    ["0001-01-01 00:00:00+00:00", "0001-01-01T00:00:00.000000Z"],
  ])("reads %s", (text, expected) => {
    const instant = Instant.parse(text);
    expect([instant.text, String(instant), JSON.stringify(instant)]).toEqual([expected, expected, `"${expected}"`]);
  });

  it.each([
    "infinity",
    "10000-01-01 00:00:00+00",
    "0044-03-15 12:00:00+00 BC",
    "2026-11-21 23:41:56+02",
    "2026-11-21 23:41:56",
    "2026-11-21T23:41:56.1234567Z",
    "",
  ])("refuses %s", (text) => {
    expect(() => Instant.parse(text)).toThrow(TypeError);
  });

  it("is the same object when it is read again soon", () => {
    const first = Instant.parse("2026-11-21 23:41:56.5+00");
    for (let second = 0; second < 1_000; second++)
      Instant.parse(`2026-01-01 00:00:00.${String(second).padStart(3, "0")}+00`);
    expect(Instant.parse("2026-11-21 23:41:56.5+00")).toBe(first);
  });
});

interface Sample {
  id: number;
  name: string;
  seenAt: Instant | null;
  madeAt: Instant;
}

const samples = new EntitySchema<Sample>({
  name: "Sample",
  tableName: "sample",
  schema: "app",
  columns: {
    id: { type: Number, primary: true },
    name: { type: "text" },
    seenAt: { type: "timestamptz", name: "seen_at", nullable: true },
    madeAt: { type: "timestamptz", name: "made_at", insert: false, update: false },
  },
});

describe("an instant in the database", () => {
  const text = "2026-11-21T23:41:56.123456Z";
  let database: TestDatabase;
  let databases: Databases;

  beforeAll(async () => {
    database = await createDatabase();
    await query(
      database.adminUrl,
      `create table app.sample (
         id integer primary key, name text not null, seen_at timestamptz,
         made_at timestamptz not null default '2026-11-21 23:41:56.654321Z'
       );
       grant select, insert, update on app.sample to app_api`,
    );
    databases = await openDatabases(database, {
      entities: [samples],
      onError: (error) => {
        throw error;
      },
    });
  });

  afterAll(async () => {
    await databases.close();
    await database.drop();
  });

  const stored = async (id: number): Promise<unknown> =>
    (
      await query(
        database.adminUrl,
        `select to_char(seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as seen_at, xmin::text
         from app.sample where id = $1`,
        [id],
      )
    )[0];

  it("keeps its microseconds through insert, find, save and update", async () => {
    const repository = databases.write.getRepository(samples);
    await repository.insert({ id: 1, name: "one", seenAt: Instant.parse(text) });
    expect(await stored(1)).toMatchObject({ seen_at: text });

    const found = await repository.findOneByOrFail({ id: 1 });
    expect([found.seenAt, found.madeAt]).toEqual([Instant.parse(text), Instant.parse("2026-11-21T23:41:56.654321Z")]);
    expect(await repository.countBy({ id: 1, seenAt: Instant.parse(text) })).toBe(1);
    expect(await repository.countBy({ id: 1, seenAt: Instant.parse("2026-11-21T23:41:56.123457Z") })).toBe(0);

    found.seenAt = Instant.parse("2026-11-21T23:41:56.123457Z");
    await repository.save(found);
    expect(await stored(1)).toMatchObject({ seen_at: "2026-11-21T23:41:56.123457Z" });

    await repository.update({ id: 1 }, { seenAt: Instant.parse("2026-11-21T23:41:56.123458Z") });
    expect(await stored(1)).toMatchObject({ seen_at: "2026-11-21T23:41:56.123458Z" });
  });

  it("is no change for a save that left it alone", async () => {
    const repository = databases.write.getRepository(samples);
    await repository.insert({ id: 2, name: "two", seenAt: Instant.parse(text) });
    const before = await stored(2);
    await repository.save(await repository.findOneByOrFail({ id: 2 }));
    expect(await stored(2)).toEqual(before);
  });

  it("arrives through node-postgres too, prepared statements included", async () => {
    for (const pool of [databases.refusals, databases.reader]) {
      const statement = { name: "instants", text: "select $1::timestamptz as at, 9007199254740993::int8 as count" };
      const { rows } = await pool.query({ ...statement, values: [Instant.parse(text)] });
      expect(rows).toEqual([{ at: Instant.parse(text), count: "9007199254740993" }]);
    }
  });
});
