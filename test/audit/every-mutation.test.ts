import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mutationDecisions } from "../../src/audit/index.js";
import { features } from "../../src/features.js";
import { createSchema } from "../../src/schema.js";
import { createDatabase, type TestDatabase } from "../support/postgres.js";
import { changesOf, readLog } from "../support/log.js";
import { startServer, type TestServer } from "../support/server.js";

/** What one mutation is asked, after what, and what the log must then say of it, to the letter. */
interface Row {
  readonly before?: (context: Run) => Promise<void>;
  readonly mutation: (context: Run) => string;
  readonly resourceType: string;
  readonly action: string;
  readonly changes: (context: Run) => Record<string, unknown>;
}

interface Run {
  readonly ids: Record<string, string>;
  readonly create: (name: string, mutation: string) => Promise<void>;
}

const device = (run: Run) =>
  run.create(
    "device",
    `createDevice(input: { serialNumber: "SN-${Math.random()}", name: "kiosk-7", firmwareVersion: "1.0" }) { id }`,
  );
const chat = (run: Run) => run.create("chat", `createChat(input: { title: "Plans" }) { id }`);
const group = (run: Run) => run.create("group", `createGroup(input: { name: "Research" }) { id }`);
const budget = async (run: Run) => {
  await group(run);
  await run.create(
    "budget",
    `upsertGroupBudget(input: { groupId: "${run.ids.group}", spendLimitMicros: "500000000" }) { id: groupId }`,
  );
};

const rows: Record<string, Row> = {
  createDevice: {
    mutation: () =>
      `createDevice(input: { serialNumber: "SN-1", name: "kiosk", firmwareVersion: "1.2", provisioningSecret: "hush" }) { id }`,
    resourceType: "device",
    action: "CREATE",
    changes: () => ({
      serialNumber: ["ADD", null, "SN-1"],
      name: ["ADD", null, "kiosk"],
      status: ["ADD", null, "ACTIVE"],
      firmwareVersion: ["ADD", null, "1.2"],
      provisioningSecret: ["ADD", "secret"],
    }),
  },
  updateDevice: {
    before: device,
    mutation: ({ ids }) =>
      `updateDevice(input: { id: "${ids.device}", name: "kiosk-8", status: SUSPENDED, firmwareVersion: null, provisioningSecret: "new" }) { id }`,
    resourceType: "device",
    action: "UPDATE",
    changes: () => ({
      name: ["REPLACE", "kiosk-7", "kiosk-8"],
      status: ["REPLACE", "ACTIVE", "SUSPENDED"],
      firmwareVersion: ["REPLACE", "1.0", null],
      provisioningSecret: ["REPLACE", "secret"],
    }),
  },
  deleteDevice: {
    before: (run) => run.create("device", `createDevice(input: { serialNumber: "SN-D", name: "old" }) { id }`),
    mutation: ({ ids }) => `deleteDevice(input: { id: "${ids.device}" }) { id }`,
    resourceType: "device",
    action: "DELETE",
    changes: () => ({
      serialNumber: ["REMOVE", "SN-D", null],
      name: ["REMOVE", "old", null],
      status: ["REMOVE", "ACTIVE", null],
    }),
  },
  createChat: {
    before: (run) => run.create("parent", `createChat(input: { title: "Parent" }) { id }`),
    mutation: ({ ids }) =>
      `createChat(input: { title: "Plans", parentChatId: "${ids.parent}", labels: { b: 1, a: ["x"] }, mode: AGENT, planMode: "draft", mcpServerIds: ["m2", "m1"], workspaceId: "w-1" }) { id }`,
    resourceType: "chat",
    action: "CREATE",
    changes: ({ ids }) => ({
      ownerId: ["ADD", null, "u-1"],
      parentChatId: ["ADD", null, ids.parent],
      title: ["ADD", null, "Plans"],
      archived: ["ADD", null, false],
      pinOrder: ["ADD", null, 0],
      labels: ["ADD", null, { a: ["x"], b: 1 }],
      mode: ["ADD", null, "AGENT"],
      planMode: ["ADD", null, "draft"],
      mcpServerIds: ["ADD", null, ["m1", "m2"]],
      workspaceId: ["ADD", null, "w-1"],
    }),
  },
  updateChat: {
    before: chat,
    mutation: ({ ids }) =>
      `updateChat(input: { id: "${ids.chat}", title: "Plan B", archived: true, pinOrder: 3, labels: { team: "a" }, mode: AGENT, planMode: "", mcpServerIds: ["m1"], workspaceId: "w-2" }) { id }`,
    resourceType: "chat",
    action: "UPDATE",
    changes: () => ({
      title: ["REPLACE", "Plans", "Plan B"],
      archived: ["REPLACE", false, true],
      pinOrder: ["REPLACE", 0, 3],
      labels: ["REPLACE", {}, { team: "a" }],
      mode: ["REPLACE", "ASK", "AGENT"],
      planMode: ["REPLACE", null, ""],
      mcpServerIds: ["REPLACE", [], ["m1"]],
      workspaceId: ["REPLACE", null, "w-2"],
    }),
  },
  archiveChats: {
    before: chat,
    mutation: ({ ids }) => `archiveChats(input: { ids: ["${ids.chat}"] }) { id }`,
    resourceType: "chat",
    action: "UPDATE",
    changes: () => ({ archived: ["REPLACE", false, true] }),
  },
  deleteChat: {
    before: chat,
    mutation: ({ ids }) => `deleteChat(input: { id: "${ids.chat}" }) { id }`,
    resourceType: "chat",
    action: "DELETE",
    changes: () => ({
      ownerId: ["REMOVE", "u-1", null],
      title: ["REMOVE", "Plans", null],
      archived: ["REMOVE", false, null],
      pinOrder: ["REMOVE", 0, null],
      labels: ["REMOVE", {}, null],
      mode: ["REMOVE", "ASK", null],
      mcpServerIds: ["REMOVE", [], null],
    }),
  },
  createGroup: {
    mutation: () => `createGroup(input: { name: "Research" }) { id }`,
    resourceType: "group",
    action: "CREATE",
    changes: () => ({ name: ["ADD", null, "Research"] }),
  },
  updateGroup: {
    before: group,
    mutation: ({ ids }) => `updateGroup(input: { id: "${ids.group}", name: "Science" }) { id }`,
    resourceType: "group",
    action: "UPDATE",
    changes: () => ({ name: ["REPLACE", "Research", "Science"] }),
  },
  deleteGroup: {
    before: group,
    mutation: ({ ids }) => `deleteGroup(input: { id: "${ids.group}" }) { id }`,
    resourceType: "group",
    action: "DELETE",
    changes: () => ({ name: ["REMOVE", "Research", null] }),
  },
  upsertGroupBudget: {
    before: budget,
    mutation: ({ ids }) =>
      `upsertGroupBudget(input: { groupId: "${ids.group}", spendLimitMicros: "50000000" }) { groupId }`,
    resourceType: "group_budget",
    action: "UPDATE",
    changes: () => ({ spendLimitMicros: ["REPLACE", "500000000", "50000000"] }),
  },
  deleteGroupBudget: {
    before: budget,
    mutation: ({ ids }) => `deleteGroupBudget(input: { groupId: "${ids.group}" }) { groupId }`,
    resourceType: "group_budget",
    action: "DELETE",
    changes: () => ({ spendLimitMicros: ["REMOVE", "500000000", null] }),
  },
};

