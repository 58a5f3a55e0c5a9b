import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { inputMutations, internalErrors, mutationNamed, send, withEntries } from "../input/attempt.js";
import { useClient } from "../support/client.js";
import { readLog } from "../support/log.js";
import { startServer, type TokenClaims } from "../support/server.js";

const client = useClient();
afterAll(async () => {
  expect(await internalErrors(client.server)).toBe(0);
});

const nil = "00000000-0000-0000-0000-000000000000";
const nobody = { id: null, name: null, onBehalfOf: null, subsystem: null, issuer: null, tokenId: null, clientId: null };

/** Creates a group as whoever the claims say; gives the entry, as an auditor of the tenant reads it. */
async function entryBy(claims: TokenClaims, headers: Readonly<Record<string, string>> = {}) {
  const token = await client.server.token({ tenant: "acme", roles: ["admin"], ...claims });
  const query = `mutation { createGroup(input: { name: "group" }) { id } }`;
  const { requestId, errors } = await client.server.request(query, { token, headers });
  expect(errors).toBeUndefined();
  const [entry, ...more] = await readLog(client.server, { requestId: [requestId] }, claims.tenant ?? "acme");
  expect(more).toEqual([]);
  if (!entry) throw new Error("The call left no entry.");
  return entry;
}

const idsOf = async (filter: Readonly<Record<string, unknown>>, tenant: string | null = "acme") =>
  (await readLog(client.server, filter, tenant)).map(({ id }) => id);

