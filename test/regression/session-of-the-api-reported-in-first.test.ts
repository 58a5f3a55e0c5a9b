import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type pg from "pg";
import { SessionStore } from "../../src/audit/session-store.js";
import { newUuid } from "../../src/audit/uuid.js";
import { connectionConfig } from "../../src/database/connection.js";
import { holdTransaction, untilBlocked, useClient } from "../support/client.js";
import { readLog } from "../support/log.js";
import { openPool } from "../support/postgres.js";
import { report, reported, sendReport } from "../support/report.js";
import { none, readSessions } from "../support/sessions.js";

const client = useClient();
let pool: pg.Pool;
let store: SessionStore;
beforeAll(() => {
  pool = openPool(connectionConfig(client.database.apiUrl, "auditql sessions"));
  store = new SessionStore(pool, { program: "auditql", version: "1", host: "here" }, { written: () => undefined });
});
afterAll(() => pool.end());

const reporter = (tenant: string) => client.server.token({ subject: "thief", tenant, roles: ["reporter"] });
const codeOf = ({ errors }: Awaited<ReturnType<typeof sendReport>>) => errors?.[0]?.extensions.code;

/** The API answers with its session's id, and its row isn't there yet: whoever had the answer could take the session. */
describe("a session of the API's in which another process reported first", () => {
  it.each(["globex", "acme"])("is the API's once it is opened, and counts nothing that %s reported", async (tenant) => {
    const id = newUuid();
    const token = await reporter(tenant);
    const dropped = [{ reason: "mine", sequenceNumbers: [[1, 2]] }];
    await report(client.server, token, { sessionId: id, entries: [reported(0)], dropped, taken: 9, close: true });
    await store.open([{ id, tenantId: "acme" }]);
    await store.hear([{ id, tenantId: "acme", taken: 1n, settled: 1n, hasMoved: true }], null);
    const lost = { count: "1", ranges: ["0"], isCapped: false };
    const whole = {
      ...{ kind: "API", program: "auditql", tenantId: "acme", reporter: null, state: "OPEN", closedAt: null },
      ...{ expected: "1", received: "0", missing: lost, lost, inFlight: none, duplicates: "0", dropped: [] },
    };
    expect(await readSessions(client.server, { sessionId: [id] })).toMatchObject([whole]);
    await store.derive(id);
    expect(await readSessions(client.server, { sessionId: [id] })).toMatchObject([whole]);
    expect(codeOf(await sendReport(client.server, token, { sessionId: id, entries: [reported(3)] }))).toBe("FORBIDDEN");
    const started = await readLog(client.server, { sessionId: [id], eventType: ["audit_session.started"] });
    expect(started.filter(({ reportedBy }) => reportedBy === null)).toHaveLength(1);
  });

  it("is the API's for a call that waited for its row too", async () => {
    const id = newUuid();
    const token = await reporter("globex");
    await report(client.server, token, { sessionId: id, entries: [reported(0)] });
    const opening = await holdTransaction(client.database);
    await opening.sql("select from audit.session where id = $1 for update", [id]);
    const late = sendReport(client.server, token, { sessionId: id, entries: [reported(1)] });
    await untilBlocked(client.database, 1);
    await opening.sql("select audit_guard.open_sessions(array[$1::uuid], array['acme'], 'auditql', '1', 'here')", [id]);
    await opening.commit();
    expect(codeOf(await late)).toBe("FORBIDDEN");
  });
});
