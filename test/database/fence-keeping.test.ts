import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fence } from "../../scratch/fence.js";
import { createDatabase, query, type TestDatabase, urlOf } from "../support/postgres.js";
import { named, outcomeOf, outcomeOfAttempt, session } from "./support/session.js";

const login = { user: `test_fence_${randomBytes(4).toString("hex")}`, password: randomBytes(18).toString("hex") };

let database: TestDatabase;
let loginUrl: string;
let device: string;

const asAdmin = (sql: string, params: unknown[] = []) => query(database.adminUrl, sql, params);
const rename = (name: string) => `update app.device set name = '${name}' where id = '${device}'`;
const lastEntry = async () => {
  const [row] = await asAdmin("select coalesce(max(id::text), audit.id_floor(now())::text) as id from audit.entry");
  return String(row?.["id"]);
};
const entriesSince = (id: string, type: string) =>
  asAdmin(
    `select resource_id, action, event_type, actor_type, actor_name, changes from audit.entry
     where tenant_id = '$platform' and resource_type = $1 and id > $2 order by id`,
    [type, id],
  );

beforeAll(async () => {
  database = await createDatabase();
  loginUrl = urlOf(database.adminUrl, database.name, login);
  await asAdmin(`create role ${login.user} login password '${login.password}'`);
  await asAdmin(`grant usage on schema app to ${login.user}`);
  await asAdmin(`grant select, insert, update, delete on app.device to ${login.user}`);
});
afterAll(async () => {
  await asAdmin(`drop owned by ${login.user}`);
  await asAdmin(`drop role ${login.user}`);
  await database.drop();
});
beforeEach(async () => {
  const [row] = await asAdmin(
    `insert into app.device (tenant_id, serial_number, name) values ('acme', gen_random_uuid(), 'Bin') returning id`,
  );
  device = String(row?.["id"]);
});

describe("a login's mode", () => {
  const actor = () => ({ actor_type: "DATABASE", actor_name: new URL(database.adminUrl).username });

  test("is to be recorded unless its row says refuse, and each change of the row leaves an entry", async () => {
    const outcome = () => session(loginUrl, (client) => outcomeOf(client, rename(randomBytes(4).toString("hex"))));
    const before = await lastEntry();
    expect(await outcome()).toBe("succeeded");
    await session(database.adminUrl, (client) =>
      client.query(
        `set role audit_guard; insert into audit.fence_mode (login, mode) values ('${login.user}', 'refuse')`,
      ),
    );
    expect(await outcome()).toBe("QL001 fence");
    await asAdmin(`update audit.fence_mode set mode = 'record' where login = $1`, [login.user]);
    expect(await outcome()).toBe("succeeded");
    await asAdmin(`update audit.fence_mode set mode = 'record' where login = $1`, [login.user]);
    await asAdmin(`delete from audit.fence_mode where login = $1`, [login.user]);
    expect(await outcome()).toBe("succeeded");
    const change = { field: "mode" };
    expect(await entriesSince(before, "fence_mode")).toEqual([
      {
        ...{ resource_id: login.user, action: "CREATE", event_type: "fence_mode.created", ...actor() },
        changes: [{ ...change, op: "ADD", new: "refuse" }],
      },
      {
        ...{ resource_id: login.user, action: "UPDATE", event_type: "fence_mode.updated", ...actor() },
        changes: [{ ...change, op: "REPLACE", old: "refuse", new: "record" }],
      },
      {
        ...{ resource_id: login.user, action: "DELETE", event_type: "fence_mode.deleted", ...actor() },
        changes: [{ ...change, op: "REMOVE", old: "record" }],
      },
    ]);
  });

  test("holds whatever role and settings its session takes", async () => {
    await asAdmin(`insert into audit.fence_mode values ($1, 'refuse')`, [login.user]);
    await asAdmin(`create role ${login.user}_other nologin; grant ${login.user}_other to ${login.user};
      grant usage on schema app to ${login.user}_other; grant select, update on app.device to ${login.user}_other`);
    const settings = [
      `set role ${login.user}_other`,
      `set audit.fence_mode = 'record'`,
      `set audit.mode = 'record'`,
      `set search_path = pg_temp, app`,
      `set plan_cache_mode = force_custom_plan`,
      `set row_security = off`,
      `set session authorization default`,
      `set default_transaction_isolation = serializable`,
      `set transaction_timeout = 0`,
      `set check_function_bodies = off`,
    ];
    try {
      for (const setting of settings)
        await session(loginUrl, async (client) => {
          await client.query(setting).catch(() => undefined);
          expect(await outcomeOf(client, rename("other"))).toBe("QL001 fence");
        });
      await session(loginUrl, async (client) => {
        expect(await outcomeOf(client, "set session_replication_role = replica")).toBe("42501");
      });
    } finally {
      await asAdmin(`delete from audit.fence_mode; drop owned by ${login.user}_other; drop role ${login.user}_other`);
    }
  });

  test("is refuse for whoever may write entries, whatever its row says", async () => {
    const { username } = new URL(database.apiUrl);
    await asAdmin(`insert into audit.fence_mode values ($1, 'record')`, [username]);
    expect(await session(database.apiUrl, (client) => outcomeOf(client, rename("b")))).toBe("QL001 fence");
    await asAdmin(`delete from audit.fence_mode`);
    await asAdmin(`alter role ${login.user} noinherit; grant app_api to ${login.user}`);
    expect(await session(loginUrl, (client) => outcomeOf(client, rename("b")))).toBe("QL001 fence");
    await asAdmin(`revoke app_api from ${login.user}; alter role ${login.user} inherit`);
  });

  test.each([
    [`insert into audit.fence_mode values ('x', 'off')`, "23514 fence_mode_mode"],
    [`insert into audit.fence_mode values ('', 'record')`, "23514 fence_mode_login"],
    [`insert into audit.fence_mode values (null, 'record')`, "23502"],
    [`insert into audit.fence_mode values ('a', 'record'), ('a', 'refuse')`, "23505 fence_mode_pkey"],
    [`truncate audit.fence_mode`, "42501"],
    [`truncate audit.fence_policy`, "42501"],
    [
      `with made as (insert into audit.fence_mode values ('a', 'record')) select; update audit.fence_mode set login = 'b'`,
      "23000",
    ],
  ])("can't be made what it may not be: %s", async (sql, code) => {
    expect(await session(database.adminUrl, (client) => outcomeOfAttempt(client, sql))).toBe(code);
  });

  test.each(["fence_mode", "fence_policy", "fence_standing", "fence", "fence_judged"])(
    "and policies are nobody's to see or to write but the owners': %s",
    async (table) => {
      for (const url of [database.apiUrl, database.readerUrl, loginUrl])
        await session(url, async (client) => {
          for (const sql of [
            `select from audit.${table}`,
            `delete from audit.${table}`,
            `insert into audit.${table} default values`,
          ])
            expect(await outcomeOfAttempt(client, sql)).toBe("42501");
        });
    },
  );
});

