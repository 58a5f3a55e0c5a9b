import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { AuditError, notFound } from "../../src/audit/index.js";
import { query } from "../support/postgres.js";
import { entryRows } from "../support/runtime.js";
import { Thing, thing } from "../support/thing.js";
import { type ThingResolver, useThings } from "../support/things.js";

const things = useThings();
const { schemaOf } = things;
let id: string;
const tenantId = "acme";

async function insertThing(columns?: Readonly<Record<string, unknown>>): Promise<string> {
  id = await things.insertThing(columns);
  return id;
}

const rowOf = async (of = id) =>
  (await query(things.database.adminUrl, "select * from app.thing where id = $1", [of]))[0];

/** Changes the thing by this and gives the one entry's changes, `field: [old, new]`. */
async function changesBy(resolver: ThingResolver): Promise<Record<string, unknown>> {
  const { requestId, errors } = await things.runtime.run(schemaOf(resolver), `mutation { change(id: "${id}") { id } }`);
  expect(errors).toBeUndefined();
  const rows = await entryRows(things.database, requestId);
  expect(rows).toHaveLength(1);
  return Object.fromEntries(
    (rows[0]?.changes ?? []).map((change) => [
      change["field"],
      change["secret"] ? "secret" : [change["old"] ?? null, change["new"] ?? null],
    ]),
  );
}

const updateBy =
  (values: object): ThingResolver =>
  async (args, { manager }) => {
    await manager.update(Thing, { tenantId, id: args.id }, values);
    return { id: args.id };
  };
const sqlBy =
  (sql: string): ThingResolver =>
  async (args, { manager }) => {
    await manager.query(`update app.thing set ${sql} where id = $1`, [args.id]);
    return { id: args.id };
  };

