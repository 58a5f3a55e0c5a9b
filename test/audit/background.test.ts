import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  AuditError,
  auditedOperation,
  type BackgroundContext,
  type BackgroundOperation,
} from "../../src/audit/index.js";
import { holdTransaction, untilBlocked } from "../support/client.js";
import { query } from "../support/postgres.js";
import { Thing, thing } from "../support/thing.js";
import { useThings } from "../support/things.js";

const tenantId = "acme";
const things = useThings();
let newest: string;

afterEach(() => query(things.database.adminUrl, "delete from app.thing"));

/** Puts things there, in the order of their ids. */
async function insertThings(...names: readonly string[]): Promise<string[]> {
  const ids = names.map(() => randomUUID()).sort();
  await query(
    things.database.adminUrl,
    "insert into app.thing (tenant_id, id, name) select 'acme', * from unnest($1::uuid[], $2::text[])",
    [ids, names],
  );
  return ids;
}

const namesOf = async (ids: readonly string[]): Promise<Record<string, string>> => {
  const sql = "select id, name from app.thing where id = any ($1)";
  const rows = await query<{ id: string; name: string }>(things.database.adminUrl, sql, [ids]);
  return Object.fromEntries(rows.map(({ id, name }) => [id, name]));
};

interface Row extends Record<string, unknown> {
  readonly id: string;
  readonly event_type: string;
  readonly error_code: string | null;
  readonly resource_id: string | null;
  readonly changes: readonly Readonly<Record<string, unknown>>[];
  readonly session_id: string;
  readonly sequence_number: string;
  readonly ordinal: number;
}

/** The entries since the last look, in order. */
async function fresh(): Promise<Row[]> {
  const sql = `select * from audit.entry where actor_type = 'SYSTEM' and ($1::uuid is null or id > $1) order by id`;
  const rows = await query<Row>(things.database.adminUrl, sql, [newest]);
  newest = rows.at(-1)?.id ?? newest;
  return rows;
}
beforeAll(async () => {
  await fresh();
});
afterEach(async () => {
  await fresh();
});

const actor = { type: "SYSTEM", subsystem: "sweeper" } as const;
const operation = (ids: readonly string[], more: Partial<BackgroundOperation<Thing>> = {}) => ({
  ...{ tenantId, resource: thing, action: "UPDATE" as const, ids, actor },
  ...more,
});
type Work = (context: BackgroundContext<Thing>) => unknown;
const rename =
  (name: string): Work =>
  async ({ manager, prior }) => {
    for (const { id } of prior) await manager.update(Thing, { tenantId, id }, { name });
    return prior.map((row) => row.name);
  };
const run = (ids: readonly string[], work: Work, more: Partial<BackgroundOperation<Thing>> = {}) =>
  auditedOperation(things.runtime.audit, operation(ids, more), work);
const codeOf = (failing: Promise<unknown>): Promise<string> =>
  failing.then(
    () => "done",
    (error: unknown) => (error instanceof AuditError ? error.code : String(error)),
  );

