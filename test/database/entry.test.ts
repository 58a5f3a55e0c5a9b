import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { type Columns, insertEntry, insertOf } from "./support/entry.js";
import { outcomeOf, outcomeOfAttempt, session } from "./support/session.js";

const NIL = "00000000-0000-0000-0000-000000000000";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe("what the database stamps", () => {
  test("an entry carries the time, transaction, login and application that the database saw", async () => {
    const { id, seen } = await session(database.apiUrl, async (client) => {
      await client.query(`set application_name = 'stamp-test'; begin`);
      const written = await insertEntry(client);
      const { rows } = await client.query<Columns>(
        `select pg_current_xact_id()::text as xact_id, session_user as database_user`,
      );
      await client.query(`commit`);
      return { id: written, seen: rows[0] };
    });
    const rows = await query(
      database.adminUrl,
      `select xact_id::text, database_user, application_name, occurred_at = audit.id_time(id) as timely,
         abs(extract(epoch from clock_timestamp() - occurred_at)) < 30 as recent
       from audit.entry where id = $1`,
      [id],
    );
    expect(rows).toEqual([{ ...seen, application_name: "stamp-test", timely: true, recent: true }]);
  });

  test.each(["id", "occurred_at", "resource_label_folded", "xact_id", "database_user", "application_name"])(
    "the API can't state %s, not even as DEFAULT or by overriding",
    async (column) => {
      await session(database.apiUrl, async (client) => {
        for (const [overriding, value] of [
          ["", "default"],
          ["overriding system value", "null"],
        ]) {
          const sql = `insert into audit.entry (tenant_id, ${column}) ${overriding} values ('acme', ${value})`;
          // A generated column takes no value from anyone but by DEFAULT, and that takes the right to state it.
          expect(await outcomeOf(client, sql)).toMatch(/^(42501|428C9)$/);
        }
      });
    },
  );

  test("what even a superuser states of transaction and login doesn't survive", async () => {
    const rows = await session(database.adminUrl, async (client) => {
      await client.query(`begin; set local session_replication_role = replica`);
      const { text, values } = insertOf({
        xact_id: "3",
        database_user: "forged",
        application_name: "forged",
        occurred_at: "2001-01-01T00:00:00Z",
        resource_label_folded: "forged",
      });
      const inserted = await client.query<Columns>(
        `${text}, xact_id = pg_current_xact_id() as true_xact, database_user = session_user as true_user,
          application_name <> 'forged' as true_name, occurred_at = audit.id_time(id) as true_time,
          resource_label_folded is not distinct from audit.fold(resource_label) as true_label`,
        values,
      );
      await client.query(`rollback`);
      return inserted.rows;
    });
    expect(rows).toMatchObject([{ true_xact: true, true_user: true, true_name: true }]);
  });

  test("the API can't write the list of changed fields itself", async () => {
    const sql = `insert into audit.entry_field (tenant_id, field, id) values ('acme', 'name', audit.new_id())`;
    expect(await session(database.apiUrl, (client) => outcomeOf(client, sql))).toBe("42501");
  });

  test("each field that an entry changed is listed once", async () => {
    const changes = ["name", "status", "name"].map((field) => ({ field, op: "REPLACE" }));
    const id = await session(database.apiUrl, (client) => insertEntry(client, { changes: JSON.stringify(changes) }));
    const rows = await query(database.adminUrl, `select tenant_id, field from audit.entry_field where id = $1`, [id]);
    expect(rows).toHaveLength(2);
    expect(rows).toEqual(
      expect.arrayContaining([
        { tenant_id: "acme", field: "name" },
        { tenant_id: "acme", field: "status" },
      ]),
    );
  });

  test("a label is folded beyond ASCII, as audit.fold folds", async () => {
    const id = await session(database.apiUrl, (client) => insertEntry(client, { resource_label: "STRASSE Bin ΣΑΣ" }));
    const sql = `select resource_label_folded as folded, resource_label_folded = audit.fold('Straße BIN σασ') as found
      from audit.entry where id = $1`;
    expect(await query(database.adminUrl, sql, [id])).toEqual([{ folded: "strasse bin σας", found: true }]);
  });

  test("a letter, its capital and its small one are folded alike, whichever letter of Unicode's first planes it is", async () => {
    const sql = `select to_hex(code) as code from (
        select code, chr(code) collate "und-x-icu" as letter from generate_series(1, 131071) code
        where code not between 55296 and 57343) letters
      where audit.fold(letter) <> audit.fold(upper(letter)) or audit.fold(letter) <> audit.fold(lower(letter))
        or octet_length(audit.fold(letter)) > 3 * octet_length(letter)`;
    expect(await query(database.adminUrl, sql)).toEqual([]);
  });
});

