import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT, UnsecuredJWT, type JWTPayload } from "jose";
import { afterAll, describe, expect, it } from "vitest";
import { readLog } from "../support/log.js";
import { post, expectTyped, useWatchedClient } from "./attempt.js";

// Every one of them is nobody, from one address: what is folded has no entry of its own.
const client = useWatchedClient({ env: { AUDIT_DENIED_PER_MINUTE: "1000" } });
const mark = "marked-claim";
const nil = "00000000-0000-0000-0000-000000000000";
const now = () => Math.floor(Date.now() / 1000);
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const claims = { tenant: "acme", roles: ["admin", "auditor"], name: mark };
const payload = (): JWTPayload => ({
  iss: "https://issuer.test/",
  aud: "auditql-test",
  sub: mark,
  jti: mark,
  exp: now() + 300,
  ...claims,
});
const token = (more: Readonly<Record<string, unknown>> = {}) =>
  client.server.token({ subject: mark, ...claims, ...more });
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const publicPem = () => readFileSync(join(client.server.dataDir, "issuer.pem"));

/** A token of the issuer's with another header or payload than was signed. */
async function forged(part: 0 | 1, change: Readonly<Record<string, unknown>>): Promise<string> {
  const parts = (await token()).split(".");
  const said = JSON.parse(Buffer.from(parts[part] ?? "", "base64url").toString()) as Record<string, unknown>;
  parts[part] = base64url({ ...said, ...change });
  return parts.join(".");
}

afterAll(() => {
  // Neither a token nor what it claimed is anywhere in what the server said.
  expect(client.server.stdout() + client.server.stderr()).not.toMatch(/marked-claim|evil|Bearer|eyJ/);
});

const badTokens: readonly [what: string, make: () => string | Promise<string>][] = [
  ["expired", () => token({ exp: now() - 60 })],
  ["without an expiry", () => token({ exp: undefined })],
  ["with an expiry that is a text", () => token({ exp: String(now() + 300) })],
  ["not valid yet", () => token({ nbf: now() + 3_600 })],
  ["of another issuer", () => token({ iss: "https://evil.test/" })],
  ["of a list of issuers", () => token({ iss: ["https://issuer.test/"] })],
  ["for another audience", () => token({ aud: "other" })],
  ["of another key", () => new SignJWT(payload()).setProtectedHeader({ alg: "ES256" }).sign(other.privateKey)],
  ["of algorithm none", () => new UnsecuredJWT(payload()).encode()],
  ["of algorithm none with a signature", () => forged(0, { alg: "none" })],
  ["of algorithm nOnE", () => forged(0, { alg: "nOnE" })],
  ["unsigned", async () => (await token()).replace(/[^.]+$/, "")],
  ["HS256 by the public key", () => new SignJWT(payload()).setProtectedHeader({ alg: "HS256" }).sign(publicPem())],
  [
    "ES256 by the header's word, and HS256 by its signature",
    async () => {
      const hmac = await new SignJWT(payload()).setProtectedHeader({ alg: "HS256" }).sign(publicPem());
      return [base64url({ alg: "ES256" }), ...hmac.split(".").slice(1)].join(".");
    },
  ],
  [
    "with a key of its own in its header",
    async () => {
      const jwk = other.publicKey.export({ format: "jwk" });
      return new SignJWT(payload()).setProtectedHeader({ alg: "ES256", jwk }).sign(other.privateKey);
    },
  ],
  ["with a header that must be understood", () => forged(0, { crit: ["exp"], exp: 1 })],
  ["whose payload was changed", () => forged(1, { roles: ["platform_auditor"] })],
  ["whose header has no algorithm", () => forged(0, { alg: undefined })],
  [
    "whose payload is a list",
    async () => {
      const [head = "", , signature = ""] = (await token()).split(".");
      return [head, base64url([mark]), signature].join(".");
    },
  ],
  ["of two parts", async () => (await token()).split(".").slice(0, 2).join(".")],
  ["of five parts, as an encrypted one", () => `${base64url({ alg: "dir", enc: "A256GCM" })}....`],
  ["no token at all", () => "null"],
  ["enormous", () => `${"a".repeat(9_000)}.b.c`],
  ["too long by its name", () => token({ name: "x".repeat(8_192) })],
  ["of the tenant $platform", () => token({ tenant: "$platform" })],
  ["of the tenant *", () => token({ tenant: "*" })],
  ["of a tenant in capitals", () => token({ tenant: "ACME" })],
  ["of two tenants", () => token({ tenant: ["acme", "globex"] })],
  ["of an empty tenant", () => token({ tenant: "" })],
  ["of a tenant that is null", () => token({ tenant: null })],
  ["of a tenant with more behind it", () => token({ tenant: "acme\n" })],
  ["without a subject", () => token({ subject: undefined, sub: undefined })],
  ["of the subject nobody", () => token({ sub: nil })],
  ["of a subject that is a number", () => token({ sub: 7 })],
  ["of an empty subject", () => token({ sub: "" })],
  ["of a subject with NUL", () => token({ sub: "u\0" })],
  ["of a subject too long", () => token({ sub: "u".repeat(256) })],
  ["with a name that is an object", () => token({ name: { toString: mark } })],
  ["with roles in one text", () => token({ roles: "admin" })],
  ["with roles that are an object", () => token({ roles: { admin: true } })],
  ["with a role that is null", () => token({ roles: ["admin", null] })],
  ["with an id that is a number", () => token({ jti: 7 })],
  ["with the id of nobody", () => token({ jti: nil })],
  ["of the client nobody", () => token({ client_id: nil })],
  ["of a list of clients", () => token({ client_id: ["web"] })],
  ["for which nobody acts", () => token({ act: { sub: nil } })],
  ["for which a text acts", () => token({ act: "robot" })],
  ["for which something without a subject acts", () => token({ act: { name: "robot" } })],
  ["for which a list acts", () => token({ act: [{ sub: "robot" }] })],
];

