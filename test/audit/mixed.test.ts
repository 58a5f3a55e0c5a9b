import { describe, expect, it } from "vitest";
import { useClient } from "../support/client.js";
import { readLog, type ReadEntry } from "../support/log.js";
import type { Answer } from "../support/server.js";

/**
 * Rounds of a hundred mutations at once that touch each other's rows; `MIXED_ROUNDS=100` runs a hundred rounds, which
 * takes some minutes.
 */
const rounds = Number(process.env["MIXED_ROUNDS"] ?? 3);
const calls = 100;
/** What an operation may meet that others race: the rest would be a fault of ours. */
const expected = ["NOT_FOUND", "CONFLICT", "TIMEOUT"];

const client = useClient();

type Call = (at: Stage, pick: () => number) => string;
/** What the calls of one round have to do with. */
interface Stage {
  readonly devices: readonly string[];
  readonly groups: readonly string[];
  /** A tree: the parent of each but the first is at half its place. */
  readonly chats: readonly string[];
}

const one = (ids: readonly string[], pick: () => number): string => ids[Math.floor(pick() * ids.length)] ?? "";
const some = (ids: readonly string[], pick: () => number): string =>
  JSON.stringify([...new Set([one(ids, pick), one(ids, pick), one(ids, pick), one(ids, pick)])]);

const kinds: readonly Call[] = [
  ({ devices }, pick) => `updateDevice(input: { id: "${one(devices, pick)}", name: "n ${String(pick())}" }) { id }`,
  ({ devices }, pick) => `updateDevice(input: { id: "${one(devices, pick)}", status: SUSPENDED }) { id }`,
  ({ devices }, pick) => `deleteDevice(input: { id: "${devices.at(-1 - Math.floor(pick() * 2)) ?? ""}" }) { id }`,
  ({ groups }, pick) =>
    `upsertGroupBudget(input: { groupId: "${one(groups, pick)}", spendLimitMicros: ${String(Math.floor(pick() * 1e9))} }) { groupId }`,
  ({ groups }, pick) => `deleteGroupBudget(input: { groupId: "${one(groups, pick)}" }) { groupId }`,
  ({ groups }, pick) => `updateGroup(input: { id: "${one(groups, pick)}", name: "g ${String(pick())}" }) { id }`,
  ({ groups }, pick) => `deleteGroup(input: { id: "${groups.at(-1 - Math.floor(pick() * 2)) ?? ""}" }) { id }`,
  ({ chats }, pick) => `archiveChats(input: { ids: ${some(chats, pick)} }) { id }`,
  ({ chats }, pick) => `updateChat(input: { id: "${one(chats, pick)}", archived: ${String(pick() < 0.5)} }) { id }`,
  ({ chats }, pick) => `updateChat(input: { id: "${one(chats, pick)}", title: "t ${String(pick())}" }) { id }`,
  ({ chats }, pick) => `createChat(input: { title: "new", parentChatId: "${one(chats, pick)}" }) { id }`,
  ({ chats }, pick) => `deleteChat(input: { id: "${chats.at(-1 - Math.floor(pick() * 6)) ?? ""}" }) { id }`,
];

async function setStage(round: number): Promise<Stage> {
  const make = (count: number, field: (index: number) => string) =>
    Promise.all(Array.from({ length: count }, (_, index) => client.make(field(index))));
  const devices = await make(
    4,
    (index) => `createDevice(input: { serialNumber: "${String(round)}-${String(index)}", name: "d" })`,
  );
  const groups = await make(5, (index) => `createGroup(input: { name: "${String(index)}" })`);
  const chats: string[] = [];
  for (let index = 0; index < 15; index++) {
    const parent = index === 0 ? "" : `, parentChatId: "${chats[Math.floor((index - 1) / 2)] ?? ""}"`;
    chats.push(await client.make(`createChat(input: { title: "${String(index)}"${parent} })`));
  }
  return { devices, groups, chats };
}

type State = Record<string, unknown>;
const keyOf = ({ resource }: ReadEntry): string => `${resource?.type ?? ""} ${resource?.id ?? ""}`;

