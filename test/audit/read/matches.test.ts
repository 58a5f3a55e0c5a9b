import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, query, type TestDatabase } from "../../support/postgres.js";
import type { Caller } from "../../../src/audit/context.js";
import type { AuditOrder } from "../../../src/audit/read/enums.js";
import type { AuditLogFilter } from "../../../src/audit/read/audit-log-filter.js";
import { auditor, insertRows, openLog, platformAuditor, type OpenLog } from "./log-fixture.js";

/** A log whose values are common, rare, or only long ago, so that pages end in every stretch that is looked through. */
const START = Date.parse("2026-09-01T00:00:00Z");
const SIZE = 4_000;
const tenants = ["acme", "globex", "initech", "$platform"];
const pick = <Value>(values: readonly Value[], i: number, step: number): Value =>
  values[Math.floor(i / step) % values.length] as Value;

interface Spread {
  readonly at: string;
  readonly tenant_id: string;
  readonly resource_type: string;
  readonly actor_id: string;
  readonly outcome: string;
  readonly action: string;
  readonly changes: readonly { readonly field: string; readonly op: string }[];
}

function rowOf(i: number): Spread {
  const old = i < 500;
  return {
    tenant_id: i % 97 === 0 ? "initech" : pick(tenants, i, 3),
    at: new Date(START + i * 1_800_000).toISOString(),
    resource_type: old && i % 5 === 0 ? "group" : i % 211 === 0 ? "group_budget" : pick(["device", "chat"], i, 2),
    actor_id: i % 301 === 0 ? "u-rare" : `u-${i % 4}`,
    outcome: i % 41 === 0 ? "DENIED" : "SUCCESS",
    action: pick(["CREATE", "UPDATE", "DELETE"], i, 7),
    changes: [
      { field: i % 401 === 0 ? "status" : "name", op: "ADD" },
      ...(i % 3 === 0 ? [{ field: "title", op: "ADD" }] : []),
    ],
  };
}

interface Made extends Spread {
  readonly id: string;
}

let database: TestDatabase;
let open: OpenLog;
let made: Made[];

beforeAll(async () => {
  database = await createDatabase();
  const rows = Array.from({ length: SIZE }, (_, i) => rowOf(i));
  const ids = await insertRows(
    database,
    rows.map((row) => ({ ...row, error_code: row.outcome === "SUCCESS" ? null : "FORBIDDEN" })),
  );
  made = rows.map((row, i) => ({ ...row, id: ids[i] ?? "" }));
  await query(database.adminUrl, "analyze");
  open = openLog(database.readerUrl);
});
afterAll(async () => {
  await open.pool.end();
  await database.drop();
});

/** The filter as a plain reading of its meaning, with no SQL. */
function matches(row: Made, filter: AuditLogFilter): boolean {
  const { tenantId, resourceType, actorId, outcome, action, changedField, occurredAt } = filter;
  return (
    (tenantId?.includes(row.tenant_id) ?? true) &&
    (resourceType?.includes(row.resource_type) ?? true) &&
    (actorId?.includes(row.actor_id) ?? true) &&
    (outcome?.some((value) => value === row.outcome) ?? true) &&
    (action?.some((value) => value === row.action) ?? true) &&
    (changedField?.some((field) => row.changes.some((change) => change.field === field)) ?? true) &&
    (typeof occurredAt?.from !== "string" || row.at >= occurredAt.from) &&
    (typeof occurredAt?.to !== "string" || row.at < occurredAt.to)
  );
}

const some = <const Value>(...values: Value[]): fc.Arbitrary<Value[]> =>
  fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
const instant = fc.integer({ min: -100, max: SIZE + 100 }).map((i) => new Date(START + i * 1_800_000).toISOString());
const range = fc
  .tuple(instant, instant)
  .filter(([from, to]) => from !== to)
  .map(([a, b]) => (a < b ? { from: a, to: b } : { from: b, to: a }));
const filters: fc.Arbitrary<AuditLogFilter> = fc.record(
  {
    resourceType: some("device", "chat", "group", "group_budget"),
    actorId: some("u-0", "u-1", "u-rare", "u-nobody"),
    outcome: some("SUCCESS", "FAILURE", "DENIED"),
    action: some("CREATE", "UPDATE", "DELETE"),
    changedField: some("name", "title", "status"),
    occurredAt: range,
  },
  { requiredKeys: [] },
);
interface Reader {
  readonly caller: Caller;
  readonly tenants: readonly string[];
  readonly filter: AuditLogFilter;
}
const readers = fc.constantFrom<Reader[]>(
  { caller: auditor("acme"), tenants: ["acme"], filter: {} },
  { caller: auditor("initech"), tenants: ["initech"], filter: {} },
  { caller: platformAuditor, tenants, filter: {} },
  { caller: platformAuditor, tenants, filter: { tenantId: ["globex", "$platform"] } },
);

test("any filter gives exactly the entries that it means, in order, page by page, both ways, and counts them", async () => {
  await fc.assert(
    fc.asyncProperty(
      readers,
      filters,
      fc.constantFrom<AuditOrder[]>("NEWEST_FIRST", "OLDEST_FIRST"),
      fc.constantFrom(1, 7, 200),
      fc.boolean(),
      async (reader, asked, order, size, backward) => {
        const filter: AuditLogFilter = Object.assign({}, asked, reader.filter);
        const expected = made
          .filter((row) => reader.tenants.includes(row.tenant_id) && matches(row, filter))
          .map(({ id }) => id);
        if (order === "NEWEST_FIRST") expected.reverse();
        if (backward) expected.reverse();
        const seen: string[] = [];
        let cursor: string | null = null;
        let total: unknown;
        for (let pages = 0; pages < 4; pages += 1) {
          const page = await open.log.page(
            reader.caller,
            backward ? { filter, order, last: size, before: cursor } : { filter, order, first: size, after: cursor },
          );
          total ??= await page.totalCount();
          const ids = page.nodes.map(({ id }) => id);
          seen.push(...(backward ? ids.reverse() : ids));
          const more = backward ? page.pageInfo.hasPreviousPage : page.pageInfo.hasNextPage;
          expect(more).toBe(seen.length < expected.length);
          if (!more) break;
          cursor = backward ? page.pageInfo.startCursor : page.pageInfo.endCursor;
        }
        expect(seen).toEqual(expected.slice(0, seen.length));
        expect(seen.length).toBe(Math.min(expected.length, Math.max(seen.length, size)));
        expect(total).toEqual({ value: expected.length, isCapped: false });
      },
    ),
    { numRuns: 100 },
  );
});
