import { execFile } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeJwt, exportJWK, SignJWT, type JWTPayload } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { anonymousCaller, createVerifier, type Caller, type Verifier } from "../src/auth.js";
import { ClaimError } from "../src/auth/claims.js";
import {
  DevelopmentKeyError,
  ensureDevelopmentKey,
  mintDevelopmentToken,
  type DevelopmentClaims,
} from "../src/auth/development-key.js";
import { loadConfig } from "../src/config.js";

const folder = mkdtempSync(join(tmpdir(), "auditql-auth-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const issuer = "https://id.example.com/";
const audience = "auditql";
const nilUuid = "00000000-0000-0000-0000-000000000000";

const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
const otherKey = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicPem = key.publicKey.export({ type: "spki", format: "pem" }).toString();
const publicKeyFile = join(folder, "public.pem");
writeFileSync(publicKeyFile, publicPem);

const now = () => Math.floor(Date.now() / 1000);
const usual = (): JWTPayload => ({ iss: issuer, aud: audience, sub: "u-1", exp: now() + 60 });

interface Signing {
  readonly with?: KeyObject | Uint8Array;
  readonly alg?: string;
  readonly kid?: string;
}

async function bearer(claims: JWTPayload, { with: signer = key.privateKey, alg = "ES256", kid }: Signing = {}) {
  const header = kid === undefined ? { alg } : { alg, kid };
  return `Bearer ${await new SignJWT({ ...usual(), ...claims }).setProtectedHeader(header).sign(signer)}`;
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

const settings = { JWT_ISSUER: issuer, JWT_AUDIENCE: audience };
const verifierFor = (env: NodeJS.ProcessEnv) => createVerifier(loadConfig({ ...settings, ...env }));

const sampleAdmin: Caller = {
  actor: {
    type: "USER",
    id: "u-1",
    name: "Sample Admin",
    onBehalfOf: null,
    subsystem: null,
    issuer,
    tokenId: "t-1",
    clientId: "web",
  },
  subject: "u-1",
  tenantId: "acme",
  roles: new Set(["ADMIN", "AUDITOR"]),
};
const sampleClaims = {
  name: "Sample Admin",
  tenant: "acme",
  roles: ["auditor", "admin"],
  jti: "t-1",
  client_id: "web",
};

describe("a verifier with a public key file", () => {
  let verifier: Verifier;
  beforeAll(async () => {
    verifier = await verifierFor({ JWT_PUBLIC_KEY_FILE: publicKeyFile });
  });

  const callerOf = async (claims: JWTPayload): Promise<Caller> => {
    const { caller, refusal } = await verifier.verify(await bearer(claims));
    expect(refusal).toBeNull();
    return caller;
  };

  it("reads who calls", async () => {
    expect(await verifier.verify(await bearer(sampleClaims))).toEqual({
      caller: sampleAdmin,
      refusal: null,
      claim: null,
      unavailable: false,
      cause: null,
    });
  });

  it("takes the scheme in any case", async () => {
    const sent = await bearer({});
    for (const scheme of ["bearer", "BEARER"])
      expect((await verifier.verify(sent.replace("Bearer", scheme))).caller.subject).toBe("u-1");
  });

  it("leaves out what a token doesn't say, and roles that aren't ours", async () => {
    expect(await callerOf({ roles: ["owner", "ADMIN", "member", "platform_auditor", "constructor"] })).toEqual({
      actor: { ...sampleAdmin.actor, name: null, tokenId: null, clientId: null },
      subject: "u-1",
      tenantId: null,
      roles: new Set(["MEMBER", "PLATFORM_AUDITOR"]),
    });
    expect((await callerOf({})).roles).toEqual(new Set());
  });

  it("names a client that calls for itself a service", async () => {
    const { actor } = await callerOf({ sub: "importer", client_id: "importer", name: "Importer" });
    expect(actor).toMatchObject({ type: "SERVICE", id: "importer", name: "Importer", onBehalfOf: null });
  });

  it("records both the service that acts and the subject it acts for, whose own things stay theirs", async () => {
    const act = { sub: "assistant", name: "Assistant", act: { sub: "gateway" } };
    const caller = await callerOf({ ...sampleClaims, act });
    const actor = { ...sampleAdmin.actor, type: "SERVICE", id: "assistant", name: "Assistant", onBehalfOf: "u-1" };
    expect(caller).toEqual({ ...sampleAdmin, actor });
    expect((await callerOf({ ...sampleClaims, act: { sub: "assistant" } })).actor.name).toBeNull();
  });

  it("allows for clocks that differ by a few seconds", async () => {
    expect((await callerOf({ exp: now() - 2, nbf: now() + 2 })).subject).toBe("u-1");
  });

  it("counts a text's code points", async () => {
    expect((await callerOf({ sub: "🎉".repeat(255) })).subject).toBe("🎉".repeat(255));
  });

  it.each<[string, () => Promise<string> | string | undefined, string, string | null]>([
    ["none", () => undefined, "none-sent", null],
    ["empty", () => "", "malformed", null],
    ["of another scheme", () => "Basic dTpw", "malformed", null],
    ["after two spaces", async () => (await bearer({})).replace(" ", "  "), "malformed", null],
    ["garbage", () => "Bearer garbage", "malformed", null],
    ["garbage in three parts", () => "Bearer a.b.c", "malformed", null],
    ["two at once", async () => `${await bearer({})}, ${await bearer({})}`, "malformed", null],
    ["huge", () => bearer({ name: "x".repeat(8_192) }), "too-long", null],
    ["expired", () => bearer({ exp: now() - 60 }), "expired", "exp"],
    ["without an expiry", () => bearer({ exp: undefined }), "wrong-claim", "exp"],
    ["not valid yet", () => bearer({ nbf: now() + 60 }), "not-yet-valid", "nbf"],
    ["of another issuer", () => bearer({ iss: "https://evil.example.com/" }), "wrong-issuer", "iss"],
    ["of no issuer", () => bearer({ iss: undefined }), "wrong-issuer", "iss"],
    ["for another audience", () => bearer({ aud: "other" }), "wrong-audience", "aud"],
    ["of another key", () => bearer({}, { with: otherKey.privateKey }), "wrong-signature", null],
    ["unsigned", () => `Bearer ${base64url({ alg: "none" })}.${base64url(usual())}.`, "wrong-algorithm", null],
    ["with its signature cut off", async () => (await bearer({})).replace(/[^.]+$/, ""), "wrong-signature", null],
    [
      "HS256 by the public key",
      () => bearer({}, { with: Buffer.from(publicPem), alg: "HS256" }),
      "wrong-algorithm",
      null,
    ],
    ["without a subject", () => bearer({ sub: undefined }), "wrong-claim", "sub"],
  ])("knows nobody from a token that is: %s", async (_, authorization, refusal, claim) => {
    const result = await verifier.verify(await authorization());
    expect(result).toEqual({ caller: anonymousCaller, refusal, claim, unavailable: false, cause: null });
  });

  const wrongClaims: [claim: string, value: unknown][] = [
    ["tenant", "$platform"],
    ["tenant", ""],
    ["tenant", "Acme"],
    ["tenant", "acme\n"],
    ["tenant", "a".repeat(64)],
    ["tenant", null],
    ["tenant", ["acme"]],
    ["sub", ""],
    ["sub", nilUuid],
    ["sub", 7],
    ["sub", "a\0b"],
    ["sub", "a\ud800"],
    ["sub", "🎉".repeat(256)],
    ["name", 7],
    ["name", "x".repeat(256)],
    ["name", "a\0b"],
    ["roles", 7],
    ["roles", "admin"],
    ["roles", ["admin", 7]],
    ["roles", null],
    ["jti", 7],
    ["client_id", ["web"]],
    ["client_id", nilUuid],
    ["act", "assistant"],
    ["act", ["assistant"]],
    ["act", {}],
    ["act", { sub: nilUuid }],
    ["act", { sub: "assistant", name: 7 }],
  ];
  const titled = wrongClaims.map(([claim, value]) => ({ claim, value, shown: JSON.stringify(value).slice(0, 50) }));
  it.each(titled)("knows nobody from a token whose $claim is $shown", async ({ claim, value }) => {
    const result = await verifier.verify(await bearer({ [claim]: value }));
    expect(result).toEqual({
      caller: anonymousCaller,
      refusal: "wrong-claim",
      claim,
      unavailable: false,
      cause: null,
    });
  });

  it("says nothing of the token that it refused", async () => {
    const canary = "canary-5e1f";
    const all = await Promise.all([
      verifier.verify(await bearer({ iss: canary, name: canary })),
      verifier.verify(await bearer({ tenant: `$${canary}` })),
      verifier.verify(await bearer({ exp: 1, name: canary })),
      verifier.verify(`Bearer ${canary}`),
    ]);
    expect(JSON.stringify(all)).not.toContain(canary);
  });
});

describe("a verifier with a key of another kind", () => {
  it.each([
    ["RSA", generateKeyPairSync("rsa", { modulusLength: 2_048 }), ["RS256", "PS512"]],
    ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" }), ["ES384"]],
    ["Ed25519", generateKeyPairSync("ed25519"), ["EdDSA", "Ed25519"]],
  ])("verifies what %s signs, and nothing of ours", async (name, { publicKey, privateKey }, algorithms) => {
    const path = join(folder, `${name}.pem`);
    writeFileSync(path, publicKey.export({ type: "spki", format: "pem" }));
    const verifier = await verifierFor({ JWT_PUBLIC_KEY_FILE: path });
    for (const alg of algorithms)
      expect((await verifier.verify(await bearer({}, { with: privateKey, alg }))).caller.subject).toBe("u-1");
    expect((await verifier.verify(await bearer({}))).refusal).toBe("wrong-algorithm");
  });
});

describe("a verifier with a key set", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function keySetAt(listener: RequestListener): Promise<string> {
    server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  }

  async function keySet(...keys: { readonly key: KeyObject; readonly kid: string }[]): Promise<string> {
    const jwks = await Promise.all(keys.map(async (one) => ({ ...(await exportJWK(one.key)), kid: one.kid })));
    return JSON.stringify({ keys: jwks });
  }

  const unavailable = {
    caller: anonymousCaller,
    refusal: "keys-unavailable",
    claim: null,
    unavailable: true,
    cause: expect.any(Error) as Error,
  };

  it("finds the key by its id, or by trying those that fit", async () => {
    const set = await keySet({ key: otherKey.publicKey, kid: "old" }, { key: key.publicKey, kid: "new" });
    const verifier = await verifierFor({ JWKS_URL: await keySetAt((_, response) => response.end(set)) });
    expect((await verifier.verify(await bearer({}, { kid: "new" }))).caller.subject).toBe("u-1");
    expect((await verifier.verify(await bearer({}))).caller.subject).toBe("u-1");
    expect((await verifier.verify(await bearer({ sub: "" }))).refusal).toBe("wrong-claim");
    expect((await verifier.verify(await bearer({}, { kid: "old" }))).refusal).toBe("wrong-signature");
    expect((await verifier.verify(await bearer({}, { kid: "none" }))).refusal).toBe("unknown-key");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect((await verifier.verify(await bearer({}, { with: privateKey }))).refusal).toBe("wrong-signature");
  });

  it("blames nobody where nothing listens", async () => {
    const JWKS_URL = await keySetAt(() => undefined);
    await new Promise((closed) => server?.close(closed));
    const verifier = await verifierFor({ JWKS_URL });
    expect(await verifier.verify(await bearer({}))).toEqual(unavailable);
  });

  it("blames nobody where no answer comes, and waits no longer than 3 seconds", async () => {
    const verifier = await verifierFor({ JWKS_URL: await keySetAt(() => undefined) });
    expect(await verifier.verify(await bearer({}))).toEqual(unavailable);
  }, 10_000);

  it.each(["<html>", "[]", "{}", '{"keys":1}'])("blames nobody for an answer that is no key set: %s", async (body) => {
    const verifier = await verifierFor({ JWKS_URL: await keySetAt((_, response) => response.end(body)) });
    expect(await verifier.verify(await bearer({}))).toEqual(unavailable);
  });

  it("pauses after a failure, and recovers", async () => {
    const set = await keySet({ key: key.publicKey, kid: "new" });
    let well = false;
    let requests = 0;
    const JWKS_URL = await keySetAt((_, response) => {
      requests++;
      response.writeHead(well ? 200 : 503).end(well ? set : "");
    });
    const verifier = await verifierFor({ JWKS_URL });
    const sent = await bearer({});
    for (let round = 0; round < 20; round++) expect(await verifier.verify(sent)).toEqual(unavailable);
    expect(requests).toBeLessThan(5);
    well = true;
    await expect.poll(async () => (await verifier.verify(sent)).caller.subject, { timeout: 5_000 }).toBe("u-1");
  });

  it("doesn't ask for keys on account of what is no token", async () => {
    let requests = 0;
    const JWKS_URL = await keySetAt((_, response) => response.end(String(requests++)));
    const verifier = await verifierFor({ JWKS_URL });
    for (const sent of [undefined, "Bearer a.b.c", await bearer({}, { with: Buffer.alloc(32), alg: "HS256" })])
      expect((await verifier.verify(sent)).unavailable).toBe(false);
    expect(requests).toBe(0);
  });
});

const claims: DevelopmentClaims = {
  subject: "u-1",
  name: "Sample Admin",
  tenantId: "acme",
  roles: ["ADMIN"],
  clientId: null,
  act: null,
  lifetimeSeconds: 60,
};

describe("the development key", () => {
  const fresh = () => join(mkdtempSync(join(folder, "data-")), "made", "here");

  it("is made once, for all who ask at the same time, and for its owner's eyes", async () => {
    const dataDir = fresh();
    const keys = await Promise.all(Array.from({ length: 8 }, () => ensureDevelopmentKey(dataDir)));
    keys.push(await ensureDevelopmentKey(dataDir));
    const pems = keys.map(({ publicKey }) => publicKey.export({ type: "spki", format: "pem" }));
    expect(new Set(pems).size).toBe(1);
    expect(readdirSync(dataDir)).toEqual(["development-key.pem"]);
    expect(statSync(join(dataDir, "development-key.pem")).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir).mode & 0o777).toBe(0o711);
  });

  it("is believed where no issuer is set, and by no other folder's verifier", async () => {
    const dataDir = fresh();
    const verifier = await createVerifier({ tokens: null, dataDir });
    const sent = `Bearer ${await mintDevelopmentToken(await ensureDevelopmentKey(dataDir), claims)}`;
    const { caller } = await verifier.verify(sent);
    expect(caller).toEqual({
      ...sampleAdmin,
      actor: {
        ...sampleAdmin.actor,
        issuer: "auditql-development",
        tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        clientId: null,
      },
      roles: new Set(["ADMIN"]),
    });
    const other = await createVerifier({ tokens: null, dataDir: fresh() });
    expect((await other.verify(sent)).refusal).toBe("wrong-signature");
    const configured = await verifierFor({ JWT_PUBLIC_KEY_FILE: publicKeyFile });
    expect((await configured.verify(sent)).caller).toBe(anonymousCaller);
  });

  it("signs nothing that would be refused", async () => {
    const made = await ensureDevelopmentKey(fresh());
    await expect(mintDevelopmentToken(made, { ...claims, tenantId: "$platform" })).rejects.toThrow(ClaimError);
    await expect(mintDevelopmentToken(made, { ...claims, subject: nilUuid })).rejects.toThrow("claim sub");
  });

  it("is named where it can't be used", async () => {
    const dataDir = fresh();
    const { path } = await ensureDevelopmentKey(dataDir);
    writeFileSync(path, "not a key");
    await expect(ensureDevelopmentKey(dataDir)).rejects.toThrow(`${path} holds no usable key; delete it`);
    await expect(ensureDevelopmentKey(publicKeyFile)).rejects.toThrow(DevelopmentKeyError);
  });
});

describe("the token command", () => {
  const command = fileURLToPath(new URL("../dist/src/cli/token.js", import.meta.url));
  const dataDir = join(folder, "token-data");

  interface Ended {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
  }

  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
    new Promise((resolve) => {
      const options = { env: { DATA_DIR: dataDir, ...env }, timeout: 20_000 };
      execFile(process.execPath, [command, ...args], options, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr });
      });
    });

  it("prints a token that the API believes, and nothing else", async () => {
    const args = ["--tenant", "acme", "--subject", "u-1", "--name", "Sample Admin", "--role", "admin"];
    const { code, stdout, stderr } = await run([
      ...args,
      "--role",
      "auditor",
      "--client-id",
      "web",
      "--expires-in",
      "7d",
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const verifier = await createVerifier({ tokens: null, dataDir });
    const { caller } = await verifier.verify(`Bearer ${stdout.trim()}`);
    const actor = { ...sampleAdmin.actor, issuer: "auditql-development", tokenId: caller.actor.tokenId };
    expect(caller).toEqual({ ...sampleAdmin, actor });
    const { iat = 0, exp = 0 } = decodeJwt(stdout.trim());
    expect(exp - iat).toBe(7 * 86_400);
  });

  it("makes tokens without a tenant, and for services that act for someone", async () => {
    const { stdout } = await run(["--subject", "u-1", "--act", "assistant", "--act-name", "Assistant"]);
    const payload = decodeJwt(stdout.trim());
    expect(payload).toMatchObject({ sub: "u-1", roles: [], act: { sub: "assistant", name: "Assistant" } });
    expect(payload).not.toHaveProperty("tenant");
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(12 * 3_600);
  });

  it.each([
    [["--subject", "u-1", "--role", "owner"], "member, admin, auditor, platform_auditor"],
    [["--subject", "u-1", "--tenant", "$platform"], "A tenant has 1 to 63 lower-case letters"],
    [["--subject", "u-1", "--expires-in", "soon"], "such as 30m"],
    [["--subject", "u-1", "--expires-in", "366d"], "365d at most"],
    [["--subject", "u-1", "--act-name", "Assistant"], "--act-name needs --act"],
    [["--subject", nilUuid], "The API would refuse it. The token's claim sub"],
    [["--tenant", "acme"], "--subject"],
    [["--subject", "u-1", "stray"], "too many arguments"],
  ])("refuses %j with exit code 64", async (args, told) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: "" });
    expect(stderr).toContain(told);
  });

  it.each([
    ["it is production", { NODE_ENV: "production" }, "No token is made: NODE_ENV is production."],
    ["others reach the port", { HOST: "0.0.0.0" }, "No token is made: HOST isn't a loopback address."],
    ["an issuer is set", { JWT_ISSUER: issuer }, "No token is made: JWT_ISSUER is set"],
    ["a setting is wrong", { PORT: "many" }, 'PORT is "many"'],
    ["DATA_DIR is no folder", { DATA_DIR: publicKeyFile }, "set DATA_DIR to a folder that we may write to"],
  ])("refuses with exit code 78 where %s", async (_, env, told) => {
    const { code, stdout, stderr } = await run(["--subject", "u-1"], env);
    expect({ code, stdout }).toEqual({ code: 78, stdout: "" });
    expect(stderr).toContain(told);
  });

  it("explains itself", async () => {
    expect(await run(["--help"])).toMatchObject({ code: 0, stderr: "" });
  });
});
