import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { migrations } from "../../migrations/index.js";
import { mutationDecisions } from "../../src/audit/index.js";
import { changesOf, readLog, type ReadEntry } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startInVain, startServer, type TestServer } from "../support/server.js";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly version: string };
const mutations = mutationDecisions(buildSchema(readFileSync("schema.graphql", "utf8"))).map(({ name }) => name);

let database: TestDatabase;
const servers: TestServer[] = [];

beforeEach(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop("SIGKILL");
  await database.drop();
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const server = await startServer({ database, env });
  servers.push(server);
  return server;
}

const told = (server: TestServer, resourceType: string): Promise<ReadEntry[]> =>
  readLog(server, { tenantId: ["$platform"], resourceType: [resourceType] }, null);

const sql = (text: string) => query(database.adminUrl, text);

describe("the start and the stop of the API", () => {
  it("stand with the platform: which run, with which settings, and why it ended", async () => {
    const first = await start({ AUDIT_DENIED_PER_MINUTE: "7" });
    expect(await first.stop("SIGINT")).toEqual({ code: 0, signal: null });
    const [started, stopped, ...others] = await told(await start(), "api");
    const resource = { ...started?.resource, id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string };
    expect(started).toMatchObject({
      tenantId: null,
      actor: { type: "SYSTEM", id: null, subsystem: "api" },
      action: "START",
      eventType: "api.started",
      outcome: "SUCCESS",
      operation: null,
      requestId: null,
      reason: null,
      sequenceNumber: "0",
      resource,
    });
    expect(started?.resource?.label).toMatch(new RegExp(`, version ${version}$`));
    expect(changesOf(started)).toEqual({
      version: ["ADD", null, version],
      auditing: ["ADD", null, "strict"],
      database: ["ADD", null, "external"],
      environment: ["ADD", null, "production"],
      deniedPerMinute: ["ADD", null, 7],
    });
    expect(stopped).toMatchObject({
      action: "STOP",
      eventType: "api.stopped",
      reason: "SIGINT",
      changes: [],
      resource: started?.resource,
      sessionId: started?.sessionId,
      description: `The API on ${started?.resource?.label ?? ""}, stopped.`,
    });
    expect(others.map(({ eventType }) => eventType)).toEqual(["api.started"]);
    expect(others[0]?.resource?.id).not.toBe(started?.resource?.id);
  });

  it("tell no stop of a process that was killed", async () => {
    await (await start()).stop("SIGKILL");
    expect((await told(await start(), "api")).map(({ action }) => action)).toEqual(["START", "START"]);
  });

  it("keep from serving where the log can't be told", async () => {
    await sql(`revoke execute on function audit_guard.declare(jsonb) from audit_writer`);
    const { exit, stderr } = await startInVain({ database });
    expect(exit).toEqual({ code: 1, signal: null });
    expect(stderr).toContain("The log can't be told of this start, so nothing is served");
    await sql(`grant execute on function audit_guard.declare(jsonb) to audit_writer`);
    const entries = await told(await start(), "api");
    expect(entries.map(({ action, reason }) => [action, reason])).toEqual([
      ["START", null],
      ["STOP", "the start failed"],
      ["START", null],
    ]);
  });
});

describe("each migration", () => {
  it("stands with the platform, those before the log could tell of them too", async () => {
    const entries = await told(await start(), "migration");
    expect(entries.map(({ resource }) => resource?.id)).toEqual(migrations.map(({ name }) => name));
    expect(entries.at(-1)).toMatchObject({
      actor: { type: "SYSTEM", subsystem: "migrations" },
      action: "CREATE",
      eventType: "migration.created",
      outcome: "SUCCESS",
      changes: [],
    });
  });

  it("is told in its own transaction, or not at all", async () => {
    const name = "Later1795219999000";
    const insert = `insert into auditql.migration ("timestamp", name) values (1795219999000, '${name}')`;
    await expect(sql(`do $$ begin ${insert}; raise 'it fails'; end $$`)).rejects.toThrow("it fails");
    const count = `select count(*)::int from audit.entry where resource_id = '${name}'`;
    expect(await sql(count)).toEqual([{ count: 0 }]);
    await sql(insert);
    expect(await sql(count)).toEqual([{ count: 1 }]);
  });
});

/** What a start says of declarations on its own log. */
const saidOfDeclarations = (server: TestServer): string[] =>
  server
    .stderr()
    .split("\n")
    .filter((line) => line.includes("declarations"));

