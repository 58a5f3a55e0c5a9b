import { beforeAll, describe, expect, it } from "vitest";
import { auditActions, changeActions, mutationDecisions } from "../../src/audit/index.js";
import { ownEventTypes, ownResourceTypes } from "../../src/audit/own-resources.js";
import { features } from "../../src/features.js";
import { createSchema } from "../../src/schema.js";
import { runEveryMutation } from "../support/all-mutations.js";
import { useClient } from "../support/client.js";
import { readLog, type ReadEntry } from "../support/log.js";
import { createDatabase, query } from "../support/postgres.js";
import { newSessionId, reported, sendReport } from "../support/report.js";
import { startServer } from "../support/server.js";

// The code's own: what was just added isn't in schema.graphql yet.
const decisions = mutationDecisions(await createSchema(features));

/** Each action that a mutation declares, as `mutation: resource ACTION`. */
const declared = decisions
  .flatMap(({ name, audited }) => audited?.action.map((action) => `${name}: ${audited.resource} ${action}`) ?? [])
  .sort();

/** What a mutation does beside what it names, which no directive declares. */
const broughtAbout = [
  "archiveChats: chat UPDATE",
  "deleteChat: chat DELETE",
  "deleteGroup: group_budget DELETE",
  "updateChat: chat UPDATE",
];

const distinct = (texts: readonly string[]) => [...new Set(texts)].sort();
const done = ({ operation, resource, action }: ReadEntry) => `${operation}: ${resource?.type} ${action}`;
const pair = (text: string) => text.replace(/^.*: /, "");

const client = useClient();

describe("the actions that mutations declare", () => {
  let entries: readonly ReadEntry[];

  beforeAll(async () => {
    await runEveryMutation(client.server, client.token);
    entries = await readLog(client.server, { outcome: ["SUCCESS"], action: [...changeActions] });
  });

  it("are those that they do, no more and no less, mutation by mutation", () => {
    expect(distinct(entries.filter(({ causeId }) => causeId === null).map(done))).toEqual(declared);
  });

  it("are all that happens to each kind of resource, also where another's change brings it about", () => {
    expect(distinct(entries.map((entry) => pair(done(entry))))).toEqual(distinct(declared.map(pair)));
    expect(distinct(entries.filter(({ causeId }) => causeId !== null).map(done))).toEqual(broughtAbout);
  });

  it("are none for a mutation that leaves no entry, which was run all the same", async () => {
    expect(decisions.filter(({ audited }) => !audited).map(({ name }) => name)).toEqual([
      "deviceHeartbeat",
      "reportAuditEntries",
    ]);
    await expect(readLog(client.server, { operation: ["deviceHeartbeat"] })).rejects.toThrow("deviceHeartbeat");
  });
});

describe("what the log tells of itself and of the program", () => {
  it("is each kind, action and event type that the code names, no more and no less", async () => {
    const database = await createDatabase();
    await (await startServer({ database })).stop();
    const differ = `update audit.declaration set declared = '{"policy": "none", "audited.id": "none"}'
      where name in ('device.name', 'createDevice')`;
    await query(database.adminUrl, differ);
    await query(
      database.adminUrl,
      `update audit.declaration set name = name || 'Z' where name ~ '^(device.status|deleteChat)$'`,
    );
    await query(database.adminUrl, "select audit_guard.lift_fence('app.device')");
    await query(database.adminUrl, "insert into audit.fence_mode values ('reporting', 'refuse')");
    await query(database.adminUrl, "update audit.fence_mode set mode = 'record'");
    await query(database.adminUrl, "delete from audit.fence_mode");
    const server = await startServer({ database, env: { MIGRATION_DATABASE_URL: database.adminUrl } });
    const look = async (filter: string, roles: readonly string[]) =>
      server.request(`{ auditLogs(filter: ${filter}) { nodes { id } } }`, { token: await server.token({ roles }) });
    await look(`{ actorId: ["x"] }`, ["platform_auditor"]);
    await look(`{ actorId: [""] }`, ["platform_auditor"]);
    await look(`{ actorId: ["x"] }`, ["member"]);
    const reporter = (subject: string) => server.token({ subject, tenant: "acme", roles: ["reporter"] });
    const sessionId = newSessionId();
    const calls: readonly [subject: string, outcome: string][] = [
      ["gw-1", "SUCCESS"],
      ["gw-1", "DENIED"],
      ["gw-2", "DENIED"],
    ];
    for (const [subject, outcome] of calls)
      await sendReport(server, await reporter(subject), {
        ...{ sessionId, entries: [reported(0, { outcome })], close: true },
      });
    const entries = await readLog(
      server,
      { tenantId: ["$platform", "acme"], occurredAt: { from: "2000-01-01T00:00:00Z" } },
      null,
    );
    await server.stop();
    await database.drop();
    const own = entries.filter(({ reportedBy }) => reportedBy === null);
    expect(distinct(own.map(({ eventType }) => eventType))).toEqual([...ownEventTypes].sort());
    expect(distinct(own.map(({ resource }) => resource?.type ?? ""))).toEqual([...ownResourceTypes].sort());
    expect(distinct(entries.flatMap(({ action }) => action ?? []))).toEqual([...auditActions].sort());
  });
});
