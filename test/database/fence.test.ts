import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { insertEntry } from "./support/entry.js";
import { named, outcomeOf, session } from "./support/session.js";

const REFUSED = "QL001 fence";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** Devices of the test's own; the database writes down who made them. */
async function devices(count: number): Promise<string[]> {
  const rows = await query<{ id: string }>(
    database.adminUrl,
    `insert into app.device (tenant_id, serial_number, name, provisioning_secret)
     select 'acme', gen_random_uuid(), 'Bin', 'hush' from generate_series(1, $1) returning id`,
    [count],
  );
  return rows.map(({ id }) => id);
}

interface Told {
  readonly field: string;
  readonly op: "ADD" | "REPLACE" | "REMOVE";
  readonly old?: unknown;
  readonly new?: unknown;
  readonly secret?: boolean;
}

const renamed = (from: string, to: string): Told => ({ field: "name", op: "REPLACE", old: from, new: to });
const rename = "update app.device set name = $2 where id = $1";

const tell = (client: pg.ClientBase, id: string, changes: readonly Told[], columns: Record<string, unknown> = {}) =>
  insertEntry(client, { resource_id: id, changes: JSON.stringify(changes), ...columns });

type Steps = (client: pg.ClientBase, ids: readonly string[]) => Promise<unknown>;

/** How the transaction of these steps ends for the API's login: at whichever of them fails, or at COMMIT. */
async function outcome(steps: Steps, end = "commit"): Promise<string> {
  const ids = await devices(2);
  return session(database.apiUrl, async (client) => {
    await client.query("begin");
    try {
      await steps(client, ids);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      return [error.code, error.constraint].join(" ");
    }
    return outcomeOf(client, end);
  });
}

const of = (ids: readonly string[], index = 0): string => ids[index] ?? "";

const refused: [what: string, steps: Steps, end?: string][] = [
  ["no entry at all", (client, ids) => client.query(rename, [of(ids), "b"])],
  [
    "an insert without one",
    (client) =>
      client.query("insert into app.device (tenant_id, serial_number, name) values ('acme', gen_random_uuid(), 'n')"),
  ],
  ["a deletion without one", (client, ids) => client.query("delete from app.device where id = $1", [of(ids)])],
  [
    "an entry for another id",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids, 1), [renamed("Bin", "b")]);
    },
  ],
  [
    "an entry of another tenant's",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")], { tenant_id: "globex" });
    },
  ],
  [
    "an entry that names another field",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [{ field: "status", op: "REPLACE", old: "ACTIVE", new: "RETIRED" }]);
    },
  ],
  [
    "another old value",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("x", "b")]);
    },
  ],
  [
    "another new value",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "x")]);
    },
  ],
  [
    "an entry without changes",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), []);
    },
  ],
  [
    "one of two fields",
    async (client, ids) => {
      await client.query("update app.device set name = 'b', status = 'RETIRED' where id = $1", [of(ids)]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
    },
  ],
  [
    "a lie about another field beside a true change",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      const lie: Told = { field: "status", op: "REPLACE", old: "lie", new: "lie2" };
      await tell(client, of(ids), [renamed("Bin", "b"), lie]);
    },
  ],
  [
    "a secret that is said to have changed beside a true change",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b"), { field: "provisioningSecret", op: "REPLACE", secret: true }]);
    },
  ],
  [
    "a lie about the field beside its true change",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b"), renamed("lie", "lie2")]);
    },
  ],
  [
    "an entry of a failure",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      const failure = { outcome: "FAILURE", error_code: "INTERNAL", event_type: "device.update_failed" };
      await tell(client, of(ids), [renamed("Bin", "b")], failure);
    },
  ],
  [
    "an entry that poses as the database's own",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")], { actor_type: "DATABASE", actor_id: null });
    },
  ],
  [
    "a change in bulk with one entry",
    async (client, ids) => {
      await client.query("update app.device set name = 'b' where id = any ($1)", [ids]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
    },
  ],
  [
    "an entry in a savepoint that is rolled back",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await client.query("savepoint s");
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query("rollback to savepoint s");
    },
  ],
  [
    "a write behind the entry",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query(rename, [of(ids), "c"]);
    },
  ],
  [
    "a write behind the entry, hidden behind one of an ignored field",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query(rename, [of(ids), "c"]);
      await client.query("update app.device set last_seen_at = now() where id = $1", [of(ids)]);
    },
  ],
  [
    "a write behind a check that was passed",
    async (client, ids) => {
      await client.query(rename, [of(ids), "x"]);
      await client.query(rename, [of(ids), "b"]);
      await client.query("update app.device set last_seen_at = now() where id = $1", [of(ids)]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query("set constraints all immediate; set constraints all deferred");
      await client.query(rename, [of(ids), "c"]);
    },
  ],
  [
    "entries there and back for a change that stays",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query(rename, [of(ids), "Bin"]);
      await tell(client, of(ids), [renamed("b", "Bin")]);
      await client.query(rename, [of(ids), "b"]);
    },
  ],
  [
    "a secret that isn't named",
    async (client, ids) => {
      await client.query("update app.device set name = 'b', provisioning_secret = 'new' where id = $1", [of(ids)]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
    },
  ],
  [
    "a secret that is changed behind the entry",
    async (client, ids) => {
      await tell(client, of(ids), [{ field: "provisioningSecret", op: "REPLACE", secret: true }]);
      await client.query("update app.device set provisioning_secret = 'new' where id = $1", [of(ids)]);
    },
  ],
  [
    "a change of the key with an entry for the old one alone",
    async (client, ids) => {
      await client.query("update app.device set id = $2 where id = $1", [of(ids), randomUUID()]);
      await tell(client, of(ids), removed(await rowOf(of(ids))), { action: "DELETE", event_type: "device.deleted" });
    },
  ],
  [
    "an upsert",
    (client, ids) =>
      client.query(
        `insert into app.device (tenant_id, id, serial_number, name) values ('acme', $1, 's', 'b')
         on conflict (tenant_id, id) do update set name = excluded.name`,
        [of(ids)],
      ),
  ],
  [
    "a MERGE",
    (client, ids) =>
      client.query(
        `merge into app.device using (values ($1::uuid)) as one (id) on device.id = one.id
         when matched then update set name = 'b'`,
        [of(ids)],
      ),
  ],
  [
    "a check at once",
    async (client, ids) => {
      await client.query("set constraints all immediate");
      await client.query(rename, [of(ids), "b"]);
    },
  ],
  [
    "constraints that are set immediate in the end",
    (client, ids) => client.query(rename, [of(ids), "b"]),
    "set constraints all immediate",
  ],
  [
    "a transaction that is prepared",
    (client, ids) => client.query(rename, [of(ids), "b"]),
    "prepare transaction 'fence'",
  ],
];

