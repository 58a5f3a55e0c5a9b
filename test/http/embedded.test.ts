import { readFileSync } from "node:fs";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startInVain, startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

function postmasterOf({ dataDir }: Pick<TestServer, "dataDir">): number {
  return Number(readFileSync(join(dataDir, "postgres", "postmaster.pid"), "utf8").split("\n")[0]);
}

/** A request that never becomes whole: the server waits for it while it drains. */
async function unfinishedRequest({ origin }: TestServer): Promise<Socket> {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
  return socket;
}

// The embedded server stands where no database is set, which is so in development alone.
const env = { NODE_ENV: "development" };

describe("the server with the PostgreSQL that it embeds", () => {
  it("serves, and ends both at SIGTERM", async () => {
    const server = await startServer({ database: null, env });
    const postmaster = postmasterOf(server);
    expect(server.stdout()).toMatch(/^ {2}database {3}PostgreSQL \d+\.\d+, embedded, data in .+$/m);
    const token = await server.token({ tenant: "acme", roles: ["admin"] });
    const { errors } = await server.request('mutation { createGroup(input: { name: "g" }) { id } }', { token });
    expect(errors).toBeUndefined();
    expect(isRunning(postmaster)).toBe(true);
    expect(await server.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(isRunning(postmaster)).toBe(false);
  });

  it("waits for a request that never becomes whole, but not for long", async () => {
    const server = await startServer({ database: null, env });
    const socket = await unfinishedRequest(server);
    const started = performance.now();
    expect(await server.stop("SIGINT")).toEqual({ code: 0, signal: null });
    expect(performance.now() - started).toBeLessThan(10_000);
    socket.destroy();
  });

  it("ends both at once at a second signal", async () => {
    const server = await startServer({ database: null, env });
    const postmaster = postmasterOf(server);
    const socket = await unfinishedRequest(server);
    process.kill(server.pid, "SIGTERM");
    await until(() => server.stderr().includes("stopping"), { what: "it stops" });
    const started = performance.now();
    process.kill(server.pid, "SIGTERM");
    expect(await server.exited).toEqual({ code: 143, signal: null });
    expect(performance.now() - started).toBeLessThan(1_000);
    await until(() => !isRunning(postmaster), { what: "PostgreSQL has ended" });
    await server.stop();
    socket.destroy();
  });

  it("leaves no PostgreSQL behind where the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address ? String(address.port) : "";
    const { exit, stderr } = await startInVain({ database: null, env: { ...env, PORT: port } });
    taken.close();
    expect(exit).toEqual({ code: 1, signal: null });
    expect(stderr).toContain("EADDRINUSE");
    const postmaster = Number(/PostgreSQL runs on .* \(process (\d+), port/.exec(stderr)?.[1]);
    expect(postmaster).toBeGreaterThan(0);
    expect(isRunning(postmaster)).toBe(false);
  });

  it("leaves no PostgreSQL behind where it is stopped while it starts", async () => {
    const runs = /PostgreSQL runs on .* \(process (\d+), port/;
    let postmaster = 0;
    const whileStarting = async (pid: number, stderr: () => string): Promise<void> => {
      const [, found] = await until(() => runs.exec(stderr()), {
        what: "PostgreSQL runs",
        deadline: 20_000,
        interval: 5,
      });
      postmaster = Number(found);
      process.kill(pid, "SIGTERM");
    };
    const { exit, stdout } = await startInVain({ database: null, env, whileStarting });
    expect([exit, stdout]).toEqual([{ code: 0, signal: null }, ""]);
    expect(isRunning(postmaster)).toBe(false);
  });
});