// The code's own: one that was just added isn't in schema.graphql yet.
const mutations = mutationDecisions(await createSchema(features)).filter(({ audited }) => audited !== null);

describe("every audited mutation", () => {
  let database: TestDatabase;
  let server: TestServer;
  let token: string;

  beforeAll(async () => {
    database = await createDatabase();
    server = await startServer({ database });
    token = await server.token({ subject: "u-1", tenant: "acme", roles: ["admin"], name: "Sample Admin" });
  });
  afterAll(async () => {
    await server.stop();
    await database.drop();
  });

  it.each(mutations.map(({ name }) => [name]))("%s leaves its exact changes", async (name) => {
    const row = rows[name];
    if (!row) throw new Error(`No row says what ${name} must leave in the log: write one.`);
    const run: Run = {
      ids: {},
      create: async (key, mutation) => {
        const { data, errors } = await server.request<Record<string, { id: string }>>(`mutation { it: ${mutation} }`, {
          token,
        });
        run.ids[key] = data?.it?.id ?? fail(errors);
      },
    };
    await row.before?.(run);
    const answer = await server.request(`mutation { ${row.mutation(run)} }`, { token });
    expect(answer.errors).toBeUndefined();
    const entries = await readLog(server, { requestId: [answer.requestId], operation: [name] });
    expect(entries).toHaveLength(1);
    expect(entries[0]).toMatchObject({ outcome: "SUCCESS", action: row.action, resource: { type: row.resourceType } });
    expect(changesOf(entries[0])).toEqual(row.changes(run));
  });
});

function fail(errors: unknown): never {
  throw new Error(`The preparation failed: ${JSON.stringify(errors)}`);
}
