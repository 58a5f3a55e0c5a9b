import { createHash, randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readLog, type ReadEntry } from "../support/log.js";
import { attempt, inputMutations, mutationNamed, post, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
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
  const nullable = inputMutations.flatMap(({ name, fields }) =>
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
    for (const mutation of inputMutations) {
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
    expect(reply.errors[0]?.extensions.fields?.map(({ field }) => field)).toEqual([
      "input.title",
      `input.labels.${shown}`,
      `input.labels.${shown}.0`,
      "input.mcpServerIds.1",
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

/** A JSON text with every object's keys in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}

/** What must stand for a value: its length, and SHA-256 over its slot of the salts and it. */
async function omitted(entry: ReadEntry | undefined, slot: number, text: string) {
  const [row] = await client.sql<{ salts: Buffer }>("select salts from audit.entry where id = $1", [entry?.id]);
  const salt = row?.salts.subarray(slot * 16, slot * 16 + 16) ?? Buffer.alloc(0);
  expect(salt).toHaveLength(16);
  return { bytes: Buffer.byteLength(text), digest: createHash("sha256").update(salt).update(text).digest("hex") };
}

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

describe("a number", () => {
  const budget = async (json: string) =>
    attempt(client, mutationNamed("upsertGroupBudget"), `{"groupId":"${await group()}","spendLimitMicros":${json}}`);

  it.each([
    ["0", "0"],
    ["1000000000000", "1000000000000"],
    ['"1000000000000"', "1000000000000"],
    ["1e3", "1000"],
    ["5.0", "5"],
  ])("%s is a budget of %s micros", async (json, value) => {
    const { reply, entries } = await budget(json);
    expect(reply.data?.["it"]).toMatchObject({ spendLimitMicros: value });
    expect(entries[0]?.changes).toMatchObject([{ field: "spendLimitMicros", old: null, new: value }]);
  });

  it.each(["1000000000001", '"1000000000001"', "-1", '"-1"', '"9223372036854775807"', '"-9223372036854775808"'])(
    "%s is a BigInt and no budget: an entry has what was asked",
    async (json) => {
      const { reply, entries } = await budget(json);
      expect(reply.errors[0]?.extensions).toMatchObject({ fields: [{ field: "input.spendLimitMicros" }] });
      expect(entries).toMatchObject([{ outcome: "FAILURE", action: "CREATE", error: { code: "BAD_USER_INPUT" } }]);
      expect(entries[0]?.attempted).toMatchObject([{ field: "spendLimitMicros", value: json.replaceAll('"', "") }]);
    },
  );

  it.each([
    '"9223372036854775808"',
    "9007199254740992",
    "1.5",
    '"1.0"',
    '"1e3"',
    '"0x1"',
    '""',
    "true",
    "[]",
    `"${"9".repeat(1_000_000)}"`,
  ])("%.30s is no BigInt, and never reaches the mutation", async (json) => {
    const { reply } = await budget(json);
    expect(reply.data).toBeUndefined();
    expect(reply.errors[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      fields: [{ field: "input.spendLimitMicros" }],
    });
  });

  it("of 32 bits is taken at its ends, and not beyond", async () => {
    const id = await chat();
    for (const pinOrder of [2_147_483_647, -2_147_483_648]) {
      const { reply, entries } = await call("updateChat", { id, pinOrder });
      expect(reply.data?.["it"]).toMatchObject({ pinOrder });
      expect(entries[0]?.changes).toMatchObject([{ field: "pinOrder", new: pinOrder }]);
    }
    for (const pinOrder of [2_147_483_648, -2_147_483_649, 1.5, "1", true, []]) {
      const { reply } = await call("updateChat", { id, pinOrder });
      expect([reply.data, reply.errors[0]?.extensions.fields?.[0]?.field]).toEqual([undefined, "input.pinOrder"]);
    }
  });
});

describe("labels", () => {
  const setLabels = async (json: string, id?: string) =>
    attempt(client, mutationNamed("updateChat"), `{"id":"${id ?? (await chat())}","labels":${json}}`);
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;

  it("keep keys that mean something to JavaScript, as variables and as a literal", async () => {
    const text =
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":1}},"toString":"x","hasOwnProperty":null}';
    const { reply, entries } = await setLabels(text);
    const answered = (reply.data?.["it"] as { labels: unknown }).labels;
    expect(canonical(answered)).toBe(canonical(JSON.parse(text)));
    expect(canonical(entries[0]?.changes[0]?.new)).toBe(canonical(JSON.parse(text)));
    const literal = await client.mutate(
      `createChat(input: { title: "x", labels: { __proto__: { polluted: true }, constructor: "c" } }) { labels }`,
    );
    expect(JSON.stringify(literal.data)).toContain('"__proto__":{"polluted":true}');
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("take the last of a key that is doubled in JSON, and refuse it in a literal", async () => {
    const { reply, entries } = await setLabels('{"a":1,"b":2,"a":3}');
    expect(reply.data?.["it"]).toMatchObject({ labels: { a: 3, b: 2 } });
    expect(entries[0]?.changes[0]?.new).toEqual({ a: 3, b: 2 });
    const literal = await client.mutate(`createChat(input: { title: "x", labels: { a: 1, a: 3 } }) { labels }`);
    expect(literal.errors?.[0]?.extensions.code).toBe("GRAPHQL_VALIDATION_FAILED");
  });

  it("are 32 levels deep, and no deeper", async () => {
    const { reply, entries } = await setLabels(nested(32));
    expect(reply.data?.["it"]).toMatchObject({ labels: JSON.parse(nested(32)) as unknown });
    expect(entries[0]?.changes[0]?.new).toEqual(JSON.parse(nested(32)));
    for (const levels of [33, 1_000, 100_000]) {
      const deep = await setLabels(nested(levels));
      expect(deep.reply.data).toBeUndefined();
      expect(deep.reply.errors[0]?.extensions).toMatchObject({
        code: "BAD_USER_INPUT",
        fields: [{ field: "input.labels" }],
      });
    }
  });

  it.each(["9007199254740993", "1e400", "-1e400", "1e308", "123456789012345678901234567890", "[1e999]"])(
    "refuse %s, which no number of JavaScript is",
    async (number) => {
      const { reply } = await setLabels(`{"n":${number}}`);
      expect(reply.data).toBeUndefined();
      expect(reply.errors[0]?.extensions).toMatchObject({
        code: "BAD_USER_INPUT",
        fields: [{ field: "input.labels" }],
      });
    },
  );

  it("keep numbers as they are, also through a change that names other fields", async () => {
    const numbers = { int: 9_007_199_254_740_991, small: 5e-324, fraction: 0.1, big: 1.7976931348623157e-300, zero: 0 };
    const { reply, entries } = await setLabels(JSON.stringify(numbers));
    expect(reply.data?.["it"]).toMatchObject({ labels: numbers });
    expect(entries[0]?.changes[0]?.new).toEqual(numbers);
    const { id } = reply.data?.["it"] as { id: string };
    expect((await setLabels(JSON.stringify(numbers), id)).entries[0]?.changes).toEqual([]);
  });

  it.each(['"text"', "1", "true", "[]", '[{"a":1}]'])("are an object, and not %s", async (json) => {
    const { reply } = await setLabels(json);
    expect(reply.errors[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", fields: [{ field: "input.labels" }] });
  });
});
