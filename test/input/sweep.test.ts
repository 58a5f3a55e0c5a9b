import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inputMutations, send, useWatchedClient, withEntries } from "./attempt.js";
import type { Attempt, InputMutation, Reply } from "./attempt.js";
import { connect } from "../support/postgres.js";
import { hostile } from "./hostile.js";

const client = useWatchedClient();
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
  watcher = await connect(client.database.adminUrl);
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
        let before = await standing();
        for (const json of hostile) {
          const reply = await send(client, mutation, textOf({ ...valid(), [field]: json }));
          const after = await standing();
          if (reply.errors.length > 0) expect(after, json).toBe(before);
          before = after;
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
