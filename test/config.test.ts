import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import express from "express";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, developmentTokenObstacle, loadConfig } from "../src/config.js";

const folder = mkdtempSync(join(tmpdir(), "auditql-config-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function pemFile(name: string, key: KeyObject): string {
  const path = join(folder, name);
  const type = key.type === "public" ? "spki" : "pkcs8";
  writeFileSync(path, key.export({ type, format: "pem" }));
  return path;
}

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKeyFile = pemFile("public.pem", ec.publicKey);
const textFile = join(folder, "text.pem");
writeFileSync(textFile, "no key");
const database = "postgres://auditql:hunter2@db.example.com:5432/auditql";
const issuer = { JWT_ISSUER: "https://id.example.com/", JWT_AUDIENCE: "auditql" };
const tokens = { ...issuer, JWT_PUBLIC_KEY_FILE: publicKeyFile };

/** Self-signed, for CN=id.example.com, with a P-256 key. */
const certificate = `-----BEGIN CERTIFICATE-----
MIIBiDCCAS+gAwIBAgIUbEoWGBEjApa7DM0g7JCzND1BESUwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOaWQuZXhhbXBsZS5jb20wIBcNMjYxMTIyMDAwODU0WhgPMjEy
NjEwMjkwMDA4NTRaMBkxFzAVBgNVBAMMDmlkLmV4YW1wbGUuY29tMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEMnb3pZsTzjTRsPwWSE681E2cS0KfS0u5m2ZO+nrG
cBKo4lFRFLk2LsCjrnCM1xI7Bzmmoun/5qg0Wms/XbrXqKNTMFEwHQYDVR0OBBYE
FAttVUlXBMknIQiVsxWLyja13ROkMB8GA1UdIwQYMBaAFAttVUlXBMknIQiVsxWL
yja13ROkMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgNopFK/dN
eSRktM1wFSeo4tDVR1h1VPNzx8sbQSMk9YoCIAsu21ko/vZZlzqC+cPAaKrrdKWB
ya1v97YjSE5hihin
-----END CERTIFICATE-----
`;

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ variable, problem }) => `${variable} ${problem}`);
    throw error;
  }
  return [];
}

