import { describe, expect, it } from "vitest";
import { attempt, canonical, mutationNamed, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
const group = () => client.make(`createGroup(input: { name: "group" })`);
const chat = () => client.make(`createChat(input: { title: "chat" })`);
const call = (mutation: string, input: Readonly<Record<string, unknown>>) =>
  attempt(client, mutationNamed(mutation), JSON.stringify(input));

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
