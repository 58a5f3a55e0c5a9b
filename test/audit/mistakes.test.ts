import { randomUUID } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { UpdateEvent } from "typeorm";
import { describe, expect, it } from "vitest";
import type { MutationContext } from "../../src/audit/index.js";
import { query } from "../support/postgres.js";
import { entryRows } from "../support/runtime.js";
import { Thing } from "../support/thing.js";
import { useThings } from "../support/things.js";

const things = useThings();
const { schemaOf, insertThing, nameOf, change } = things;
const tenantId = "acme";

const rename = (id: string, name: string, { manager }: Pick<MutationContext, "manager">) =>
  manager.update(Thing, { tenantId, id }, { name });
/** What the entries of one request tell of names: `[id, outcome, old, new]`. */
const told = async (requestId: string) =>
  (await entryRows(things.database, requestId)).map(({ resource_id, outcome, changes }) => [
    resource_id,
    outcome,
    changes[0]?.["old"],
    changes[0]?.["new"],
  ]);

/** Refused with nothing changed: the failure is in the log, and the error tells the developer the remedy. */
async function expectRefused(run: Awaited<ReturnType<typeof change>>, id: string, remedy: RegExp): Promise<void> {
  expect(run.codes).toEqual(["INTERNAL"]);
  expect(await told(run.requestId)).toEqual([[id, "FAILURE", undefined, undefined]]);
  expect(String(things.runtime.unforeseen[0])).toMatch(remedy);
  expect(await nameOf(id)).toBe("before");
}

/** Whether the database itself refuses changes without an entry; what only that finds is left out where it doesn't. */
const isFenced = async (): Promise<boolean> =>
  (
    await query(
      things.database.adminUrl,
      "select from pg_trigger where tgrelid = 'app.thing'::regclass and not tgisinternal and tgdeferrable",
    )
  ).length > 0;