describe("a token", () => {
  it.each(badTokens)("that is %s makes its caller nobody, and the entry names nothing of it", async (_, make) => {
    const id = await client.make(`createGroup(input: { name: "standing" })`);
    const bad = await make();
    const query = `mutation { updateGroup(input: { id: "${id}", name: "changed" }) { id } }`;
    const authorization = `Bearer ${bad}`;
    const reply = await post(client.server, JSON.stringify({ query }), { authorization });
    expectTyped(reply);
    expect([reply.status, reply.data, reply.errors.map(({ extensions }) => extensions.code)]).toEqual([
      200,
      { updateGroup: null },
      ["UNAUTHENTICATED"],
    ]);
    const [entry, ...more] = await readLog(client.server, { requestId: [reply.requestId] }, null);
    expect(more).toEqual([]);
    expect(entry).toMatchObject({ tenantId: null, outcome: "DENIED", eventType: "group.update_denied" });
    expect(entry?.resource).toMatchObject({ type: "group", id, label: null });
    expect(new Set(Object.values({ ...entry?.actor, type: null }))).toEqual(new Set([null]));
    expect(entry?.actor["type"]).toBe("ANONYMOUS");
    expect(JSON.stringify(entry)).not.toMatch(/marked-claim|evil|standing/);
    expect(await client.sql(`select name from app."group" where id = $1`, [id])).toEqual([{ name: "standing" }]);
    const read = { query: `{ group(id: "${id}") { name } auditLogs { nodes { id } } }` };
    const asked = await post(client.server, JSON.stringify(read), { authorization });
    expect(new Set(asked.errors.map(({ extensions }) => extensions.code))).toEqual(new Set(["UNAUTHENTICATED"]));
    expect(asked.data ?? null).toBeNull();
  });

  it.each<[string, () => Promise<Record<string, string>>]>([
    ["not sent", () => Promise.resolve({})],
    ["sent as a password", async () => ({ authorization: `Basic ${await token()}` })],
    ["sent bare", async () => ({ authorization: await token() })],
    ["sent in another header", async () => ({ "x-authorization": `Bearer ${await token()}` })],
    ["sent as a cookie", async () => ({ cookie: `authorization=${await token()}; token=${await token()}` })],
    ["sent twice", async () => ({ authorization: `Bearer ${await token()}, Bearer ${await token()}` })],
  ])("that is %s is none", async (_, headers) => {
    const query = `mutation { createGroup(input: { name: "never" }) { id } }`;
    const reply = await post(client.server, JSON.stringify({ query }), await headers());
    expect(reply.errors.map(({ extensions }) => extensions.code)).toEqual(["UNAUTHENTICATED"]);
    const entries = await readLog(client.server, { requestId: [reply.requestId] }, null);
    expect(entries).toMatchObject([{ outcome: "DENIED", actor: { type: "ANONYMOUS", id: null } }]);
  });

  it("that was valid once refuses nobody else: the next request is judged by its own", async () => {
    const query = `mutation { createGroup(input: { name: "x" }) { id } }`;
    const codes = [];
    for (const bearer of [client.token, await token({ exp: 1 }), client.token])
      codes.push((await client.server.request(query, { token: bearer })).errors?.[0]?.extensions.code);
    expect(codes).toEqual([undefined, "UNAUTHENTICATED", undefined]);
  });
});
