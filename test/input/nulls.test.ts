import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { attempt, inputMutations, mutationNamed, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
/** What is reported isn't a resource's state: reports.test.ts says what becomes of it. */
const mutations = inputMutations.filter(({ name }) => name !== "reportAuditEntries");
const group = () => client.make(`createGroup(input: { name: "group" })`);
const chat = (more = "") => client.make(`createChat(input: { title: "chat" ${more} })`);
const device = () =>
  client.make(
    `createDevice(input: { serialNumber: "${randomUUID()}", name: "device", firmwareVersion: "1", provisioningSecret: "s" })`,
  );
const call = (mutation: string, input: Readonly<Record<string, unknown>>) =>
  attempt(client, mutationNamed(mutation), JSON.stringify(input));

describe("an explicit null", () => {
  const isError = "must not be null";
  /** What null means, for every field of an input that may be absent: an error, or the value that then stands. */
  const meanings: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    createDevice: { firmwareVersion: null, provisioningSecret: undefined },
    updateDevice: { name: isError, status: isError, firmwareVersion: null, provisioningSecret: undefined },
    deviceHeartbeat: { at: undefined },
    createChat: {
      parentChatId: undefined,
      labels: isError,
      mode: isError,
      planMode: null,
      mcpServerIds: isError,
      workspaceId: null,
    },
    updateChat: {
      title: isError,
      archived: isError,
      pinOrder: isError,
      labels: isError,
      mode: isError,
      planMode: null,
      mcpServerIds: isError,
      workspaceId: null,
    },
    updateGroup: { name: isError },
  };
  const needed: Readonly<Record<string, () => Promise<Record<string, unknown>>>> = {
    createDevice: () => Promise.resolve({ serialNumber: randomUUID(), name: "device" }),
    updateDevice: async () => ({ id: await device() }),
    deviceHeartbeat: async () => ({ id: await device() }),
    createChat: () => Promise.resolve({ title: "chat" }),
    updateChat: async () => ({ id: await chat('planMode: "plan", workspaceId: "w"') }),
    updateGroup: async () => ({ id: await group() }),
  };
  const nullable = mutations.flatMap(({ name, fields }) =>
    fields.filter((field) => field.nullable).map((field): [string, string] => [name, field.name]),
  );

  it.each(nullable)("in %s for %s clears or is an error, as the contract says", async (mutation, field) => {
    const row = meanings[mutation] ?? {};
    if (!(field in row)) throw new Error(`No row says what null means for ${field} of ${mutation}: write one.`);
    const { reply, entries } = await call(mutation, { ...(await needed[mutation]?.()), [field]: null });
    if (row[field] === isError) {
      expect(reply.errors.map(({ extensions }) => extensions.code)).toEqual(["BAD_USER_INPUT"]);
      expect(new Set(reply.errors[0]?.extensions.fields?.map((problem) => problem.field))).toEqual(
        new Set([`input.${field}`]),
      );
      expect(entries.map(({ outcome, attempted }) => [outcome, attempted.find((it) => it.field === field)])).toEqual([
        ["FAILURE", { field, value: null, secret: false, omitted: null }],
      ]);
      return;
    }
    expect(reply.errors).toEqual([]);
    if (row[field] === null) expect(reply.data?.["it"]).toMatchObject({ [field]: null });
    const changed = entries[0]?.changes.find((change) => change.field === field);
    if (mutation.startsWith("create")) expect(changed).toBeUndefined();
    else if (mutation !== "deviceHeartbeat") expect(changed).toMatchObject({ op: "REPLACE", new: null });
  });

  it("for a field that is required, or for the whole input, never reaches the mutation", async () => {
    for (const mutation of mutations) {
      for (const { name } of mutation.fields.filter(({ nullable: may }) => !may)) {
        const others = mutation.fields.filter((field) => !field.nullable).map((field) => [field.name, randomUUID()]);
        const input = { ...Object.fromEntries(others), [name]: null };
        const { reply } = await attempt(client, mutation, JSON.stringify(input));
        expect([reply.data, reply.errors[0]?.extensions.code]).toEqual([undefined, "BAD_USER_INPUT"]);
        expect(reply.errors[0]?.extensions.fields?.map(({ field }) => field)).toContain(`input.${name}`);
      }
      const { reply } = await attempt(client, mutation, "null");
      expect([reply.data, reply.errors[0]?.extensions.fields?.[0]?.field]).toEqual([undefined, "input"]);
    }
  });

  it("in a list of ids never reaches the mutation", async () => {
    const { reply } = await attempt(client, mutationNamed("archiveChats"), `{"ids":["${await chat()}",null]}`);
    expect([reply.data, reply.errors[0]?.extensions.code]).toEqual([undefined, "BAD_USER_INPUT"]);
  });
});
