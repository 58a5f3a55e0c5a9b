import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isNullableType, isRequiredArgument } from "graphql";
import { expectTyped, inputMutations, post, schema, send, useWatchedClient, withEntries } from "./attempt.js";
import type { Attempt, InputMutation, Reply } from "./attempt.js";

const client = useWatchedClient();
const nil = "00000000-0000-0000-0000-000000000000";
const uuid = "5f0c2a54-9d1e-4c53-8f6a-2b7c1d3e4f50";

/** As JSON text: what stands in any one field, whatever its type. */
const hostile: readonly string[] = [
  ...[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "2147483648",
    "9007199254740993",
    "18446744073709551616",
    "1e21",
    "1e400",
    "-0",
  ],
  ...["[]", "[[]]", "[null]", "{}", '{"__proto__":{"a":1}}', '{"constructor":{"prototype":1}}', '{"a":1,"a":2}'],
  `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
  `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`,
  ...[
    "",
    " ",
    "\0",
    "a\0b",
    "\u0001\u001b[2J",
    "\u202eabc\u202c",
    "\ufeff",
    "\uffff",
    "\u{10ffff}",
    "e\u0301",
    "\u0301",
  ]
    .concat(["👩‍👩‍👧‍👦", "שלום עולם", "x".repeat(300), "\ufe0f".repeat(300), "%s%n$1${}", "'; drop table app.chat; --"])
    .concat(["NaN", "Infinity", "0x10", "1e3", "+1", " 1", "01", "9223372036854775808", "null", "$platform", "ACTIVE"])
    .concat([nil, uuid, uuid.toUpperCase(), `{${uuid}}`, uuid.replaceAll("-", ""), `urn:uuid:${uuid}`, `${uuid}\n`])
    .concat(["2026-02-30T00:00:00Z", "2026-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"])
    .map((value) => JSON.stringify(value)),
  String.raw`"\ud800"`,
  String.raw`"\udc00x"`,
  String.raw`"a\ud800\ud800"`,
];

/** Gives valid inputs, as JSON text by field; ids are those of rows that stand. */
async function validInput({ name }: InputMutation): Promise<() => Record<string, string>> {
  const group = () => client.make(`createGroup(input: { name: "group" })`);
  const chat = () => client.make(`createChat(input: { title: "chat" })`);
  const device = () => client.make(`createDevice(input: { serialNumber: "${randomUUID()}", name: "device" })`);
  switch (name) {
    case "createDevice":
      return () => ({ serialNumber: JSON.stringify(randomUUID()), name: '"device"' });
    case "createChat":
      return () => ({ title: '"chat"' });
    case "createGroup":
      return () => ({ name: '"group"' });
    case "archiveChats":
      return withId("ids", await chat());
    case "upsertGroupBudget":
    case "deleteGroupBudget": {
      const groupId = await group();
      return () => ({
        groupId: JSON.stringify(groupId),
        ...(name.startsWith("upsert") && { spendLimitMicros: '"1"' }),
      });
    }
    default:
      return withId("id", await (/device/i.test(name) ? device : /chat/i.test(name) ? chat : group)());
  }
}

const withId = (field: string, id: string) => () => ({ [field]: JSON.stringify(id) });

const textOf = (input: Readonly<Record<string, string>>): string =>
  `{${Object.entries(input)
    .map(([field, value]) => `${JSON.stringify(field)}:${value}`)
    .join(",")}}`;

const everyRow = `
  select md5(concat(
    (select string_agg(it::text, ',' order by id) from app.device it),
    (select string_agg(it::text, ',' order by id) from app.chat it),
    (select string_agg(it::text, ',' order by id) from app."group" it),
    (select string_agg(it::text, ',' order by group_id) from app.group_budget it))) as digest`;

let watcher: pg.Client;
beforeAll(async () => {
  watcher = new pg.Client({ connectionString: client.database.adminUrl });
  await watcher.connect();
});
afterAll(() => watcher.end());
const standing = async () => (await watcher.query<{ digest: string }>(everyRow)).rows[0]?.digest;

/** What was sent is what is answered and what is logged, to the letter. A list's one value needs no brackets. */
function expectExact({ reply, entries }: Attempt, field: string, json: string): void {
  const sent: unknown = JSON.parse(json);
  const answered = (reply.data?.["it"] as Record<string, unknown> | null)?.[field];
  const logged = entries[0]?.changes.find((change) => change.field === field);
  if (typeof sent !== "string" || !logged || logged.secret) return;
  const exact = Array.isArray(logged.new) ? [sent] : sent;
  expect(logged.new, json).toEqual(exact);
  expect(answered, json).toEqual(exact);
}

describe("whatever stands in one field of", () => {
  it.each(inputMutations.map((mutation) => [mutation.name, mutation] as const))(
    "%s is answered typed, done whole or not at all, and has its entry",
    async (_, mutation) => {
      const valid = await validInput(mutation);
      for (const { name: field } of mutation.fields) {
        const replies: Reply[] = [];
        for (const json of hostile) {
          const before = await standing();
          const reply = await send(client, mutation, textOf({ ...valid(), [field]: json }));
          if (reply.errors.length > 0) expect(await standing(), json).toBe(before);
          replies.push(reply);
        }
        const attempts = await withEntries(client, mutation, replies);
        attempts.forEach((attempt, index) => {
          if (attempt.reply.errors.length === 0) expectExact(attempt, field, hostile[index] ?? "");
        });
      }
    },
  );
});

describe("whatever stands in an argument of", () => {
  const queries = Object.values(schema.getQueryType()?.getFields() ?? {});

  it.each(queries.map((field) => [field.name, field] as const))(
    "the query %s is answered typed, and leaves no entry",
    async (_, { name, args, type }) => {
      const token = await client.server.token({ subject: "x", tenant: "acme", roles: ["admin", "auditor"] });
      const count = "select count(*) from audit.entry";
      const before = await client.sql(count);
      for (const asked of args) {
        // What has to be given is an id.
        const others = args.filter((other) => other !== asked && isRequiredArgument(other));
        const given = [`${asked.name}: $it`, ...others.map((other) => `${other.name}: "${uuid}"`)].join(", ");
        const query = `query ($it: ${asked.type.toString()}) { ${name}(${given}) { __typename } }`;
        for (const json of hostile) {
          const body = `{"query":${JSON.stringify(query)},"variables":{"it":${json}}}`;
          const reply = await post(client.server, body, { authorization: `Bearer ${token}` });
          expectTyped(reply);
          if (isNullableType(type)) continue;
          expect(reply.data?.[name] !== undefined, json).toBe(reply.errors.length === 0);
        }
      }
      expect(await client.sql(count)).toEqual(before);
    },
  );
});