describe("what an entry may hold", () => {
  const session_id = "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33";
  const report: Columns = { reported_by: "gw-1", action: "REQUEST", claimed_at: "2026-11-22T06:00:00Z" };
  const rules: [what: string, columns: Columns, rule: string][] = [
    ["an empty tenant", { tenant_id: "" }, "entry_tenant_id"],
    ["a tenant with $ other than the platform", { tenant_id: "$other" }, "entry_tenant_id"],
    ["a tenant of 64 characters", { tenant_id: "a".repeat(64) }, "entry_tenant_id"],
    ["a tenant in capitals", { tenant_id: "Acme" }, "entry_tenant_id"],
    ["a tenant with a line after it", { tenant_id: "acme\n" }, "entry_tenant_id"],
    ["an unknown format", { format_version: 2 }, "entry_format_version"],
    ["an unknown kind of actor", { actor_type: "ROBOT" }, "entry_actor_type"],
    ["a user without an id", { actor_id: null }, "entry_actor"],
    ["an anonymous actor with an id", { actor_type: "ANONYMOUS" }, "entry_actor"],
    ["the system without a subsystem", { actor_type: "SYSTEM", actor_id: null }, "entry_actor"],
    ["an unknown action", { action: "UPSERT" }, "entry_action"],
    ["an unknown outcome", { outcome: "MAYBE" }, "entry_outcome"],
    ["a success with an error", { error_code: "INTERNAL" }, "entry_error"],
    ["a failure without an error", { outcome: "FAILURE" }, "entry_error"],
    ["a message without a code", { error_message: "no" }, "entry_error"],
    ["a resource's id without its type", { resource_type: null, resource_label: null }, "entry_resource"],
    ["a negative sequence number", { sequence_number: -1 }, "entry_sequence_number"],
    ["a negative ordinal", { ordinal: -1 }, "entry_ordinal"],
    ["a salt too few", { salts: Buffer.alloc(16 * 11) }, "entry_salts"],
    ["an enormous reason", { reason: "x".repeat(8193) }, "entry_length"],
    ["an enormous resource id", { resource_id: "x".repeat(2049) }, "entry_length"],
    ["an enormous label", { resource_label: "x".repeat(2049) }, "entry_length"],
    ["a label that folding makes enormous", { resource_label: "ΐ".repeat(342) }, "entry_length"],
    ["a report without its time", { reported_by: "gw-1" }, "entry_reported"],
    ["a report of no session", { ...report, session_id: null }, "entry_reported"],
    ["a report without its number", { ...report, sequence_number: null }, "entry_reported"],
    [
      "a reporter's word on a session of none",
      { ...report, resource_type: "audit_session", session_id: null },
      "entry_reported",
    ],
    ["an enormous reporter", { ...report, reported_by: "x".repeat(2049) }, "entry_length"],
    ["nobody as the reporter", { ...report, reported_by: NIL }, "entry_no_nil_uuid"],
    ["a correlation without a number", { correlation_session_id: session_id }, "entry_correlation"],
    ["a correlation without a session", { correlation_sequence_number: 1 }, "entry_correlation"],
    [
      "a correlation below zero",
      { correlation_session_id: session_id, correlation_sequence_number: -1 },
      "entry_correlation",
    ],
    [
      "a correlation with nobody's session",
      { correlation_session_id: NIL, correlation_sequence_number: 1 },
      "entry_no_nil_uuid",
    ],
    ...["request_id", "session_id", "cause_id", "resource_id", "actor_id", "on_behalf_of", "token_id", "client_id"].map(
      (column): [string, Columns, string] => [`the nil UUID as ${column}`, { [column]: NIL }, "entry_no_nil_uuid"],
    ),
  ];

  test.each(rules)("%s is refused", async (_what, columns, rule) => {
    const { text, values } = insertOf(columns);
    expect(await session(database.apiUrl, (client) => outcomeOf(client, text, values))).toBe(`23514 ${rule}`);
  });

  test("what is stored compressed is measured at its full length", async () => {
    const outcome = await session(database.adminUrl, async (client) => {
      const id = await insertEntry(client);
      await client.query(`create temp table source as table audit.entry with no data`);
      await client.query(`insert into source select * from audit.entry where id = $1`, [id]);
      await client.query(`update source set id = audit.new_id(), actor_name = repeat('x', 5000)`);
      return outcomeOf(client, `insert into audit.entry table source`);
    });
    expect(outcome).toBe("23514 entry_length");
  });

  test.each<[string, Columns]>([
    [
      "an anonymous attempt",
      { actor_type: "ANONYMOUS", actor_id: null, outcome: "DENIED", error_code: "UNAUTHENTICATED" },
    ],
    [
      "the system's own act",
      { actor_type: "SYSTEM", actor_id: null, subsystem: "chat_auto_archive", session_id: null },
    ],
    ["an act on nothing", { resource_type: null, resource_id: null, resource_label: null, tenant_id: "$platform" }],
    ["a report", report],
    [
      "what a reporter says of its session",
      { ...report, resource_type: "audit_session", action: "START", sequence_number: null, claimed_at: null },
    ],
    ["a report of a refusal", { ...report, outcome: "DENIED", error_code: "FORBIDDEN" }],
    ["a correlation", { correlation_session_id: session_id, correlation_sequence_number: "9223372036854775807" }],
    [
      "the longest of all",
      { tenant_id: "a".repeat(63), resource_id: randomText(2048), resource_label: "ΐ".repeat(341) },
    ],
  ])("%s is accepted", async (_what, columns) => {
    const { text, values } = insertOf(columns);
    expect(await session(database.apiUrl, (client) => outcomeOf(client, text, values))).toBe("succeeded");
  });
});