describe("background work", () => {
  it("leaves an entry for each id, by the system, of no mutation and no request, with old and new value", async () => {
    const ids = await insertThings("one", "two");
    const { result, entryIds } = await run(ids, rename("swept"));
    expect(result).toEqual(["one", "two"]);
    const rows = await fresh();
    expect(rows.map(({ id }) => id).sort()).toEqual([...entryIds].sort());
    expect(rows).toMatchObject(
      ids.map((id, ordinal) => ({
        ...{ tenant_id: "acme", resource_id: id, ordinal, event_type: "thing.updated", outcome: "SUCCESS" },
        ...{ actor_type: "SYSTEM", subsystem: "sweeper", actor_id: null, actor_name: null },
        ...{ operation: null, request_id: null, ip: null, user_agent: null, attempted: [] },
        changes: [{ field: "name", op: "REPLACE", old: ordinal === 0 ? "one" : "two", new: "swept" }],
      })),
    );
  });

  it("sees its rows whoever may see them, locked and frozen; what it touches has entries caused by its own", async () => {
    const [parent = "", child = ""] = await insertThings("parent", "child");
    const work: Work = async ({ manager, scope, prior: [own] }) => {
      expect(Object.isFrozen(own)).toBe(true);
      const [touched] = await scope.touch(thing, [child], parent);
      await manager.query("update app.thing set note = 'n' where id = any ($1)", [[parent, child]]);
      return touched?.name;
    };
    expect((await run([parent], work)).result).toBe("child");
    const rows = await fresh();
    expect(rows.map((row) => [row.resource_id, row["cause_id"], row.ordinal])).toEqual([
      [parent, null, 0],
      [child, rows[0]?.id, 1],
    ]);
  });

  it("creates rows under ids of its choice, and deletes them", async () => {
    const id = randomUUID();
    const create: Work = ({ manager, prior }) => {
      expect(prior).toEqual([]);
      return manager.insert(Thing, { tenantId, id, name: "made" });
    };
    await run([id], create, { action: "CREATE" });
    await run([id], ({ manager }) => manager.delete(Thing, { tenantId, id }), { action: ["UPDATE", "DELETE"] });
    expect((await fresh()).map((row) => [row.event_type, row.resource_id])).toEqual([
      ["thing.created", id],
      ["thing.deleted", id],
    ]);
  });

  it("that fails is undone and leaves a failure for each id, with what waits for the commit never run", async () => {
    const ids = await insertThings("one", "two");
    const failing: Work = async (context) => {
      context.afterCommit(() => expect.unreachable());
      await rename("half done")(context);
      throw new AuditError("CONFLICT", "It didn't fit.");
    };
    expect(await codeOf(run(ids, failing))).toBe("CONFLICT");
    expect(Object.values(await namesOf(ids))).toEqual(["one", "two"]);
    expect((await fresh()).map((row) => [row.event_type, row.error_code, row.resource_id])).toEqual(
      ids.map((id) => ["thing.update_failed", "CONFLICT", id]),
    );
  });

  it("runs what waits for the commit after it", async () => {
    const ids = await insertThings("one");
    const seen: unknown[] = [];
    await run(ids, async (context) => {
      context.afterCommit(async () => void seen.push(await namesOf(ids)));
      await rename("swept")(context);
    });
    expect(seen).toEqual([{ [ids[0] ?? ""]: "swept" }]);
  });

  it("is done again where the database broke it up, with entries of the last time alone", async () => {
    const ids = await insertThings("one");
    let tries = 0;
    await run(ids, async (context) => {
      await rename(`try ${String(++tries)}`)(context);
      if (tries < 3) await context.manager.query("do $$ begin raise exception using errcode = '40001'; end $$");
    });
    expect((await fresh()).map((row) => row.changes[0]?.["new"])).toEqual(["try 3"]);
  });

  it.each([
    ["none", [], "must name at least one id"],
    ["more than a hundred", Array.from({ length: 101 }, () => randomUUID()), "may name at most 100 ids"],
    ["malformed", [randomUUID(), "no uuid"], "must be a UUID"],
  ])("refuses ids that are %s, and one failure says so", async (_, ids, message) => {
    const failing = run(ids, () => expect.unreachable());
    await expect(failing).rejects.toThrow(message);
    expect((await fresh()).map((row) => [row.error_code, row.resource_id])).toEqual([["BAD_USER_INPUT", null]]);
  });

  it("refuses a tenant or a subsystem that can't be one, and a resource that no one declared", async () => {
    const [id = ""] = await insertThings("one");
    const foreign = { ...thing, type: "ghost" };
    for (const [more, message] of [
      [{ tenantId: "$platform" }, 'No tenant is called "$platform".'],
      [{ actor: { type: "SYSTEM", subsystem: "" } }, "A subsystem has a name"],
      [{ resource: foreign }, "ghost"],
    ] as const)
      await expect(run([id], () => expect.unreachable(), more as Partial<BackgroundOperation<Thing>>)).rejects.toThrow(
        message,
      );
    expect(await fresh()).toEqual([]);
  });

  it("is rolled back where it does what it doesn't declare, or commits by itself", async () => {
    const ids = await insertThings("one");
    const [id = ""] = ids;
    const removing: Work = ({ manager }) => manager.delete(Thing, { tenantId, id });
    const committing: Work = async (context) => {
      await rename("smuggled")(context);
      await context.manager.query("commit");
    };
    for (const work of [removing, committing]) expect(await codeOf(run(ids, work))).toBe("INTERNAL");
    expect(await namesOf(ids)).toEqual({ [id]: "one" });
    expect((await fresh()).map((row) => row.error_code)).toEqual(["INTERNAL", "INTERNAL"]);
  });
});