describe("the changes of an entry", () => {
  it("tell null, the empty string, zero and false apart", async () => {
    await insertThing({ note: null, count: 0, flag: false });
    expect(await changesBy(updateBy({ note: "", count: null, flag: true }))).toEqual({
      note: [null, ""],
      count: [0, null],
      flag: [false, true],
    });
  });

  it("are none where every type is written as it stands", async () => {
    await insertThing({
      count: 3,
      ratio: 0.1,
      big: "9007199254740993",
      price: "1.10",
      due: "2026-03-29T01:30:00.123456Z",
      flag: true,
      data: JSON.stringify({ b: 1, a: [1, { y: 2, x: 1 }] }),
      tags: ["x", "y"],
      members: ["b", "a"],
      hidden: "h",
      key: "k",
    });
    expect(
      await changesBy(
        sqlBy(`count = 3, ratio = 0.1, big = 9007199254740993, price = 1.1, due = '2026-03-29 02:30:00.123456+01',
               data = '{"a": [1, {"x": 1, "y": 2}], "b": 1}', members = '{a,b}', hidden = 'h', key = 'k', seen = seen + 1`),
      ),
    ).toEqual({});
  });

  it("keep 64-bit integers, decimals and microseconds to the last digit", async () => {
    await insertThing({ big: "9007199254740993", price: "0.1", due: "2026-01-01T00:00:00Z" });
    expect(
      await changesBy(
        sqlBy(
          "big = 9223372036854775807, price = 12345678901234567890.123456789, due = '2026-01-01 00:00:00.000001+00'",
        ),
      ),
    ).toEqual({
      big: ["9007199254740993", "9223372036854775807"],
      price: ["0.1", "12345678901234567890.123456789"],
      due: ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z"],
    });
  });

  it("take a list by its order, a set by its members and a map whole", async () => {
    await insertThing({ tags: ["a", "b"], members: ["b", "a"], data: JSON.stringify({ deep: { n: 1 } }) });
    expect(await changesBy(sqlBy(`tags = '{b,a}', members = '{a,b,c}', data = '{"deep": {"n": 2}}'`))).toEqual({
      tags: [
        ["a", "b"],
        ["b", "a"],
      ],
      members: [
        ["a", "b"],
        ["a", "b", "c"],
      ],
      data: [{ deep: { n: 1 } }, { deep: { n: 2 } }],
    });
  });

  it("show a tracked column that is never selected, and of a secret only that it changed", async () => {
    await insertThing({ hidden: "old", key: "canary-1" });
    expect(await changesBy(updateBy({ hidden: "new", key: "canary-2" }))).toEqual({
      hidden: ["old", "new"],
      key: "secret",
    });
    const [{ found }] = (await query<{ found: boolean }>(
      things.database.adminUrl,
      "select exists (select from audit.entry e where e::text like '%canary%') as found",
    )) as [{ found: boolean }];
    expect(found).toBe(false);
  });

  it("are seen through raw SQL, query builders and an instance edited in place", async () => {
    await insertThing();
    expect(await changesBy(sqlBy("name = 'raw'"))).toEqual({ name: ["before", "raw"] });
    const byBuilder: ThingResolver = async (args, { manager }) => {
      await manager
        .createQueryBuilder()
        .update(Thing)
        .set({ name: "built" })
        .where("id = :id", { id: args.id })
        .execute();
      return { id: args.id };
    };
    expect(await changesBy(byBuilder)).toEqual({ name: ["raw", "built"] });
    const inPlace: ThingResolver = async (args, { manager }) => {
      const found = await manager.findOneByOrFail(Thing, { tenantId, id: args.id });
      found.name = "saved";
      return manager.save(found);
    };
    expect(await changesBy(inPlace)).toEqual({ name: ["built", "saved"] });
  });

  it("can't be spoilt by a resolver that edits the prior state", async () => {
    await insertThing();
    const { codes } = await things.runtime.run(
      schemaOf((_, { prior }) => {
        prior.name = "forged";
        return prior;
      }),
      `mutation { change(id: "${id}") { id } }`,
    );
    expect(codes).toEqual(["INTERNAL"]);
    expect(things.runtime.unforeseen).toEqual([expect.any(TypeError)]);
    things.runtime.unforeseen.length = 0;
  });

  it("are not those of a cache: the response is what was read again", async () => {
    await insertThing();
    const { data } = await things.runtime.run(
      schemaOf(async (args, { manager, prior }) => {
        await manager.update(Thing, { tenantId, id: args.id }, { name: "fresh" });
        return { ...prior, name: "stale" };
      }),
      `mutation { change(id: "${id}") { name } }`,
    );
    expect(data).toEqual({ change: { name: "fresh" } });
  });
});