describe("who may read it", () => {
  let tenants: TestDatabase;
  beforeAll(async () => {
    tenants = await createDatabase();
    await session(tenants.apiUrl, async (client) => {
      for (const tenant_id of ["acme", "globex", "$platform"]) await insertEntry(client, { tenant_id });
    });
  });
  afterAll(() => tenants.drop());

  test.each([
    [null, []],
    ["", []],
    ["acme", ["acme"]],
    ["acme,globex", ["acme", "globex"]],
    ["$platform", ["$platform"]],
    ["%", []],
    ["*", ["$platform", "acme", "globex"]],
  ])("a reader for whom the transaction names %j sees the tenants %j", async (named, seen) => {
    await session(tenants.readerUrl, async (client) => {
      await client.query("begin");
      if (named !== null) await client.query(`select set_config('audit.tenants', $1, true)`, [named]);
      for (const table of ["entry", "entry_field"]) {
        const { rows } = await client.query<Columns>(`select distinct tenant_id from audit.${table} order by 1`);
        expect(rows.map(({ tenant_id }) => tenant_id)).toEqual(seen);
      }
      await client.query("commit");
      // What was named is gone with its transaction.
      expect((await client.query(`select from audit.entry`)).rowCount).toBe(0);
    });
  });

  test.each(["select salts from audit.entry", "select * from audit.entry", "table audit.entry_2099_01"])(
    "a reader is refused: %s",
    async (sql) => {
      const outcome = await session(tenants.readerUrl, (client) => outcomeOf(client, sql));
      expect(outcome).toBe(sql.startsWith("table") ? "42P01" : "42501");
    },
  );

  test("neither reader nor API reads a partition past the wall", async () => {
    const [partition] = await query<{ name: string }>(
      tenants.adminUrl,
      `select distinct tableoid::regclass::text as name from audit.entry`,
    );
    for (const url of [tenants.readerUrl, tenants.apiUrl]) {
      const outcome = await session(url, (client) => outcomeOf(client, `select id from ${partition?.name}`));
      expect(outcome).toBe("42501");
    }
  });

  test("the API reads of the log id, ordinal and transaction, no other column", async () => {
    const columns = await query<{ attname: string }>(
      tenants.adminUrl,
      `select attname from pg_attribute where attrelid = 'audit.entry'::regclass and attnum > 0`,
    );
    await session(tenants.apiUrl, async (client) => {
      const readable: string[] = [];
      for (const { attname } of columns) {
        if ((await outcomeOf(client, `select ${attname} from audit.entry`)) === "succeeded") readable.push(attname);
      }
      expect(readable).toEqual(["id", "ordinal", "xact_id"]);
      expect(await outcomeOf(client, `select from audit.entry_field`)).toBe("42501");
    });
  });

  test("the API sees the rows of its own transaction alone", async () => {
    await session(tenants.apiUrl, async (client) => {
      expect((await client.query(`select id from audit.entry`)).rows).toEqual([]);
      await client.query("begin");
      const id = await insertEntry(client);
      expect((await client.query(`select id from audit.entry`)).rows).toEqual([{ id }]);
      await client.query("rollback");
    });
  });

  test("the reader can write nothing", async () => {
    const { text, values } = insertOf();
    await session(tenants.readerUrl, async (client) => {
      expect(await outcomeOf(client, text, values)).toBe("42501");
      expect(await outcomeOfAttempt(client, `select audit_guard.keep_partitions()`)).toBe("42501");
    });
  });
});

/** Text that no compression shortens. */
function randomText(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(33 + Math.floor(Math.random() * 90))).join("");
}
