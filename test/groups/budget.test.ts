import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { changesOf, readLog } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type TestServer } from "../support/server.js";

describe("a group's budget", () => {
  let database: TestDatabase;
  let server: TestServer;
  let token: string;

  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ database });
    token = await server.token({ subject: "u-1", tenant: "acme", roles: ["admin"] });
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  const createGroup = async (name: string): Promise<string> => {
    const { data } = await server.request<{ createGroup: { id: string } }>(
      `mutation ($name: String!) { createGroup(input: { name: $name }) { id } }`,
      { variables: { name }, token },
    );
    if (!data) throw new Error("The group could not be made.");
    return data.createGroup.id;
  };
  const upsert = (groupId: string, spendLimitMicros: string) =>
    server.request<{ upsertGroupBudget: { spendLimitMicros: string } | null }>(
      `mutation ($input: UpsertGroupBudgetInput!) { upsertGroupBudget(input: $input) { spendLimitMicros } }`,
      { variables: { input: { groupId, spendLimitMicros } }, token },
    );
  const remove = (groupId: string) =>
    server.request<{ deleteGroupBudget: { spendLimitMicros: string } | null }>(
      `mutation ($input: DeleteGroupBudgetInput!) { deleteGroupBudget(input: $input) { spendLimitMicros } }`,
      { variables: { input: { groupId } }, token },
    );
  const history = (groupId: string) => readLog(server, { resourceType: ["group_budget"], resourceId: [groupId] });

  it("tells creation from change, records a call that changes nothing, and what was deleted", async () => {
    const groupId = await createGroup("Research");
    await upsert(groupId, "500000000");
    await upsert(groupId, "50000000");
    await upsert(groupId, "50000000");
    const { data } = await remove(groupId);
    expect(data?.deleteGroupBudget).toEqual({ spendLimitMicros: "50000000" });
    const entries = await history(groupId);
    expect(entries.map(({ eventType }) => eventType)).toEqual([
      "group_budget.created",
      "group_budget.updated",
      "group_budget.updated",
      "group_budget.deleted",
    ]);
    expect(entries.map(changesOf)).toEqual([
      { spendLimitMicros: ["ADD", null, "500000000"] },
      { spendLimitMicros: ["REPLACE", "500000000", "50000000"] },
      {},
      { spendLimitMicros: ["REMOVE", "50000000", null] },
    ]);
    expect(entries.map(({ resource }) => resource?.label)).toEqual(Array(4).fill("Research"));
  });

  it("takes a million dollars to the last micro and refuses one more, with an entry of the attempt", async () => {
    const groupId = await createGroup("Treasury");
    const most = await upsert(groupId, "1000000000000");
    expect(most.data?.upsertGroupBudget).toEqual({ spendLimitMicros: "1000000000000" });
    const more = await upsert(groupId, "1000000000001");
    expect(more.errors?.[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      fields: [{ field: "input.spendLimitMicros", message: "must be from 0 to 1000000000000" }],
    });
    const entries = await history(groupId);
    expect(entries.map(({ outcome, action }) => [outcome, action])).toEqual([
      ["SUCCESS", "CREATE"],
      ["FAILURE", "UPDATE"],
    ]);
    expect(entries[1]?.attempted).toEqual([
      { field: "spendLimitMicros", value: "1000000000001", secret: false, omitted: null },
    ]);
  });

  it("leaves an entry of its own when the group is deleted, caused by the group's", async () => {
    const groupId = await createGroup("Short-lived");
    await upsert(groupId, "7");
    const { requestId } = await server.request(`mutation { deleteGroup(input: { id: "${groupId}" }) { id } }`, {
      token,
    });
    const entries = await readLog(server, { requestId: [requestId] });
    expect(entries.map(({ eventType, ordinal }) => [eventType, ordinal])).toEqual([
      ["group.deleted", 0],
      ["group_budget.deleted", 1],
    ]);
    expect(entries[1]).toMatchObject({ causeId: entries[0]?.id, resource: { label: "Short-lived", isDeleted: true } });
    expect(entries[0]?.causeId).toBeNull();
    expect(entries[1] && changesOf(entries[1])).toEqual({ spendLimitMicros: ["REMOVE", "7", null] });
  });

  it("chains every old value to the new one before it, under 200 concurrent upserts and deletions", async () => {
    const groupIds = await Promise.all([1, 2, 3, 4, 5].map((number) => createGroup(`Race ${number}`)));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, call) => {
        const groupId = groupIds[Math.floor(Math.random() * groupIds.length)] ?? "";
        return Math.random() < 0.3 ? remove(groupId) : upsert(groupId, String(1_000 + call));
      }),
    );
    const codes = answers.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions.code) ?? []);
    expect(codes.filter((code) => code !== "NOT_FOUND")).toEqual([]);
    const rows = await query<{ group_id: string; spend_limit_micros: string }>(
      database.adminUrl,
      "select group_id, spend_limit_micros from app.group_budget where group_id = any ($1)",
      [groupIds],
    );
    for (const groupId of groupIds) {
      const entries = (await history(groupId)).filter(({ outcome }) => outcome === "SUCCESS");
      let stands: unknown = null;
      for (const entry of entries) {
        const [change] = entry.changes;
        if (change) expect(change.old).toBe(stands);
        expect(entry.action).toBe(stands === null ? "CREATE" : entry.action === "DELETE" ? "DELETE" : "UPDATE");
        if (change) stands = change.new;
      }
      expect(stands).toBe(rows.find((row) => row.group_id === groupId)?.spend_limit_micros ?? null);
    }
  });
});