describe("a resolver that writes past its context's manager", () => {
  it("is refused where it uses a repository of the data source", async () => {
    const id = await insertThing();
    const run = await change(id, async (args) => {
      await things.runtime.databases.write.getRepository(Thing).update({ tenantId, id: args.id }, { name: "escaped" });
      return { id: args.id };
    });
    await expectRefused(run, id, /use the manager of the resolver's context/);
  });

  it("is refused where it opens a transaction of its own", async () => {
    const id = await insertThing();
    const run = await change(id, async (args) => {
      await things.runtime.databases.write.transaction(async (manager) => {
        await manager.save(Thing, { tenantId, id: randomUUID(), name: "escaped", tags: [], members: [], seen: 0 });
      });
      return { id: args.id };
    });
    await expectRefused(run, id, /use the manager of the resolver's context/);
    expect(await query(things.database.adminUrl, "select from app.thing where name = 'escaped'")).toEqual([]);
  });

  it("is refused where it waits for a row that its own operation holds, after the time a lock is waited for", async () => {
    const id = await insertThing();
    const run = await change(id, async (args) => {
      await things.runtime.databases.write.query(
        "set lock_timeout = '50ms'; update app.thing set name = 'escaped' where id = '" +
          args.id +
          "'; reset lock_timeout",
      );
      return { id: args.id };
    });
    expect(run.codes).toEqual(["TIMEOUT"]);
    expect(await nameOf(id)).toBe("before");
  });

  it("is refused by the database where it sends SQL to another row on a connection of its own", async (context) => {
    if (!(await isFenced())) context.skip("the database has no fence on this table");
    const [id, other] = [await insertThing(), await insertThing()];
    const run = await change(id, async (args) => {
      await things.runtime.databases.write.query("update app.thing set name = 'escaped' where id = $1", [other]);
      return { id: args.id };
    });
    expect(run.codes).toHaveLength(1);
    expect(await nameOf(other)).toBe("before");
  });
});

describe("a subscriber of TypeORM's that writes", () => {
  const listening = async <Result>(
    afterUpdate: (event: UpdateEvent<Thing>) => Promise<unknown>,
    work: () => Promise<Result>,
  ) => {
    const { subscribers } = things.runtime.databases.write;
    const subscriber = { listenTo: () => Thing, afterUpdate };
    subscribers.push(subscriber);
    try {
      return await work();
    } finally {
      subscribers.splice(subscribers.indexOf(subscriber), 1);
    }
  };

  it("into the operation's own row is recorded with what the row became", async () => {
    const id = await insertThing();
    const trim = ({ manager }: UpdateEvent<Thing>) =>
      manager.query("update app.thing set name = trim(name) where id = $1", [id]);
    const run = await listening(trim, () => change(id, (args, context) => rename(args.id, " after ", context)));
    expect(run.errors).toBeUndefined();
    expect(await told(run.requestId)).toEqual([[id, "SUCCESS", "before", "after"]]);
  });

  it("past the operation's transaction is refused, and the operation with it", async () => {
    const id = await insertThing();
    const other = await insertThing();
    const run = await listening(
      () => things.runtime.databases.write.manager.update(Thing, { tenantId, id: other }, { name: "escaped" }),
      () => change(id, (args, context) => rename(args.id, "after", context)),
    );
    await expectRefused(run, id, /use the manager of the resolver's context/);
    expect(await nameOf(other)).toBe("before");
  });

  it("into a row that nobody named is refused by the database", async (context) => {
    if (!(await isFenced())) context.skip("the database has no fence on this table");
    const [id, other] = [await insertThing(), await insertThing()];
    const run = await listening(
      ({ manager }) => manager.query("update app.thing set name = 'escaped' where id = $1", [other]),
      () => change(id, (args, context) => rename(args.id, "after", context)),
    );
    expect(run.codes).toHaveLength(1);
    expect([await nameOf(id), await nameOf(other)]).toEqual(["before", "before"]);
  });
});

describe("two writes at once in one resolver", () => {
  it("are both recorded where all of them are awaited", async () => {
    const ids = [await insertThing(), await insertThing()].sort();
    const run = await things.runtime.run(
      schemaOf(async (args, context) => {
        await Promise.all(args.ids.map((id, index) => rename(id, `after ${String(index)}`, context)));
        return args.ids.map((id) => ({ id }));
      }),
      `mutation { changeAll(ids: ${JSON.stringify(ids)}) { id } }`,
    );
    expect(run.errors).toBeUndefined();
    expect((await told(run.requestId)).sort()).toEqual(
      ids.map((id, index) => [id, "SUCCESS", "before", `after ${String(index)}`]),
    );
  });

  it("are both undone where one fails, also what the other still sends", async () => {
    const id = await insertThing();
    let slower: Promise<unknown> = Promise.resolve();
    const run = await change(id, async (args, context) => {
      slower = (async () => {
        for (let round = 0; round < 100; round++) await rename(args.id, `round ${String(round)}`, context);
      })();
      const failing = (async () => {
        await rename(args.id, "half", context);
        throw new Error("the other half");
      })();
      await Promise.all([slower, failing]);
    });
    await expect(slower).rejects.toThrow(/await all that the resolver begins|outside an audited operation|released/i);
    await expectRefused(run, id, /the other half/);
  });

  it("are refused amid the ROLLBACK, behind which they would stand on their own", async () => {
    const id = await insertThing();
    let late: Promise<unknown> = Promise.resolve();
    const run = await change(id, (args, context) => {
      const runner = context.manager.queryRunner;
      if (!runner) throw new Error("The operation has no connection.");
      const send = runner.query.bind(runner);
      runner.query = (...statement: Parameters<typeof send>) => {
        const answer = send(...statement);
        if (statement[0] === "ROLLBACK") {
          late = rename(args.id, "late", context);
          late.catch(() => undefined);
        }
        return answer;
      };
      throw new Error("the other half");
    });
    expect(String(await late.catch((error: unknown) => error))).toMatch(/A statement after the operation failed/);
    await expectRefused(run, id, /the other half/);
  });

  it("in two operations at once are two operations, each with its entry", async () => {
    const ids = [await insertThing(), await insertThing()];
    const schema = schemaOf(async (args, context) => {
      await rename(args.id, "after", context);
      return { id: args.id };
    });
    const runs = await Promise.all(
      ids.map((id) => things.runtime.run(schema, `mutation { change(id: "${id}") { id } }`)),
    );
    for (const [index, { requestId }] of runs.entries())
      expect(await told(requestId)).toEqual([[ids[index], "SUCCESS", "before", "after"]]);
  });
});

describe("an SQL error that a resolver swallows", () => {
  const failing = "insert into app.thing (tenant_id, name) values ('acme', null)";

  it("fails the operation: the database has undone it already", async () => {
    const id = await insertThing();
    const run = await change(id, async (args, context) => {
      await rename(args.id, "after", context);
      await context.manager.query(failing).catch(() => undefined);
      return { id: args.id };
    });
    await expectRefused(run, id, /its error was swallowed: rethrow it, or try what may fail in a savepoint/);
  });

  it("is no mistake in a savepoint: what was done around it is recorded", async () => {
    const id = await insertThing();
    const run = await change(id, async (args, context) => {
      await rename(args.id, "after", context);
      await context.manager.transaction((inner) => inner.query(failing)).catch(() => undefined);
      return { id: args.id };
    });
    expect(run.errors).toBeUndefined();
    expect(await told(run.requestId)).toEqual([[id, "SUCCESS", "before", "after"]]);
  });
});

describe("a resolver that ends the transaction by itself", () => {
  it.each(["commit", "COMMIT AND CHAIN", "rollback", "end", "select 1; commit", "select 1; rollback; begin"])(
    "is refused: %s",
    async (statement) => {
      const id = await insertThing();
      const run = await change(id, async (args, context) => {
        await rename(args.id, "smuggled", context);
        await context.manager.query(statement);
        return { id: args.id };
      });
      await expectRefused(run, id, /The operation's own transaction is the wrapper's to end/);
    },
  );

  it("is refused where it does so through the query runner", async () => {
    const id = await insertThing();
    const run = await change(id, async (args, context) => {
      await rename(args.id, "smuggled", context);
      await context.manager.queryRunner?.commitTransaction();
      return { id: args.id };
    });
    await expectRefused(run, id, /leave that to (?:it|the wrapper)/);
  });

  it("is no mistake where only a savepoint ends, or a function's body does", async () => {
    const id = await insertThing();
    const run = await change(id, async (args, context) => {
      await context.manager.query("savepoint mine");
      await rename(args.id, "undone", context);
      await context.manager.query("rollback to mine");
      await context.manager.query("do $$ begin perform 1; end $$");
      await rename(args.id, "after", context);
      return { id: args.id };
    });
    expect(run.errors).toBeUndefined();
    expect(await told(run.requestId)).toEqual([[id, "SUCCESS", "before", "after"]]);
  });
});

describe("a resolver that returns before its writes are done", () => {
  it("changes nothing behind the second look at the row, however soon it returns", async () => {
    for (let turns = 0; turns < 24; turns++) {
      const id = await insertThing();
      let floating: Promise<unknown> = Promise.resolve();
      const run = await change(id, async (args, context) => {
        floating = rename(args.id, "unseen", context);
        floating.catch(() => undefined);
        // The statement is built, but hasn't been sent.
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        return { id: args.id };
      });
      await floating.catch(() => undefined);
      const [[, outcome, , now] = []] = await told(run.requestId);
      expect([turns, await nameOf(id)]).toEqual([turns, outcome === "SUCCESS" ? (now ?? "before") : "before"]);
    }
  });

  it("is told so by the writes that come too late, which change nothing", async () => {
    const id = await insertThing();
    let floating: Promise<unknown> = Promise.resolve();
    const run = await change(id, (args, context) => {
      floating = (async () => {
        for (let round = 0; round < 100; round++) await rename(args.id, `round ${String(round)}`, context);
      })();
      floating.catch(() => undefined);
      return { id: args.id };
    });
    await expect(floating).rejects.toThrow(/await all that the resolver begins|outside an audited operation|released/i);
    await expectRefused(run, id, /The resolver returned before its statements were done/);
  });

  it("can't write any more once it is answered, by its manager nor after the commit", async () => {
    const id = await insertThing();
    let late: Promise<unknown> = Promise.resolve();
    const run = await change(id, (args, context) => {
      late = (async () => {
        while (await nameOf(args.id).then((name) => name !== "done")) await nextTurn();
        await rename(args.id, "late", context);
      })();
      late.catch(() => undefined);
      context.afterCommit(() => rename(args.id, "after the commit", context).then(() => undefined));
      return rename(args.id, "done", context).then(() => ({ id: args.id }));
    });
    await expect(late).rejects.toThrow(/outside an audited operation|released/i);
    expect(await told(run.requestId)).toEqual([[id, "SUCCESS", "before", "done"]]);
    expect(await nameOf(id)).toBe("done");
    expect(String(things.runtime.unforeseen)).toMatch(/outside an audited operation|released/i);
  });
});