describe("a row that is gone when background work comes to lock it", () => {
  it("fails it all unless it says otherwise: the missing one is NOT_FOUND, the others undone because of it", async () => {
    const [stays = "", gone = ""] = await insertThings("stays", "gone");
    const other = await holdTransaction(things.database);
    await other.sql("delete from app.thing where id = $1", [gone]);
    const pending = codeOf(run([stays, gone], rename("swept")));
    await untilBlocked(things.database, 1);
    await other.commit();
    expect(await pending).toBe("NOT_FOUND");
    expect(await namesOf([stays])).toEqual({ [stays]: "stays" });
    const rows = await fresh();
    expect(rows.map((row) => [row.resource_id, row.error_code]).sort()).toEqual(
      [
        [stays, "ROLLED_BACK"],
        [gone, "NOT_FOUND"],
      ].sort(),
    );
  });

  it("is passed over where that is said, and so is one that the work leaves as it is", async () => {
    const [changed = "", left = "", gone = ""] = await insertThings("changed", "left", "gone");
    const other = await holdTransaction(things.database);
    await other.sql("delete from app.thing where id = $1", [gone]);
    const work: Work = async ({ manager, prior }) => {
      await manager.update(Thing, { tenantId, id: changed }, { name: "swept" });
      return prior.map(({ id }) => id);
    };
    const pending = run([gone, left, changed], work, { unchanged: "skipped" });
    await untilBlocked(things.database, 1);
    await other.commit();
    const { result, entryIds } = await pending;
    expect(result).toEqual([left, changed]);
    const rows = await fresh();
    expect(rows.map((row) => [row.id, row.resource_id, row.ordinal])).toEqual([[entryIds[0], changed, 0]]);
  });

  it("names no cause for what was touched on behalf of one that stayed as it was", async () => {
    const [left = "", touched = ""] = await insertThings("left", "touched");
    const work: Work = async ({ manager, scope }) => {
      await scope.touch(thing, [touched], left);
      await manager.update(Thing, { tenantId, id: touched }, { name: "swept" });
    };
    await run([left], work, { unchanged: "skipped" });
    expect((await fresh()).map((row) => [row.resource_id, row["cause_id"], row.ordinal])).toEqual([[touched, null, 0]]);
  });

  it("takes no sequence number where nothing at all came of the work", async () => {
    const [id = ""] = await insertThings("one");
    await run([id], rename("first"), { unchanged: "skipped" });
    expect(await run([randomUUID()], rename("never"), { unchanged: "skipped" })).toEqual({ result: [], entryIds: [] });
    await run([id], rename("first"), { unchanged: "skipped" });
    await run([id], rename("second"), { unchanged: "skipped" });
    const [first, second, ...more] = await fresh();
    expect(more).toEqual([]);
    expect(second?.session_id).toBe(first?.session_id);
    expect(Number(second?.sequence_number)).toBe(Number(first?.sequence_number) + 1);
  });
});

describe("background work that the database broke up after its entries were made", () => {
  /** Commits of things with this name are broken up. */
  const broken = "broken up";
  beforeAll(async () => {
    await query(
      things.database.adminUrl,
      `create function app.break_up() returns trigger language plpgsql
         as $$ begin raise exception using errcode = '40001'; end $$;
       create constraint trigger break_up after update on app.thing deferrable initially deferred
         for each row when (new.name = '${broken}') execute function app.break_up()`,
    );
  });
  afterAll(() => query(things.database.adminUrl, "drop function app.break_up cascade"));

  it("leaves a failure under the number that it took, where the next try leaves nothing", async () => {
    const ids = await insertThings("one", "two");
    let tries = 0;
    const work: Work = (context) => (++tries === 1 ? rename(broken)(context) : "nothing is left");
    expect(await run(ids, work, { unchanged: "skipped" })).toEqual({ result: "nothing is left", entryIds: [] });
    expect([tries, Object.values(await namesOf(ids))]).toEqual([2, ["one", "two"]]);
    await run(ids, rename("swept"), { unchanged: "skipped" });
    const rows = await fresh();
    expect(rows.map((row) => [row.event_type, row.error_code, row.resource_id])).toEqual([
      ...ids.map((id) => ["thing.update_failed", "CONFLICT", id]),
      ...ids.map((id) => ["thing.updated", null, id]),
    ]);
    const [first = 0, ...others] = rows.map((row) => Number(row.sequence_number));
    expect(others).toEqual([first, first + 1, first + 1]);
  });

  it("runs what waits for the last try's commit alone, and leaves its entries alone where there are any", async () => {
    const ids = await insertThings("one");
    let tries = 0;
    const seen: number[] = [];
    const work: Work = async (context) => {
      const mine = ++tries;
      context.afterCommit(() => void seen.push(mine));
      await rename(mine === 1 ? broken : "swept")(context);
    };
    await run(ids, work, { unchanged: "skipped" });
    expect(seen).toEqual([2]);
    expect((await fresh()).map((row) => row.event_type)).toEqual(["thing.updated"]);
  });
});

describe("an operation without its subscriber, or with two of them", () => {
  it("isn't committed", async () => {
    const ids = await insertThings("one");
    const { subscribers } = things.runtime.databases.write;
    const [subscriber] = subscribers.splice(0);
    try {
      expect(await codeOf(run(ids, rename("unlogged")))).toBe("INTERNAL");
      if (subscriber) subscribers.push(subscriber, subscriber);
      expect(await codeOf(run(ids, rename("unlogged")))).toBe("INTERNAL");
    } finally {
      if (subscriber) subscribers.splice(0, subscribers.length, subscriber);
    }
    expect(Object.values(await namesOf(ids))).toEqual(["one"]);
  });
});
