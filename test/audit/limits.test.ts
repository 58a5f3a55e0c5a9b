import type { PoolClient } from "pg";
import { describe, expect, it } from "vitest";
import { AuditError } from "../../src/audit/index.js";
import { holdTransaction, useClient } from "../support/client.js";
import { readLog } from "../support/log.js";
import { entryRows } from "../support/runtime.js";
import { Thing } from "../support/thing.js";
import { type ThingResolver, useThings } from "../support/things.js";

const tenantId = "acme";
/** What a wait of the API's may take, in milliseconds, and a test machine besides. */
const slack = 2_500;
const poolDeadline = 5_000;
const refusalDeadline = 2_000;

const elapsed = async (work: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

describe("an audited operation", () => {
  const things = useThings();
  const { insertThing, nameOf, change } = things;

  const rename: ThingResolver = async ({ id }, { manager }) => {
    await manager.update(Thing, { tenantId, id }, { name: "after" });
    return { id };
  };

  it.each([
    ["a statement that takes too long", "set local statement_timeout = '50ms'; select pg_sleep(60)"],
    ["a lock that isn't given up", "set local lock_timeout = '50ms'; lock table app.device"],
  ])("ends with TIMEOUT at %s, and nothing is changed", async (_, statement) => {
    const id = await insertThing();
    const holder = await holdTransaction(things.database);
    await holder.sql("lock table app.device");
    const { codes, requestId } = await change(id, async (args, context) => {
      await rename(args, context);
      await context.manager.query(statement);
    }).finally(() => holder.rollback());
    expect(codes).toEqual(["TIMEOUT"]);
    expect((await entryRows(things.database, requestId)).map((row) => row.error_code)).toEqual(["TIMEOUT"]);
    expect(await nameOf(id)).toBe("before");
  });

  it("ends with TIMEOUT where its resolver never does, and gives its connection back", async () => {
    const id = await insertThing();
    const never: ThingResolver = async (args, context) => {
      await rename(args, context);
      // The API's own limit is a matter of seconds.
      await context.manager.query("set local idle_in_transaction_session_timeout = '50ms'");
      await new Promise(() => undefined);
    };
    const runs = [];
    // More than the pool has connections.
    for (let turn = 0; turn < 12; turn++) runs.push(await change(id, never));
    expect(runs.map(({ codes }) => codes)).toEqual(runs.map(() => ["TIMEOUT"]));
    const [row] = await entryRows(things.database, runs[0]?.requestId ?? "");
    expect(row).toMatchObject({ outcome: "FAILURE", error_code: "TIMEOUT", resource_id: id });
    expect(await nameOf(id)).toBe("before");
    expect((await change(id, rename)).errors).toBeUndefined();
  });

  it("and every reader wait a bounded time for a connection: it is UNAVAILABLE, and leaves its failure", async () => {
    const id = await insertThing();
    const { write, read, reader } = things.runtime.databases;
    const runners = [write, read].flatMap((source) =>
      Array.from({ length: source === write ? 10 : 5 }, () => source.createQueryRunner("master")),
    );
    const held = await Promise.all(Array.from({ length: 8 }, () => reader.connect()));
    try {
      await Promise.all(runners.map((runner) => runner.connect()));
      const changing = change(id, rename);
      const waits = [
        () => changing,
        ...[() => read.query("select 1"), () => reader.query("select 1")].map(
          (look) => () => expect(look()).rejects.toThrow("timeout exceeded when trying to connect"),
        ),
      ];
      for (const took of await Promise.all(waits.map(elapsed))) {
        expect(took).toBeGreaterThan(poolDeadline - 500);
        expect(took).toBeLessThan(poolDeadline + slack);
      }
      const { codes, requestId } = await changing;
      expect(codes).toEqual(["UNAVAILABLE"]);
      expect((await entryRows(things.database, requestId)).map((row) => row.error_code)).toEqual(["UNAVAILABLE"]);
    } finally {
      await Promise.all(runners.map((runner) => runner.release()));
      for (const client of held) client.release();
    }
    expect(await nameOf(id)).toBe("before");
  });

  it("that fails waits for a connection of its failure's own pool a bounded time, and keeps its own error", async () => {
    const id = await insertThing();
    const held: PoolClient[] = [];
    try {
      held.push(await things.runtime.databases.refusals.connect(), await things.runtime.databases.refusals.connect());
      const failing: ThingResolver = () => {
        throw new AuditError("CONFLICT", "It didn't fit.");
      };
      let run: Awaited<ReturnType<typeof change>> | undefined;
      const took = await elapsed(async () => (run = await change(id, failing)));
      expect(took).toBeLessThan(refusalDeadline + slack);
      expect(run?.codes).toEqual(["CONFLICT"]);
      // What succeeds has no need of that pool.
      expect(await elapsed(() => change(id, rename))).toBeLessThan(refusalDeadline);
      expect(await nameOf(id)).toBe("after");
    } finally {
      for (const client of held) client.release();
    }
  });
});

describe("a log that is locked", () => {
  const client = useClient();
  const codesOf = (answers: readonly Awaited<ReturnType<typeof client.mutate>>[]): string[] =>
    answers.map(({ errors }) => errors?.[0]?.extensions.code ?? "done");

  it("holds nobody up beyond the limits, however many come: no change, typed errors, business reads go on", async () => {
    const id = await client.make(`createDevice(input: { serialNumber: "locked", name: "before" })`);
    const auditor = await client.server.token({ tenant: "acme", roles: ["auditor"] });
    const holder = await holdTransaction(client.database);
    await holder.sql("lock table audit.entry in access exclusive mode");
    const begun = performance.now();
    const times = (count: number, call: (index: number) => ReturnType<typeof client.mutate>) =>
      Promise.all(Array.from({ length: count }, (_, index) => call(index)));
    const [changes, births, looks, reads] = await Promise.all([
      times(8, (call) => client.mutate(`updateDevice(input: { id: "${id}", name: "${String(call)}" }) { id }`)),
      times(8, (call) => client.mutate(`createGroup(input: { name: "${String(call)}" }) { id }`)),
      times(12, () => client.server.request("{ auditLogs(first: 1) { nodes { id } } }", { token: auditor })),
      times(20, () => client.server.request(`{ device(id: "${id}") { name } }`, { token: client.token })),
    ]).finally(() => holder.rollback());
    expect(performance.now() - begun).toBeLessThan(4 * poolDeadline + slack);
    for (const code of codesOf([...changes, ...births]))
      expect(["AUDIT_UNAVAILABLE", "UNAVAILABLE", "TIMEOUT"]).toContain(code);
    expect(codesOf(births)).toContain("AUDIT_UNAVAILABLE");
    for (const code of codesOf(looks)) expect(["UNAVAILABLE", "TIMEOUT"]).toContain(code);
    expect(reads.map(({ data }) => data)).toEqual(reads.map(() => ({ device: { name: "before" } })));
    expect(await client.sql("select name from app.device where id = $1", [id])).toEqual([{ name: "before" }]);
    expect(await client.sql("select from app.group")).toEqual([]);
    const successes = await readLog(client.server, {
      outcome: ["SUCCESS"],
      operation: ["updateDevice", "createGroup"],
    });
    expect(successes).toEqual([]);
    const next = await client.mutate(`updateDevice(input: { id: "${id}", name: "after" }) { name }`);
    expect(next.data).toEqual({ it: { name: "after" } });
  });

  it("holds nobody up behind a row either: who waits for it is told TIMEOUT, and its failure is in the log", async () => {
    const id = await client.make(`createDevice(input: { serialNumber: "held", name: "before" })`);
    const holder = await holdTransaction(client.database);
    await holder.sql("select from app.device where id = $1 for update", [id]);
    let answer: Awaited<ReturnType<typeof client.mutate>> | undefined;
    const took = await elapsed(
      async () => (answer = await client.mutate(`updateDevice(input: { id: "${id}", name: "late" }) { id }`)),
    ).finally(() => holder.rollback());
    expect(took).toBeLessThan(poolDeadline + slack);
    expect(answer?.errors?.[0]?.extensions.code).toBe("TIMEOUT");
    const entries = await readLog(client.server, { requestId: [answer?.requestId ?? ""] });
    expect(entries.map(({ outcome, error }) => [outcome, error?.code])).toEqual([["FAILURE", "TIMEOUT"]]);
  });
});