test.each(refused)("the API's login is refused %s", async (_what, steps, end) => {
  expect(await outcome(steps, end)).toBe(REFUSED);
});

async function rowOf(id: string): Promise<Record<string, unknown>> {
  const sql = `select serial_number as "serialNumber", name, status from app.device where id = $1`;
  const [row] = await query(database.adminUrl, sql, [id]);
  return row ?? {};
}

const hidden = { field: "provisioningSecret", secret: true } as const;
const removed = (row: Record<string, unknown>): Told[] => [
  ...Object.entries(row).map(([field, old]): Told => ({ field, op: "REMOVE", old })),
  { ...hidden, op: "REMOVE" },
];
const added = (row: Record<string, unknown>): Told[] => [
  ...Object.entries(row).map(([field, value]): Told => ({ field, op: "ADD", new: value })),
  { ...hidden, op: "ADD" },
];
const created = { action: "CREATE", event_type: "device.created" };
const deleted = { action: "DELETE", event_type: "device.deleted" };
const born =
  "insert into app.device (tenant_id, id, serial_number, name, provisioning_secret) values ('acme', $1, $2, 'n', 'x')";

const passing: [what: string, steps: Steps][] = [
  [
    "a change with its entry",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
    },
  ],
  [
    "a change of two fields, told in another order",
    async (client, ids) => {
      await client.query("update app.device set name = 'b', status = 'RETIRED' where id = $1", [of(ids)]);
      const retired: Told = { field: "status", op: "REPLACE", old: "ACTIVE", new: "RETIRED" };
      await tell(client, of(ids), [retired, renamed("Bin", "b")]);
    },
  ],
  [
    "an entry before its change",
    async (client, ids) => {
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query(rename, [of(ids), "b"]);
    },
  ],
  [
    "a change of an ignored field without one",
    (client, ids) => client.query("update app.device set last_seen_at = now() where id = $1", [of(ids)]),
  ],
  ["an update that changes nothing", (client, ids) => client.query(rename, [of(ids), "Bin"])],
  [
    "a change and back without an entry",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await client.query(rename, [of(ids), "Bin"]);
    },
  ],
  [
    "several changes with one entry for all",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await client.query("update app.device set status = 'RETIRED' where id = $1", [of(ids)]);
      await client.query("savepoint s");
      await client.query(rename, [of(ids), "c"]);
      await client.query("release savepoint s");
      const retired: Told = { field: "status", op: "REPLACE", old: "ACTIVE", new: "RETIRED" };
      await tell(client, of(ids), [renamed("Bin", "c"), retired]);
    },
  ],
  [
    "several changes with an entry each",
    async (client, ids) => {
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
      await client.query(rename, [of(ids), "c"]);
      await tell(client, of(ids), [renamed("b", "c")]);
    },
  ],
  [
    "a change that a savepoint took back",
    async (client, ids) => {
      await client.query("savepoint s");
      await client.query(rename, [of(ids), "b"]);
      await client.query("rollback to savepoint s");
    },
  ],
  [
    "a change behind one of an ignored field",
    async (client, ids) => {
      await client.query("update app.device set last_seen_at = now() where id = $1", [of(ids)]);
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "b")]);
    },
  ],
  [
    "a creation with its entry",
    async (client) => {
      const [id, serial] = [randomUUID(), randomUUID()];
      await client.query(born, [id, serial]);
      await tell(client, id, added({ serialNumber: serial, name: "n", status: "ACTIVE" }), created);
    },
  ],
  [
    "a creation that is changed, with one entry for what it became",
    async (client) => {
      const [id, serial] = [randomUUID(), randomUUID()];
      await client.query(born, [id, serial]);
      await client.query(rename, [id, "b"]);
      await tell(client, id, added({ serialNumber: serial, name: "b", status: "ACTIVE" }), created);
    },
  ],
  [
    "a creation that is deleted again without an entry",
    async (client) => {
      const id = randomUUID();
      await client.query(born, [id, randomUUID()]);
      await client.query("delete from app.device where id = $1", [id]);
    },
  ],
  [
    "a deletion with its entry",
    async (client, ids) => {
      const row = await rowOf(of(ids));
      await client.query("delete from app.device where id = $1", [of(ids)]);
      await tell(client, of(ids), removed(row), deleted);
    },
  ],
  [
    "a row that is replaced under its key, as what it is: a change",
    async (client, ids) => {
      const { serialNumber } = await rowOf(of(ids));
      await client.query("delete from app.device where id = $1", [of(ids)]);
      await client.query(born, [of(ids), serialNumber]);
      await tell(client, of(ids), [renamed("Bin", "n"), { ...hidden, op: "REPLACE" }]);
    },
  ],
  [
    "a change of the key with an entry for each",
    async (client, ids) => {
      const row = await rowOf(of(ids));
      const id = randomUUID();
      await client.query("update app.device set id = $2 where id = $1", [of(ids), id]);
      await tell(client, of(ids), removed(row), deleted);
      await tell(client, id, added(row), created);
    },
  ],
  [
    "a secret that is named",
    async (client, ids) => {
      await client.query("update app.device set provisioning_secret = 'new' where id = $1", [of(ids)]);
      await tell(client, of(ids), [{ ...hidden, op: "REPLACE" }]);
    },
  ],
];

