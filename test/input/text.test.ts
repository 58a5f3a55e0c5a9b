import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readLog } from "../support/log.js";
import { attempt, mutationNamed, post, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
const chat = () => client.make(`createChat(input: { title: "chat" })`);
const call = (mutation: string, input: Readonly<Record<string, unknown>>) =>
  attempt(client, mutationNamed(mutation), JSON.stringify(input));

describe("text", () => {
  const texts: readonly [what: string, text: string][] = [
    ["right to left", "שלום עולם مرحبا"],
    ["with marks of direction", "\u202Egnp.exe\u202C \u2066x\u2069\u200F"],
    ["with combining marks", "e\u0301 n\u0303 o\u0308\u0323 Z\u0351\u036B\u0343"],
    ["composed, which is another than decomposed", "\u00E9 \u00F1"],
    ["of emoji, joined, toned and flagged", "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇨🇭 ☺︎ 1️⃣"],
    ["beyond the first plane", "𝔄𝕌𝔇𝕀𝕋 𠜎𠜱 \u{10FFFF}\u{F0000}"],
    ["with noncharacters and private ones", "\uFFFE\uFFFF\uFDD0\uE000"],
    ["with what no one sees", "\uFEFFa\u200B\u00AD\u2028\u2029\u0085 b\u00A0"],
    ["with controls", "\u0001\u0007\b\t\n\v\f\r\u001B[31m\u007F"],
    ["with quotes and backslashes", `'"\`\\ \\u0000 \\x00 $1 \${x} {{x}} %s`],
    ["that looks like something else", "null"],
    ["that looks like SQL", "'); delete from audit.entry; --"],
    ["of Hangul and its jamo", "한글 \u1112\u1161\u11AB"],
    ["of replacement characters", "\uFFFD\uFFFD"],
    ["that is white space", " \u3000\t "],
  ];

  it.each(texts)("%s comes back as it was sent: answer, row, entry, label and filter", async (_, name) => {
    const { reply, entries } = await call("createDevice", { serialNumber: `${randomUUID()}${name}`, name });
    const { id } = reply.data?.["it"] as { id: string };
    expect(reply.data?.["it"]).toMatchObject({ name });
    expect(entries[0]?.changes.find(({ field }) => field === "name")?.new).toBe(name);
    expect(entries[0]?.resource).toMatchObject({ id, label: name });
    expect(await client.sql("select name from app.device where id = $1", [id])).toEqual([{ name }]);
    const found = await readLog(client.server, { resourceId: [id], resourceLabel: [name] });
    expect(found.map((entry) => entry.id)).toEqual([entries[0]?.id]);
    const labels = { [name]: [name, { [name]: name }] };
    const made = await call("createChat", { title: name, labels, mcpServerIds: [name], workspaceId: name });
    expect(made.reply.data?.["it"]).toMatchObject({ title: name, labels, mcpServerIds: [name], workspaceId: name });
    const logged = Object.fromEntries(made.entries[0]?.changes.map((change) => [change.field, change.new]) ?? []);
    expect(logged).toMatchObject({ title: name, labels, mcpServerIds: [name], workspaceId: name });
  });

  it("that folding makes longer, or a label cuts, is whole all the same", async () => {
    for (const name of ["\u0390".repeat(200), "\u1FB7".repeat(200), "👁️".repeat(200), "𐐀".repeat(200)]) {
      const { reply, entries } = await call("createGroup", { name });
      expect(reply.data?.["it"]).toMatchObject({ name });
      expect(entries).toMatchObject([{ outcome: "SUCCESS", changes: [{ new: name }] }]);
      expect(entries[0]?.resource?.label).toBe(Array.from(name).slice(0, 300).join(""));
      const filter = { requestId: [reply.requestId], resourceLabel: [Array.from(name).slice(0, 128).join("")] };
      expect(await readLog(client.server, filter)).toEqual([]);
    }
  });

  it("composed and decomposed are two: changing one into the other is a change", async () => {
    const id = await client.make(`createGroup(input: { name: "caf\u00E9" })`);
    const { entries } = await call("updateGroup", { id, name: "cafe\u0301" });
    expect(entries[0]?.changes).toMatchObject([{ field: "name", old: "caf\u00E9", new: "cafe\u0301" }]);
  });

  it.each([
    ["NUL", "a\0b"],
    ["a lone surrogate", "a\uD83Cb"],
    ["surrogates the wrong way round", "a\uDC00\uD800b"],
  ])("with %s is refused wherever it stands, and its attempt shows U+FFFD", async (_, broken) => {
    const shown = broken.toWellFormed().replaceAll("\0", "\uFFFD");
    const id = await chat();
    const input = { title: broken, labels: { [broken]: [broken] }, mcpServerIds: ["m", broken] };
    const { reply, entries } = await call("updateChat", { id, ...input });
    expect(reply.errors[0]?.extensions.fields?.map(({ field }) => field).sort()).toEqual([
      `input.labels.${shown}`,
      `input.labels.${shown}.0`,
      "input.mcpServerIds.1",
      "input.title",
    ]);
    expect(reply.text).not.toContain("\0");
    expect(entries[0]?.attempted.map(({ field, value }) => [field, value])).toEqual([
      ["title", shown],
      ["labels", { [shown]: [shown] }],
      ["mcpServerIds", ["m", shown]],
    ]);
    const asId = await call("deleteGroup", { id: broken });
    expect(asId.entries).toMatchObject([{ outcome: "FAILURE", resource: { id: shown } }]);
  });

  it("that can't be stored, in keys without number or end, is refused in few words", async () => {
    const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`k${String(at)}\0`, 1]));
    for (const labels of [many, { [`${"x".repeat(1_000_000)}\0`]: 1 }]) {
      const { reply, entries } = await call("createChat", { title: "x", labels });
      expect(reply.errors[0]?.extensions.code).toBe("BAD_USER_INPUT");
      expect(reply.text.length).toBeLessThan(5_000);
      expect(entries).toMatchObject([{ outcome: "FAILURE", attempted: [{ field: "title" }, { field: "labels" }] }]);
    }
  });

  it("with a lone surrogate written into the document is no GraphQL", async () => {
    const query = String.raw`mutation { createGroup(input: { name: "\ud800" }) { id } }`;
    const reply = await post(client.server, JSON.stringify({ query }), { authorization: `Bearer ${client.token}` });
    expect(reply.errors[0]?.extensions.code).toBe("GRAPHQL_PARSE_FAILED");
  });
});
