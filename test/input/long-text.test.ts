import { createHash, randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ReadEntry } from "../support/log.js";
import { attempt, canonical, mutationNamed, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
const group = () => client.make(`createGroup(input: { name: "group" })`);
const chat = () => client.make(`createChat(input: { title: "chat" })`);
const device = () =>
  client.make(
    `createDevice(input: { serialNumber: "${randomUUID()}", name: "device", firmwareVersion: "1", provisioningSecret: "s" })`,
  );
const call = (mutation: string, input: Readonly<Record<string, unknown>>) =>
  attempt(client, mutationNamed(mutation), JSON.stringify(input));

/** What must stand for a value: its length, and SHA-256 over its slot of the salts and it. */
async function omitted(entry: ReadEntry | undefined, slot: number, text: string) {
  const [row] = await client.sql<{ salts: Buffer }>("select salts from audit.entry where id = $1", [entry?.id]);
  const salt = row?.salts.subarray(slot * 16, slot * 16 + 16) ?? Buffer.alloc(0);
  expect(salt).toHaveLength(16);
  return { bytes: Buffer.byteLength(text), digest: createHash("sha256").update(salt).update(text).digest("hex") };
}

/** Characters that show as nothing and that some count as nothing, in an order that no compression shortens much. */
function invisible(length: number): string {
  const bits = createHash("shake256", { outputLength: Math.ceil(length / 8) })
    .update("invisible")
    .digest();
  return Array.from({ length }, (_, at) => (((bits[at >> 3] ?? 0) >> (at & 7)) & 1 ? "\uFE0F" : "\uFE0E")).join("");
}

describe("text too long", () => {
  const mebibyte = 1024 * 1024;
  const long = "é".repeat(mebibyte / 2);
  const cases: readonly [mutation: string, input: () => Promise<Record<string, unknown>>, field: string][] = [
    ["createDevice", () => Promise.resolve({ serialNumber: long, name: "d" }), "serialNumber"],
    ["createDevice", () => Promise.resolve({ serialNumber: randomUUID(), name: long }), "name"],
    ["updateDevice", async () => ({ id: await device(), name: long }), "name"],
    ["updateDevice", async () => ({ id: await device(), firmwareVersion: long }), "firmwareVersion"],
    ["createChat", () => Promise.resolve({ title: long }), "title"],
    ["updateChat", async () => ({ id: await chat(), title: long }), "title"],
    ["updateChat", async () => ({ id: await chat(), planMode: long }), "planMode"],
    ["updateChat", async () => ({ id: await chat(), workspaceId: long }), "workspaceId"],
    ["updateChat", async () => ({ id: await chat(), mcpServerIds: [long] }), "mcpServerIds"],
    ["updateChat", async () => ({ id: await chat(), labels: { b: 1, a: long } }), "labels"],
    ["createGroup", () => Promise.resolve({ name: long }), "name"],
    ["updateGroup", async () => ({ id: await group(), name: long }), "name"],
  ];

  it.each(cases)(
    "of a megabyte in %s is refused, and its entry has its length and digest",
    async (mutation, input, field) => {
      const sent = await input();
      const { reply, entries } = await call(mutation, sent);
      expect(reply.errors.map(({ extensions }) => extensions.code)).toEqual(["BAD_USER_INPUT"]);
      expect(reply.errors[0]?.extensions.fields?.map((problem) => problem.field)).toEqual([`input.${field}`]);
      expect(reply.text.length).toBeLessThan(1_000);
      const [entry] = entries;
      const at = entry?.attempted.findIndex((attempted) => attempted.field === field) ?? -1;
      expect(entry?.attempted[at]).toMatchObject({ value: null, secret: false });
      expect(entry?.attempted[at]?.["omitted"]).toEqual(await omitted(entry, 10 + at, canonical(sent[field])));
    },
  );

  it("of a megabyte for a secret leaves its name alone", async () => {
    const { reply, entries } = await call("updateDevice", { id: await device(), provisioningSecret: long });
    expect(reply.errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect(entries[0]?.attempted).toEqual([{ field: "provisioningSecret", value: null, secret: true, omitted: null }]);
  });

  it("of a megabyte for an id is kept as far as the log's ids go", async () => {
    const { reply, entries } = await call("deleteDevice", { id: long });
    expect(reply.errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect(entries).toMatchObject([{ outcome: "FAILURE", resource: { id: "é".repeat(128), label: null } }]);
  });

  it("that was taken is in the entry of the change by its length and digest, old and new", async () => {
    const servers = (mark: string) =>
      Array.from({ length: 100 }, (_, at) => `${mark}${String(at).padStart(3, "0")}${"🌾".repeat(190)}`);
    const id = await chat();
    await call("updateChat", { id, mcpServerIds: servers("a") });
    const { reply, entries } = await call("updateChat", { id, mcpServerIds: servers("b") });
    expect(reply.data?.["it"]).toMatchObject({ mcpServerIds: servers("b") });
    expect(entries[0]?.changes).toEqual([
      {
        field: "mcpServerIds",
        op: "REPLACE",
        old: null,
        new: null,
        secret: false,
        oldOmitted: await omitted(entries[0], 10, JSON.stringify(servers("a"))),
        newOmitted: await omitted(entries[0], 11, JSON.stringify(servers("b"))),
      },
    ]);
  });

  it.each<[string, (value: string) => Promise<Record<string, unknown>>, string]>([
    ["createDevice", (value) => Promise.resolve({ serialNumber: value, name: "d" }), "serialNumber"],
    ["createDevice", (value) => Promise.resolve({ serialNumber: randomUUID(), name: value }), "name"],
    ["updateDevice", async (value) => ({ id: await device(), firmwareVersion: value }), "firmwareVersion"],
    ["updateDevice", async (value) => ({ id: await device(), provisioningSecret: value }), "provisioningSecret"],
    ["createGroup", (name) => Promise.resolve({ name }), "name"],
    ["updateChat", async (title) => ({ id: await chat(), title }), "title"],
    ["updateChat", async (planMode) => ({ id: await chat(), planMode }), "planMode"],
    ["updateChat", async (workspaceId) => ({ id: await chat(), workspaceId }), "workspaceId"],
    ["updateChat", async (value) => ({ id: await chat(), mcpServerIds: [value] }), "mcpServerIds"],
  ])("is that of characters which no one sees too, in %s", async (mutation, input, field) => {
    const { reply, entries } = await call(mutation, await input(`a${invisible(30_000)}`));
    expect(reply.errors.map(({ extensions }) => extensions.code)).toEqual(["BAD_USER_INPUT"]);
    expect(reply.errors[0]?.extensions.fields?.map((problem) => problem.field)).toEqual([`input.${field}`]);
    expect(entries).toMatchObject([{ outcome: "FAILURE" }]);
  });
});
