import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { makeExecutableSchema } from "@graphql-tools/schema";
import type { GraphQLSchema } from "graphql";
import { EntitySchema } from "typeorm";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { defineAuditedResource, ignore, track, type MutationContext } from "../../src/audit/index.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { createRuntime, entryRows, type TestRuntime } from "../support/runtime.js";
import { createThingTable, Thing, thing, thingEntity, thingTypes } from "../support/thing.js";

/** A resource whose ids aren't UUIDs, and of which only admins see another's. */
class Slot {
  tenantId!: string;
  id!: number;
  value!: string;
  owner!: string | null;
}

const slotEntity = new EntitySchema<Slot>({
  name: "Slot",
  target: Slot,
  schema: "app",
  tableName: "slot",
  columns: {
    tenantId: { name: "tenant_id", type: "text", primary: true },
    id: { type: "int", primary: true },
    value: { type: "text" },
    owner: { type: "text", nullable: true },
  },
});

const slot = defineAuditedResource({
  type: "slot",
  entity: Slot,
  id: "id",
  tenant: "tenantId",
  label: () => null,
  visible: ({ roles, subject }) => (roles.has("ADMIN") ? "all" : { owner: subject }),
  fields: { tenantId: ignore("The entry says it."), id: ignore("The entry says it."), value: track, owner: track },
});

const types = thingTypes.replace(
  "type Mutation {",
  `type Slot { id: ID! value: String }
   type Mutation { putSlot(id: ID!): Slot @audited(resource: "slot", action: [CREATE, UPDATE], id: "id")`,
);

type Resolver = (args: { id: string }, context: MutationContext) => unknown;

const tenantId = "acme";
let database: TestDatabase;
let runtime: TestRuntime;

beforeAll(async () => {
  database = await createDatabase();
  await createThingTable(database);
  await query(
    database.adminUrl,
    "create table app.slot (tenant_id text, id int, value text, owner text, primary key (tenant_id, id))",
  );
  await query(database.adminUrl, "grant select, insert, update, delete on app.slot to app_api");
  runtime = await open(database);
});
afterEach(() => {
  runtime.unforeseen.length = 0;
});
afterAll(async () => {
  await runtime.close();
  await database.drop();
});

const open = (on: TestDatabase) => createRuntime(on, [thingEntity as never, slotEntity as never], [thing, slot]);

function schemaOf(resolver: Resolver, on = runtime): GraphQLSchema {
  const names = ["change", "changeAll", "put", "remove", "make", "touch", "putSlot"];
  const resolve = (_: unknown, args: { id: string }, context: MutationContext) => resolver(args, context);
  const resolvers = { Mutation: Object.fromEntries(names.map((name) => [name, resolve])) };
  return on.apply(makeExecutableSchema({ typeDefs: types, resolvers }));
}

async function insertThing(): Promise<string> {
  const [row] = await query<{ id: string }>(
    database.adminUrl,
    "insert into app.thing (tenant_id, name) values ('acme', 'before') returning id",
  );
  return row?.id ?? "";
}

async function nameOf(id: string): Promise<string | undefined> {
  return (await query<{ name: string }>(database.adminUrl, "select name from app.thing where id = $1", [id]))[0]?.name;
}

const rename =
  (name: string): Resolver =>
  async ({ id }, { manager }) => {
    await manager.update(Thing, { tenantId, id }, { name });
    return { id };
  };
const change = (id: string, resolver: Resolver, on = runtime) =>
  on.run(schemaOf(resolver, on), `mutation { change(id: "${id}") { id } }`);
const outcomes = async (requestId: string) =>
  (await entryRows(database, requestId)).map(({ event_type, outcome }) => [event_type, outcome]);

/** Adds somebody's listener for the time of the work. */
async function listening<Result>(listener: object, work: () => Promise<Result>): Promise<Result> {
  const { subscribers } = runtime.databases.write;
  subscribers.push(listener);
  try {
    return await work();
  } finally {
    subscribers.splice(subscribers.indexOf(listener), 1);
  }
}

describe("an operation that failed", () => {
  it("leaves no open transaction to the next one, whatever a listener of the rollback throws", async () => {
    const [failed, next] = [await insertThing(), await insertThing()];
    const listener = {
      beforeTransactionRollback: () => {
        throw new Error("a listener's");
      },
    };
    const failing: Resolver = async (args, context) => {
      await rename("undone")(args, context);
      throw new Error("no");
    };
    const first = await listening(listener, () => change(failed, failing));
    expect(first.codes).toEqual(["INTERNAL"]);
    expect((await change(next, rename("after"))).errors).toBeUndefined();
    expect([await nameOf(failed), await nameOf(next)]).toEqual(["before", "after"]);
  });

  it("leaves none either with more savepoints open than anyone counts", async () => {
    const [failed, next] = [await insertThing(), await insertThing()];
    const failing: Resolver = async (args, context) => {
      await rename("undone")(args, context);
      for (let level = 0; level < 40; level++) await context.manager.queryRunner?.startTransaction();
      throw new Error("no");
    };
    await change(failed, failing);
    expect((await change(next, rename("after"))).errors).toBeUndefined();
    expect([await nameOf(failed), await nameOf(next)]).toEqual(["before", "after"]);
  });
});

