import { randomUUID } from "node:crypto";
import { makeExecutableSchema } from "@graphql-tools/schema";
import { pino } from "pino";
import { EntitySchema } from "typeorm";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fencesOf } from "../../src/audit/fence/fence.js";
import { fenceFindings } from "../../src/audit/fence/findings.js";
import {
  defineAuditedResource,
  ignore,
  secret,
  track,
  type AuditedResource,
  type MutationContext,
} from "../../src/audit/index.js";
import { humanLine } from "../../src/log/human-line.js";
import { safeError } from "../../src/log/safe-error.js";
import { Metrics } from "../../src/metrics.js";
import { provisionFences } from "../../src/provision/fences.js";
import { Telemetry } from "../../src/telemetry.js";
import { insertEntry } from "../database/support/entry.js";
import { outcomeOf, session } from "../database/support/session.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { createRuntime, entryRows, type TestRuntime } from "../support/runtime.js";
import { createThingTable, Thing, thing, thingEntity, thingTypes } from "../support/thing.js";

class Part {
  tenantId!: string;
  id!: string;
  thingId!: string;
}
const partEntity = new EntitySchema<Part>({
  name: "Part",
  target: Part,
  schema: "app",
  tableName: "part",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "uuid", primary: true },
    thingId: { name: "thing_id", type: "uuid" },
  },
});
const part = defineAuditedResource({
  type: "part",
  entity: Part,
  id: "id",
  tenant: "tenantId",
  label: ({ id }) => id.slice(0, 8),
  fields: { tenantId: ignore("The entry says it."), id: ignore("The entry says it."), thingId: track },
});

type Resolver = (args: { id: string; ids: string[] }, context: MutationContext<Thing>) => unknown;
const tenantId = "acme";

let database: TestDatabase;
let runtime: TestRuntime;
let id: string;
let other: string;

beforeAll(async () => {
  database = await createDatabase();
  await createThingTable(database);
  await query(
    database.adminUrl,
    `create table app.part (
       tenant_id text, id uuid default gen_random_uuid(), thing_id uuid, primary key (tenant_id, id),
       foreign key (tenant_id, thing_id) references app.thing (tenant_id, id) on delete cascade)`,
  );
  await query(database.adminUrl, "grant select, insert, update, delete on app.part to app_api");
  runtime = await createRuntime(database, [thingEntity as never, partEntity as never], [thing, part]);
});
beforeEach(async () => {
  const rows = await query<{ id: string }>(
    database.adminUrl,
    "insert into app.thing (tenant_id, name) values ('acme', 'before'), ('acme', 'before') returning id",
  );
  [id = "", other = ""] = rows.map((row) => row.id);
});
afterEach(() => {
  runtime.unforeseen.length = 0;
});
afterAll(async () => {
  await runtime.close();
  await database.drop();
});

const run = (resolver: Resolver, mutation = `change(id: "${id}") { id }`) => {
  const resolve = (_: unknown, args: { id: string; ids: string[] }, context: MutationContext<Thing>) =>
    resolver(args, context);
  const resolvers = { Mutation: { change: resolve, remove: resolve, changeAll: resolve } };
  return runtime.run(
    runtime.apply(makeExecutableSchema({ typeDefs: thingTypes, resolvers })),
    `mutation { ${mutation} }`,
  );
};
const nameOf = async (of: string) =>
  (await query(database.adminUrl, "select name from app.thing where id = $1", [of]))[0];