describe("the fence can't be taken away unseen", () => {
  const attacks = [
    `alter table app.device disable trigger audit_fence`,
    `alter table app.device disable trigger all`,
    `alter table app.device enable trigger audit_fence`,
    `alter table app.device enable replica trigger audit_fence`,
    `drop trigger audit_fence on app.device`,
    `drop trigger audit_fence_truncate on app.device`,
    `alter trigger audit_fence on app.device rename to other`,
    `drop table app.device`,
    `drop schema app cascade`,
    `alter table app.device rename to machine`,
    `alter table app.device set schema public`,
    `alter table app.device rename column name to title`,
    `alter table app.device drop column provisioning_secret cascade`,
    `alter table app.group_budget alter column spend_limit_micros type bigint using 7`,
    `alter table app.device set unlogged`,
    `create or replace function audit_guard.fence_device() returns trigger language plpgsql as 'begin return null; end'`,
    `alter function audit_guard.fence_device() security invoker`,
    `drop function audit_guard.fence_device() cascade`,
    `drop event trigger audit_watch_fences`,
    `delete from audit.fence`,
    `select audit_guard.change_in_bulk('app.device', 'delete from app.device', 'why not')`,
    `select audit_guard.lift_fence('app.device')`,
  ];

  test.each([
    ["the API", () => database.apiUrl],
    ["another login", () => loginUrl],
  ])("by %s", async (_who, url) => {
    await session(url(), async (client) => {
      for (const attack of attacks) expect([attack, await outcomeOfAttempt(client, attack)]).toEqual([attack, "42501"]);
    });
  });

  test("by the tables' owner", async () => {
    const owner = `${login.user}_owner`;
    await asAdmin(`create role ${owner} nologin`);
    await session(database.adminUrl, async (client) => {
      await client.query(
        `begin; grant all on schema app, public to ${owner}; alter table app.device owner to ${owner}`,
      );
      await client.query(`alter schema app owner to ${owner}; alter table app.group_budget owner to ${owner}`);
      await client.query(`set local role ${owner}`);
      for (const attack of attacks.filter((sql) => sql !== "drop schema app cascade")) {
        await client.query("savepoint attack");
        expect([attack, await outcomeOf(client, attack)]).toEqual([attack, "42501"]);
        await client.query("rollback to savepoint attack");
      }
      await client.query("rollback");
    });
    await asAdmin(`drop role ${owner}`);
  });

  test("but is lifted by who may, which leaves an entry", async () => {
    await session(database.adminUrl, async (client) => {
      await client.query("begin");
      await client.query("select audit_guard.lift_fence('app.device')");
      await client.query("alter table app.device rename column name to title");
      await client.query("update app.device set title = 'x'");
      const { rows } = await client.query(
        `select resource_id, event_type from audit.entry
         where resource_type = 'fence' and tenant_id = '$platform' and xact_id = pg_current_xact_id()`,
      );
      expect(rows).toEqual([{ resource_id: "app.device", event_type: "fence.deleted" }]);
      await client.query("rollback");
    });
  });
});