describe("an operation that fails", () => {
  it("undoes what the resolver wrote and says what was asked", async () => {
    await insertThing();
    const { codes, requestId } = await things.runtime.run(
      schemaOf(async (args, { manager }) => {
        await manager.update(Thing, { tenantId, id: args.id }, { name: "half done" });
        throw new AuditError("CONFLICT", "The second half didn't fit.");
      }),
      `mutation { change(id: "${id}") { id } }`,
    );
    expect(codes).toEqual(["CONFLICT"]);
    expect(await rowOf()).toMatchObject({ name: "before" });
    expect(await entryRows(things.database, requestId)).toMatchObject([
      { event_type: "thing.update_failed", error_code: "CONFLICT", resource_label: "before", changes: [] },
    ]);
  });

  it("tells an unforeseen error's id alone, with no word of it in the log", async () => {
    await insertThing();
    const { errors, requestId } = await things.runtime.run(
      schemaOf(() => {
        throw new Error("canary: password=hunter2");
      }),
      `mutation { change(id: "${id}") { id } }`,
    );
    expect(errors?.[0]?.message).toBe("Something unforeseen happened. Its id in the server's log is test-1.");
    expect(JSON.stringify(await entryRows(things.database, requestId))).not.toContain("hunter2");
    things.runtime.unforeseen.length = 0;
  });

  it("leaves one entry for each id, the others undone because of the one that the error names", async () => {
    const [first, second] = [await insertThing({ name: "one" }), await insertThing({ name: "two" })];
    const { requestId, codes } = await things.runtime.run(
      schemaOf((args) => {
        throw notFound("thing", args.ids[1] ?? "");
      }),
      `mutation { changeAll(ids: ["${first}", "${second}", "${first}"]) { id } }`,
    );
    expect(codes).toEqual(["NOT_FOUND"]);
    const rows = await entryRows(things.database, requestId);
    const byId = new Map(rows.map((row) => [row.resource_id, row]));
    expect(rows).toHaveLength(2);
    expect(byId.get(first)).toMatchObject({ error_code: "ROLLED_BACK", cause_id: byId.get(second)?.id, ordinal: 0 });
    expect(byId.get(second)).toMatchObject({ error_code: "NOT_FOUND", cause_id: null, ordinal: 1 });
  });

  it("is every id's where the error names none, and nobody's where the list is empty or too long", async () => {
    const [first, second] = [await insertThing(), await insertThing()];
    const all = await things.runtime.run(
      schemaOf(() => {
        throw new AuditError("LIMIT_EXCEEDED", "Too much.");
      }),
      `mutation { changeAll(ids: ["${first}", "${second}"]) { id } }`,
    );
    expect((await entryRows(things.database, all.requestId)).map((row) => row.error_code)).toEqual(
      Array(2).fill("LIMIT_EXCEEDED"),
    );
    const ids = Array.from({ length: 101 }, () => `"${randomUUID()}"`).join(", ");
    for (const list of ["", ids, '"no uuid"', '"00000000-0000-0000-0000-000000000000"']) {
      const { codes, requestId } = await things.runtime.run(
        schemaOf(() => []),
        `mutation { changeAll(ids: [${list}]) { id } }`,
      );
      expect(codes).toEqual(["BAD_USER_INPUT"]);
      expect(await entryRows(things.database, requestId)).toMatchObject([
        { resource_id: null, error_code: "BAD_USER_INPUT", event_type: "thing.update_failed" },
      ]);
    }
  });

  it("rolls back what its directive doesn't declare, another id than the argument's, and a birth that was none", async () => {
    await insertThing();
    const other = await insertThing({ name: "other" });
    const [{ id: mine }] = [{ id: await insertThing() }];
    const removeInstead: ThingResolver = async (args, { manager }) => {
      await manager.delete(Thing, { tenantId, id: args.id });
      return null;
    };
    const cases: [ThingResolver, string][] = [
      [removeInstead, `change(id: "${mine}")`],
      [updateBy({ name: "changed" }), `remove(id: "${mine}")`],
      [() => ({ id: other }), `change(id: "${mine}")`],
      [() => ({ id: other }), `make`],
      [() => ({ id: randomUUID() }), `make`],
      [() => null, `make`],
    ];
    for (const [resolver, mutation] of cases) {
      const { codes } = await things.runtime.run(schemaOf(resolver), `mutation { ${mutation} { id } }`);
      expect(codes).toEqual(["INTERNAL"]);
      expect(await rowOf(mine)).toMatchObject({ name: "before" });
    }
    things.runtime.unforeseen.length = 0;
  });

  it("stays a success where only the response can't be made", async () => {
    await insertThing();
    const schema = schemaOf(updateBy({ name: "done" }), () => {
      throw new Error("no such column");
    });
    const { data, errors, requestId } = await things.runtime.run(
      schema,
      `mutation { change(id: "${id}") { name broken } }`,
    );
    expect(data).toEqual({ change: null });
    expect(errors).toHaveLength(1);
    expect(await entryRows(things.database, requestId)).toMatchObject([
      { event_type: "thing.updated", outcome: "SUCCESS" },
    ]);
  });

  it("is refused before anything is read where its text can't be stored, which is kept as far as it can", async () => {
    const source = "mutation ($name: String) { make(name: $name) { id } }";
    const run = (name: string) =>
      things.runtime.run(
        schemaOf(() => null),
        source,
        ["ADMIN"],
        { name },
      );
    for (const [name, kept] of [
      ["a\0b", "a\uFFFDb"],
      ["a\uD800b", "a\uFFFDb"],
    ] as const) {
      const { codes, requestId } = await run(name);
      expect(codes).toEqual(["BAD_USER_INPUT"]);
      expect((await entryRows(things.database, requestId))[0]?.attempted).toEqual([{ field: "name", value: kept }]);
    }
  });

  it("keeps a value too large as its length and a digest", async () => {
    const { codes, requestId } = await things.runtime.run(
      schemaOf(() => {
        throw new AuditError("BAD_USER_INPUT", "Too long.");
      }),
      `mutation { make(name: "${"x".repeat(1_000_000)}") { id } }`,
    );
    expect(codes).toEqual(["BAD_USER_INPUT"]);
    expect((await entryRows(things.database, requestId))[0]?.attempted).toEqual([
      { field: "name", omitted: { bytes: 1_000_002, digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string } },
    ]);
  });
});

