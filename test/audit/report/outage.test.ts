import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLog } from "../../support/log.js";
import { createDatabase, query, type TestDatabase } from "../../support/postgres.js";
import { startProxy, type Proxy } from "../../support/proxy.js";
import { newSessionId, report, reported, sendReport } from "../../support/report.js";
import { startServer, type TestServer } from "../../support/server.js";

let database: TestDatabase;
let proxy: Proxy;
let server: TestServer;
let token: string;
beforeAll(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.adminUrl);
  server = await startServer({ database, env: { DATABASE_URL: proxy.through(database.apiUrl) } });
  token = await server.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
});
afterAll(async () => {
  await server.stop();
  await proxy.stop();
  await database.drop();
});

const codeOf = async (input: Readonly<Record<string, unknown>>) =>
  (await sendReport(server, token, input)).errors?.[0]?.extensions.code;
const stored = (sessionId: string) => readLog(server, { sessionId: [sessionId], resourceType: ["http_request"] });

describe("a report whose answer is lost", () => {
  it.each([
    ["was committed all the same is repeated when it is sent again, and stands once", true],
    ["was not committed left nothing behind, and is taken when it is sent again", false],
  ])("and that %s", async (_, isCommitted) => {
    const sessionId = newSessionId();
    const input = { sessionId, entries: [0, 1, 2].map((number) => reported(number)), taken: 3, close: true };
    const commit = proxy.nextCommit("COMMIT");
    const lost = codeOf(input);
    const held = await commit;
    if (isCommitted) await held.carryOut();
    held.breakOff();
    expect(await lost).toBe("UNAVAILABLE");
    const [row] = await query(database.adminUrl, "select taken from audit.session where id = $1", [sessionId]);
    expect([row?.["taken"], (await stored(sessionId)).length]).toEqual(isCommitted ? ["3", 3] : [undefined, 0]);
    const again = await report(server, token, input);
    expect([again.accepted, again.repeated, again.refused]).toEqual(isCommitted ? [0, 3, []] : [3, 0, []]);
    expect((await stored(sessionId)).length).toBe(3);
    const told = await readLog(server, { sessionId: [sessionId], resourceType: ["audit_session"] });
    expect(told.map(({ eventType }) => eventType)).toEqual(["audit_session.started", "audit_session.stopped"]);
  });

  it("since the database is away says so, and is taken once it is back", async () => {
    const sessionId = newSessionId();
    await proxy.cut();
    expect(await codeOf({ sessionId, entries: [reported(0)] })).toBe("UNAVAILABLE");
    await proxy.mend();
    expect(await report(server, token, { sessionId, entries: [reported(0)] })).toMatchObject({ accepted: 1 });
  });
});