/** Follows each resource through its entries, every old value being what the one before left; gives what is left. */
function follow(entries: readonly ReadEntry[]): Map<string, State> {
  const states = new Map<string, State>();
  for (const entry of entries.filter(({ outcome }) => outcome === "SUCCESS")) {
    const key = keyOf(entry);
    const before = states.get(key);
    expect([key, entry.action === "CREATE"]).toEqual([key, before === undefined]);
    const olds = Object.fromEntries(entry.changes.map(({ field, old }) => [field, old ?? null]));
    expect([key, olds]).toEqual([
      key,
      Object.fromEntries(entry.changes.map(({ field }) => [field, before?.[field] ?? null])),
    ]);
    const news = Object.fromEntries(entry.changes.map((change) => [change.field, change.new]));
    if (entry.action === "DELETE") states.delete(key);
    else states.set(key, { ...before, ...news });
  }
  return states;
}

/** The rows as they are, in the log's words: null fields are left out, as a creation's entry leaves them out. */
async function rows(): Promise<Map<string, State>> {
  const found = await client.sql<{ key: string; state: State }>(`
    select 'device ' || id as key, jsonb_build_object('serialNumber', serial_number, 'name', name, 'status', status) as state
    from app.device
    union all select 'group ' || id, jsonb_build_object('name', name) from app."group"
    union all select 'group_budget ' || group_id, jsonb_build_object('spendLimitMicros', spend_limit_micros::text)
    from app.group_budget
    union all select 'chat ' || id, jsonb_strip_nulls(jsonb_build_object('ownerId', owner_id, 'parentChatId', parent_chat_id,
      'title', title, 'archived', archived, 'pinOrder', pin_order, 'labels', labels, 'mode', mode,
      'mcpServerIds', mcp_server_ids))
    from app.chat`);
  return new Map(found.map(({ key, state }) => [key, state]));
}

const byKey = (states: ReadonlyMap<string, State>) => Object.fromEntries([...states].sort());

describe("a hundred mutations at once that touch each other's rows", () => {
  it(
    "fail at most as an operation may, and leave entries that lead from each row's first state to its last",
    async () => {
      const answers: Answer<Record<string, unknown>>[] = [];
      for (let round = 0; round < rounds; round++) {
        const stage = await setStage(round);
        const fields = Array.from(
          { length: calls },
          (_, call) => kinds[call % kinds.length]?.(stage, Math.random) ?? "",
        );
        answers.push(...(await Promise.all(fields.map((field) => client.mutate(field)))));
      }
      const codes = answers.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions.code) ?? []);
      expect(codes.filter((code) => !expected.includes(code))).toEqual([]);
      expect(codes.length).toBeLessThan(answers.length);
      // But for the looks at the log itself.
      const entries = await readLog(client.server, { resourceType: ["device", "group", "group_budget", "chat"] });
      const states = follow(entries);
      expect(byKey(states)).toEqual(byKey(await rows()));
      // Each answer is what its entries say, however often its operation had to be done again.
      const byRequest = new Map<string | null, ReadEntry[]>();
      for (const entry of entries) byRequest.set(entry.requestId, [...(byRequest.get(entry.requestId) ?? []), entry]);
      for (const { requestId, errors, extensions } of answers) {
        const own = byRequest.get(requestId) ?? [];
        expect(own.map(({ id }) => id).sort()).toEqual([...(extensions?.audit?.[0]?.entryIds ?? ["none"])].sort());
        expect(new Set(own.map(({ outcome }) => outcome))).toEqual(new Set([errors ? "FAILURE" : "SUCCESS"]));
        const named = own.filter(({ error }) => error?.code !== "ROLLED_BACK");
        if (errors) expect(named.map(({ error }) => error?.code)).toContain(errors[0]?.extensions.code);
      }
      const numbers = [...new Set(entries.map(({ sequenceNumber }) => Number(sequenceNumber)))].sort((a, b) => a - b);
      expect(numbers).toEqual(numbers.map((_, index) => index));
    },
    30_000 + rounds * 10_000,
  );
});
