import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createDatabase, query } from "../support/postgres.js";
import { makePlace, startRelay } from "../support/relay.js";
import { startServer } from "../support/server.js";
import { until } from "../support/until.js";

const processes = 2;
const entries = 2_000;

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return String(port);
}

function reportMany(relay: string): { readonly said: () => string; readonly ended: Promise<unknown[]> } {
  const program = join("dist", "test", "support", "report-many.js");
  const args = ["--relay", relay, "--entries", String(entries), "--every", "20"];
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const killed = (): void => void child.kill("SIGKILL");
  process.once("exit", killed);
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (said += part));
  return { said: () => said, ended: once(child, "close").finally(() => process.off("exit", killed)) };
}

const sessions = `{
  auditSessions(filter: { program: ["report-many"] }, first: 10) {
    nodes { state expected received missing { count } dropped { count } }
  }
}`;

it("every number arrives once while the API and the relay are killed, and the API neither reads nor answers for a while", async () => {
  const database = await createDatabase();
  const port = await freePort();
  const startApi = () => startServer({ database, env: { PORT: port } });
  let api = await startApi();
  const place = makePlace();
  writeFileSync(place.tokenFile, await api.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] }));
  const start = () => startRelay(place, api.url, ["--timeout", "1000"]);
  let relay = await start();
  const reporting = Array.from({ length: processes }, () => reportMany(place.socket));

  await until(async () => (await relay.metric("audit_relay_received_total")) > 300, { what: "entries come" });
  await relay.end("SIGKILL");
  relay = await start();
  // What a stopped process is to others: its socket accepts, and nobody reads.
  process.kill(api.pid, "SIGSTOP");
  const timedOut = 'audit_relay_upstream_failures_total{reason="TIMEOUT"}';
  await until(async () => (await relay.metric(timedOut)) > 0, { what: "calls time out" });
  process.kill(api.pid, "SIGCONT");
  await until(async () => (await relay.metric("audit_relay_sent_total")) > 300, {
    what: "it goes on",
    deadline: 15_000,
  });
  await api.stop("SIGKILL");
  await until(async () => (await relay.metric("audit_relay_spool_entries")) > 300, { what: "entries wait" });
  await relay.end("SIGKILL");
  relay = await start();
  api = await startApi();

  for (const { ended, said } of reporting) {
    expect(await ended).toEqual([0, null]);
    const closed = { sent: entries, setAside: 0, lost: 0, kept: 0, isClosed: true };
    expect(said()).toContain(`closed ${JSON.stringify(closed)}`);
  }
  const token = await api.token({ subject: "a-1", tenant: "acme", roles: ["auditor"] });
  interface Sessions {
    readonly auditSessions: { readonly nodes: readonly { readonly state: string }[] };
  }
  const closed = await until(
    async () => {
      const { data } = await api.request<Sessions>(sessions, { token });
      return data?.auditSessions.nodes.every(({ state }) => state === "CLOSED") === true
        ? data.auditSessions.nodes
        : null;
    },
    { what: "the reporters' sessions are closed", deadline: 20_000 },
  );
  const whole = {
    state: "CLOSED",
    expected: String(entries),
    received: String(entries),
    missing: { count: "0" },
    dropped: [],
  };
  expect(closed).toEqual(Array(processes).fill(whole));
  const [counted] = await query<{ entries: string; numbers: string }>(
    database.adminUrl,
    `select count(*) as entries, count(distinct (session_id, sequence_number)) as numbers
     from audit.entry where resource_type = 'http_request'`,
  );
  expect(counted).toEqual({ entries: String(processes * entries), numbers: String(processes * entries) });
  expect((await relay.end("SIGTERM")).code).toBe(0);
  await api.stop();
  await database.drop();
  place.remove();
}, 90_000);
