import { afterAll, beforeAll, expect, test } from "vitest";
import type { AuditLogFilter } from "../../../src/audit/read/audit-log-filter.js";
import { createDatabase, query, type TestDatabase } from "../../support/postgres.js";
import { auditor, insertRows, openLog, platformAuditor, type OpenLog } from "./log-fixture.js";

let database: TestDatabase;
let open: OpenLog;

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database, [{ tenant_id: "acme" }]);
  await query(
    database.adminUrl,
    `insert into audit.entry (tenant_id, format_version, actor_type, actor_id, actor_name, action, event_type, outcome,
       resource_type, resource_id, resource_label, changes, attempted, operation, ordinal, request_id, salts)
     select case when i % 3 = 0 then 'acme' else 'tenant-' || i % 50 end, 1, 'USER', 'u-' || i % 100, 'Person ' || i % 100,
       'UPDATE', 'device.updated', 'SUCCESS', 'device', 'd-' || i % 1000, 'Device ' || i % 1000,
       '[{"field": "name", "op": "REPLACE", "old": "a", "new": "b"}]', '[]', 'updateDevice', 0, gen_random_uuid(),
       decode(repeat('00', 16 * 12), 'hex')
     from generate_series(1, 30000) i`,
  );
  await query(database.adminUrl, "vacuum analyze audit.entry, audit.entry_field");
  open = openLog(database.readerUrl);
});
afterAll(async () => {
  await open.pool.end();
  await database.drop();
});

const uuid = "0192f0c1-2d3e-7abc-8def-0123456789ab";
/** By every field: a common value, or one that isn't there. */
const filters: readonly AuditLogFilter[] = [
  {},
  { occurredAt: { from: "2026-01-01T00:00:00Z" } },
  { action: ["UPDATE"] },
  { action: ["DELETE"] },
  { eventType: ["device.updated"] },
  { eventType: ["device.deleted"] },
  { outcome: ["SUCCESS"] },
  { outcome: ["DENIED"] },
  { errorCode: ["NOT_FOUND"] },
  { resourceType: ["device"] },
  { resourceType: ["chat", "group"] },
  { resourceId: ["d-1"] },
  { resourceLabel: ["DEVICE 1"] },
  { actorId: ["u-1"] },
  { actorName: ["Person 1", "Person 2"] },
  { actorType: ["USER"] },
  { actorType: ["SERVICE"] },
  { onBehalfOf: ["u-1"] },
  { operation: ["updateDevice"] },
  { operation: ["updateChat"] },
  { changedField: ["name"] },
  { changedField: ["title"] },
  { changedField: ["name", "title"] },
  { requestId: [uuid] },
  { sessionId: [uuid] },
  { traceId: ["0af7651916cd43dd8448eb211c80319c"] },
  { ip: ["10.0.0.1"] },
  { resourceType: ["device"], actorId: ["u-1"] },
  { changedField: ["name"], action: ["DELETE"] },
  { changedField: ["name"], action: ["UPDATE"] },
];

interface Node {
  readonly "Node Type": string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly Node[];
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** Runs a statement once more, as the reader sent it, and gives its plan. */
async function planOf(statement: { text: string; values: readonly unknown[] }, tenants: string): Promise<Node[]> {
  const client = await open.pool.connect();
  try {
    await client.query("begin read only");
    const opening = open.statements.find(({ text }) => text.includes("set_config('audit.tenants'"));
    await client.query(opening?.text ?? "", [tenants, "5000"]);
    const { rows } = await client.query<{ "QUERY PLAN": [{ Plan: Node }] }>(
      `explain (analyze, costs off, timing off, format json) ${statement.text}`,
      [...statement.values],
    );
    return nodesOf((rows[0] as { "QUERY PLAN": [{ Plan: Node }] })["QUERY PLAN"][0].Plan);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

test.each([
  ["a tenant's auditor", auditor("acme"), "acme"],
  ["a platform auditor", platformAuditor, "*"],
])("no statement of %s reads a table from one end to the other", async (_, reader, tenants) => {
  for (const filter of filters) {
    open.statements.length = 0;
    const page = await open.log.page(reader, { filter });
    const pageStatements = open.statements.length;
    await page.totalCount();
    await open.log.entry(reader, page.nodes[0]?.id ?? uuid);
    const sent = open.statements.filter(({ text }) => text.includes("audit.entry"));
    expect(sent.length).toBeGreaterThanOrEqual(3);
    for (const statement of sent) {
      const nodes = await planOf(statement, tenants);
      const kinds = nodes.map((node) => node["Node Type"]);
      expect(
        kinds.filter((kind) => /Seq Scan|Bitmap/.test(kind)),
        `${JSON.stringify(filter)}: ${statement.text}`,
      ).toEqual([]);
      if (open.statements.indexOf(statement) >= pageStatements) continue;
      const rows = nodes.map((node) => (node["Actual Rows"] ?? 0) * (node["Actual Loops"] ?? 1));
      // 51 of each of 51 tenants, the 1,000 entries looked through, or the 2,000 that tell which condition is rare.
      expect(Math.max(...rows), `${JSON.stringify(filter)}: ${statement.text}`).toBeLessThanOrEqual(51 * 52);
    }
  }
});

test("one number of a session that a process reported is found by an index, however many it has", async () => {
  await query(
    database.adminUrl,
    `with opened as (
       insert into audit.session (id, tenant_id, kind, program, version, host, reporter)
       values ('${uuid}', 'acme', 'REPORTER', 'boundary', '1', 'edge', 'gw-1')
     )
     insert into audit.entry (tenant_id, format_version, actor_type, actor_id, action, event_type, outcome, resource_type,
       changes, attempted, ordinal, session_id, sequence_number, claimed_at, reported_by, salts)
     select 'acme', 1, 'USER', 'gw-1', 'REQUEST', 'http_request.requested', 'SUCCESS', 'http_request', '[]', '[]', 0,
       '${uuid}', i, now(), 'gw-1', decode(repeat('00', 160), 'hex')
     from generate_series(0, 4999) i`,
  );
  for (const [reader, tenants] of [
    [auditor("acme"), "acme"],
    [platformAuditor, "*"],
  ] as const) {
    open.statements.length = 0;
    const filter = { sessionId: [uuid], sequenceNumber: [17n, 4_321n] };
    const { nodes } = await open.log.page(reader, { filter });
    expect(nodes.map(({ sequenceNumber }) => sequenceNumber)).toEqual(["4321", "17"]);
    const [statement] = open.statements.filter(({ text }) => text.includes("n(value)"));
    const removed = (await planOf(statement ?? { text: "", values: [] }, tenants)).map(
      (node) => (node["Rows Removed by Filter"] ?? 0) * (node["Actual Loops"] ?? 1),
    );
    expect(Math.max(...removed)).toBe(0);
  }
});
