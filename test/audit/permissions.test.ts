import { readFileSync } from "node:fs";
import { buildSchema } from "graphql";
import { describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { readLog } from "../support/log.js";
import type { TokenClaims } from "../support/server.js";

const client = useClient();
const unknownId = "5f0c2a54-0000-4000-8000-000000000001";

interface Asked {
  readonly query: string;
  readonly allowed: readonly string[];
}

/** Every root field, with who may use it; nested under an alias, since that must make no difference. */
const fields: Record<string, Asked> = {
  device: { query: `{ x: device(id: "${unknownId}") { id } }`, allowed: ["admin", "auditor"] },
  devices: { query: "{ x: devices { nodes { id } } }", allowed: ["admin", "auditor"] },
  chat: { query: `{ x: chat(id: "${unknownId}") { id } }`, allowed: ["member", "admin", "auditor"] },
  chats: { query: "{ x: chats { nodes { id } } }", allowed: ["member", "admin", "auditor"] },
  group: { query: `{ x: group(id: "${unknownId}") { budget { groupId } } }`, allowed: ["admin", "auditor"] },
  groups: { query: "{ x: groups { nodes { id budget { groupId } } } }", allowed: ["admin", "auditor"] },
  groupBudget: { query: `{ x: groupBudget(groupId: "${unknownId}") { groupId } }`, allowed: ["admin", "auditor"] },
  auditLogs: {
    query: "{ x: auditLogs { totalCount { value } nodes { id } } }",
    allowed: ["auditor", "platform_auditor"],
  },
  auditEntry: { query: `{ x: auditEntry(id: "${unknownId}") { id } }`, allowed: ["auditor", "platform_auditor"] },
  createDevice: {
    query: `mutation { x: createDevice(input: { serialNumber: "", name: "" }) { id } }`,
    allowed: ["admin"],
  },
  updateDevice: { query: `mutation { x: updateDevice(input: { id: "${unknownId}" }) { id } }`, allowed: ["admin"] },
  deleteDevice: { query: `mutation { x: deleteDevice(input: { id: "${unknownId}" }) { id } }`, allowed: ["admin"] },
  deviceHeartbeat: {
    query: `mutation { x: deviceHeartbeat(input: { id: "${unknownId}" }) { id } }`,
    allowed: ["admin"],
  },
  auditSessions: { query: "{ x: auditSessions { nodes { id } } }", allowed: ["auditor", "platform_auditor"] },
  reportAuditEntries: {
    query: `mutation { x: reportAuditEntries(input: { sessionId: "7", entries: [],
      source: { program: "p", version: "1", host: "h" } }) { accepted } }`,
    allowed: ["reporter"],
  },
  createChat: { query: `mutation { x: createChat(input: { title: "" }) { id } }`, allowed: ["member", "admin"] },
  updateChat: {
    query: `mutation { x: updateChat(input: { id: "${unknownId}" }) { id } }`,
    allowed: ["member", "admin"],
  },
  archiveChats: {
    query: `mutation { x: archiveChats(input: { ids: ["${unknownId}"] }) { id } }`,
    allowed: ["member", "admin"],
  },
  deleteChat: {
    query: `mutation { x: deleteChat(input: { id: "${unknownId}" }) { id } }`,
    allowed: ["member", "admin"],
  },
  createGroup: { query: `mutation { x: createGroup(input: { name: "" }) { id } }`, allowed: ["admin"] },
  updateGroup: { query: `mutation { x: updateGroup(input: { id: "${unknownId}" }) { id } }`, allowed: ["admin"] },
  deleteGroup: { query: `mutation { x: deleteGroup(input: { id: "${unknownId}" }) { id } }`, allowed: ["admin"] },
  upsertGroupBudget: {
    query: `mutation { x: upsertGroupBudget(input: { groupId: "${unknownId}", spendLimitMicros: 1 }) { groupId } }`,
    allowed: ["admin"],
  },
  deleteGroupBudget: {
    query: `mutation { x: deleteGroupBudget(input: { groupId: "${unknownId}" }) { groupId } }`,
    allowed: ["admin"],
  },
};
const roles = ["member", "admin", "auditor", "platform_auditor", "reporter"];

async function codeOf(query: string, claims: TokenClaims | null): Promise<string | undefined> {
  const token = claims ? { token: await client.server.token(claims) } : {};
  return (await client.server.request(query, token)).errors?.[0]?.extensions.code;
}

describe("who may use a field", () => {
  it("is decided for every root field of the schema", () => {
    const schema = buildSchema(readFileSync("schema.graphql", "utf8"));
    const names = [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
      Object.keys(type?.getFields() ?? {}),
    );
    expect(names.sort()).toEqual(Object.keys(fields).sort());
  });

  it.each(Object.entries(fields))(
    "%s answers FORBIDDEN to every other role, UNAUTHENTICATED to nobody",
    async (_, { query, allowed }) => {
      expect(await codeOf(query, null)).toBe("UNAUTHENTICATED");
      for (const role of roles) {
        const code = await codeOf(query, { subject: "u-9", tenant: "acme", roles: [role] });
        if (allowed.includes(role)) expect([undefined, "NOT_FOUND", "BAD_USER_INPUT"]).toContain(code);
        else expect(code).toBe("FORBIDDEN");
      }
      expect(await codeOf(query, { subject: "u-9", tenant: "acme", roles: [] })).toBe("FORBIDDEN");
      const more = allowed.includes("reporter") ? "reporter" : "admin";
      expect(await codeOf(query, { subject: "u-9", tenant: "acme", roles: ["auditor", more] })).not.toBe("FORBIDDEN");
    },
  );
});

describe("another tenant's", () => {
  it("things are missing: none is read, changed or recorded for them, and the attempt stands in the caller's log", async () => {
    const id = await client.make(`createDevice(input: { serialNumber: "SN-T", name: "theirs" })`);
    const foreign = await client.server.token({ subject: "u-1", tenant: "globex", roles: ["admin", "auditor"] });
    const read = await client.server.request(`{ device(id: "${id}") { name } devices { nodes { id } } }`, {
      token: foreign,
    });
    expect(read.data).toEqual({ device: null, devices: { nodes: [] } });
    for (const field of [
      `updateDevice(input: { id: "${id}", name: "mine" })`,
      `deleteDevice(input: { id: "${id}" })`,
    ]) {
      const answer = await client.server.request(`mutation { x: ${field} { id } }`, { token: foreign });
      expect(answer.errors?.[0]?.extensions.code).toBe("NOT_FOUND");
      const [entry, ...more] = await readLog(client.server, { requestId: [answer.requestId] }, "globex");
      expect(more).toEqual([]);
      expect(entry).toMatchObject({
        tenantId: "globex",
        outcome: "FAILURE",
        resource: { id, label: null, isDeleted: true },
        changes: [],
      });
      expect(await readLog(client.server, { requestId: [answer.requestId] }, "acme")).toEqual([]);
    }
    expect(await client.sql("select name from app.device where id = $1", [id])).toEqual([{ name: "theirs" }]);
  });

  it("log can't be asked for, by a filter, a cursor or an id", async () => {
    const id = await client.make(`createDevice(input: { serialNumber: "SN-L", name: "theirs" })`);
    const [entry] = await readLog(client.server, { resourceId: [id] });
    const foreign = await client.server.token({ subject: "a-1", tenant: "globex", roles: ["auditor"] });
    const site = await client.server.token({ subject: "p-1", roles: ["platform_auditor"] });
    const ask = (query: string, token: string) => client.server.request<Record<string, never>>(query, { token });
    for (const tenant of ["acme", "$platform", "nobody"]) {
      const answer = await ask(`{ auditLogs(filter: { tenantId: "${tenant}" }) { nodes { id } } }`, foreign);
      expect(answer.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    }
    expect((await ask(`{ auditEntry(id: "${entry?.id}") { id } }`, foreign)).data).toEqual({ auditEntry: null });
    expect((await ask(`{ auditEntry(id: "${entry?.id}") { id } }`, site)).data).toEqual({
      auditEntry: { id: entry?.id },
    });
    const page = await client.server.request<{ auditLogs: { pageInfo: { endCursor: string } } }>(
      "{ auditLogs(first: 1) { pageInfo { endCursor } } }",
      { token: site },
    );
    const cursor = page.data?.auditLogs.pageInfo.endCursor ?? "";
    const turned = await ask(`{ auditLogs(after: "${cursor}") { nodes { tenantId } } }`, foreign);
    expect(turned.errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
  });
});

describe("a member", () => {
  it("sees and changes chats of their own alone; another's is missing", async () => {
    const theirs = await client.make(`createChat(input: { title: "Admin's" })`);
    const token = await client.server.token({ subject: "m-1", tenant: "acme", roles: ["member"] });
    const own = await client.server.request<{ createChat: { id: string } }>(
      `mutation { createChat(input: { title: "Mine" }) { id } }`,
      { token },
    );
    const seen = await client.server.request(`{ chat(id: "${theirs}") { id } chats { nodes { id } } }`, { token });
    expect(seen.data).toEqual({ chat: null, chats: { nodes: [{ id: own.data?.createChat.id }] } });
    for (const field of [
      `updateChat(input: { id: "${theirs}", title: "Mine now" }) { id }`,
      `archiveChats(input: { ids: ["${theirs}"] }) { id }`,
      `deleteChat(input: { id: "${theirs}" }) { id }`,
      `createChat(input: { title: "Child", parentChatId: "${theirs}" }) { id }`,
    ]) {
      const answer = await client.server.request(`mutation { x: ${field} }`, { token });
      expect(answer.errors?.[0]?.extensions.code).toBe("NOT_FOUND");
    }
    expect(await client.sql("select title from app.chat where id = $1", [theirs])).toEqual([{ title: "Admin's" }]);
  });
});

describe("a refusal", () => {
  it("leaves one DENIED entry with what was asked, and nothing of what stands", async () => {
    const id = await client.make(`createDevice(input: { serialNumber: "SN-R", name: "standing" })`);
    const token = await client.server.token({
      subject: "m-1",
      tenant: "acme",
      roles: ["member"],
      name: "Sample Member",
    });
    const answer = await client.server.request(
      `mutation { updateDevice(input: { id: "${id}", name: "wished", provisioningSecret: "canary" }) { id } }`,
      { token },
    );
    const entries = await readLog(client.server, { requestId: [answer.requestId] });
    expect(entries).toMatchObject([
      {
        eventType: "device.update_denied",
        outcome: "DENIED",
        error: { code: "FORBIDDEN" },
        actor: { type: "USER", id: "m-1", name: "Sample Member" },
        resource: { id, label: null },
        attempted: [
          { field: "name", value: "wished", secret: false },
          { field: "provisioningSecret", value: null, secret: true },
        ],
      },
    ]);
    expect(JSON.stringify(entries)).not.toMatch(/standing|canary/);
  });

  it("of who can't be told, or has no tenant, stands in the platform's log and names nothing that was claimed", async () => {
    const mutation = `mutation { upsertGroupBudget(input: { groupId: "${unknownId}", spendLimitMicros: 1 }) { groupId } }`;
    const forged = await client.server.token({ subject: "u-1", tenant: "$platform", roles: ["admin"], name: "Forger" });
    const homeless = await client.server.token({ subject: "u-7", roles: ["admin"] });
    const asked = [await client.server.request(mutation), await client.server.request(mutation, { token: forged })];
    for (const { requestId, errors } of asked) {
      expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
      const [entry] = await readLog(client.server, { requestId: [requestId] }, null);
      expect(entry).toMatchObject({ tenantId: null, action: null, eventType: "group_budget.attempt_denied" });
      expect(entry?.actor).toEqual({
        type: "ANONYMOUS",
        id: null,
        name: null,
        onBehalfOf: null,
        subsystem: null,
        issuer: null,
        tokenId: null,
        clientId: null,
      });
    }
    const answer = await client.server.request(mutation, { token: homeless });
    expect(answer.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    const [entry] = await readLog(client.server, { requestId: [answer.requestId], tenantId: ["$platform"] }, null);
    expect(entry).toMatchObject({ tenantId: null, actor: { type: "USER", id: "u-7" }, outcome: "DENIED" });
  });
});