describe("an audited operation that writes what it neither names nor touched", () => {
  const escapes: [what: string, resolver: Resolver][] = [
    [
      "another row by update()",
      async (args, { manager }) => {
        await manager.update(Thing, { tenantId, id: args.id }, { name: "after" });
        await manager.update(Thing, { tenantId, id: other }, { name: "after" });
        return { id: args.id };
      },
    ],
    [
      "many by one update()",
      async (args, { manager }) => {
        await manager.update(Thing, { tenantId, name: "before" }, { name: "after" });
        return { id: args.id };
      },
    ],
    [
      "another by raw SQL",
      async (args, { manager }) => {
        await manager.query("update app.thing set name = 'after' where id = $1", [other]);
        return { id: args.id };
      },
    ],
    [
      "another that it creates",
      async (args, { manager }) => {
        await manager.query("insert into app.thing (tenant_id, name) values ('acme', 'new')");
        return { id: args.id };
      },
    ],
    [
      "another kind of resource by raw SQL",
      async (args, { manager }) => {
        await manager.query("insert into app.part (tenant_id, thing_id) values ('acme', $1)", [args.id]);
        return { id: args.id };
      },
    ],
    [
      "what another transaction of its own tells",
      async (args, { manager }) => {
        await manager.query("savepoint s");
        await manager.query("update app.thing set name = 'after' where id = $1", [other]);
        await manager.query("release savepoint s");
        return { id: args.id };
      },
    ],
  ];

  it.each(escapes)("is rolled back: %s", async (_what, resolver) => {
    const { codes, errors, requestId } = await run(resolver);
    expect(codes).toEqual(["INTERNAL"]);
    expect(errors?.[0]?.message).toBe("Something unforeseen happened. Its id in the server's log is test-1.");
    expect([await nameOf(id), await nameOf(other)]).toEqual([{ name: "before" }, { name: "before" }]);
    expect(await entryRows(database, requestId)).toMatchObject([
      { event_type: "thing.update_failed", outcome: "FAILURE", error_code: "INTERNAL", resource_id: id, changes: [] },
    ]);
  });

  it("is told in the server's log with table, id, fields and remedy, and without a value", async () => {
    await run(async (args, { manager }) => {
      await manager.query("update app.thing set name = 'canary-4711', key = 'canary-4711' where id = $1", [other]);
      return { id: args.id };
    });
    const logged = safeError(runtime.unforeseen[0]);
    const told = logged.cause ?? logged;
    expect(told).toMatchObject({
      code: "QL001",
      message:
        `update of app.thing ${other}: the change of name, key has no true entry in this transaction, ` +
        `so nothing is committed`,
      hint:
        "Name the id in the mutation's @audited, or await context.scope.touch(thing, [id]) before it is changed, " +
        "and change it by context.manager.",
    });
    expect(JSON.stringify(logged)).not.toContain("canary");
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(humanLine(line));
    const log = pino({ base: null, errorKey: "error", serializers: { error: safeError } }, { write });
    new Telemetry(log, new Metrics()).unforeseen(runtime.unforeseen[0], "change");
    expect(lines.join("")).toMatch(
      / refused by the fence: nothing was changed \{"hint":"Name the id in the mutation's @audited/,
    );
    expect(lines.join("")).not.toContain('"stack"');
  });

  it("passes once it touches it", async () => {
    const { errors, requestId } = await run(async (args, { manager, scope }) => {
      await scope.touch(thing, [other]);
      await manager.query("update app.thing set name = 'after' where id = $1", [other]);
      return { id: args.id };
    });
    expect(errors).toBeUndefined();
    expect(await entryRows(database, requestId)).toMatchObject([
      { resource_id: id, changes: [] },
      { resource_id: other, changes: [{ field: "name", op: "REPLACE", old: "before", new: "after" }] },
    ]);
  });
});

describe("a cascade of a foreign key", () => {
  const withParts = async () => {
    const sql = "insert into app.part (tenant_id, thing_id) values ('acme', $1), ('acme', $1) returning id";
    return (await query<{ id: string }>(database.adminUrl, sql, [id])).map((row) => row.id);
  };
  const remove: Resolver = async (args, { manager }) => {
    await manager.query("delete from app.thing where id = $1", [args.id]);
    return { id: args.id };
  };

  it("is refused where the operation didn't touch the children", async () => {
    await withParts();
    expect((await run(remove, `remove(id: "${id}") { id }`)).codes).toEqual(["INTERNAL"]);
    expect(await nameOf(id)).toEqual({ name: "before" });
  });

  it("passes where it did", async () => {
    const parts = await withParts();
    const { errors, requestId } = await run(async (args, context) => {
      await context.scope.touch(part, parts);
      return remove(args, context);
    }, `remove(id: "${id}") { id }`);
    expect(errors).toBeUndefined();
    const entries = await entryRows(database, requestId);
    expect(entries.map(({ resource_id }) => resource_id).sort()).toEqual([id, ...parts].sort());
  });

  it("is recorded for each child where no API did it", async () => {
    const parts = await withParts();
    await query(database.adminUrl, "delete from app.thing where id = $1", [id]);
    const entries = await query(
      database.adminUrl,
      `select resource_id, event_type, changes from audit.entry
       where resource_id = any ($1) and actor_type = 'DATABASE' and action = 'DELETE' order by resource_id`,
      [parts],
    );
    const changes = [{ field: "thingId", op: "REMOVE", old: id }];
    expect(entries).toEqual(parts.sort().map((of) => ({ resource_id: of, event_type: "part.deleted", changes })));
  });
});

describe("every type of value", () => {
  it("is recorded by the database as the API would, whatever the session's settings", async () => {
    const values = {
      note: "n",
      count: 3,
      ratio: 0.1,
      big: "9007199254740993",
      price: "1.10",
      due: "2026-03-29T01:30:00.123456Z",
      flag: false,
      data: JSON.stringify({ b: null, a: [1, { y: 2, x: 1 }] }),
      tags: ["y", "x"],
      members: ["b", "\u{1F600}", "\uFF5E", "a", "b"],
      hidden: "h",
      key: "k",
    };
    const set = Object.keys(values).map((name, index) => `${name} = $${String(index + 2)}`);
    const sql = `update app.thing set ${set.join(", ")} where id = $1`;
    const { requestId, errors } = await run(async (args, { manager }) => {
      await manager.query(sql, [args.id, ...Object.values(values)]);
      return { id: args.id };
    });
    expect(errors).toBeUndefined();
    const [byApi] = await entryRows(database, requestId);
    await session(database.adminUrl, async (client) => {
      await client.query(`set datestyle = 'German'; set timezone = 'Asia/Kathmandu'; set extra_float_digits = -15;
        set intervalstyle = 'sql_standard'; set bytea_output = 'escape'`);
      await client.query(sql, [other, ...Object.values(values)]);
    });
    const [byDatabase] = await query(
      database.adminUrl,
      "select changes from audit.entry where resource_id = $1 and event_type = 'thing.updated'",
      [other],
    );
    expect(byApi?.changes).toHaveLength(12);
    expect(byDatabase?.["changes"]).toEqual(byApi?.changes);
  });
});

describe("policies of another version", () => {
  const narrow = { ...thing, fields: { ...thing.fields, note: ignore("Not yet."), key: track } } as AuditedResource;
  const wide = { ...thing, fields: { ...thing.fields, seen: track, name: secret } } as AuditedResource;
  const provision = (resource: AuditedResource, grace: number) =>
    provisionFences(database.adminUrl, [resource], runtime.databases.write, grace);
  const findings = (resource: AuditedResource) =>
    session(database.apiUrl, (client) => fenceFindings(client, fencesOf([resource], runtime.databases.write)));
  const outcome = (sql: string, changes: readonly unknown[]) =>
    session(database.apiUrl, async (client) => {
      await client.query("begin");
      await client.query(sql, [id]);
      await insertEntry(client, { resource_type: "thing", resource_id: id, changes: JSON.stringify(changes) });
      return outcomeOf(client, "commit");
    });
  const lastEntry = async () => {
    const [row] = await query<{ id: string }>(database.adminUrl, "select max(id::text) as id from audit.entry");
    return row?.id ?? "";
  };
  /** The changes of each entry of the database's own for the thing since then. */
  const byDatabase = async (since: string) => {
    const sql = `select changes from audit.entry
      where resource_type = 'thing' and resource_id = $1 and actor_type = 'DATABASE' and id > $2 order by id`;
    return (await query(database.adminUrl, sql, [id, since])).map(({ changes }) => changes);
  };
  // What stands on for its grace time would spare other tests' changes.
  afterEach(async () => {
    await query(database.adminUrl, "delete from audit.fence_standing where until is not null");
    await query(database.adminUrl, "do $$ begin perform audit_guard.lift_fence('app.thing'); end $$");
    await provision(thing, 0);
  });

  it("stand beside the new ones for the grace time: old and new processes pass, and what both ask is refused", async () => {
    await provision(narrow, 0);
    expect(await provision(thing as never, 3600)).toEqual(['made the fence of thing on "app"."thing"']);
    const sql = "update app.thing set name = 'b', note = 'b', key = 'b' where id = $1";
    const name = { field: "name", op: "REPLACE", old: "before", new: "b" };
    const oldEntry = [name, { field: "key", op: "REPLACE", new: "b" }];
    const newEntry = [name, { field: "note", op: "REPLACE", new: "b" }, { field: "key", op: "REPLACE", secret: true }];
    const reset = () =>
      query(database.adminUrl, "update app.thing set name = 'before', note = null, key = null where id = $1", [id]);
    let last = await lastEntry();
    expect(await outcome(sql, oldEntry)).toBe("succeeded");
    expect(await byDatabase(last)).toEqual([[{ field: "note", op: "REPLACE", new: "b" }]]);
    await reset();
    last = await lastEntry();
    expect(await outcome(sql, newEntry)).toBe("succeeded");
    expect(await byDatabase(last)).toEqual([]);
    await reset();
    expect(await outcome(sql, oldEntry.slice(1))).toBe("QL001 fence");
    expect(await outcome(sql, newEntry.slice(0, 2))).toBe("QL001 fence");
  });

  it("leave an entry of the database's own for each change that only one of them asks for", async () => {
    await provision(narrow, 0);
    await provision(thing, 3600);
    const last = await lastEntry();
    await query(database.apiUrl, "update app.thing set note = 'b' where id = $1", [id]);
    const lie = [{ field: "note", op: "REPLACE", old: "lie", new: "lie2" }];
    expect(await outcome("update app.thing set note = 'c' where id = $1", lie)).toBe("succeeded");
    expect(await byDatabase(last)).toEqual([
      [{ field: "note", op: "REPLACE", new: "b" }],
      [{ field: "note", op: "REPLACE", old: "b", new: "c" }],
    ]);
    const name = { field: "name", op: "REPLACE", old: "before", new: "b" };
    expect(await outcome("update app.thing set name = 'b' where id = $1", [name, ...lie])).toBe("QL001 fence");
  });

  it("demand that a field is named as one of them asks, where both do", async () => {
    await provision(wide, 0);
    await provision(thing, 3600);
    const sql = "update app.thing set name = 'b' where id = $1";
    const last = await lastEntry();
    expect(await outcome(sql, [])).toBe("QL001 fence");
    expect(await outcome(sql, [{ field: "name", op: "REPLACE", old: "lie", new: "b" }])).toBe("QL001 fence");
    expect(await outcome(sql, [{ field: "name", op: "REPLACE", secret: true }])).toBe("succeeded");
    expect(await byDatabase(last)).toEqual([]);
  });

  it("let a list be told as the set that one of them takes it for", async () => {
    await provision(thing, 0);
    await provision({ ...thing, fields: { ...thing.fields, members: track } }, 3600);
    const sql = "update app.thing set members = '{b,a}' where id = $1";
    expect(await outcome(sql, [])).toBe("QL001 fence");
    expect(await outcome(sql, [{ field: "members", op: "REPLACE", old: [], new: ["a", "b"] }])).toBe("succeeded");
  });

  it("are refused once the grace time is over", async () => {
    await provision(narrow, 0);
    await provision(thing, 0);
    const sql = "update app.thing set note = 'b' where id = $1";
    expect(await outcome(sql, [])).toBe("QL001 fence");
    expect(await outcome(sql, [{ field: "note", op: "REPLACE", new: "b" }])).toBe("succeeded");
  });

  it("keep a process that may not change them from starting where they ask for less, and only then", async () => {
    expect(await findings(thing as never)).toEqual([]);
    expect(await findings(narrow)).toEqual([
      "The fence of thing asks for less than the code says: key. Start the server with a MIGRATION_DATABASE_URL: it makes it anew.",
    ]);
    expect(await findings(wide)).toEqual([
      "The fence of thing asks for less than the code says: name, seen. Start the server with a MIGRATION_DATABASE_URL: it makes it anew.",
    ]);
    await provision(wide, 0);
    expect(await findings({ ...wide, fields: { ...wide.fields, seen: ignore("Churn.") } })).toEqual([]);
  });

  it("and fences that are gone or broken do too, and are made anew by one that may", async () => {
    await query(database.adminUrl, "do $$ begin perform audit_guard.lift_fence('app.thing'); end $$");
    expect(await findings(thing as never)).toEqual([
      '"app"."thing" has no fence, so its changes aren\'t checked at commit. ' +
        "Start the server with a MIGRATION_DATABASE_URL: it makes it anew.",
    ]);
    await provision(thing, 0);
    await query(
      database.adminUrl,
      `alter event trigger audit_watch_fences disable; alter table app.thing enable trigger audit_fence;
       alter event trigger audit_watch_fences enable always`,
    );
    expect(await findings(thing as never)).toEqual([
      "The fence of app.thing is broken: a trigger is gone, off, or another. " +
        "Start the server with a MIGRATION_DATABASE_URL: it makes it anew.",
    ]);
    await provision(thing, 0);
    expect(await findings(thing as never)).toEqual([]);
    expect(await provision(thing as never, 0)).toEqual([]);
  });

  it("and so do those that were altered together with the database's account of them", async () => {
    const alter = (sql: string) =>
      query(
        database.adminUrl,
        `alter event trigger audit_watch_fences disable; alter event trigger audit_refuse_ddl disable; ${sql};
         update audit.fence set triggers = audit_guard.fence_triggers(relation), function_digest = (
           select md5(prosrc || proconfig::text) from pg_proc where proname = 'fence_thing'
         ) where resource_type = 'thing';
         alter event trigger audit_watch_fences enable always; alter event trigger audit_refuse_ddl enable always`,
      );
    const replace = (from: string, to: string) =>
      `do $$ begin execute replace(pg_get_functiondef('audit_guard.fence_thing()'::regprocedure), '${from}', '${to}'); end $$`;
    const said = (fault: string) => [
      `The fence of "app"."thing" is broken: ${fault}, though the database notes none of it. As the table's owner who may ` +
        `act as audit_guard run SELECT audit_guard.lift_fence('"app"."thing"'); ` +
        "Then: Start the server with a MIGRATION_DATABASE_URL: it makes it anew.",
    ];
    const anew = async () => {
      await query(database.adminUrl, `do $$ begin perform audit_guard.lift_fence('"app"."thing"'); end $$`);
      await provision(thing, 0);
      expect(await findings(thing as never)).toEqual([]);
    };
    const otherFunction = said("its function isn't what the code makes");
    await alter(replace("entries <> 1 or not are_told", "false"));
    expect(await findings(thing as never)).toEqual(otherFunction);
    await anew();
    await alter("alter function audit_guard.fence_thing() set search_path = app, pg_catalog");
    expect(await findings(thing as never)).toEqual(otherFunction);
    await anew();
    await alter("alter table app.thing disable trigger audit_fence_truncate");
    expect(await findings(thing as never)).toEqual(said("a trigger doesn't fire as the code makes it"));
    await anew();
    // What stands beside for its grace time is none, unless it has no end.
    await provision(narrow, 0);
    await provision(thing, 3600);
    expect(await findings(thing as never)).toEqual([]);
    // Whatever those fields are called.
    await alter(
      `do $$ begin execute replace(pg_get_functiondef('audit_guard.fence_thing()'::regprocedure),
         'array[''note'']', 'array[''größe'', ''it''''s'']'); end $$`,
    );
    const renamed = "select prosrc like '%größe%' as is from pg_proc where proname = 'fence_thing'";
    expect(await query(database.adminUrl, renamed)).toEqual([{ is: true }]);
    expect(await findings(thing as never)).toEqual([]);
    await alter(
      `do $$ begin execute regexp_replace(pg_get_functiondef('audit_guard.fence_thing()'::regprocedure),
         '< ''[0-9]{4}-', '< ''2999-', 'g'); end $$`,
    );
    expect(await findings(thing as never)).toEqual(otherFunction);
  });

  it("and so does a database that can't be asked about them", async () => {
    const rename = (from: string, to: string) =>
      query(
        database.adminUrl,
        `alter event trigger audit_refuse_ddl disable; alter function audit_guard.${from}() rename to ${to};
         alter event trigger audit_refuse_ddl enable always`,
      );
    await rename("fences", "taken_away");
    expect(await findings(thing as never)).toEqual([
      "The fences can't be looked at (42883: function audit_guard.fences() does not exist): mend what else is named, and " +
        "start again.",
    ]);
    await rename("taken_away", "fences");
    expect(await findings(thing as never)).toEqual([]);
  });

  it("are made once by any number of processes at a time", async () => {
    const notes = await Promise.all(Array.from({ length: 4 }, () => provision(wide, 0)));
    expect(notes.flat()).toHaveLength(1);
  });
});

it("finds its entries by the resource's index on a partition that has no statistics yet", async () => {
  await session(database.adminUrl, async (client) => {
    await client.query(`begin; set local plan_cache_mode = force_generic_plan`);
    await client.query(`prepare look (text, text, uuid, uuid) as select from audit.entry
      where tenant_id = $1 and resource_id = $2 and id >= $3 and id < $4 and xact_id = pg_current_xact_id()
        and resource_type = 'thing' and outcome = 'SUCCESS' and actor_type <> 'DATABASE'`);
    const month = "date_trunc('month', now(), 'UTC') + interval '1 month 3 days'";
    const { rows } = await client.query<Record<string, string>>(
      `explain execute look ('acme', '${randomUUID()}', audit.id_floor(${month}), audit.id_floor(${month} + interval '1 minute'))`,
    );
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toContain("tenant_id_resource_id_id_idx");
    await client.query("rollback");
  });
});
