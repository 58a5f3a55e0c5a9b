import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createDatabase, query, urlOf, type TestDatabase } from "../support/postgres.js";
import { startProxy } from "../support/proxy.js";
import { startInVain, startServer, type TestServer } from "../support/server.js";

const here = "test/http/settings.test.ts";

/** Where each setting is shown to make a difference to the server as it is started in production. */
const shown: Readonly<Record<string, string>> = {
  NODE_ENV: "test/http/development.test.ts",
  HOST: "test/http/start-stop.test.ts",
  PORT: "test/http/start-stop.test.ts",
  DATA_DIR: "test/http/embedded.test.ts",
  DATABASE_URL: "test/http/start-stop.test.ts",
  MIGRATION_DATABASE_URL: here,
  READ_DATABASE_URL: here,
  TRUSTED_PROXIES: "test/audit/identity.test.ts",
  AUDIT_DENIED_PER_MINUTE: "test/audit/floods.test.ts",
  AUDIT_SOCKET: "test/http/unix-socket.test.ts",
  AUDIT_SPOOL_MAX_BYTES: "test/audit/spool.test.ts",
  FENCE_GRACE: here,
  LOG_LEVEL: here,
  CHAT_AUTO_ARCHIVE_AFTER: "test/chats/auto-archive.test.ts",
  JWT_ISSUER: here,
  JWT_AUDIENCE: here,
  JWT_ALGORITHMS: here,
  JWKS_URL: "test/http/bad-requests.test.ts",
  JWT_PUBLIC_KEY_FILE: "test/http/bad-requests.test.ts",
};

describe("the settings", () => {
  it("are each shown by a test that starts the server with it", () => {
    const [, listed = ""] = /const expectations = \{(.*?)\n\};/s.exec(readFileSync("src/config.ts", "utf8")) ?? [];
    const variables = [...listed.matchAll(/^ {2}([A-Z][A-Z_]+):/gm)].map(([, name = ""]) => name);
    expect(Object.keys(shown).sort()).toEqual(variables.sort());
    for (const [variable, file] of Object.entries(shown)) {
      expect([variable, existsSync(file)]).toEqual([variable, true]);
      const source = readFileSync(file, "utf8");
      expect([variable, source.includes(variable) || source.includes("dataDir")]).toEqual([variable, true]);
      expect([variable, /start(?:Server|InVain)\(|useClient\(/.test(source)]).toEqual([variable, true]);
    }
  });
});

describe("a server", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  /** Starts one with these settings, and stops it after the work. */
  async function withServer(env: Readonly<Record<string, string>>, work: (server: TestServer) => Promise<void>) {
    const server = await startServer({ database, env });
    try {
      await work(server);
    } finally {
      await server.stop();
    }
    return server;
  }
  const code = async (server: TestServer, source: string, roles: readonly string[] = ["admin"]) => {
    const token = await server.token({ tenant: "acme", roles });
    return (await server.request(source, { token })).errors?.[0]?.extensions.code ?? "done";
  };
  const groups = "{ groups { nodes { id } } }";
  const createGroup = `mutation { createGroup(input: { name: "Research" }) { id } }`;

  it("says as much as LOG_LEVEL asks for", async () => {
    const loud = await withServer({ LOG_LEVEL: "info" }, () => Promise.resolve());
    const quiet = await withServer({ LOG_LEVEL: "silent" }, () => Promise.resolve());
    expect(loud.stderr()).toContain('"stopping"');
    expect(quiet.stderr()).toBe("");
  });

  it.each([
    ["JWT_ISSUER", "https://elsewhere.test/"],
    ["JWT_AUDIENCE", "elsewhere"],
  ])("believes the tokens that %s names alone", async (variable, value) => {
    await withServer({}, async (server) => {
      expect(await code(server, groups)).toBe("done");
    });
    await withServer({ [variable]: value }, async (server) => {
      expect(await code(server, groups)).toBe("UNAUTHENTICATED");
    });
  });

  it("allows the algorithms of JWT_ALGORITHMS alone, and says where its key verifies none of them", async () => {
    const { exit, stderr } = await startInVain({ database, env: { JWT_ALGORITHMS: "RS256" } });
    expect(exit?.code).toBe(78);
    expect(stderr).toContain("JWT_ALGORITHMS has none of the key's, ES256");
    await withServer({ JWT_ALGORITHMS: "RS256,ES256" }, async (server) => {
      expect(await code(server, groups)).toBe("done");
    });
  });

  it("reads the log where READ_DATABASE_URL leads, and nothing else", async () => {
    const proxy = await startProxy(database.adminUrl);
    try {
      await withServer({ READ_DATABASE_URL: proxy.through(database.readerUrl) }, async (server) => {
        const log = "{ auditLogs { nodes { id } } }";
        expect(await code(server, log, ["auditor"])).toBe("done");
        await proxy.cut();
        expect(await code(server, log, ["auditor"])).toBe("UNAVAILABLE");
        expect([await code(server, createGroup), await code(server, groups)]).toEqual(["done", "done"]);
      });
    } finally {
      await proxy.stop();
    }
  });

  it.each([
    ["0", 0],
    ["7200", 7_200],
  ])("lets the field policies of another version stand for FENCE_GRACE, %s seconds", async (grace, seconds) => {
    // As if the version before had declared something else.
    await query(database.adminUrl, "update audit.fence set digest = 'other' where resource_type = 'device'");
    await query(
      database.adminUrl,
      "update audit.fence_standing set digest = $1 where resource_type = 'device' and until is null",
      [`other-${grace}`],
    );
    await withServer({ FENCE_GRACE: grace, MIGRATION_DATABASE_URL: database.adminUrl }, async () => {
      const [row] = await query<{ left: number }>(
        database.adminUrl,
        "select extract(epoch from until - now())::float8 as left from audit.fence_standing where digest = $1",
        [`other-${grace}`],
      );
      expect(row?.left).toBeLessThanOrEqual(seconds);
      expect(row?.left).toBeGreaterThan(seconds - 60);
    });
  });

  it("migrates with MIGRATION_DATABASE_URL what its own login may not", async () => {
    const { adminUrl, api, reader } = inject("postgres");
    const name = `${inject("postgres").template}_${randomBytes(5).toString("hex")}`;
    await query(adminUrl, `create database ${pg.escapeIdentifier(name)}`);
    const empty = {
      ...{ name, adminUrl: urlOf(adminUrl, name), apiUrl: urlOf(adminUrl, name, api) },
      ...{ readerUrl: urlOf(adminUrl, name, reader), drop: () => Promise.resolve() },
    };
    try {
      const { exit } = await startInVain({ database: empty });
      expect(exit?.code).toBe(78);
      const server = await startServer({ database: empty, env: { MIGRATION_DATABASE_URL: empty.adminUrl } });
      expect(await code(server, createGroup)).toBe("done");
      await server.stop();
    } finally {
      await query(adminUrl, `drop database ${pg.escapeIdentifier(name)} with (force)`);
    }
  });
});