test.each(passing)("the API's login passes with %s", async (_what, steps) => {
  expect(await outcome(steps)).toBe("succeeded");
});

test("the refusal names the table, the id, the fields and the remedy, and no value", async () => {
  const [id = ""] = await devices(1);
  const error = await session(database.apiUrl, (client) =>
    client.query("update app.device set name = 'b', provisioning_secret = 'c' where id = $1", [id]).then(
      () => null,
      (thrown: unknown) => thrown,
    ),
  );
  expect(error).toMatchObject({
    code: "QL001",
    message:
      `update of app.device ${id}: the change of name, provisioningSecret has no true entry in this transaction, ` +
      `so nothing is committed`,
    hint:
      "Name the id in the mutation's @audited, or await context.scope.touch(device, [id]) before it is changed, " +
      "and change it by context.manager.",
  });
});

describe("who isn't the API", () => {
  /** What the database wrote of these devices since they were made. */
  const recorded = (ids: readonly string[]) =>
    query(
      database.adminUrl,
      `select event_type, actor_type, actor_id, actor_name, resource_label, changes, host(ip) as ip, application_name,
         octet_length(salts) / 16 as slots, ordinal, session_id, sequence_number, request_id
       from audit.entry where resource_id = any ($1) and event_type <> 'device.created' order by id`,
      [ids],
    );
  const own = { actor_type: "DATABASE", actor_id: null, ip: "127.0.0.1", ordinal: 0 };
  const none = { session_id: null, sequence_number: null, request_id: null };

  test("is recorded by the database: who, from where, with what, and what changed", async () => {
    const ids = await devices(1);
    await session(named(database.adminUrl, "by-hand"), async (client) => {
      await client.query("begin");
      await client.query(rename, [of(ids), "b"]);
      await client.query("update app.device set provisioning_secret = 'seen by nobody', name = 'c' where id = $1", ids);
      await client.query("commit");
      await client.query("delete from app.device where id = $1", ids);
    });
    const { username } = new URL(database.adminUrl);
    const common = { ...own, ...none, actor_name: username, application_name: "by-hand", resource_label: "c" };
    const entries = await recorded(ids);
    expect(entries).toEqual([
      {
        ...common,
        event_type: "device.updated",
        changes: [renamed("Bin", "c"), { ...hidden, op: "REPLACE" }],
        slots: 14,
      },
      {
        ...common,
        event_type: "device.deleted",
        changes: [
          { field: "serialNumber", op: "REMOVE", old: expect.any(String) as unknown },
          { field: "name", op: "REMOVE", old: "c" },
          { field: "status", op: "REMOVE", old: "ACTIVE" },
          { ...hidden, op: "REMOVE" },
        ],
        slots: 18,
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain("seen by nobody");
  });

  const bySuperuser: readonly (readonly [what: string, sql: (id: string) => string])[] = [
    ["in the role of the API", (id) => `set role app_api; update app.device set name = 'b' where id = '${id}'`],
    [
      "in the role of a replica",
      (id) => `set session_replication_role = replica; update app.device set name = 'b' where id = '${id}'`,
    ],
    [
      "with every setting of the fence's own names",
      (id) =>
        `set audit.fence_mode = 'off'; set audit.fence = 'off'; set row_security = off; set search_path = pg_temp;
         set plan_cache_mode = force_custom_plan; set datestyle = german; set timezone = 'Asia/Kathmandu';
         update app.device set name = 'b' where id = '${id}'`,
    ],
    [
      "by MERGE",
      (id) => `merge into app.device using (values ('${id}'::uuid)) as one (id) on device.id = one.id
        when matched then update set name = 'b'`,
    ],
  ];

  test.each(bySuperuser)("is recorded %s", async (_what, sql) => {
    const ids = await devices(1);
    await query(database.adminUrl, sql(of(ids)));
    expect(await recorded(ids)).toMatchObject([{ ...own, changes: [renamed("Bin", "b")] }]);
  });

  test("is recorded for each row of a COPY", async () => {
    await query(
      database.adminUrl,
      `copy app.device (tenant_id, serial_number, name)
       from program 'printf "acme\\tcopied-1\\tone\\nacme\\tcopied-2\\ttwo\\n"'`,
    );
    const sql = `select resource_label, changes from audit.entry
      where changes @> '[{"field": "serialNumber"}]' and resource_label in ('one', 'two') order by id`;
    const fields = (serial: string, name: string) =>
      added({ serialNumber: serial, name, status: "ACTIVE" }).filter(({ secret }) => !secret);
    expect(await query(database.adminUrl, sql)).toEqual([
      { resource_label: "one", changes: fields("copied-1", "one") },
      { resource_label: "two", changes: fields("copied-2", "two") },
    ]);
  });

  test("is recorded in full beside an entry of its own that isn't true", async () => {
    const ids = await devices(1);
    await session(database.adminUrl, async (client) => {
      await client.query("begin");
      await client.query(rename, [of(ids), "b"]);
      await tell(client, of(ids), [renamed("Bin", "x")]);
      await client.query("commit");
    });
    expect(await recorded(ids)).toMatchObject([
      { actor_type: "USER", changes: [renamed("Bin", "x")] },
      { ...own, changes: [renamed("Bin", "b")] },
    ]);
  });

  test("is recorded once for each row and transaction, however often it changed", async () => {
    const ids = await devices(1);
    await session(database.adminUrl, async (client) => {
      await client.query("begin");
      for (const name of ["b", "c", "d"]) await client.query(rename, [of(ids), name]);
      await client.query("set constraints all immediate; set constraints all deferred");
      for (const name of ["e", "f"]) await client.query(rename, [of(ids), name]);
      await client.query("commit");
    });
    expect(await recorded(ids)).toMatchObject([{ changes: [renamed("Bin", "d")] }, { changes: [renamed("d", "f")] }]);
  });

  test("is recorded by length and salted digest where a value is long", async () => {
    const ids = await devices(1);
    await query(database.adminUrl, "update app.device set name = repeat('x', 70000) where id = $1", ids);
    const [row] = await query<{ changes: unknown[]; digest: string }>(
      database.adminUrl,
      `select changes,
         encode(sha256(substr(salts, 11 * 16 + 1, 16) || convert_to('"' || repeat('x', 70000) || '"', 'UTF8')), 'hex') as digest
       from audit.entry where resource_id = any ($1) and event_type = 'device.updated'`,
      [ids],
    );
    expect(row?.changes).toEqual([
      { field: "name", op: "REPLACE", old: "Bin", newOmitted: { bytes: 70002, digest: row?.digest } },
    ]);
  });

  test("may not TRUNCATE, not even as a superuser or in the role of a replica", async () => {
    await session(database.adminUrl, async (client) => {
      expect(await outcomeOf(client, "truncate app.device")).toBe("42501");
      expect(await outcomeOf(client, "truncate app.device cascade")).toBe("42501");
      await client.query("set session_replication_role = replica");
      expect(await outcomeOf(client, "truncate app.device")).toBe("42501");
    });
  });
});