describe("a fence that is made again", () => {
  const entry = {
    resource_id: "app.device",
    action: "CREATE",
    event_type: "fence.created",
    actor_type: "DATABASE",
    changes: [],
  };
  const reasonsSince = async (id: string) =>
    (await asAdmin("select reason from audit.entry where resource_type = 'fence' and id > $1 order by id", [id])).map(
      ({ reason }) => reason,
    );

  test("leaves an entry that says why, and none where it stands", async () => {
    const lifted = await lastEntry();
    await asAdmin("do $$ begin perform audit_guard.lift_fence('app.device'); end $$");
    const since = await lastEntry();
    await fence(database.adminUrl);
    const { username } = new URL(database.adminUrl);
    expect(await entriesSince(since, "fence")).toEqual([{ ...entry, actor_name: username }]);
    expect(await reasonsSince(lifted)).toEqual([null, "It had been lifted."]);
    const made = await lastEntry();
    await fence(database.adminUrl);
    expect(await entriesSince(made, "fence")).toEqual([]);
    await asAdmin("update audit.fence set triggers = '{}' where resource_type = 'device'");
    await fence(database.adminUrl);
    expect(await reasonsSince(made)).toEqual([
      "The fence of app.device is broken: a trigger is gone, off, or another.",
    ]);
  });
});

describe("a change in bulk", () => {
  const count = 10_000;
  beforeAll(async () => {
    await session(database.adminUrl, async (client) => {
      await client.query(`select audit_guard.change_in_bulk('app.device', $1, 'Loads the stock.')`, [
        `insert into app.device (tenant_id, serial_number, name) select 'bulk', n::text, 'old' from generate_series(1, ${String(count)}) n`,
      ]);
    });
  });

  test("is one entry that says what, why, by whom and how many, and nothing else is let through", async () => {
    const last = await lastEntry();
    const statement = "update app.device set name = 'new' where tenant_id = 'bulk'";
    const rows = await session(named(database.adminUrl, "migration"), async (client) => {
      await client.query("begin");
      const result = await client.query("select audit_guard.change_in_bulk('app.device', $1, $2) as rows", [
        statement,
        "Renames the stock.",
      ]);
      await client.query(rename("behind it"));
      await client.query(rename("behind it again"));
      await client.query("commit");
      return result.rows as unknown;
    });
    expect(rows).toEqual([{ rows: String(count) }]);
    const entries = await asAdmin(
      `select tenant_id, resource_type, resource_id, event_type, actor_type, actor_name, application_name, reason, changes
       from audit.entry where id > $1 order by id`,
      [last],
    );
    const common = {
      resource_type: "device",
      event_type: "device.updated",
      actor_type: "DATABASE",
      actor_name: new URL(database.adminUrl).username,
      application_name: "migration",
    };
    expect(entries).toEqual([
      {
        ...common,
        tenant_id: "$platform",
        resource_id: null,
        reason: "Renames the stock.",
        changes: [
          { field: "rows", op: "REPLACE", new: count },
          { field: "statement", op: "REPLACE", secret: true },
        ],
      },
      {
        ...common,
        tenant_id: "acme",
        resource_id: device,
        reason: null,
        changes: [{ field: "name", op: "REPLACE", old: "Bin", new: "behind it again" }],
      },
    ]);
  });

  test("keeps no value of a secret, and the statement where the table has none", async () => {
    const last = await lastEntry();
    const statement = `insert into app."group" (tenant_id, name) values ('bulk', 'n')`;
    await session(database.adminUrl, async (client) => {
      await client.query(`select audit_guard.change_in_bulk('app."group"', $1, 'Makes one.')`, [statement]);
      await client.query(`select audit_guard.change_in_bulk('app.device', $1, 'Replaces all.')`, [
        "update app.device set provisioning_secret = 'canary-4711' where tenant_id = 'acme'",
      ]);
    });
    const entries = await asAdmin(
      "select entry::text as whole, changes -> 1 as told from audit.entry where id > $1 order by id",
      [last],
    );
    expect(entries.map(({ told }) => told)).toEqual([
      { field: "statement", op: "REPLACE", new: statement },
      { field: "statement", op: "REPLACE", secret: true },
    ]);
    expect(JSON.stringify(entries)).not.toContain("canary");
  });

  test.each([
    ["two statements", "update app.device set name = 'a'; delete from app.device", "why", "42601"],
    ["another table", "insert into app.\"group\" (tenant_id, name) values ('a', 'n')", "why", "22023"],
    ["no change", "select 1", "why", "22023"],
    ["no reason", "delete from app.device", " ", "22023"],
  ])("is refused for %s", async (_what, statement, reason, code) => {
    await session(database.adminUrl, async (client) => {
      const sql = "select audit_guard.change_in_bulk('app.device', $1, $2)";
      expect(await outcomeOf(client, sql, [statement, reason])).toBe(code);
    });
  });

  test("of a table that has no fence is refused", async () => {
    await session(database.adminUrl, async (client) => {
      const sql = "select audit_guard.change_in_bulk('auditql.migration', 'delete from auditql.migration', 'why')";
      expect(await outcomeOfAttempt(client, sql)).toBe("42704");
    });
  });
});
