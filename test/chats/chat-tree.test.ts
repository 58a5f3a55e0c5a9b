import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changesOf, readLog, type ReadEntry } from "../support/log.js";
import { connect, createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";
import { callChat, type ChatMutation, plantChats, type PlantedChat } from "./chat-calls.js";

describe("a tree of chats", () => {
  let database: TestDatabase;
  let server: TestServer;
  let member: string;
  let admin: string;

  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ database });
    member = await server.token({ subject: "u-1", tenant: "acme", roles: ["member"] });
    admin = await server.token({ subject: "boss", tenant: "acme", roles: ["admin"] });
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  const call = (mutation: ChatMutation, input: Readonly<Record<string, unknown>>, token = member) =>
    callChat(server, token, mutation, input);
  const plant = <Name extends string>(chats: Readonly<Record<Name, PlantedChat>>) =>
    plantChats(database.adminUrl, chats);
  const entriesOf = (requestId: string) => readLog(server, { requestId: [requestId] });
  const archivedOf = async (ids: Readonly<Record<string, string>>) => {
    const rows = await query<{ id: string; archived: boolean }>(
      database.adminUrl,
      "select id, archived from app.chat where id = any ($1)",
      [Object.values(ids)],
    );
    const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]));
    return new Set(rows.filter(({ archived }) => archived).map(({ id }) => names.get(id)));
  };
  /** By name: the name of the chat whose entry is the cause, null where there is none. */
  const causesIn = (entries: readonly ReadEntry[], ids: Readonly<Record<string, string>>) => {
    const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]));
    const nameOf = (entry: ReadEntry | undefined) => names.get(entry?.resource?.id ?? "") ?? null;
    return Object.fromEntries(
      entries.map((entry): [string, string | null] => [
        nameOf(entry) ?? "unknown",
        nameOf(entries.find(({ id }) => id === entry.causeId)),
      ]),
    );
  };
  const archived = { archived: ["REPLACE", false, true] };
  const family = {
    root: {},
    left: { below: "root", owner: "u-2" },
    leaf: { below: "left", owner: "u-3" },
    right: { below: "root" },
  } as const;

  describe("as it is archived", () => {
    it("is so with all below, whoever owns it, each with an entry that the named one's caused", async () => {
      const ids = await plant({ ...family, apart: {} });
      const { chats, requestId } = await call("archiveChats", { ids: [ids.root] });
      expect(chats.map(({ id, archived }) => [id, archived])).toEqual([[ids.root, true]]);
      const entries = await entriesOf(requestId);
      expect(causesIn(entries, ids)).toEqual({ root: null, left: "root", leaf: "root", right: "root" });
      expect(entries.map(({ eventType }) => eventType)).toEqual(Array(4).fill("chat.updated"));
      expect(entries.map(({ ordinal }) => ordinal).sort()).toEqual([0, 1, 2, 3]);
      expect(entries.map(changesOf)).toEqual(Array(4).fill(archived));
      expect(await archivedOf(ids)).toEqual(new Set(["root", "left", "leaf", "right"]));
    });

    it("has one entry without a cause for what is both listed and reached, which causes what lies below it", async () => {
      const ids = await plant(family);
      const { chats, requestId } = await call("archiveChats", { ids: [ids.left, ids.root] }, admin);
      expect(chats.map(({ id }) => id)).toEqual([ids.left, ids.root]);
      const entries = await entriesOf(requestId);
      expect(entries).toHaveLength(4);
      expect(causesIn(entries, ids)).toEqual({ left: null, root: null, leaf: "left", right: "root" });
    });

    it("takes an id that is named again for one", async () => {
      const ids = await plant({ one: {}, two: {} });
      const { chats, requestId } = await call("archiveChats", {
        ids: [ids.two, ids.one, ids.two.toUpperCase(), ids.one],
      });
      expect(chats.map(({ id }) => id)).toEqual([ids.two, ids.one]);
      expect(causesIn(await entriesOf(requestId), ids)).toEqual({ one: null, two: null });
      expect(await entriesOf(requestId)).toHaveLength(2);
    });

    it("has no entry for what was archived already but for what is named, and goes on below it", async () => {
      const ids = await plant({
        root: { archived: true },
        middle: { below: "root", archived: true },
        leaf: { below: "middle" },
      });
      const { requestId } = await call("archiveChats", { ids: [ids.root] });
      const entries = await entriesOf(requestId);
      expect(causesIn(entries, ids)).toEqual({ root: null, leaf: "root" });
      expect(entries.map((entry) => [entry.resource?.id, changesOf(entry)])).toEqual([
        [ids.root, {}],
        [ids.leaf, archived],
      ]);
    });

    it("is so by an update as well, with whatever else that changes of the named one alone", async () => {
      const ids = await plant(family);
      const { chats, requestId } = await call("updateChat", { id: ids.root, archived: true, title: "Done" });
      expect(chats[0]).toMatchObject({ archived: true, title: "Done" });
      const entries = await entriesOf(requestId);
      expect(causesIn(entries, ids)).toEqual({ root: null, left: "root", leaf: "root", right: "root" });
      expect(entries.map(changesOf)).toEqual([
        { title: ["REPLACE", "root", "Done"], ...archived },
        archived,
        archived,
        archived,
      ]);
      expect(await archivedOf(ids)).toEqual(new Set(Object.keys(ids)));
    });

    it("comes back one by one", async () => {
      const ids = await plant({ root: { archived: true }, leaf: { below: "root", archived: true } });
      const { requestId } = await call("updateChat", { id: ids.root, archived: false });
      const entries = await entriesOf(requestId);
      expect(entries.map(changesOf)).toEqual([{ archived: ["REPLACE", true, false] }]);
      expect(await archivedOf(ids)).toEqual(new Set(["leaf"]));
    });

    it("stays as it was where one of those named isn't there, whose entry is the cause of the others'", async () => {
      const ids = await plant({ one: {}, two: {} });
      const missing = randomUUID();
      const { chats, error, requestId } = await call("archiveChats", { ids: [ids.one, missing, ids.two] });
      expect(chats).toEqual([]);
      expect(error?.extensions.code).toBe("NOT_FOUND");
      const entries = await entriesOf(requestId);
      const culprit = entries.find(({ resource }) => resource?.id === missing);
      expect(new Map(entries.map((entry) => [entry.resource?.id, [entry.error?.code, entry.causeId]]))).toEqual(
        new Map([
          [missing, ["NOT_FOUND", null]],
          [ids.one, ["ROLLED_BACK", culprit?.id]],
          [ids.two, ["ROLLED_BACK", culprit?.id]],
        ]),
      );
      expect(await archivedOf(ids)).toEqual(new Set());
    });

    it("is refused to a member who only audits one of those named, and says which", async () => {
      const both = await server.token({ subject: "u-9", tenant: "acme", roles: ["member", "auditor"] });
      const ids = await plant({ own: { owner: "u-9" }, theirs: { owner: "u-1" } });
      const { error, requestId } = await call("archiveChats", { ids: [ids.own, ids.theirs] }, both);
      expect(error?.extensions.code).toBe("FORBIDDEN");
      const codes = (await entriesOf(requestId)).map((entry) => [entry.resource?.id, entry.error?.code]);
      expect(new Map(codes as [string, string][])).toEqual(
        new Map([
          [ids.own, "ROLLED_BACK"],
          [ids.theirs, "FORBIDDEN"],
        ]),
      );
      expect(await archivedOf(ids)).toEqual(new Set());
    });

    it.each<[string, readonly string[]]>([
      ["no ids", []],
      ["more than a hundred ids", Array.from({ length: 101 }, () => randomUUID())],
      ["a malformed id", [randomUUID(), "7"]],
    ])("is refused with %s, with one entry that names none", async (_what, ids) => {
      const { error, requestId } = await call("archiveChats", { ids });
      expect(error?.extensions.code).toBe("BAD_USER_INPUT");
      const entries = await entriesOf(requestId);
      expect(entries.map(({ eventType, resource }) => [eventType, resource?.type, resource?.id])).toEqual([
        ["chat.update_failed", "chat", null],
      ]);
    });
  });

  it("is deleted with all below, whoever owns it, each with an entry that the named one's caused", async () => {
    const ids = await plant({ top: {}, ...family, root: { below: "top" } });
    const { chats, requestId } = await call("deleteChat", { id: ids.root });
    expect(chats).toMatchObject([{ id: ids.root, title: "root", parentChatId: ids.top }]);
    const entries = await entriesOf(requestId);
    expect(causesIn(entries, ids)).toEqual({ root: null, left: "root", leaf: "root", right: "root" });
    expect(entries.map(({ eventType }) => eventType)).toEqual(Array(4).fill("chat.deleted"));
    expect(changesOf(entries.find(({ resource }) => resource?.id === ids.leaf))).toEqual({
      ownerId: ["REMOVE", "u-3", null],
      parentChatId: ["REMOVE", ids.left, null],
      title: ["REMOVE", "leaf", null],
      archived: ["REMOVE", false, null],
      pinOrder: ["REMOVE", 0, null],
      labels: ["REMOVE", {}, null],
      mode: ["REMOVE", "ASK", null],
      mcpServerIds: ["REMOVE", [], null],
    });
    const left = await query(database.adminUrl, "select title from app.chat where id = any ($1)", [Object.values(ids)]);
    expect(left).toEqual([{ title: "top" }]);
  });

  describe("of a thousand", () => {
    /** A root with a chain of a hundred below it, and the rest side by side. */
    const forest = (below: number): Record<string, PlantedChat> =>
      Object.fromEntries([
        ["root", {}],
        ...Array.from({ length: below }, (_, index) => [
          `c${String(index)}`,
          { below: index === 0 || index >= 100 ? "root" : `c${String(index - 1)}` },
        ]),
      ]) as Record<string, PlantedChat>;

    it("is archived and deleted whole", async () => {
      const ids = await plant(forest(999));
      // The second lies below the first: it and what it reaches count once.
      const archiving = await call("archiveChats", { ids: [ids["root"], ids["c0"]] });
      expect(archiving.error).toBeUndefined();
      expect(await archivedOf(ids)).toEqual(new Set(Object.keys(ids)));
      const deletion = await call("deleteChat", { id: ids["root"] });
      expect(deletion.error).toBeUndefined();
      const entries = await entriesOf(deletion.requestId);
      expect(new Set(entries.map(({ resource }) => resource?.id))).toEqual(new Set(Object.values(ids)));
      expect(entries.filter(({ causeId }) => causeId === null)).toHaveLength(1);
    });

    it.each<[ChatMutation, (id: string) => Readonly<Record<string, unknown>>]>([
      ["archiveChats", (id) => ({ ids: [id] })],
      ["updateChat", (id) => ({ id, archived: true, title: "Done" })],
      ["deleteChat", (id) => ({ id })],
    ])("and one is refused by %s, with nothing done", async (mutation, input) => {
      const ids = await plant(forest(1_000));
      const { error, requestId } = await call(mutation, input(ids["root"] ?? ""));
      expect(error?.extensions.code).toBe("LIMIT_EXCEEDED");
      const entries = await entriesOf(requestId);
      expect(entries.map((entry) => [entry.resource?.id, entry.outcome])).toEqual([[ids["root"], "FAILURE"]]);
      const [row] = await query(
        database.adminUrl,
        "select count(*)::int as count, bool_or(archived) as archived from app.chat where id = any ($1)",
        [Object.values(ids)],
      );
      expect(row).toEqual({ count: 1_001, archived: false });
      expect((await call("updateChat", { id: ids["root"], title: "Still here" })).error).toBeUndefined();
    });
  });

  describe("that others change meanwhile", () => {
    /** Runs `work` while a transaction that did `sql` is open, and commits it once the server waits for its locks. */
    const whileOpen = async <Result>(sql: string, params: unknown[], work: () => Promise<Result>): Promise<Result> => {
      const other = await connect(database.adminUrl);
      try {
        await other.query("begin");
        await other.query(sql, params);
        const working = work();
        await until(
          async () => {
            const waiting = await query(
              database.adminUrl,
              "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            );
            return waiting.length > 0;
          },
          { what: "the server waits for the other transaction" },
        );
        await other.query("commit");
        return await working;
      } finally {
        await other.end();
      }
    };

    it("is deleted with a chat that is added far below after it was looked at", async () => {
      const ids = await plant(family);
      const late = randomUUID();
      const { error, requestId } = await whileOpen(
        "insert into app.chat (tenant_id, id, owner_id, title, parent_chat_id) values ('acme', $1, 'u-4', 'late', $2)",
        [late, ids.leaf],
        () => call("deleteChat", { id: ids.root }),
      );
      expect(error).toBeUndefined();
      expect(causesIn(await entriesOf(requestId), { ...ids, late })).toEqual({
        root: null,
        left: "root",
        leaf: "root",
        right: "root",
        late: "root",
      });
      expect(await query(database.adminUrl, "select from app.chat where id = $1", [late])).toEqual([]);
    });

    it("takes no child once it is deleted, also where that wasn't committed yet", async () => {
      const { root } = await plant({ root: {} });
      const { chats, error } = await whileOpen("delete from app.chat where id = $1", [root], () =>
        call("createChat", { title: "Orphan", parentChatId: root }),
      );
      expect(chats).toEqual([]);
      expect(error?.extensions.code).toBe("NOT_FOUND");
    });

    it("leaves no orphan and loses no entry, where children are made while it is deleted", async () => {
      for (let round = 0; round < 5; round++) {
        const ids = await plant(family);
        const creations = Object.values(ids).flatMap((parentChatId) =>
          Array.from({ length: 3 }, () => call("createChat", { title: "Child", parentChatId }, admin)),
        );
        const [deletion, ...made] = await Promise.all([call("deleteChat", { id: ids.root }), ...creations]);
        expect(deletion.error).toBeUndefined();
        const codes = made.map(({ error }) => error?.extensions.code ?? "made");
        expect(codes.filter((code) => code !== "made" && code !== "NOT_FOUND")).toEqual([]);
        const born = made.flatMap(({ chats }) => chats.map(({ id }) => id));
        const entries = await entriesOf(deletion.requestId);
        expect(new Set(entries.map(({ resource }) => resource?.id))).toEqual(new Set([...Object.values(ids), ...born]));
        const rows = await query(database.adminUrl, "select from app.chat where id = any ($1)", [
          [...Object.values(ids), ...born],
        ]);
        expect(rows).toEqual([]);
      }
    });

    const changesLogged = async (ids: readonly string[]) => {
      const entries = await readLog(server, { resourceId: ids });
      return Object.fromEntries(
        ids.map((id) => {
          // What was planted, past the API, the database wrote down itself.
          const own = entries.filter(
            ({ resource, changes, actor }) => resource?.id === id && changes.length > 0 && actor.type !== "DATABASE",
          );
          return [id, own.map(changesOf)];
        }),
      );
    };
    const onceEach = (ids: readonly string[]) => Object.fromEntries(ids.map((id) => [id, [archived]]));

    it("is archived by many at a time, each row's change logged once", async () => {
      const ids = await plant(family);
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          index % 2 === 0
            ? call("archiveChats", { ids: [ids.root] })
            : call("updateChat", { id: ids.root, archived: true }),
        ),
      );
      expect(answers.flatMap(({ error }) => error ?? [])).toEqual([]);
      expect(await changesLogged(Object.values(ids))).toEqual(onceEach(Object.values(ids)));
    });

    it("is archived from above and by every one's name at a time: a deadlock costs a retry, and no one an error", async () => {
      for (let round = 0; round < 3; round++) {
        const ids = await plant(family);
        const named = Object.values(ids);
        const answers = await Promise.all([
          call("archiveChats", { ids: [ids.root] }, admin),
          call("archiveChats", { ids: named }, admin),
        ]);
        expect(answers.flatMap(({ error }) => error ?? [])).toEqual([]);
        expect(await changesLogged(named)).toEqual(onceEach(named));
      }
    });
  });
});
