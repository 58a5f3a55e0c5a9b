import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changesOf, readLog } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";
import { callChat, chatFields, type ChatMutation, plantChats, type ReadChat } from "./chat-calls.js";

describe("a chat", () => {
  let database: TestDatabase;
  let server: TestServer;
  let member: string;
  let admin: string;
  let auditor: string;
  let elsewhere: string;

  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ database });
    member = await server.token({ subject: "u-1", tenant: "acme", roles: ["member"] });
    admin = await server.token({ subject: "boss", tenant: "acme", roles: ["admin"] });
    auditor = await server.token({ subject: "checker", tenant: "acme", roles: ["auditor"] });
    elsewhere = await server.token({ subject: "u-1", tenant: "other", roles: ["admin"] });
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  const call = (mutation: ChatMutation, input: Readonly<Record<string, unknown>>, token = member) =>
    callChat(server, token, mutation, input);
  const create = async (input: Readonly<Record<string, unknown>> = {}, token = member): Promise<ReadChat> => {
    const { chats, error } = await call("createChat", { title: "Talk", ...input }, token);
    if (!chats[0]) throw new Error(`The chat could not be made: ${JSON.stringify(error)}`);
    return chats[0];
  };
  const entriesOf = (requestId: string, tenant = "acme") => readLog(server, { requestId: [requestId] }, tenant);
  const changesBy = async (requestId: string) => changesOf((await entriesOf(requestId))[0]);

  describe("as it is created", () => {
    it("is its creator's, and the entry has what the database filled in", async () => {
      const { chats, requestId } = await call("createChat", { title: "Talk" });
      const [chat] = chats;
      expect(chat).toMatchObject({
        tenantId: "acme",
        ownerId: "u-1",
        parentChatId: null,
        title: "Talk",
        archived: false,
        pinOrder: 0,
        labels: {},
        mode: "ASK",
        planMode: null,
        mcpServerIds: [],
        workspaceId: null,
      });
      const [entry, ...more] = await entriesOf(requestId);
      expect(more).toEqual([]);
      expect(entry).toMatchObject({
        eventType: "chat.created",
        resource: { id: chat?.id, label: chat?.id.slice(0, 8) },
      });
      expect(changesOf(entry)).toEqual({
        ownerId: ["ADD", null, "u-1"],
        title: ["ADD", null, "Talk"],
        archived: ["ADD", null, false],
        pinOrder: ["ADD", null, 0],
        labels: ["ADD", null, {}],
        mode: ["ADD", null, "ASK"],
        mcpServerIds: ["ADD", null, []],
      });
    });

    it("takes all that it is given", async () => {
      const { id: parentChatId } = await create();
      const given = { parentChatId, labels: { team: "red" }, mode: "AGENT", planMode: "", workspaceId: "w-1" };
      const { chats, requestId } = await call("createChat", { title: "Talk", ...given, mcpServerIds: ["b", "a", "b"] });
      expect(chats[0]).toMatchObject({ ...given, mcpServerIds: ["a", "b"] });
      expect(await changesBy(requestId)).toEqual({
        ownerId: ["ADD", null, "u-1"],
        parentChatId: ["ADD", null, parentChatId],
        title: ["ADD", null, "Talk"],
        archived: ["ADD", null, false],
        pinOrder: ["ADD", null, 0],
        labels: ["ADD", null, { team: "red" }],
        mode: ["ADD", null, "AGENT"],
        planMode: ["ADD", null, ""],
        mcpServerIds: ["ADD", null, ["a", "b"]],
        workspaceId: ["ADD", null, "w-1"],
      });
    });

    it("has no parent where null says so", async () => {
      expect(await create({ parentChatId: null, planMode: null, workspaceId: null })).toMatchObject({
        parentChatId: null,
        planMode: null,
        workspaceId: null,
      });
    });

    it("belongs to the person for whom a service acts", async () => {
      const token = await server.token({ subject: "u-7", tenant: "acme", roles: ["member"], act: { sub: "svc-1" } });
      expect((await create({}, token)).ownerId).toBe("u-7");
    });

    it("stands only below a chat that its creator sees", async () => {
      const theirs = await create({}, admin);
      const foreign = await create({}, elsewhere);
      for (const [parentChatId, token] of [
        [theirs.id, member],
        [foreign.id, admin],
        [randomUUID(), admin],
      ] as const) {
        const { chats, error, requestId } = await call("createChat", { title: "Talk", parentChatId }, token);
        expect(chats).toEqual([]);
        expect(error?.extensions.code).toBe("NOT_FOUND");
        const [entry] = await entriesOf(requestId);
        expect(entry).toMatchObject({ eventType: "chat.creation_failed", resource: { id: null } });
        const rows = await query(database.adminUrl, "select from app.chat where parent_chat_id = $1", [parentChatId]);
        expect(rows).toEqual([]);
      }
      const mine = await create();
      expect((await create({ parentChatId: mine.id.toUpperCase() }, admin)).parentChatId).toBe(mine.id);
    });
  });

  describe("as it is updated", () => {
    it("records exactly what changed", async () => {
      const { id } = await create();
      const input = { title: "Walk", pinOrder: -3, labels: { a: [1, { b: null }] }, mode: "AGENT", planMode: "fast" };
      const { chats, requestId } = await call("updateChat", { id, ...input, mcpServerIds: ["m"], workspaceId: "w" });
      expect(chats[0]).toMatchObject({ id, ...input, mcpServerIds: ["m"], workspaceId: "w", archived: false });
      expect(await changesBy(requestId)).toEqual({
        title: ["REPLACE", "Talk", "Walk"],
        pinOrder: ["REPLACE", 0, -3],
        labels: ["REPLACE", {}, { a: [1, { b: null }] }],
        mode: ["REPLACE", "ASK", "AGENT"],
        planMode: ["REPLACE", null, "fast"],
        mcpServerIds: ["REPLACE", [], ["m"]],
        workspaceId: ["REPLACE", null, "w"],
      });
    });

    it("keeps what is absent, clears what is null, and tells both from what is empty", async () => {
      const { id } = await create({ planMode: "fast", workspaceId: "w", labels: { a: 1 }, mcpServerIds: ["m"] });
      const steps = [
        [{}, {}],
        [{ planMode: "" }, { planMode: ["REPLACE", "fast", ""] }],
        [{ planMode: null }, { planMode: ["REPLACE", "", null] }],
        [{ workspaceId: null, planMode: null }, { workspaceId: ["REPLACE", "w", null] }],
        [{ labels: {} }, { labels: ["REPLACE", { a: 1 }, {}] }],
        [{ mcpServerIds: [] }, { mcpServerIds: ["REPLACE", ["m"], []] }],
        [{ pinOrder: 0, archived: false }, {}],
      ] as const;
      for (const [input, changes] of steps) {
        const { error, requestId } = await call("updateChat", { id, ...input });
        expect(error).toBeUndefined();
        expect(await changesBy(requestId)).toEqual(changes);
      }
    });

    it("takes labels in another order, and servers in another order or twice, for the same", async () => {
      const servers = ["\u{FFFD}", "\u{1F33E}", "B", "a"];
      const { id, mcpServerIds, updatedAt } = await create({
        labels: { a: { x: 1, y: 2 }, b: 2 },
        mcpServerIds: servers,
      });
      expect(mcpServerIds).toEqual(["B", "a", "\u{FFFD}", "\u{1F33E}"]);
      const { chats, requestId } = await call("updateChat", {
        id,
        labels: { b: 2, a: { y: 2, x: 1 } },
        mcpServerIds: ["a", "\u{1F33E}", "a", "B", "\u{FFFD}"],
      });
      expect(chats[0]).toMatchObject({ mcpServerIds, updatedAt });
      expect(await changesBy(requestId)).toEqual({});
      const { requestId: changed } = await call("updateChat", { id, labels: { a: { x: 1, y: 3 }, b: 2 } });
      expect(await changesBy(changed)).toEqual({
        labels: ["REPLACE", { a: { x: 1, y: 2 }, b: 2 }, { a: { x: 1, y: 3 }, b: 2 }],
      });
    });

    it("takes servers that were stored in disorder for the same as well", async () => {
      const { id } = await create();
      await query(database.adminUrl, "update app.chat set mcp_server_ids = '{b,a,b}' where id = $1", [id]);
      const { chats, requestId } = await call("updateChat", { id, mcpServerIds: ["a", "b"] });
      expect(chats[0]?.mcpServerIds).toEqual(["a", "b"]);
      expect(await changesBy(requestId)).toEqual({});
    });

    it("keeps labels whose keys mean something to JavaScript", async () => {
      const labels: unknown = JSON.parse('{"__proto__": {"polluted": true}, "constructor": "c", "toString": null}');
      const { id } = await create({ labels });
      const [row] = await query(database.adminUrl, "select labels::text from app.chat where id = $1", [id]);
      expect(JSON.parse(String(row?.["labels"]))).toEqual(labels);
      expect(Object.hasOwn(JSON.parse(String(row?.["labels"])) as object, "__proto__")).toBe(true);
    });
  });

  const wide = Object.fromEntries(Array.from({ length: 65 }, (_, key) => [`k${String(key)}`, key]));
  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["an empty title", { title: "" }, "input.title"],
    ["a title too long", { title: "t".repeat(501) }, "input.title"],
    ["no title", { title: null }, "input.title"],
    ["null for archived", { archived: null }, "input.archived"],
    ["null for the pin's order", { pinOrder: null }, "input.pinOrder"],
    ["null for labels", { labels: null }, "input.labels"],
    ["too many labels", { labels: wide }, "input.labels"],
    ["labels too large", { labels: { text: "\u{E9}".repeat(8 * 1024) } }, "input.labels"],
    ["a label that PostgreSQL can't hold", { labels: { "nu\0l": 1 } }, "input.labels.nu\u{FFFD}l"],
    ["null for the mode", { mode: null }, "input.mode"],
    ["a plan's mode too long", { planMode: "p".repeat(101) }, "input.planMode"],
    ["null for the servers", { mcpServerIds: null }, "input.mcpServerIds"],
    ["too many servers", { mcpServerIds: Array(101).fill("m") }, "input.mcpServerIds"],
    ["an empty server", { mcpServerIds: ["m", ""] }, "input.mcpServerIds"],
    ["a server too long", { mcpServerIds: ["m".repeat(201)] }, "input.mcpServerIds"],
    ["an empty workspace", { workspaceId: "" }, "input.workspaceId"],
    ["a malformed id", { id: "7" }, "input.id"],
  ])("is not updated with %s", async (_what, input, field) => {
    const chat = await create();
    const { error, requestId } = await call("updateChat", { id: chat.id, ...input });
    expect(error?.extensions.code).toBe("BAD_USER_INPUT");
    expect(error?.extensions.fields?.map((problem) => problem.field)).toContain(field);
    expect((await entriesOf(requestId)).map(({ eventType }) => eventType)).toEqual(["chat.update_failed"]);
    const [row] = await query(
      database.adminUrl,
      "select title, updated_at = created_at as same from app.chat where id = $1",
      [chat.id],
    );
    expect(row).toEqual({ title: "Talk", same: true });
  });

  it.each<[Readonly<Record<string, unknown>>, string]>([
    [{ title: "" }, "input.title"],
    [{ parentChatId: "7" }, "input.parentChatId"],
    [{ parentChatId: "" }, "input.parentChatId"],
    [{ labels: null }, "input.labels"],
    [{ mode: null }, "input.mode"],
    [{ mcpServerIds: null }, "input.mcpServerIds"],
    [{ workspaceId: "w".repeat(201) }, "input.workspaceId"],
  ])("is not created with %j", async (input, field) => {
    const { error } = await call("createChat", { title: "Talk", ...input });
    expect(error?.extensions.code).toBe("BAD_USER_INPUT");
    expect(error?.extensions.fields?.map((problem) => problem.field)).toContain(field);
  });

  describe("of another's", () => {
    const read = async (id: string, token: string) => {
      const { data, errors } = await server.request<{ chat: ReadChat | null }>(
        `query ($id: ID!) { chat(id: $id) { ${chatFields} } }`,
        { variables: { id }, token },
      );
      return errors?.[0]?.extensions.code ?? data?.chat;
    };

    it("is a missing one to a member, and seen by the tenant's admins and auditors", async () => {
      const mine = await create();
      const theirs = await create({}, admin);
      expect(await read(mine.id, member)).toEqual(mine);
      expect(await read(theirs.id, member)).toBeNull();
      expect(await read(mine.id, admin)).toEqual(mine);
      expect(await read(mine.id, auditor)).toEqual(mine);
      expect(await read(mine.id, elsewhere)).toBeNull();
      expect(await read("7", member)).toBe("BAD_USER_INPUT");
      for (const [mutation, input] of [
        ["updateChat", { id: theirs.id, title: "Mine" }],
        ["archiveChats", { ids: [theirs.id] }],
        ["deleteChat", { id: theirs.id }],
      ] as const)
        for (const [token, tenant] of [
          [member, "acme"],
          [elsewhere, "other"],
        ] as const) {
          const { error, requestId } = await call(mutation, input, token);
          expect(error?.extensions.code).toBe("NOT_FOUND");
          const entries = await entriesOf(requestId, tenant);
          expect(entries.map(({ outcome, resource }) => [outcome, resource?.id, resource?.label])).toEqual([
            ["FAILURE", theirs.id, null],
          ]);
        }
      expect(await read(theirs.id, admin)).toEqual(theirs);
    });

    it("is changed by an admin, and by no auditor, not even one who is a member", async () => {
      const mine = await create();
      expect((await call("updateChat", { id: mine.id, title: "Walk" }, admin)).chats[0]?.title).toBe("Walk");
      const both = await server.token({ subject: "u-2", tenant: "acme", roles: ["member", "auditor"] });
      expect(await read(mine.id, both)).toMatchObject({ title: "Walk" });
      for (const [mutation, input] of [
        ["updateChat", { id: mine.id, title: "Run" }],
        ["archiveChats", { ids: [mine.id] }],
        ["deleteChat", { id: mine.id }],
      ] as const)
        for (const token of [auditor, both]) {
          const { error, requestId } = await call(mutation, input, token);
          expect(error?.extensions.code).toBe("FORBIDDEN");
          expect((await entriesOf(requestId)).map(({ outcome }) => outcome)).toEqual(["DENIED"]);
        }
      expect(await read(mine.id, admin)).toMatchObject({ title: "Walk", archived: false });
      const own = await create({}, both);
      expect((await call("updateChat", { id: own.id, title: "Run" }, both)).chats[0]?.title).toBe("Run");
    });
  });

  it("comes in lists of what its reader sees, archived or not as asked", async () => {
    const planted = await plantChats(database.adminUrl, {
      one: { owner: "reader" },
      two: { owner: "reader", archived: true },
      three: { owner: "reader" },
      theirs: { owner: "writer" },
    });
    const token = await server.token({ subject: "reader", tenant: "acme", roles: ["member"] });
    const list = async (asked: string, reader = token) => {
      const { data, errors } = await server.request<{ chats: { nodes: { id: string }[] } }>(
        `{ chats(${asked}) { nodes { id } } }`,
        { token: reader },
      );
      if (!data) throw new Error(JSON.stringify(errors));
      return data.chats.nodes.map(({ id }) => id);
    };
    expect(await list("first: 10")).toEqual([planted.one, planted.two, planted.three].sort());
    expect(await list("archived: null")).toHaveLength(3);
    expect(await list("archived: true")).toEqual([planted.two]);
    expect(await list("archived: false")).toEqual([planted.one, planted.three].sort());
    expect(await list("first: 200", auditor)).toEqual(expect.arrayContaining([planted.one, planted.theirs]));
    expect(await list("first: 200", elsewhere)).not.toContain(planted.one);
  });
});