describe("loadConfig", () => {
  it("needs no setting for development on one's own machine", () => {
    expect(loadConfig({})).toEqual({
      environment: "development",
      development: true,
      host: "127.0.0.1",
      port: 4000,
      dataDir: resolve(".data"),
      databaseUrl: null,
      migrationDatabaseUrl: null,
      readDatabaseUrl: null,
      fenceGrace: 3600,
      trustedProxies: [],
      auditSocket: null,
      deniedPerMinute: 10,
      logLevel: "info",
      spoolMaxBytes: 67_108_864,
      chatAutoArchiveAfter: null,
      tokens: null,
    });
  });

  it("takes an empty setting for a missing one", () => {
    const empty = { PORT: "", HOST: " ", DATA_DIR: "", DATABASE_URL: "", JWT_ISSUER: "", LOG_LEVEL: "", NODE_ENV: "" };
    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });

  it("reads every setting of a server in production", () => {
    const config = loadConfig({
      ...{ NODE_ENV: "production", HOST: "0.0.0.0", PORT: "0", DATA_DIR: "/var/lib/auditql", LOG_LEVEL: "warn" },
      AUDIT_SPOOL_MAX_BYTES: "8388608",
      DATABASE_URL: database,
      MIGRATION_DATABASE_URL: "postgresql://owner@%2Fvar%2Frun%2Fpostgresql/auditql",
      READ_DATABASE_URL: "postgres:///auditql?host=/var/run/postgresql",
      FENCE_GRACE: "0",
      TRUSTED_PROXIES: "loopback, 10.0.0.0/8,2001:db8::/32, 192.0.2.7",
      CHAT_AUTO_ARCHIVE_AFTER: "30d",
      ...issuer,
      JWKS_URL: "https://id.example.com/keys",
      JWT_ALGORITHMS: "RS256, EdDSA",
      AUDIT_DENIED_PER_MINUTE: "25",
      AUDIT_SOCKET: "run/../run/audit.sock",
    });
    expect(config).toEqual({
      environment: "production",
      development: false,
      host: "0.0.0.0",
      port: 0,
      dataDir: "/var/lib/auditql",
      databaseUrl: database,
      migrationDatabaseUrl: "postgresql://owner@%2Fvar%2Frun%2Fpostgresql/auditql",
      readDatabaseUrl: "postgres:///auditql?host=/var/run/postgresql",
      fenceGrace: 0,
      trustedProxies: ["loopback", "10.0.0.0/8", "2001:db8::/32", "192.0.2.7"],
      auditSocket: resolve("run/audit.sock"),
      deniedPerMinute: 25,
      logLevel: "warn",
      spoolMaxBytes: 8_388_608,
      chatAutoArchiveAfter: 2_592_000_000,
      tokens: {
        issuer: "https://id.example.com/",
        audience: "auditql",
        algorithms: ["RS256", "EdDSA"],
        keys: { kind: "jwks", url: new URL("https://id.example.com/keys") },
      },
    });
  });

  it("names all that is wrong at once, with the form expected, and exit code 78", () => {
    const env = {
      ...{ NODE_ENV: "prod", HOST: "a b", PORT: "70000", LOG_LEVEL: "loud", TRUSTED_PROXIES: "10.0.0.0/33,proxy" },
      READ_DATABASE_URL: "mysql://u:hunter2@h/d",
      FENCE_GRACE: "86401",
      JWT_AUDIENCE: "auditql",
      JWT_ALGORITHMS: "RS256,HS256,none",
    };
    expect(problemsOf(env)).toEqual([
      'NODE_ENV is "prod"',
      'HOST is "a b"',
      'PORT is "70000"',
      "READ_DATABASE_URL is set without DATABASE_URL",
      "READ_DATABASE_URL doesn't begin with postgres://",
      'FENCE_GRACE is "86401"',
      'TRUSTED_PROXIES has the item "10.0.0.0/33"',
      'TRUSTED_PROXIES has the item "proxy"',
      'LOG_LEVEL is "loud"',
      "JWT_ISSUER is missing",
      "JWKS_URL is missing, and so is JWT_PUBLIC_KEY_FILE",
      'JWT_ALGORITHMS has the item "HS256"',
      'JWT_ALGORITHMS has the item "none"',
    ]);
    expect(() => loadConfig(env)).toThrow(
      /^13 settings are missing or wrong:\n {2}NODE_ENV is "prod"; expected one of/,
    );
    expect(() => loadConfig(env)).toThrow("such as postgres://auditql:password@db.example.com:5432/auditql");
    expect(new ConfigError([]).exitCode).toBe(78);
  });

  it.each([
    ["hunter2", "is no URL (in a password, percent-encode all but letters and digits)"],
    ["postgres://auditql:hunter2#x@db/auditql", "is no URL (in a password, percent-encode all but letters and digits)"],
    ["postgres://auditql:12/hunter2@db/auditql", "has a #, / or @ that isn't percent-encoded"],
    ["postgres://auditql:hunter2%@db/auditql", "has a % that isn't percent-encoded as %25"],
    ["postgres://auditql:hunter2@db", "names no database"],
    ["https://auditql:hunter2@db/auditql", "doesn't begin with postgres://"],
  ])("never repeats a database's URL: %s", (url, problem) => {
    expect(problemsOf({ DATABASE_URL: url })).toEqual([`DATABASE_URL ${problem}`]);
    expect(() => loadConfig({ DATABASE_URL: url })).toThrow(/^(?!.*hunter2)/s);
  });

  it("offers nothing of development in production, nor where others reach the port", () => {
    const production = { NODE_ENV: "production", DATABASE_URL: database };
    const missing = [
      "JWT_ISSUER is missing",
      "JWT_AUDIENCE is missing",
      "JWKS_URL is missing, and so is JWT_PUBLIC_KEY_FILE",
    ];
    expect(problemsOf(production)).toEqual(missing);
    for (const HOST of ["0.0.0.0", "::", "192.0.2.1", "api.example.com"]) {
      expect(problemsOf({ HOST })).toEqual(missing);
      expect(loadConfig({ HOST, ...tokens }).development).toBe(false);
    }
    expect(loadConfig({ ...production, ...tokens }).development).toBe(false);
    for (const HOST of ["localhost", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
      expect(loadConfig({ HOST, NODE_ENV: "test" }).development).toBe(true);
    expect(loadConfig(tokens).development).toBe(true);
  });

  it("wants a database of one's own in production", () => {
    expect(problemsOf({ NODE_ENV: "production", ...tokens })).toEqual([
      "DATABASE_URL is missing, and the embedded server isn't for production",
    ]);
  });

  it("takes the key of a certificate", () => {
    const path = join(folder, "certificate.pem");
    writeFileSync(path, certificate);
    const settings = loadConfig({ ...issuer, JWT_PUBLIC_KEY_FILE: path }).tokens;
    expect(settings?.algorithms).toEqual(["ES256"]);
    expect(settings?.keys).toMatchObject({ kind: "file", path, key: { type: "public", asymmetricKeyType: "ec" } });
  });

  it("allows a key file's own algorithms alone", () => {
    expect(loadConfig(tokens).tokens?.algorithms).toEqual(["ES256"]);
    expect(loadConfig({ ...tokens, JWT_ALGORITHMS: "RS256,ES256" }).tokens?.algorithms).toEqual(["ES256"]);
    expect(problemsOf({ ...tokens, JWT_ALGORITHMS: "RS256" })).toEqual(["JWT_ALGORITHMS has none of the key's, ES256"]);
  });

  it.each([
    ["missing", join(folder, "missing.pem"), "names no file that can be read"],
    ["a folder", folder, "names no file that can be read"],
    ["a private key", pemFile("private.pem", ec.privateKey), "names a file with a private key"],
    [
      "too small a key",
      pemFile("small.pem", generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey),
      "names a key other than RSA",
    ],
    ["no key at all", textFile, "names a file without a public key"],
  ])("refuses a key file that verifies nothing: %s", (_, path, problem) => {
    const [message = "", ...more] = problemsOf({ ...issuer, JWT_PUBLIC_KEY_FILE: path });
    expect(message).toContain(`JWT_PUBLIC_KEY_FILE ${problem}`);
    expect(more).toEqual([]);
  });

  it.each([
    ["https://id.example.com/keys", []],
    ["http://127.0.0.1:8080/keys", []],
    ["http://[::1]:8080/keys", []],
    ["http://localhost/keys", []],
    ["http://id.example.com/keys?key=hunter2", ["JWKS_URL isn't https"]],
    ["https://me:hunter2@id.example.com/keys", ["JWKS_URL holds a user or a password"]],
    ["hunter2", ["JWKS_URL is no URL"]],
  ])("takes keys over https, or from this machine: %s", (JWKS_URL, problems) => {
    expect(problemsOf({ ...issuer, JWKS_URL })).toEqual(problems);
  });

  it("takes one source of keys", () => {
    expect(problemsOf({ ...tokens, JWKS_URL: "https://id.example.com/keys" })).toEqual([
      "JWT_PUBLIC_KEY_FILE is set beside JWKS_URL, and only one may be",
    ]);
  });

  it.each([
    "loopback",
    "linklocal",
    "uniquelocal",
    "192.0.2.1",
    "10.0.0.0/8",
    "::1",
    "fc00::/7",
    "::ffff:10.0.0.0/104",
  ])("trusts the proxies that Express can: %s", (item) => {
    const { trustedProxies } = loadConfig({ TRUSTED_PROXIES: item });
    expect(() => express().set("trust proxy", trustedProxies)).not.toThrow();
  });

  it.each(["true", "1", "0.0.0.0/0", "::/0", "10.0.0.0/08", "10.1/8", "fe80::1%eth0", "10.0.0.0/8/8", "10.0.0.0/"])(
    "refuses a proxy that is no address or range: %s",
    (item) => {
      expect(problemsOf({ TRUSTED_PROXIES: item })).toEqual([`TRUSTED_PROXIES has the item ${JSON.stringify(item)}`]);
    },
  );

  it.each(["0", "-1", "1.5", "1e3", "1000001", "ten"])("refuses a rate that is none: %s", (rate) => {
    expect(problemsOf({ AUDIT_DENIED_PER_MINUTE: rate })).toEqual([
      `AUDIT_DENIED_PER_MINUTE is ${JSON.stringify(rate)}`,
    ]);
  });

  it.each(["0", "8388607", "1099511627777", "64MiB", "-1"])("refuses a spool of a size that can't be: %s", (size) => {
    expect(problemsOf({ AUDIT_SPOOL_MAX_BYTES: size })).toEqual([`AUDIT_SPOOL_MAX_BYTES is ${JSON.stringify(size)}`]);
  });

  it.each(["-1", "65536", "4000.5", "0x10", "4e3", "port"])("refuses a port that is none: %s", (PORT) => {
    expect(problemsOf({ PORT })).toEqual([`PORT is ${JSON.stringify(PORT)}`]);
  });

  it.each([
    ["1s", 1_000],
    ["90m", 5_400_000],
    ["12h", 43_200_000],
    ["30d", 2_592_000_000],
    ["2w", 1_209_600_000],
    ["P30D", 2_592_000_000],
    ["P2W", 1_209_600_000],
    ["PT36H", 129_600_000],
    ["P1DT2H3M4S", 93_784_000],
    ["P3650D", 315_360_000_000],
  ])("reads a duration: %s", (CHAT_AUTO_ARCHIVE_AFTER, milliseconds) => {
    expect(loadConfig({ CHAT_AUTO_ARCHIVE_AFTER }).chatAutoArchiveAfter).toBe(milliseconds);
  });

  it.each([
    "0s",
    "P0D",
    "30",
    "30 d",
    "-30d",
    "1.5h",
    "30D",
    "P",
    "PT",
    "P1DT",
    "P1M",
    "P1Y",
    "p30d",
    "P3651D",
    "P1W2D",
  ])(
    "refuses a duration that is none, too short, too long or of a length that varies: %s",
    (CHAT_AUTO_ARCHIVE_AFTER) => {
      expect(problemsOf({ CHAT_AUTO_ARCHIVE_AFTER })).toEqual([
        `CHAT_AUTO_ARCHIVE_AFTER is ${JSON.stringify(CHAT_AUTO_ARCHIVE_AFTER)}`,
      ]);
    },
  );

  it.each(["127.1", "0", "http://localhost", "[::1]", "-a", "localhost:4000"])("refuses a host: %s", (HOST) => {
    expect(problemsOf({ HOST })).toEqual([`HOST is ${JSON.stringify(HOST)}`]);
  });
});

describe("developmentTokenObstacle", () => {
  it("says why a token can't be made, and nothing where it can", () => {
    expect(developmentTokenObstacle({ NODE_ENV: "production" })).toBe("NODE_ENV is production");
    expect(developmentTokenObstacle({ HOST: "0.0.0.0" })).toBe("HOST isn't a loopback address");
    expect(developmentTokenObstacle({ JWT_AUDIENCE: "auditql" })).toBe(
      "JWT_AUDIENCE is set, so that tokens come from their issuer",
    );
    expect(developmentTokenObstacle({ NODE_ENV: "test", HOST: "::1", JWT_ISSUER: "" })).toBeNull();
  });
});