describe("a transaction's scope", () => {
  it("records what it touched and changed, with its cause, and nothing of what it didn't change", async () => {
    const [parent, child, idle] = [
      await insertThing(),
      await insertThing({ name: "child" }),
      await insertThing({ name: "idle" }),
    ];
    const { requestId } = await things.runtime.run(
      schemaOf(async (_, { manager, scope }) => {
        await scope.touch(thing, [child, idle]);
        await manager.query("update app.thing set note = 'n' where id = any ($1)", [[parent, child]]);
        return { id: parent };
      }),
      `mutation { change(id: "${parent}") { id } }`,
    );
    const rows = await entryRows(things.database, requestId);
    expect(rows.map((row) => [row.resource_id, row.cause_id, row.ordinal])).toEqual([
      [parent, null, 0],
      [child, rows[0]?.id, 1],
    ]);
  });

  it("forgets what a rolled-back savepoint touched, and keeps what a released one did", async () => {
    const [parent, kept, dropped] = [await insertThing(), await insertThing(), await insertThing()];
    const { requestId } = await things.runtime.run(
      schemaOf(async (_, { manager, scope }) => {
        await manager.transaction(async (inner) => {
          await scope.touch(thing, [kept]);
          await inner.update(Thing, { tenantId, id: kept }, { name: "kept" });
        });
        await manager
          .transaction(async (inner) => {
            await scope.touch(thing, [dropped]);
            await inner.update(Thing, { tenantId, id: dropped }, { name: "dropped" });
            throw new Error("undo");
          })
          .catch(() => undefined);
        return { id: parent };
      }),
      `mutation { change(id: "${parent}") { id } }`,
    );
    expect((await entryRows(things.database, requestId)).map((row) => row.resource_id)).toEqual([parent, kept]);
    expect(await rowOf(dropped)).toMatchObject({ name: "before" });
  });

  it("is rolled back where what such a savepoint touched is changed after all, and not touched again", async () => {
    const [parent, lapsed] = [await insertThing(), await insertThing()];
    const changeLapsed =
      (again: boolean): ThingResolver =>
      async (_, { manager, scope }) => {
        await manager
          .transaction(async () => {
            await scope.touch(thing, [lapsed]);
            throw new Error("undo");
          })
          .catch(() => undefined);
        if (again) await scope.touch(thing, [lapsed]);
        await manager.update(Thing, { tenantId, id: lapsed }, { name: "after all" });
        return { id: parent };
      };
    const run = (again: boolean) =>
      things.runtime.run(schemaOf(changeLapsed(again)), `mutation { change(id: "${parent}") { id } }`);
    expect((await run(false)).codes).toEqual(["INTERNAL"]);
    expect(await rowOf(lapsed)).toMatchObject({ name: "before" });
    const { requestId } = await run(true);
    expect((await entryRows(things.database, requestId)).map((row) => row.resource_id)).toEqual([parent, lapsed]);
  });

  it("can't be committed by its resolver", async () => {
    await insertThing();
    const { codes, requestId } = await things.runtime.run(
      schemaOf(async (args, { manager }) => {
        await manager.update(Thing, { tenantId, id: args.id }, { name: "smuggled" });
        await manager.queryRunner?.commitTransaction();
        return { id: args.id };
      }),
      `mutation { change(id: "${id}") { id } }`,
    );
    expect(codes).toEqual(["INTERNAL"]);
    expect(await rowOf()).toMatchObject({ name: "before" });
    expect(await entryRows(things.database, requestId)).toMatchObject([{ outcome: "FAILURE" }]);
    things.runtime.unforeseen.length = 0;
  });

  it("runs what waits for the commit after it, and not after a rollback", async () => {
    await insertThing();
    const seen: unknown[] = [];
    const after =
      (fail: boolean): ThingResolver =>
      async (args, { manager, afterCommit }) => {
        await manager.update(Thing, { tenantId, id: args.id }, { name: "after" });
        afterCommit(async () => void seen.push((await rowOf(args.id))?.["name"]));
        afterCommit(() => {
          throw new Error("deaf receiver");
        });
        if (fail) throw new AuditError("CONFLICT", "No.");
        return { id: args.id };
      };
    await things.runtime.run(schemaOf(after(true)), `mutation { change(id: "${id}") { id } }`);
    expect(seen).toEqual([]);
    const { errors } = await things.runtime.run(schemaOf(after(false)), `mutation { change(id: "${id}") { id } }`);
    expect([errors, seen]).toEqual([undefined, ["after"]]);
    things.runtime.unforeseen.length = 0;
  });
});

