import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { attempt, mutationNamed, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
const group = () => client.make(`createGroup(input: { name: "group" })`);
const chat = () => client.make(`createChat(input: { title: "chat" })`);
const device = () =>
  client.make(
    `createDevice(input: { serialNumber: "${randomUUID()}", name: "device", firmwareVersion: "1", provisioningSecret: "s" })`,
  );
const call = (mutation: string, input: Readonly<Record<string, unknown>>) =>
  attempt(client, mutationNamed(mutation), JSON.stringify(input));

describe("a list of ids", () => {
  const ids = (count: number) => Promise.all(Array.from({ length: count }, () => chat()));

  it("of a hundred is taken, each with its entry; one more is refused, with one", async () => {
    const hundred = await ids(100);
    const over = await call("archiveChats", { ids: [...hundred, randomUUID()] });
    expect(over.reply.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      fields: [{ field: "input.ids" }],
    });
    expect(over.entries).toMatchObject([
      { outcome: "FAILURE", action: "UPDATE", resource: { type: "chat", id: null } },
    ]);
    const { reply, entries } = await call("archiveChats", { ids: hundred });
    expect(reply.errors).toEqual([]);
    expect((reply.data?.["it"] as { id: string }[]).map(({ id }) => id)).toEqual(hundred);
    expect(entries.map(({ resource, ordinal, changes }) => [resource?.id, ordinal, changes.length])).toEqual(
      hundred.map((id, ordinal) => [id, ordinal, 1]),
    );
  });

  it("is refused where it is empty, with one entry that names nothing", async () => {
    const { reply, entries } = await call("archiveChats", { ids: [] });
    expect(reply.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", fields: [{ field: "input.ids" }] });
    expect(entries).toMatchObject([{ outcome: "FAILURE", resource: { type: "chat", id: null } }]);
  });

  it("that names one twice, in another case even, is of one", async () => {
    const id = await chat();
    const { reply, entries } = await call("archiveChats", { ids: [id, id.toUpperCase(), id] });
    expect((reply.data?.["it"] as { id: string }[]).map((it) => it.id)).toEqual([id]);
    expect(entries.map(({ resource }) => resource?.id)).toEqual([id]);
  });

  it("is refused whole for one that is malformed, with one entry that says which", async () => {
    const id = await chat();
    for (const wrong of ["7", "", "00000000-0000-0000-0000-000000000000", `{${id}}`, `${id} `]) {
      const { reply, entries } = await call("archiveChats", { ids: [id, wrong] });
      expect(reply.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", fields: [{ field: "input.ids.1" }] });
      expect(entries).toMatchObject([{ outcome: "FAILURE", resource: { type: "chat", id: null } }]);
    }
    expect(await client.sql("select archived from app.chat where id = $1", [id])).toEqual([{ archived: false }]);
  });
});

describe("an id in capitals", () => {
  it("is the one that the database prints, in the answer and in the log, for every mutation", async () => {
    const [chatId, groupId, deviceId] = [await chat(), await group(), await device()];
    const calls: [string, Record<string, unknown>, string][] = [
      ["updateDevice", { id: deviceId.toUpperCase(), name: "x" }, deviceId],
      ["updateChat", { id: chatId.toUpperCase(), title: "x" }, chatId],
      ["updateGroup", { id: groupId.toUpperCase(), name: "x" }, groupId],
      ["upsertGroupBudget", { groupId: groupId.toUpperCase(), spendLimitMicros: "1" }, groupId],
      ["upsertGroupBudget", { groupId: groupId.toUpperCase(), spendLimitMicros: "2" }, groupId],
      ["deleteGroupBudget", { groupId: groupId.toUpperCase() }, groupId],
      ["deleteDevice", { id: deviceId.toUpperCase() }, deviceId],
      ["deleteChat", { id: chatId.toUpperCase() }, chatId],
      ["deleteGroup", { id: groupId.toUpperCase() }, groupId],
    ];
    for (const [mutation, input, id] of calls) {
      const { reply, entries } = await call(mutation, input);
      expect(reply.errors, mutation).toEqual([]);
      expect(JSON.stringify(reply.data), mutation).toContain(id);
      expect(
        entries.map(({ resource, outcome }) => [resource?.id, outcome]),
        mutation,
      ).toEqual([[id, "SUCCESS"]]);
    }
    const parent = await chat();
    const child = await call("createChat", { title: "child", parentChatId: parent.toUpperCase() });
    expect(child.entries[0]?.changes.find(({ field }) => field === "parentChatId")?.new).toBe(parent);
  });
});
