import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditEntry } from "../../../src/audit/read/audit-entry.js";
import { createDatabase, type TestDatabase } from "../../support/postgres.js";
import { auditor, insertRows, openLog, platformAuditor, StandingResources, type OpenLog } from "./log-fixture.js";

let database: TestDatabase;
let directory: StandingResources;
let open: OpenLog;

beforeAll(async () => {
  database = await createDatabase();
  directory = new StandingResources([
    { tenantId: "acme", id: "d-1" },
    { tenantId: "globex", id: "d-2" },
    { tenantId: "acme", id: "c-1" },
  ]);
  open = openLog(database.readerUrl, directory);
});
afterAll(async () => {
  await open.pool.end();
  await database.drop();
});

/** What a page says of its entries' resources, by their ids. */
async function fates(nodes: readonly AuditEntry[]): Promise<Record<string, unknown>> {
  const pairs = nodes.map(async ({ resource, tenantId }) => [
    `${tenantId}/${resource?.type}/${resource?.id}`,
    [await resource?.isDeleted(), await resource?.link()],
  ]);
  return Object.fromEntries(await Promise.all(pairs)) as Record<string, unknown>;
}

test("whether a resource is gone is said of each, and where to see it only while it stands", async () => {
  await insertRows(database, [
    { resource_id: "d-1" },
    { resource_id: "d-2" },
    { resource_id: "d-2", tenant_id: "globex" },
    { resource_id: "not an id" },
    { resource_id: "c-1", resource_type: "chat" },
    { resource_id: "g-1", resource_type: "group" },
    { resource_id: "m-1", resource_type: "coffee_machine" },
    { resource_id: null, resource_label: null, outcome: "DENIED", error_code: "FORBIDDEN" },
  ]);
  const { nodes } = await open.log.page(platformAuditor, { filter: { tenantId: ["acme", "globex"] } });
  directory.asked.length = 0;
  expect(await fates(nodes)).toEqual({
    "acme/device/d-1": [false, "/devices/d-1"],
    "acme/device/d-2": [true, null],
    "globex/device/d-2": [false, "/devices/d-2"],
    "acme/device/not an id": [true, null],
    "acme/chat/c-1": [false, null],
    "acme/group/g-1": [null, null],
    "acme/coffee_machine/m-1": [null, null],
    "acme/device/null": [null, null],
  });
  expect(directory.asked.sort()).toEqual([
    ["chat", "acme/c-1"],
    ["device", "acme/d-1", "acme/d-2", "acme/not an id", "globex/d-2"],
  ]);
  expect(open.errors).toEqual(["Whether resources of the type group still exist couldn't be found out."]);
});

test("a page of 100 takes as many statements as one of 1, and one lookup a type, where they are asked for", async () => {
  const rows = Array.from({ length: 100 }, (_, i) => ({
    tenant_id: "many",
    resource_id: `r-${i}`,
    resource_type: i % 2 === 0 ? "device" : "chat",
  }));
  await insertRows(database, rows);
  const statementsOf = async (first: number): Promise<number> => {
    open.statements.length = 0;
    directory.asked.length = 0;
    const { nodes } = await open.log.page(auditor("many"), { first });
    expect(nodes).toHaveLength(first);
    expect(directory.asked).toEqual([]);
    await fates(nodes);
    await fates(nodes);
    expect(directory.asked).toHaveLength(Math.min(first, 2));
    return open.statements.length;
  };
  expect(await statementsOf(1)).toBe(5);
  expect(await statementsOf(100)).toBe(5);
});
