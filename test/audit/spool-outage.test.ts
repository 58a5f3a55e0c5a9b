import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "../../src/embedded-postgres.js";
import { query, type TestDatabase } from "../support/postgres.js";
import { startProxy, type Proxy } from "../support/proxy.js";
import { startReplicated } from "../support/replica.js";
import { startServer, type Answer, type TestServer } from "../support/server.js";
import { untilNothingWaits } from "../support/spool.js";
import { until } from "../support/until.js";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const outcomesOf = async (adminUrl: string, { requestId }: Answer<unknown>): Promise<(string | boolean)[][]> =>
  (
    await query<{ outcome: string; late: boolean }>(
      adminUrl,
      "select outcome, claimed_at is not null as late from audit.entry where request_id = $1",
      [requestId],
    )
  ).map(({ outcome, late }) => [outcome, late]);

async function mutate(server: TestServer, field: string, roles: readonly string[] = ["admin"]) {
  const token = await server.token({ subject: "u-1", tenant: "acme", roles });
  return server.request<{ it: { id: string } }>(`mutation { it: ${field} }`, { token });
}
const deny = (server: TestServer) => mutate(server, 'createGroup(input: { name: "no" }) { id }', ["auditor"]);

describe("a server of PostgreSQL that ends at once while a COMMIT is under way", () => {
  /** Ends it as a crash does: nothing is written down any more, and the next start recovers. */
  async function crash(folder: string, postgres: EmbeddedPostgres): Promise<void> {
    const [pid] = readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n");
    process.kill(Number(pid), "SIGQUIT");
    const url = postgres.url;
    await until(
      () =>
        query(url, "select 1").then(
          () => false,
          () => true,
        ),
      { what: "it is gone" },
    );
  }

  async function begin(): Promise<{
    server: TestServer;
    proxy: Proxy;
    url: () => string;
    crash: () => Promise<void>;
    restart: () => Promise<void>;
  }> {
    const folder = mkdtempSync(join(tmpdir(), "auditql-outage-"));
    // As root, PostgreSQL runs as another user, who has to enter the folder.
    chmodSync(folder, 0o755);
    undo.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    let postgres = await startEmbeddedPostgres({ dataDir: folder });
    undo.push(() => postgres.stop());
    const proxy = await startProxy(postgres.url);
    undo.push(() => proxy.stop());
    const database: TestDatabase = {
      name: "auditql",
      adminUrl: postgres.url,
      apiUrl: proxy.through(postgres.url),
      readerUrl: proxy.through(postgres.url),
      drop: () => Promise.resolve(),
    };
    const server = await startServer({ database, env: { READ_DATABASE_URL: undefined } });
    undo.push(() => server.stop());
    return {
      server,
      proxy,
      url: () => postgres.url,
      crash: async () => {
        await crash(folder, postgres);
        await postgres.stop();
      },
      restart: async () => {
        postgres = await startEmbeddedPostgres({ dataDir: folder });
        proxy.lead(postgres.url);
      },
    };
  }

  it("leaves a failure where it came before, a success where it came after, and never both", async () => {
    const { server, proxy, url, crash, restart } = await begin();
    for (const isCarriedOut of [false, true]) {
      const held = proxy.nextCommit();
      const answer = mutate(server, 'createGroup(input: { name: "perhaps" }) { id }');
      const commit = await held;
      if (isCarriedOut) await commit.carryOut();
      // The ways to the server are cut first, so that nobody learns what became of it.
      await proxy.cut();
      await crash();
      const told = await answer;
      expect([told.errors?.[0]?.extensions.code, told.errors?.[0]?.message.includes(told.requestId)]).toEqual([
        "UNAVAILABLE",
        true,
      ]);
      const denied = await deny(server);
      await restart();
      await proxy.mend();
      await untilNothingWaits(server);
      expect(await outcomesOf(url(), told)).toEqual([isCarriedOut ? ["SUCCESS", false] : ["FAILURE", true]]);
      expect(await outcomesOf(url(), denied)).toEqual([["DENIED", true]]);
    }
  });
});

describe("a server that can only be read, as a replica before its promotion", () => {
  it("has no attempt missing once it can be written", async () => {
    const { database } = await startReplicated(0);
    undo.push(() => database.drop());
    const proxy = await startProxy(database.adminUrl);
    undo.push(() => proxy.stop());
    const through = { DATABASE_URL: proxy.through(database.apiUrl), READ_DATABASE_URL: proxy.through(database.apiUrl) };
    const server = await startServer({
      database,
      env: { ...through, READ_DATABASE_URL: proxy.through(database.readerUrl) },
    });
    undo.push(() => server.stop());
    const made = await mutate(server, 'createGroup(input: { name: "replicated" }) { id }');
    const id = made.data?.it.id ?? "";
    const replica = new URL(database.adminUrl);
    replica.port = new URL(database.readerUrl).port;
    await until(async () => (await query(replica.href, "select from app.group where id = $1", [id])).length === 1, {
      what: "the replica has it",
    });
    await proxy.cut();
    proxy.lead(replica.href);
    await proxy.mend();
    const rename = () => mutate(server, `updateGroup(input: { id: "${id}", name: "renamed" }) { id }`);
    const answers = [await deny(server), await rename()];
    expect(answers.map(({ errors }) => errors?.[0]?.extensions.code)).toEqual(["FORBIDDEN", "UNAVAILABLE"]);
    await query(replica.href, "select pg_promote()");
    await untilNothingWaits(server);
    expect((await rename()).errors).toBeUndefined();
    const outcomes = await Promise.all(answers.map((answer) => outcomesOf(replica.href, answer)));
    expect(outcomes).toEqual([[["DENIED", true]], [["FAILURE", true]]]);
  });
});
