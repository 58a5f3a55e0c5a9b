import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { readLog } from "../support/log.js";
import { inputMutations, send, useWatchedClient, type InputMutation, type Reply } from "./attempt.js";

const client = useWatchedClient({ env: { LOG_LEVEL: "warn" } });
/** By the names of inputs' fields, things that stand, so that not every call fails at its id. */
let standing: Readonly<Record<"chat" | "device" | "group", readonly string[]>>;

beforeAll(async () => {
  const several = (field: (at: number) => string) => Promise.all([0, 1, 2].map((at) => client.make(field(at))));
  standing = {
    chat: await several((at) => `createChat(input: { title: "chat ${String(at)}" })`),
    device: await several((at) => `createDevice(input: { serialNumber: "${randomUUID()}", name: "d${String(at)}" })`),
    group: await several((at) => `createGroup(input: { name: "group ${String(at)}" })`),
  };
});

const awkward = fc.constantFrom(
  ...["", "\0", "\ud800", "e\u0301", "👩‍👩‍👧‍👦", "\u202e", "a".repeat(501), "00000000-0000-0000-0000-000000000000"],
  ...["2026-11-21T00:00:00Z", "9223372036854775807", "1000000000001", "ACTIVE", "AGENT", "__proto__"],
);
const anyText = fc.oneof(awkward, fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), fc.uuid());
const anyJson = fc.oneof(
  anyText,
  fc.constantFrom(null, true, false, 0, 1, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, [], {}),
  fc.integer(),
  fc.jsonValue({ maxDepth: 4 }),
  fc.dictionary(fc.oneof(awkward, fc.string()), fc.jsonValue(), { maxKeys: 5 }),
  fc.array(anyText, { maxLength: 5 }),
);

/** A value that fits the field, as far as its name tells. */
function fittingValue(mutation: InputMutation, field: string): fc.Arbitrary<unknown> {
  const kind = /device/i.test(mutation.name) ? "device" : /chat/i.test(mutation.name) ? "chat" : "group";
  const at = fc.nat(2);
  if (field === "ids")
    return fc.array(
      at.map((index) => standing[kind][index]),
      { minLength: 1, maxLength: 3 },
    );
  if (field === "id" || field === "groupId") return at.map((index) => standing[kind][index]);
  if (field === "parentChatId") return at.map((index) => standing.chat[index]);
  if (field === "spendLimitMicros") return fc.bigInt(0n, 1_000_000_000_000n).map(String);
  if (field === "status") return fc.constantFrom("ACTIVE", "SUSPENDED", "RETIRED");
  if (field === "mode") return fc.constantFrom("ASK", "AGENT");
  if (field === "archived") return fc.boolean();
  if (field === "pinOrder") return fc.integer();
  if (field === "labels") return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });
  if (field === "mcpServerIds") return fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 4 });
  if (field === "at") return fc.date({ max: new Date(), noInvalidDate: true }).map((date) => date.toISOString());
  return fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });
}

/** A random mutation with anything at all in some of its fields, and now and then a field that it hasn't. */
const anyCall = fc.constantFrom(...inputMutations).chain((mutation) =>
  fc.record({
    mutation: fc.constant(mutation),
    input: fc
      .record(
        Object.fromEntries(
          mutation.fields.map(({ name }) => [
            name,
            fc.oneof({ weight: 5, arbitrary: fittingValue(mutation, name) }, { weight: 1, arbitrary: anyJson }),
          ]),
        ),
        { requiredKeys: mutation.fields.filter(({ nullable }) => !nullable).map(({ name }) => name) },
      )
      .chain((input) =>
        fc.oneof(
          { weight: 30, arbitrary: fc.constant<unknown>(input) },
          {
            weight: 1,
            arbitrary: fc.tuple(fc.string(), anyJson).map(([key, value]): unknown => ({ ...input, [key]: value })),
          },
          { weight: 1, arbitrary: anyJson },
        ),
      ),
  }),
);

describe("any input of any mutation", () => {
  it("is answered by success or a typed error, and each attempt has its entry", async () => {
    const replies: { readonly mutation: InputMutation; readonly reply: Reply }[] = [];
    const judge = async (calls: readonly { readonly mutation: InputMutation; readonly input: unknown }[]) => {
      const sent = await Promise.all(
        calls.map(async ({ mutation, input }) => ({
          mutation,
          reply: await send(client, mutation, JSON.stringify(input)),
        })),
      );
      replies.push(...sent);
      await expectEntries(sent);
    };
    let last: Promise<void> = Promise.resolve();
    await fc.assert(
      fc.asyncProperty(fc.array(anyCall, { minLength: 1, maxLength: 8 }), (calls) => (last = judge(calls))),
      { numRuns: 150, interruptAfterTimeLimit: 10_000, markInterruptAsFailure: false, endOnFailure: false },
    );
    // Interrupted, it leaves the calls under way to themselves.
    await last;
    // Enough came through in both ways that this says something.
    const succeeded = replies.filter(({ reply }) => reply.errors.length === 0).length;
    expect(succeeded).toBeGreaterThan(20);
    expect(replies.length - succeeded).toBeGreaterThan(20);
    await expectNothingElse();
  });
});

async function expectEntries(sent: readonly { readonly mutation: InputMutation; readonly reply: Reply }[]) {
  const entries = await readLog(client.server, { requestId: sent.map(({ reply }) => reply.requestId) });
  for (const { mutation, reply } of sent) {
    const own = entries.filter(({ requestId }) => requestId === reply.requestId);
    const isAttempt = mutation.audited && reply.data !== undefined;
    expect(own.length > 0, reply.text.slice(0, 500)).toBe(isAttempt);
    for (const { outcome, operation } of own)
      expect([operation, outcome]).toEqual([mutation.name, reply.errors.length === 0 ? "SUCCESS" : "FAILURE"]);
  }
}

/** The tenant's one session's numbers run without a gap: no attempt took one and left nothing. */
async function expectNothingElse(): Promise<void> {
  const rows = await client.sql<{ numbers: string; last: string }>(
    `select count(distinct sequence_number) as numbers, max(sequence_number) + 1 as last
     from audit.entry where tenant_id = 'acme' group by session_id`,
  );
  expect(rows).toHaveLength(1);
  expect(rows[0]?.numbers).toBe(rows[0]?.last);
}
