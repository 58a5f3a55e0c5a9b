import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { selfCheck } from "../../src/audit/self-check.js";
import { connect, createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { until } from "../support/until.js";
import { insertEntry } from "./support/entry.js";
import { outcomeOf, session } from "./support/session.js";

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

describe("months ahead", () => {
  test("the migrations made this month and three more, and keeping them again does nothing", async () => {
    const expected = [0, 1, 2, 3].map((ahead) => `audit.entry_${month(ahead)}`);
    expect(await partitionNames("entry")).toEqual([...expected, "audit.entry_default"]);
    expect(await partitionNames("entry_field")).toHaveLength(5);
    expect(await keep()).toEqual([]);
  });

  test("further months are made with their guards on, and each is named", async () => {
    const made = [4, 5].flatMap((ahead) => [`audit.entry_${month(ahead)}`, `audit.entry_field_${month(ahead)}`]);
    expect((await keep(5)).sort()).toEqual(made.sort());
    expect(await session(database.apiUrl, selfCheck)).toEqual([]);
    const { rowCount } = await session(database.adminUrl, (client) =>
      client.query(
        `select from pg_class where relnamespace = 'audit'::regnamespace and relkind in ('r', 'p')
           and relname like 'entry%'
           and (pg_get_userbyid(relowner) <> 'audit_owner' or not relrowsecurity)`,
      ),
    );
    expect(rowCount).toBe(0);
  });

  test("months meet without a gap, the first at this month's first microsecond in UTC", async () => {
    await session(database.apiUrl, (client) =>
      client.query(`set timezone = 'Pacific/Auckland'; select audit_guard.keep_partitions(14)`),
    );
    const rows = await query(
      database.adminUrl,
      `select count(*)::int as months, count(*) filter (where lower_id = before)::int as meet,
         audit.id_time(min(lower_id::text)::uuid) = date_trunc('month', now(), 'UTC') as begins
       from (select lower_id, lag(upper_id) over (order by lower_id) as before
             from audit_guard.partition_ranges('audit.entry') where lower_id is not null) as ranges`,
    );
    expect(rows).toEqual([{ months: 15, meet: 14, begins: true }]);
  });

  test("two processes at once make each month once, and neither fails", async () => {
    const [one, two] = await Promise.all([keep(9), keep(9)]);
    expect([...one, ...two].sort()).toEqual([...new Set([...one, ...two])].sort());
    expect([...one, ...two]).toHaveLength(12);
    expect(await partitionNames("entry")).toHaveLength(11);
  });

  test("an open writer neither holds up the making of months nor is held up by it", async () => {
    await session(database.apiUrl, async (writer) => {
      await writer.query("begin");
      await insertEntry(writer);
      expect(await keep(4)).toHaveLength(2);
      await insertEntry(writer, { ordinal: 1 });
      await writer.query("commit");
    });
    expect(
      await query(database.adminUrl, `select count(*)::int from audit.entry where resource_type = 'device'`),
    ).toEqual([{ count: 2 }]);
  });

  test.each([-1, 25, null])("%j months are refused", async (months) => {
    await session(database.apiUrl, async (client) => {
      expect(await outcomeOf(client, `select audit_guard.keep_partitions($1)`, [months])).toBe("22023");
    });
  });
});

describe("entries of a month without a partition", () => {
  test("go to DEFAULT, which becomes that month's partition without moving a row", async () => {
    await loseMonths(0);
    const id = await session(database.apiUrl, (client) => insertEntry(client));
    const before = await placeOf(id);
    expect(before.partition).toBe("audit.entry_default");

    const done = await keep();

    expect(done).toEqual(
      expect.arrayContaining([
        `audit.entry_default became audit.entry_${month(0)}`,
        `audit.entry_field_default became audit.entry_field_${month(0)}`,
      ]),
    );
    expect(await placeOf(id)).toEqual({ ...before, partition: `audit.entry_${month(0)}` });
    expect(await session(database.apiUrl, selfCheck)).toEqual([]);
    expect(await session(database.adminUrl, (client) => outcomeOf(client, `delete from audit.entry`))).toBe("42501");
    expect(await keep()).toEqual([]);
  });

  test("of several months become one partition, and later ones get their own", async () => {
    await loseMonths(0, 1, 2);
    await session(database.adminUrl, async (client) => {
      await insertEntry(client);
      await insertEntry(client, { id: await firstIdOf(client, 2) });
    });
    await keep(4);
    expect(await partitionNames("entry")).toEqual([
      `audit.entry_${month(0)}_to_${month(2)}`,
      `audit.entry_${month(3)}`,
      `audit.entry_${month(4)}`,
      "audit.entry_default",
    ]);
  });

  test("stay in DEFAULT, and it says so, where partitions stand between them", async () => {
    await loseMonths(0, 2);
    await session(database.adminUrl, async (client) => {
      await insertEntry(client);
      await insertEntry(client, { id: await firstIdOf(client, 2) });
    });
    const done = await keep(4);
    expect(done).toContain(
      `audit.entry_default keeps rows of ${month(0, "-")} to ${month(2, "-")}: there are partitions between them`,
    );
    expect(done).toContain(`audit.entry_${month(4)}`);
    expect(await query(database.adminUrl, `select count(*)::int from audit.entry`)).toEqual([{ count: 2 }]);
  });

  test("a rescue waits for who is writing them, lets others write meanwhile, and loses nothing", async () => {
    await loseMonths(0);
    const client = await connect(database.apiUrl);
    await client.query("begin");
    const ids = [await insertEntry(client)];
    let done: string[] | undefined;
    const keeping = keep().then((lines) => (done = lines));
    await until(isKeeperWaiting, { what: "the keeper waits for the writer's lock" });

    ids.push(await session(database.apiUrl, (other) => insertEntry(other, { ordinal: 1 })));
    expect(done).toBeUndefined();
    ids.push(await insertEntry(client, { ordinal: 2 }));
    await client.query("commit");
    await client.end();

    expect(await keeping).toContain(`audit.entry_default became audit.entry_${month(0)}`);
    for (const id of ids) expect((await placeOf(id)).partition).toBe(`audit.entry_${month(0)}`);
    expect(await session(database.apiUrl, selfCheck)).toEqual([]);
  });
});

test("a DEFAULT partition that is gone is made again", async () => {
  await asGuard(`drop table audit.entry_default, audit.entry_field_default`);
  expect(await keep()).toEqual(["made audit.entry_default", "made audit.entry_field_default"]);
  expect(await session(database.apiUrl, selfCheck)).toEqual([]);
});

/** Keeps the partitions as the API does, and answers what was done. */
async function keep(monthsAhead = 3): Promise<string[]> {
  const rows = await query<{ line: string }>(database.apiUrl, `select audit_guard.keep_partitions($1) as line`, [
    monthsAhead,
  ]);
  return rows.map(({ line }) => line);
}

function asGuard(sql: string): Promise<unknown> {
  return session(database.adminUrl, (client) => client.query(`set role audit_guard; ${sql}`));
}

/** As if the keeper hadn't run for these months, counted from this one. */
async function loseMonths(...ahead: number[]): Promise<void> {
  for (const number of ahead) {
    await asGuard(`drop table audit.entry_${month(number)}, audit.entry_field_${month(number)}`);
  }
}

async function partitionNames(table: string): Promise<string[]> {
  const sql = `select partition::text as name from audit_guard.partition_ranges($1::regclass) order by lower_id`;
  return (await query<{ name: string }>(database.adminUrl, sql, [`audit.${table}`])).map(({ name }) => name);
}

async function placeOf(id: string): Promise<{ partition: string; file: number; place: string }> {
  const [found] = await query<{ partition: string; file: number; place: string }>(
    database.adminUrl,
    `select tableoid::regclass::text as partition, pg_relation_filenode(tableoid) as file, ctid::text as place
     from audit.entry where id = $1`,
    [id],
  );
  if (found === undefined) throw new Error(`There is no entry ${id}.`);
  return found;
}

async function firstIdOf(client: pg.ClientBase, ahead: number): Promise<unknown> {
  const sql = `select audit.id_floor(date_trunc('month', now(), 'UTC') + make_interval(months => $1)) as id`;
  await client.query(`set timezone = 'UTC'`);
  return (await client.query<{ id: unknown }>(sql, [ahead])).rows[0]?.id;
}

async function isKeeperWaiting(): Promise<boolean> {
  const rows = await query(
    database.adminUrl,
    `select from pg_locks where not granted and mode = 'AccessExclusiveLock'
       and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows.length > 0;
}

/** A month's name, so many ahead of this one in UTC. */
function month(ahead: number, separator = "_"): string {
  const now = new Date();
  const date = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead));
  return date.toISOString().slice(0, 7).replace("-", separator);
}