describe("a write outside an audited operation", () => {
  it("is refused where TypeORM sees it: by a data source of one's own, and by a reading manager", async () => {
    await insertThing();
    const outside: ThingResolver[] = [
      async (args) => {
        await things.runtime.databases.write
          .getRepository(Thing)
          .update({ tenantId, id: args.id }, { name: "escaped" });
        return { id: args.id };
      },
      async (args) => {
        await things.runtime.databases.write.manager.insert(Thing, { tenantId, id: randomUUID(), name: "new" });
        return { id: args.id };
      },
      async (args) => {
        await things.runtime.databases.read.manager.update(Thing, { tenantId, id: args.id }, { name: "escaped" });
        return { id: args.id };
      },
    ];
    for (const resolver of outside) {
      const { codes } = await things.runtime.run(schemaOf(resolver), `mutation { change(id: "${id}") { id } }`);
      expect(codes[0]).toMatch(/INTERNAL|UNAVAILABLE/);
    }
    expect(await rowOf()).toMatchObject({ name: "before" });
    expect(await query(things.database.adminUrl, "select from app.thing where name = 'new'")).toEqual([]);
    things.runtime.unforeseen.length = 0;
  });

  it("may change nothing but ignored fields in an @unaudited mutation", async () => {
    await insertThing();
    const allowed = await things.runtime.run(schemaOf(updateBy({ seen: 7 })), `mutation { touch(id: "${id}") { id } }`);
    expect([allowed.errors, (await rowOf())?.["seen"]]).toEqual([undefined, 7]);
    const refused: ThingResolver[] = [
      updateBy({ name: "quietly" }),
      async (args, { manager }) => {
        const found = await manager.findOneByOrFail(Thing, { tenantId, id: args.id });
        return manager.save(Object.assign(found, { name: "quietly" }));
      },
      async (args, { manager }) => manager.delete(Thing, { tenantId, id: args.id }),
      async (_, { manager }) => manager.insert(Thing, { tenantId, id: randomUUID(), name: "quietly" }),
    ];
    for (const resolver of refused) {
      const { codes } = await things.runtime.run(schemaOf(resolver), `mutation { touch(id: "${id}") { id } }`);
      expect(codes).toEqual(["INTERNAL"]);
    }
    expect(await rowOf()).toMatchObject({ name: "before" });
    expect(await query(things.database.adminUrl, "select from app.thing where name = 'quietly'")).toEqual([]);
    things.runtime.unforeseen.length = 0;
  });
});
