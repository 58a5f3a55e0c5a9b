import { expect, test } from "vitest";
import { createDatabase } from "../../support/postgres.js";
import { insertRows, openLog, platformAuditor, type Row } from "./log-fixture.js";

test("a tenant that is new is found at once, though the list of tenants is kept", async () => {
  const database = await createDatabase();
  const open = openLog(database.readerUrl);
  try {
    // More than are looked through before every tenant is asked.
    const old = Array.from({ length: 1_100 }, (): Row => ({ tenant_id: "acme", at: "2026-11-20T10:00:00Z" }));
    await insertRows(database, old);
    const find = async (): Promise<string[]> => {
      const { nodes } = await open.log.page(platformAuditor, { filter: { actorId: ["u-2"] }, order: "OLDEST_FIRST" });
      return nodes.map(({ id }) => id);
    };
    const listings = (): number => open.statements.filter(({ text }) => text.includes("recursive")).length;
    expect(await find()).toEqual([]);
    const [first] = await insertRows(database, [{ tenant_id: "globex", actor_id: "u-2" }]);
    expect(await find()).toEqual([first]);
    expect(listings()).toBe(1);
    const many = Array.from({ length: 2_000 }, (): Row => ({ tenant_id: "acme" }));
    await insertRows(database, many);
    const [second] = await insertRows(database, [{ tenant_id: "initech", actor_id: "u-2" }]);
    expect(await find()).toEqual([first, second]);
    expect(listings()).toBe(2);
  } finally {
    await open.pool.end();
    await database.drop();
  }
});
