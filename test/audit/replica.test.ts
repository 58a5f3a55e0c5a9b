import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runEveryMutation } from "../support/all-mutations.js";
import { changesOf, readLog, type ReadEntry } from "../support/log.js";
import { query } from "../support/postgres.js";
import { type ReplicatedDatabase, startReplicated } from "../support/replica.js";
import { startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

const behind = 2;

// In this order: the last test ends the replica.
describe("a replica that is two seconds behind, from which the log is read", { shuffle: false }, () => {
  let replicated: ReplicatedDatabase;
  let server: TestServer;
  let admin: string;
  let auditor: string;

  beforeAll(async () => {
    replicated = await startReplicated(behind);
    server = await startServer({ database: replicated.database });
    admin = await server.token({ tenant: "acme", roles: ["admin"] });
    auditor = await server.token({ tenant: "acme", roles: ["auditor"] });
  });
  afterAll(async () => {
    await server.stop();
    await replicated.database.drop();
  });

  /** Waits until the replica has the entries of these ids. */
  const arrived = (ids: readonly string[]): Promise<ReadEntry[]> =>
    until(
      async () => {
        const found = (await readLog(server, {})).filter(({ id }) => ids.includes(id));
        return found.length === ids.length ? found : null;
      },
      { what: `${ids.length} entries have reached the replica`, deadline: 10_000, interval: 100 },
    );

  it("has no part in mutations, and shows each of their entries, whole, once it has caught up", async () => {
    const before = (await replicated.statements()).length;
    const answers = await runEveryMutation(server, admin);
    const denied = await server.request(`mutation { createGroup(input: { name: "no" }) { id } }`, { token: auditor });
    const failed = await server.request(`mutation { createGroup(input: { name: "" }) { id } }`, { token: admin });
    expect([denied, failed].map(({ errors }) => errors?.[0]?.extensions.code)).toEqual(["FORBIDDEN", "BAD_USER_INPUT"]);
    expect((await replicated.statements()).slice(before)).toEqual([]);

    const ids = [...answers, denied, failed].flatMap(
      ({ extensions }) => extensions?.audit?.flatMap(({ entryIds }) => entryIds) ?? [],
    );
    const entries = await arrived(ids);
    const byOperation = (name: string) => entries.filter(({ operation }) => operation === name);
    expect(byOperation("updateDevice").map(changesOf)).toEqual([{ name: ["REPLACE", "kiosk", "kiosk-2"] }]);
    expect(byOperation("upsertGroupBudget").map(changesOf)).toEqual([
      { spendLimitMicros: ["ADD", null, "500000000"] },
      { spendLimitMicros: ["REPLACE", "500000000", "50000000"] },
      { spendLimitMicros: ["ADD", null, "1"] },
    ]);
    expect(byOperation("archiveChats").map(changesOf)).toEqual([
      { archived: ["REPLACE", false, true] },
      { archived: ["REPLACE", false, true] },
    ]);
    expect(byOperation("createGroup").map(({ outcome }) => outcome)).toEqual(["SUCCESS", "DENIED", "FAILURE"]);
    const readers = (await replicated.statements()).slice(before).map((line) => line.split("|")[0]);
    expect([...new Set(readers)]).toEqual(["auditql reader"]);
  });

  it("answers auditLogs and auditEntry alone, and these say how far behind it is", async () => {
    const made = await server.request<{ createDevice: { id: string } }>(
      `mutation { createDevice(input: { serialNumber: "${Math.random()}", name: "fresh" }) { id } }`,
      { token: admin },
    );
    const id = made.data?.createDevice.id ?? "";
    const [entryId = ""] = made.extensions?.audit?.[0]?.entryIds ?? [];
    const log = `{ auditLogs(filter: { resourceId: ["${id}"] }) { nodes { id } } auditEntry(id: "${entryId}") { id } }`;
    const early = await server.request(log, { token: auditor });
    expect(early.data).toEqual({ auditLogs: { nodes: [] }, auditEntry: null });
    expect(early.extensions?.replicaLagSeconds).toBeGreaterThanOrEqual(behind);
    const business = await server.request(`{ device(id: "${id}") { name } }`, { token: admin });
    expect(business.data).toEqual({ device: { name: "fresh" } });
    expect(business.extensions).toBeUndefined();
    await arrived([entryId]);
    const late = await server.request(log, { token: auditor });
    expect(late.data).toEqual({ auditLogs: { nodes: [{ id: entryId }] }, auditEntry: { id: entryId } });
    expect(late.extensions?.replicaLagSeconds).toEqual(expect.any(Number));
  });

  it("keeps no mutation from being made and logged when it is gone: only the log can't be read meanwhile", async () => {
    await replicated.stopReplica();
    const made = await server.request(`mutation { createGroup(input: { name: "Later" }) { id } }`, { token: admin });
    expect(made.errors).toBeUndefined();
    const refused = await server.request("{ auditLogs { nodes { id } } }", { token: auditor });
    expect(refused.errors?.map(({ extensions }) => extensions.code)).toEqual(["UNAVAILABLE"]);
    const entries = await query<{ id: string }>(
      replicated.database.adminUrl,
      "select id from audit.entry where resource_label = 'Later'",
    );
    expect(entries.map(({ id }) => id)).toEqual(made.extensions?.audit?.[0]?.entryIds);
  });
});
