import { describe, expect, it } from "vitest";
import { holdTransaction, untilBlocked, useClient } from "../support/client.js";
import { changesOf, readLog } from "../support/log.js";

const client = useClient();
const newDevice = () => client.make(`createDevice(input: { serialNumber: "${Math.random()}", name: "first" })`);
const newGroup = () => client.make(`createGroup(input: { name: "Research" })`);

describe("two who change the same", () => {
  it("wait for each other: what one committed is the old value of the other", async () => {
    const id = await newDevice();
    const other = await holdTransaction(client.database);
    await other.sql("update app.device set name = 'second' where id = $1", [id]);
    const pending = client.mutate(`updateDevice(input: { id: "${id}", name: "third" }) { name }`);
    await untilBlocked(client.database, 1);
    await other.commit();
    const { requestId, errors } = await pending;
    expect(errors).toBeUndefined();
    const [entry] = await readLog(client.server, { requestId: [requestId] });
    expect(changesOf(entry)).toEqual({ name: ["REPLACE", "second", "third"] });
  });

  it("find each other's creation, also where none stood when they came", async () => {
    const groupId = await newGroup();
    const upsert = (micros: number) =>
      client.mutate(
        `upsertGroupBudget(input: { groupId: "${groupId}", spendLimitMicros: ${micros} }) { spendLimitMicros }`,
      );
    const holder = await holdTransaction(client.database);
    await holder.sql("lock table audit.entry in share row exclusive mode");
    const first = upsert(1);
    await untilBlocked(client.database, 1);
    const second = upsert(2);
    await untilBlocked(client.database, 2);
    await holder.rollback();
    const answers = await Promise.all([first, second]);
    expect(answers.map(({ errors }) => errors)).toEqual([undefined, undefined]);
    const entries = await readLog(client.server, { resourceId: [groupId], resourceType: ["group_budget"] });
    expect(entries.map((entry) => [entry.action, changesOf(entry)])).toEqual([
      ["CREATE", { spendLimitMicros: ["ADD", null, "1"] }],
      ["UPDATE", { spendLimitMicros: ["REPLACE", "1", "2"] }],
    ]);
  });

  it("create anew what the other deleted while they waited", async () => {
    const groupId = await newGroup();
    await client.mutate(`upsertGroupBudget(input: { groupId: "${groupId}", spendLimitMicros: 1 }) { groupId }`);
    const other = await holdTransaction(client.database);
    await other.sql("delete from app.group_budget where group_id = $1", [groupId]);
    const pending = client.mutate(
      `upsertGroupBudget(input: { groupId: "${groupId}", spendLimitMicros: 2 }) { groupId }`,
    );
    await untilBlocked(client.database, 1);
    await other.commit();
    const { requestId, errors } = await pending;
    expect(errors).toBeUndefined();
    const [entry] = await readLog(client.server, { requestId: [requestId] });
    expect([entry?.action, changesOf(entry)]).toEqual(["CREATE", { spendLimitMicros: ["ADD", null, "2"] }]);
  });

  it("never deadlock, however many of each other's rows they name in whatever order", async () => {
    const chats = await Promise.all(
      Array.from({ length: 12 }, (_, index) => client.make(`createChat(input: { title: "Chat ${index}" })`)),
    );
    const mixed = Array.from({ length: 100 }, (_, call) => {
      const ids = [...chats].sort(() => Math.random() - 0.5).slice(0, 6);
      if (call % 3 === 0) return client.mutate(`archiveChats(input: { ids: ${JSON.stringify(ids)} }) { id }`);
      if (call % 3 === 1) return client.mutate(`updateChat(input: { id: "${ids[0]}", archived: false }) { id }`);
      return client.mutate(`updateChat(input: { id: "${ids[0]}", title: "${call}" }) { id }`);
    });
    const answers = await Promise.all(mixed);
    expect(answers.flatMap(({ errors }) => errors ?? [])).toEqual([]);
    for (const id of chats) {
      const entries = await readLog(client.server, { resourceId: [id], changedField: ["archived"] });
      const values = entries.flatMap(({ changes }) => changes.filter(({ field }) => field === "archived"));
      values.slice(1).forEach((change, index) => expect(change.old).toBe(values[index]?.new));
    }
  });
});
