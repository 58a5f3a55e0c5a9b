import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { listenOnSocket } from "../../src/http/unix-socket.js";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { newSessionId, reported, reportMutation, source } from "../support/report.js";
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
  it("is where processes on the machine report: its owner's and group's alone, one server's, and gone after the stop", async () => {
    const killed = await start();
    expect(killed.stdout()).toContain(path);
    expect((statSync(path).mode & 0o777).toString(8)).toBe("660");
    const token = await killed.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
    const input = { sessionId: newSessionId(), source, entries: [reported(0)] };
    const send = async () => (await post(token, reportMutation, { input })).data["reportAuditEntries"];
    expect(await send()).toMatchObject({ accepted: 1, repeated: 0 });
    await killed.stop("SIGKILL");
    expect(existsSync(path)).toBe(true);
    // What it left is taken over.
    const server = await start();
    const second = await startInVain({ database, env: { AUDIT_SOCKET: path } });
    const named = `${path}, can't be used: it is process ${String(server.pid)}'s.`;
    expect([second.exit?.code, second.stderr]).toEqual([78, expect.stringContaining(named)]);
    expect(await send()).toMatchObject({ accepted: 0, repeated: 1 });
    expect((await server.stop()).code).toBe(0);
    expect([existsSync(path), existsSync(`${path}.lock`)]).toEqual([false, false]);
  });
});

describe("a path that can't be a server's socket", () => {
  const refused = (why: string) =>
    expect.objectContaining({ exitCode: 78, message: expect.stringContaining(why) as string });
  const listen = () => listenOnSocket(createHttpServer(), path);

  it("since another program listens there, is left to it", async () => {
    const foreign = createServer().listen(path);
    await once(foreign, "listening");
    await expect(listen()).rejects.toEqual(refused("another program listens there"));
    expect(existsSync(`${path}.lock`)).toBe(false);
    foreign.close();
    await once(foreign, "close");
  });

  it("since something else is there, is left as it is", async () => {
    writeFileSync(path, "kept");
    await expect(listen()).rejects.toEqual(refused("something else than a socket is there"));
    expect(readFileSync(path, "utf8")).toBe("kept");
  });

  it("since its folder isn't there, is told so", async () => {
    path = join(folder, "missing", "audit.sock");
    const remedy = `its folder isn't there. Make it for those that may connect, such as by: install -d -o USER -g GROUP -m 2750 ${join(folder, "missing")}`;
    await expect(listen()).rejects.toEqual(refused(remedy));
    expect(existsSync(join(folder, "missing"))).toBe(false);
  });
});
