import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { newSessionId, reported, reportMutation, source, type ReportAnswer } from "../support/report.js";
import { startInVain, startServer } from "../support/server.js";

let database: TestDatabase;
let folder: string;
let path: string;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "auditql-socket-"));
  path = join(folder, "audit.sock");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const start = () => startServer({ database, env: { AUDIT_SOCKET: path } });

async function post(token: string, query: string, variables: object): Promise<{ data: Record<string, unknown> }> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const sent = request({ socketPath: path, path: "/graphql", method: "POST", headers, agent: false });
  sent.end(JSON.stringify({ query, variables }));
  const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream];
  return JSON.parse(await text(response));
}

describe("AUDIT_SOCKET", () => {
  it("is where processes on the machine report, of its owner and group alone, one server's, and gone after the stop", async () => {
    const server = await start();
    expect(server.stdout()).toContain(path);
    expect((statSync(path).mode & 0o777).toString(8)).toBe("660");
    const token = await server.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
    const input = { sessionId: newSessionId(), source, entries: [reported(0)] };
    const { data } = await post(token, reportMutation, { input });
    expect((data["reportAuditEntries"] as ReportAnswer).accepted).toBe(1);
    const second = await startInVain({ database, env: { AUDIT_SOCKET: path } });
    const named = `${path}, can't be used: it is process ${String(server.pid)}'s.`;
    expect([second.exit?.code, second.stderr]).toEqual([78, expect.stringContaining(named)]);
    expect((await post(token, reportMutation, { input })).data["reportAuditEntries"]).toMatchObject({ repeated: 1 });
    expect((await server.stop()).code).toBe(0);
    expect([existsSync(path), existsSync(`${path}.lock`)]).toEqual([false, false]);
  });

  it("is taken over from a process that was killed", async () => {
    const killed = await start();
    await killed.stop("SIGKILL");
    expect(existsSync(path)).toBe(true);
    const next = await start();
    const token = await next.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
    const input = { sessionId: newSessionId(), source, entries: [] };
    expect((await post(token, reportMutation, { input })).data["reportAuditEntries"]).toMatchObject({ accepted: 0 });
    await next.stop();
  });

  it("that another program listens on, or that is no socket, is left as it is", async () => {
    const foreign = createServer().listen(path);
    await once(foreign, "listening");
    const inUse = await startInVain({ database, env: { AUDIT_SOCKET: path } });
    expect([inUse.exit?.code, inUse.stderr]).toEqual([78, expect.stringContaining("another program listens there")]);
    foreign.close();
    await once(foreign, "close");
    writeFileSync(path, "kept");
    const inTheWay = await startInVain({ database, env: { AUDIT_SOCKET: path } });
    expect([inTheWay.exit?.code, inTheWay.stderr]).toEqual([
      78,
      expect.stringContaining("something else than a socket is there"),
    ]);
    expect(readFileSync(path, "utf8")).toBe("kept");
  });
});