describe("what is declared of mutations and fields", () => {
  it("stands with the platform from the first start on, once", async () => {
    const first = await start();
    await first.stop();
    const server = await start();
    const entries = await told(server, "mutation");
    expect(entries.map(({ resource }) => resource?.id)).toEqual([...mutations].sort());
    expect(new Set(entries.map(({ eventType }) => eventType))).toEqual(new Set(["mutation.created"]));
    const of = (name: string) => changesOf(entries.find(({ resource }) => resource?.id === name));
    expect(of("upsertGroupBudget")).toEqual({
      "audited.resource": ["ADD", null, "group_budget"],
      "audited.action": ["ADD", null, ["CREATE", "UPDATE"]],
      "audited.id": ["ADD", null, "input.groupId"],
      "requires.roles": ["ADD", null, ["ADMIN"]],
    });
    expect(Object.keys(of("deviceHeartbeat"))).toEqual(["requires.roles", "unaudited.reason"]);
    const policies = await told(server, "field_policy");
    expect(policies.map(({ resource, changes }) => [resource?.id, changes[0]?.new])).toEqual(
      expect.arrayContaining([
        ["device.name", "track"],
        ["device.provisioningSecret", "secret"],
        ["device.lastSeenAt", "ignore"],
        ["chat.mcpServerIds", "track as a set"],
      ]),
    );
    expect(policies[0]).toMatchObject({ actor: { type: "SYSTEM", subsystem: "declarations" }, action: "CREATE" });
    expect(saidOfDeclarations(first).map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({
        declarations: entries.length + policies.length,
        msg: "declarations were entered in the log, for the first time",
      }),
    ]);
    expect(saidOfDeclarations(server)).toEqual([]);
  });

  it("leaves an entry of each difference between two starts, from what to what, also where two start at once", async () => {
    await (await start()).stop();
    const begin = new Date().toISOString();
    await sql(`update audit.declaration set declared = '{"policy": "ignore"}' where name = 'device.name'`);
    await sql(`update audit.declaration
      set declared = declared || '{"audited.action": ["DELETE"], "requires.roles": ["ADMIN", "MEMBER"]}' where name = 'updateDevice'`);
    await sql(`update audit.declaration set declared = declared - 'requires.roles'
      || '{"audited.resource": null, "audited.action": null, "audited.id": null, "unaudited.reason": "none"}' where name = 'createGroup'`);
    await sql(`update audit.declaration set name = 'openDoor' where name = 'deleteDevice'`);
    const [server, other] = await Promise.all([start(), start()]);
    expect(
      [...saidOfDeclarations(server), ...saidOfDeclarations(other)].map((line) => JSON.parse(line) as unknown),
    ).toEqual([expect.objectContaining({ differing: 5, msg: "declarations differ from those of the last start" })]);
    const entries = await readLog(
      server,
      { tenantId: ["$platform"], resourceType: ["mutation", "field_policy"], occurredAt: { from: begin } },
      null,
    );
    const texts = entries.map((entry) => [entry.eventType, entry.resource?.id, changesOf(entry)]);
    expect(texts).toEqual([
      ["field_policy.updated", "device.name", { policy: ["REPLACE", "ignore", "track"] }],
      [
        "mutation.updated",
        "createGroup",
        {
          "audited.resource": ["REPLACE", null, "group"],
          "audited.action": ["REPLACE", null, ["CREATE"]],
          "audited.id": ["REPLACE", null, "result.id"],
          "unaudited.reason": ["REPLACE", "none", null],
          "requires.roles": ["REPLACE", null, ["ADMIN"]],
        },
      ],
      ["mutation.created", "deleteDevice", expect.objectContaining({ "audited.action": ["ADD", null, ["DELETE"]] })],
      ["mutation.deleted", "openDoor", expect.objectContaining({ "audited.id": ["REMOVE", "input.id", null] })],
      [
        "mutation.updated",
        "updateDevice",
        {
          "audited.action": ["REPLACE", ["DELETE"], ["UPDATE"]],
          "requires.roles": ["REPLACE", ["ADMIN", "MEMBER"], ["ADMIN"]],
        },
      ],
    ]);
  });

  it("can't be altered by the API's login or the log's owner, but by declaring it", async () => {
    await expect(query(database.apiUrl, `delete from audit.declaration`)).rejects.toMatchObject({ code: "42501" });
    await expect(query(database.apiUrl, `select from audit.declaration`)).rejects.toMatchObject({ code: "42501" });
    const asOwner = `set role audit_owner; update audit.declaration set declared = '{}'`;
    await expect(sql(asOwner)).rejects.toMatchObject({ code: "42501" });
    for (const call of [`enter_migration('x')`, `salts(1)`, `declaration_changes('{}', '{}', 'ADD')`])
      await expect(query(database.apiUrl, `select audit_guard.${call}`)).rejects.toMatchObject({ code: "42501" });
  });
});