describe("nobody", () => {
  it("is an actor without an id or anything else, in the platform's log", async () => {
    const query = `mutation { createGroup(input: { name: "group" }) { id } }`;
    const { requestId } = await client.server.request(query);
    const [entry] = await readLog(client.server, { requestId: [requestId] }, null);
    expect(entry).toMatchObject({ tenantId: null, outcome: "DENIED", actor: { type: "ANONYMOUS", ...nobody } });
    expect(await idsOf({ actorType: ["ANONYMOUS"] }, null)).toContain(entry?.id);
    expect(await client.sql("select tenant_id, actor_id from audit.entry where id = $1", [entry?.id])).toEqual([
      { tenant_id: "$platform", actor_id: null },
    ]);
  });

  it("is not named by the UUID of zeros: no input takes it, and no entry has it", async () => {
    const idFields = new Set(["id", "ids", "groupId", "parentChatId"]);
    const required: Readonly<Record<string, unknown>> = { title: "x", spendLimitMicros: "1", name: "x" };
    for (const mutation of inputMutations) {
      const asked = mutation.fields.filter(({ name }) => idFields.has(name)).map(({ name }) => name);
      for (const field of asked) {
        const others = mutation.fields.filter((it) => !it.nullable && it.name !== field).map(({ name }) => name);
        const input = { ...Object.fromEntries(others.map((name) => [name, required[name]])), [field]: nil };
        const reply = await send(client, mutation, JSON.stringify(input));
        expect(["BAD_USER_INPUT", "NOT_FOUND"], mutation.name).toContain(reply.errors[0]?.extensions.code);
        const [attempt] = await withEntries(client, mutation, [reply]);
        expect(attempt?.entries.map(({ resource }) => resource?.id)).toEqual(mutation.audited ? [null] : []);
      }
    }
    expect(await client.sql(`select from audit.entry where resource_id = $1 or actor_id = $1`, [nil])).toEqual([]);
  });

  it("is not whom a token names by the UUID of zeros", async () => {
    for (const claims of [{ subject: nil }, { jti: nil }, { client_id: nil }, { act: { sub: nil } }]) {
      const token = await client.server.token({ tenant: "acme", roles: ["admin"], ...claims });
      const answer = await client.server.request(`mutation { createGroup(input: { name: "x" }) { id } }`, { token });
      expect(answer.errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
      const [entry] = await readLog(client.server, { requestId: [answer.requestId] }, null);
      expect(entry?.actor).toEqual({ type: "ANONYMOUS", ...nobody });
    }
  });
});

describe("who belongs to no tenant", () => {
  it("changes nothing, by any mutation, in production too: the attempt stands in the platform's log", async () => {
    const token = await client.server.token({ subject: "homeless", roles: ["admin", "member"] });
    const source = { program: "gateway", version: "1.0.0", host: "localhost" };
    const values: Readonly<Record<string, unknown>> = {
      ids: [randomUUID()],
      spendLimitMicros: "1",
      source,
      entries: [],
    };
    for (const mutation of inputMutations) {
      const needed = mutation.fields.filter(({ nullable }) => !nullable).map(({ name }) => name);
      const input = Object.fromEntries(needed.map((name) => [name, values[name] ?? randomUUID()]));
      const reply = await send({ ...client, token }, mutation, JSON.stringify(input));
      expect(reply.errors.map(({ extensions }) => extensions.code)).toEqual(["FORBIDDEN"]);
      const entries = await readLog(client.server, { requestId: [reply.requestId] }, null);
      expect(entries.map(({ tenantId, outcome, actor }) => [tenantId, outcome, actor["id"]])).toEqual(
        mutation.audited ? [[null, "DENIED", "homeless"]] : [],
      );
    }
  });
});

describe("one user in two tenants", () => {
  it("leaves each tenant's entries in its own log, under sessions that tell nothing of each other", async () => {
    const subject = `u-${randomUUID()}`;
    const acme = [await entryBy({ subject, tenant: "acme" }), await entryBy({ subject, tenant: "acme" })];
    const globex = await entryBy({ subject, tenant: "globex" });
    expect(acme.map(({ tenantId }) => tenantId)).toEqual(["acme", "acme"]);
    expect(globex.tenantId).toBe("globex");
    expect(await idsOf({ actorId: [subject] }, "acme")).toEqual(acme.map(({ id }) => id));
    expect(await idsOf({ actorId: [subject] }, "globex")).toEqual([globex.id]);
    expect(await idsOf({ actorId: [subject] }, null)).toEqual([...acme, globex].map(({ id }) => id));
    expect(await idsOf({ actorId: [subject], tenantId: ["globex"] }, null)).toEqual([globex.id]);
    expect(globex.sessionId).not.toBe(acme[0]?.sessionId);
    expect(acme[1]?.sessionId).toBe(acme[0]?.sessionId);
    // Between the two lies the look at the first, and nothing of another tenant's.
    expect(Number(acme[1]?.sequenceNumber)).toBe(Number(acme[0]?.sequenceNumber) + 2);
    const stored = await client.sql("select tenant_id from audit.entry where actor_id = $1 order by id", [subject]);
    expect(stored.map((row) => row["tenant_id"])).toEqual(["acme", "acme", "globex"]);
  });
});

describe("an actor who is renamed, and then is gone", () => {
  it("keeps in each entry the name of its time, and is found by its id and by every name", async () => {
    const subject = `u-${randomUUID()}`;
    const [before, after] = [`Ada ${subject}`, `Ada Néé ${subject}`];
    const entries = [await entryBy({ subject, name: before }), await entryBy({ subject, name: after })];
    const unnamed = await entryBy({ subject });
    const namesake = await entryBy({ subject: `${subject}-2`, name: before });
    const names = (await readLog(client.server, { actorId: [subject] })).map(({ actor }) => actor["name"]);
    expect(names).toEqual([before, after, null]);
    expect(await idsOf({ actorName: [before] })).toEqual([entries[0]?.id, namesake.id]);
    expect(await idsOf({ actorName: [before], actorId: [subject] })).toEqual([entries[0]?.id]);
    expect(await idsOf({ actorName: [after] })).toEqual([entries[1]?.id]);
    expect(await idsOf({ actorName: [before, after], actorId: [subject] })).toEqual(entries.map(({ id }) => id));
    // Another's name in other letters is another's.
    expect(await idsOf({ actorName: [before.toUpperCase()] })).toEqual([]);
    expect(unnamed.description).toContain(subject);
    expect(entries[0]?.description).toContain(before);
  });
});

describe("who acts for whom", () => {
  const subject = "m-7";

  it.each<[string, TokenClaims, Readonly<Record<string, unknown>>]>([
    ["a user", { subject }, { type: "USER", id: subject, onBehalfOf: null, clientId: null }],
    [
      "a user through a client",
      { subject, client_id: "web" },
      { type: "USER", id: subject, onBehalfOf: null, clientId: "web" },
    ],
    [
      "a service for itself",
      { subject, client_id: subject },
      { type: "SERVICE", id: subject, onBehalfOf: null, clientId: subject },
    ],
    [
      "a service for a user",
      { subject, name: "Mia", act: { sub: "robot", name: "Robot" } },
      { type: "SERVICE", id: "robot", name: "Robot", onBehalfOf: subject, clientId: null },
    ],
    [
      "a service without a name for a user, whose name it doesn't take",
      { subject, name: "Mia", act: { sub: "robot" } },
      { type: "SERVICE", id: "robot", name: null, onBehalfOf: subject },
    ],
    [
      "the last of several services",
      { subject, client_id: "web", act: { sub: "robot", act: { sub: "first", act: { sub: "zero" } } } },
      { type: "SERVICE", id: "robot", onBehalfOf: subject, clientId: "web" },
    ],
    [
      "a service for another",
      { subject, client_id: subject, act: { sub: "robot" } },
      { type: "SERVICE", id: "robot", onBehalfOf: subject, clientId: subject },
    ],
  ])("is %s, by the token's own words", async (_, claims, actor) => {
    const jti = randomUUID();
    const entry = await entryBy({ ...claims, jti });
    expect(entry.actor).toMatchObject({ ...actor, issuer: "https://issuer.test/", tokenId: jti, subsystem: null });
  });

  it("is found by either, and both are named", async () => {
    const [person, robot] = [randomUUID(), `robot-${randomUUID()}`];
    const entry = await entryBy({ subject: person, act: { sub: robot } });
    await entryBy({ subject: person });
    expect(await idsOf({ onBehalfOf: [person] })).toEqual([entry.id]);
    expect(await idsOf({ actorId: [robot], actorType: ["SERVICE"] })).toEqual([entry.id]);
    expect(await idsOf({ onBehalfOf: [robot] })).toEqual([]);
  });

  it("owns what the service makes, and the service sees no more than the person does", async () => {
    const act = { sub: "robot" };
    const member = (subject: string) => client.server.token({ subject, tenant: "acme", roles: ["member"], act });
    const made = await client.server.request<{ createChat: { id: string; ownerId: string } }>(
      `mutation { createChat(input: { title: "mine" }) { id ownerId } }`,
      { token: await member("m-1") },
    );
    expect(made.data?.createChat.ownerId).toBe("m-1");
    const query = `{ chat(id: "${made.data?.createChat.id}") { id } }`;
    expect((await client.server.request(query, { token: await member("m-2") })).data).toEqual({ chat: null });
    expect((await client.server.request(query, { token: await member("m-1") })).data).toEqual({
      chat: { id: made.data?.createChat.id },
    });
  });

  it("is in the entry of what is refused and of what fails too", async () => {
    const act = { sub: "robot", name: "Robot" };
    for (const [roles, name, outcome] of [
      [["member"], "x", "DENIED"],
      [["admin"], "", "FAILURE"],
    ] as const) {
      const token = await client.server.token({ subject, tenant: "acme", roles, act });
      const reply = await send({ ...client, token }, mutationNamed("createGroup"), JSON.stringify({ name }));
      const [entry] = await readLog(client.server, { requestId: [reply.requestId] });
      expect(entry).toMatchObject({ outcome, actor: { type: "SERVICE", id: "robot", onBehalfOf: subject } });
    }
  });
});

describe("a client's own words on where it is", () => {
  const claimed = {
    "x-forwarded-for": "6.6.6.6",
    "x-real-ip": "6.6.6.6",
    "x-request-id": "5f0c2a54-0000-4000-8000-000000000001",
    "x-session-id": "5f0c2a54-0000-4000-8000-000000000001",
    "x-user": "root",
  };

  it("count for nothing where no proxy is trusted; its name for the request stands beside ours", async () => {
    const entry = await entryBy({}, claimed);
    expect(entry).toMatchObject({ ip: "127.0.0.1", clientRequestId: claimed["x-request-id"], actor: { id: "u-1" } });
    expect(entry.requestId).not.toBe(claimed["x-request-id"]);
    expect(entry.sessionId).not.toBe(claimed["x-session-id"]);
    expect(await idsOf({ requestId: [entry.requestId], ip: ["6.6.6.6"] })).toEqual([]);
  });

  it("count as far as a trusted proxy says them, and the request's id is ours all the same", async () => {
    const server = await startServer({ database: client.database, env: { TRUSTED_PROXIES: "127.0.0.0/8" } });
    try {
      const query = `mutation { createGroup(input: { name: "group" }) { id } }`;
      const headers = { ...claimed, "x-forwarded-for": "1.1.1.1, 6.6.6.6" };
      const answers = [1, 2].map(() => server.request(query, { token: client.token, headers }));
      const ids = (await Promise.all(answers)).map(({ requestId }) => requestId);
      const entries = await readLog(server, { requestId: ids, ip: ["6.6.6.6"] });
      expect(new Set(entries.map(({ requestId }) => requestId))).toEqual(new Set(ids));
      expect(new Set([...ids, claimed["x-request-id"]]).size).toBe(3);
    } finally {
      await server.stop();
    }
  });

  it.each<[string, string, string | null]>([
    ["oversize", "a".repeat(9_000), "a".repeat(512)],
    ["of other bytes than text", "\x80\xff", "\uFFFD\xff"],
    ["of nothing but space", "   ", null],
  ])("about its software, %s, never break an entry", async (_, sent, kept) => {
    const entry = await entryBy({}, { "user-agent": sent, "x-forwarded-for": "not an address, 1.2.3.4/33" });
    expect([entry.userAgent, entry.ip]).toEqual([kept, "127.0.0.1"]);
  });
});