describe("a statement that the comparison can't see", () => {
  it("is refused where the resolver didn't await it", async () => {
    const id = await insertThing();
    let floating: Promise<unknown> = Promise.resolve();
    const forgetful: Resolver = (args, context) => {
      floating = (async () => {
        for (let round = 0; round < 50; round++) await rename(`round ${round}`)(args, context);
      })();
      floating.catch(() => undefined);
      return { id: args.id };
    };
    const { requestId } = await change(id, forgetful);
    await expect(floating).rejects.toThrow(/await all that the resolver begins|released|Connection/);
    const [entry] = await entryRows(database, requestId);
    const told = entry?.changes.find((it) => it["field"] === "name")?.["new"] ?? "before";
    expect(await nameOf(id)).toBe(entry?.outcome === "SUCCESS" ? told : "before");
  });

  it("is refused in a listener of the commit, and the operation with it", async () => {
    const id = await insertThing();
    const listener = {
      beforeTransactionCommit: async ({ manager }: MutationContext) => {
        await Promise.resolve();
        await manager.update(Thing, { tenantId, id }, { name: "behind the entry" });
      },
    };
    const { requestId, codes } = await listening(listener, () => change(id, rename("seen")));
    expect(codes).toEqual(["INTERNAL"]);
    expect(await outcomes(requestId)).toEqual([["thing.update_failed", "FAILURE"]]);
    expect(await nameOf(id)).toBe("before");
  });

  it("is refused where it would end the operation's transaction", async () => {
    const id = await insertThing();
    for (const statement of ["commit", " END", "rollback", "abort", "start transaction"]) {
      const { codes } = await change(id, async (args, context) => {
        await rename("kept")(args, context);
        await context.manager.query(statement);
        return { id: args.id };
      });
      expect(codes).toEqual(["INTERNAL"]);
      expect(await nameOf(id)).toBe("before");
    }
  });

  it("is refused where it writes to another kind of resource that wasn't touched", async () => {
    const id = await insertThing();
    const { codes } = await change(id, async (args, { manager }) => {
      await manager.insert(Slot, { tenantId, id: 99, value: "unseen" });
      return { id: args.id };
    });
    expect(codes).toEqual(["INTERNAL"]);
    expect(await query(database.adminUrl, "select from app.slot where id = 99")).toEqual([]);
  });
});

describe("a row that stands", () => {
  const put: Resolver = async ({ id }, { manager }) => {
    await manager.query(
      `insert into app.slot values ('acme', $1, 'new', 'u-1') on conflict (tenant_id, id) do update set value = 'new'`,
      [Number(id)],
    );
    return { id };
  };

  it("isn't created anew by who may not see it", async () => {
    await query(database.adminUrl, "insert into app.slot values ('acme', 5, 'old', 'someone')");
    const { codes } = await runtime.run(schemaOf(put), `mutation { putSlot(id: "5") { id } }`, ["MEMBER"]);
    expect(codes).toEqual(["NOT_FOUND"]);
    expect(await query(database.adminUrl, "select value from app.slot where id = 5")).toEqual([{ value: "old" }]);
  });

  it("isn't changed under another spelling of its id", async () => {
    await query(database.adminUrl, "insert into app.slot values ('acme', 7, 'old', 'u-1')");
    const { codes } = await runtime.run(schemaOf(put), `mutation { putSlot(id: "007") { id } }`);
    expect(codes).toEqual(["BAD_USER_INPUT"]);
    expect(await query(database.adminUrl, "select value from app.slot where id = 7")).toEqual([{ value: "old" }]);
  });

  it("isn't said to be deleted while it is there", async () => {
    const id = await insertThing();
    const { codes, requestId } = await runtime.run(
      schemaOf(({ id }) => ({ id })),
      `mutation { remove(id: "${id}") { id } }`,
    );
    expect(codes).toEqual(["INTERNAL"]);
    expect(await outcomes(requestId)).toEqual([["thing.deletion_failed", "FAILURE"]]);
  });
});

describe("a change that stands", () => {
  it("stays a success where a listener throws after the commit", async () => {
    const id = await insertThing();
    const listener = {
      afterTransactionCommit: () => {
        throw new Error("a listener's");
      },
    };
    const { errors, requestId } = await listening(listener, () => change(id, rename("done")));
    expect(errors).toBeUndefined();
    expect(await outcomes(requestId)).toEqual([["thing.updated", "SUCCESS"]]);
    expect(runtime.unforeseen).toHaveLength(1);
  });

  it("is a success, with all that waited for the commit, where only the answer to COMMIT was lost", async () => {
    const proxy = createServer((near) => {
      const far = connect(Number(new URL(database.apiUrl).port), "127.0.0.1");
      let isMute = false;
      near.on("data", (data) => {
        // The packet that holds the entry and the COMMIT.
        isMute ||= data.includes("COMMIT") && data.includes("thing.updated");
        far.write(data);
      });
      far.on("data", (data) => (isMute ? near.destroy() : near.write(data)));
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        socket.on("error", () => undefined);
        socket.on("close", () => other.destroy());
      }
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    const apiUrl = new URL(database.apiUrl);
    apiUrl.port = String((proxy.address() as AddressInfo).port);
    const cut = await open({ ...database, apiUrl: apiUrl.href });
    try {
      const id = await insertThing();
      const afterwards: string[] = [];
      const resolver: Resolver = (args, context) => {
        context.afterCommit(() => void afterwards.push(args.id));
        return rename("done")(args, context);
      };
      const { codes, requestId, data } = await change(id, resolver, cut);
      expect([codes, data, afterwards]).toEqual([[], { change: { id } }, [id]]);
      expect(await nameOf(id)).toBe("done");
      expect(await outcomes(requestId)).toEqual([["thing.updated", "SUCCESS"]]);
    } finally {
      await cut.close();
      proxy.close();
    }
  });
});
