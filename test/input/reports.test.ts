import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { readLog } from "../support/log.js";
import { newSessionId, report, reported, reportMutation, sendReport, source } from "../support/report.js";
import { expectTyped, post, useWatchedClient } from "./attempt.js";
import { hostile } from "./hostile.js";

const client = useWatchedClient({ env: { LOG_LEVEL: "trace" } });
let token: string;
beforeAll(async () => {
  token = await client.server.token({ subject: "gw-1", tenant: "acme", roles: ["reporter"] });
});

const url = "https://api.example.com/";
const withFields = (fields: unknown) => reported(1, { fields });
const claimed = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const days = 24 * 60 * 60_000;

/** What is wrong with an entry, beside two good ones, and what its sender is told. */
const wrong: readonly (readonly [what: string, entry: unknown, message: string])[] = [
  ["null", null, "The entry isn't an object."],
  ["a text", "entry", "The entry isn't an object."],
  ["a list", [reported(1)], "The entry isn't an object."],
  ["an empty object", {}, "sequenceNumber isn't a whole number, beyond 2^53 as a text of decimal digits."],
  ["an unknown member", { ...reported(1), sequence: 1 }, "The entry has a member that isn't known; there are "],
  ["a number as a fraction", reported(1.5), "sequenceNumber isn't a whole number"],
  ["a number as a word", reported("one"), "sequenceNumber isn't a whole number"],
  ["a number with a sign", reported("+1"), "sequenceNumber isn't a whole number"],
  ["a number as a boolean", reported(true), "sequenceNumber isn't a whole number"],
  ["a number beyond 2^53 that JSON has rounded", reported(9007199254740993), "sequenceNumber isn't a whole number"],
  ["a negative number", reported(-1), "sequenceNumber is negative."],
  ["a negative number as text", reported("-1"), "sequenceNumber isn't a whole number"],
  ["2^63 - 1", reported("9223372036854775807"), "sequenceNumber is larger than 9223372036854775806."],
  ["2^64", reported("18446744073709551616"), "sequenceNumber isn't a whole number"],
  [
    "the year 9999",
    reported(1, { claimedAt: "9999-12-31T23:59:59.999Z" }),
    "claimedAt lies more than 10 minutes ahead.",
  ],
  [
    "a time 11 minutes ahead",
    reported(1, { claimedAt: claimed(660_000) }),
    "claimedAt lies more than 10 minutes ahead.",
  ],
  ["a time 31 days back", reported(1, { claimedAt: claimed(-31 * days) }), "claimedAt lies more than 30 days back."],
  ["a time without an offset", reported(1, { claimedAt: "2026-11-22T06:00:00" }), "claimedAt isn't an instant"],
  ["a day that isn't", reported(1, { claimedAt: "2026-02-30T00:00:00Z" }), "claimedAt isn't an instant"],
  ["no time", reported(1, { claimedAt: null }), "claimedAt isn't an instant"],
  ["an unknown resource type", reported(1, { resourceType: "dns_query" }), "resourceType names nothing that may be"],
  ["a resource type's inherited name", reported(1, { resourceType: "constructor" }), "resourceType names nothing"],
  ["an action that isn't declared", reported(1, { action: "DELETE" }), "action isn't one of REQUEST."],
  ["an unknown outcome", reported(1, { outcome: "ALLOWED" }), "outcome isn't one of SUCCESS, FAILURE, DENIED."],
  ["an error of a success", reported(1, { errorCode: "TIMEOUT" }), "errorCode stands beside a SUCCESS."],
  ["an error that is no code", reported(1, { outcome: "DENIED", errorCode: "no way" }), "errorCode isn't a code"],
  ["NUL in an id", reported(1, { resourceId: "a\0b" }), "resourceId holds NUL or a lone surrogate."],
  ["an id that is a number", reported(1, { resourceId: 7 }), "resourceId isn't a text."],
  ["an empty id", reported(1, { resourceId: "" }), "resourceId is empty."],
  ["a long id", reported(1, { resourceId: "x".repeat(129) }), "resourceId is longer than 128 characters."],
  ["nobody", reported(1, { onBehalfOf: "00000000-0000-0000-0000-000000000000" }), "onBehalfOf is the UUID of nobody."],
  ["a request that is no UUID", reported(1, { requestId: "7" }), "requestId isn't a UUID."],
  ["fields that are a list", withFields([]), "fields isn't an object."],
  ["no fields", withFields(null), "fields.method is missing."],
  ["no URL", withFields({ method: "GET" }), "fields.url is missing."],
  [
    "an unknown field",
    withFields({ method: "GET", url, body: "x" }),
    "fields has a member that isn't known; there are ",
  ],
  ["a field with a prototype's name", JSON.parse(`{"__proto__":1}`), "The entry has a member that isn't known"],
  ["a method that is an object", withFields({ method: { a: 1 }, url }), "fields.method isn't a text."],
  [
    "binary in the method",
    withFields({ method: "\0\u0001\u0002", url }),
    "fields.method holds NUL or a lone surrogate.",
  ],
  ["a lone surrogate in the rule", withFields({ method: "GET", url, rule: "\ud800" }), "fields.rule holds NUL or"],
  ["a URL that is none", withFields({ method: "GET", url: "no URL" }), "fields.url isn't a whole URL of http, https"],
  ["a URL of another scheme", withFields({ method: "GET", url: "file:///etc/passwd" }), "fields.url isn't a whole URL"],
  [
    "a URL of 1 MB",
    withFields({ method: "GET", url: `${url}${"x".repeat(1024 ** 2)}` }),
    "fields.url is longer than 65536",
  ],
];

describe("a report with a wrong entry amid good ones", () => {
  it("keeps the good ones, and answers each other by its index and reason", async () => {
    const sessionId = newSessionId();
    const entries = [reported(0), ...wrong.map(([, entry]) => entry), reported(2)];
    const { accepted, repeated, refused } = await report(client.server, token, { sessionId, entries });
    expect([accepted, repeated, refused.length]).toEqual([2, 0, wrong.length]);
    for (const [place, [what, , message]] of wrong.entries()) {
      const answer = refused[place];
      expect([what, answer?.index, answer?.code]).toEqual([what, place + 1, "BAD_USER_INPUT"]);
      expect(answer?.message.startsWith(message), `${what}: ${String(answer?.message)}`).toBe(true);
    }
    const stored = await client.sql<{ number: string }>(
      "select sequence_number as number from audit.entry where session_id = $1 and sequence_number is not null order by id",
      [sessionId],
    );
    expect(stored.map(({ number }) => number)).toEqual(["0", "2"]);
  });

  it("tells the number of a wrong one where it has one, and nothing of its values", async () => {
    const sessionId = newSessionId();
    const entries = [reported("12", { outcome: "canary-of-a-value" }), reported({ canary: 1 })];
    const { refused } = await report(client.server, token, { sessionId, entries });
    expect(refused.map(({ index, sequenceNumber }) => [index, sequenceNumber])).toEqual([
      [0, "12"],
      [1, null],
    ]);
    expect(JSON.stringify(refused)).not.toContain("canary");
  });

  it("judges ten thousand: a thousand are taken, the rest is to be sent again", async () => {
    const sessionId = newSessionId();
    const entries = Array.from({ length: 10_000 }, (_, number) => (number === 500 ? 7 : reported(number)));
    const { accepted, refused } = await report(client.server, token, { sessionId, entries });
    expect([accepted, refused.length]).toEqual([999, 9_001]);
    expect(refused[0]).toMatchObject({ index: 500, code: "BAD_USER_INPUT" });
    expect(
      refused.slice(1).every(({ index, code }, place) => index === 1_000 + place && code === "LIMIT_EXCEEDED"),
    ).toBe(true);
    expect(refused.at(-1)).toMatchObject({ index: 9_999, sequenceNumber: "9999" });
  });

  it("takes whatever JSON an entry may be, and whatever stands in any of its members", async () => {
    const sessionId = newSessionId();
    const good = JSON.stringify(reported(0));
    const members = [...Object.keys(reported(0)), "resourceId", "errorCode", "onBehalfOf", "requestId"];
    const variants = [
      ...hostile,
      ...members.flatMap((member) =>
        hostile.map((value) => JSON.stringify({ ...reported(1), [member]: "HERE" }).replace('"HERE"', () => value)),
      ),
      ...["method", "url", "rule"].flatMap((member) =>
        hostile.map((value) =>
          JSON.stringify(withFields({ method: "GET", url, [member]: "HERE" })).replace('"HERE"', () => value),
        ),
      ),
    ];
    const size = 900;
    for (let from = 0; from < variants.length; from += size) {
      const entries = `[${[good, ...variants.slice(from, from + size)].join(",")}]`;
      const input = `{"sessionId":"${sessionId}","source":${JSON.stringify(source)},"entries":${entries}}`;
      const body = `{"query":${JSON.stringify(reportMutation)},"variables":{"input":${input}}}`;
      const reply = await post(client.server, body, { authorization: `Bearer ${token}` });
      expectTyped(reply);
      expect(reply.errors).toEqual([]);
      const answer = reply.data?.["reportAuditEntries"] as { refused: { code: string }[] };
      expect(answer.refused.length).toBeGreaterThan(variants.slice(from, from + size).length / 2);
      for (const { code } of answer.refused) expect(["BAD_USER_INPUT", "CONFLICT"]).toContain(code);
    }
    expect((await readLog(client.server, { sessionId: [sessionId], sequenceNumber: [0] })).length).toBe(1);
  });
});

describe("a report that makes no sense as a whole", () => {
  const good = { sessionId: newSessionId(), source, entries: [reported(0)] };
  const dropped = (...sequenceNumbers: unknown[]) => ({ ...good, dropped: [{ reason: "full", sequenceNumbers }] });
  it.each([
    ["a session that is no UUID", { ...good, sessionId: "7" }, ["input.sessionId"]],
    [
      "a session's id of version 4",
      { ...good, sessionId: "5f0c2a54-9d1e-4c53-8f6a-2b7c1d3e4f50" },
      ["input.sessionId"],
    ],
    ["an empty program", { ...good, source: { ...source, program: "" } }, ["input.source.program"]],
    ["a long host", { ...good, source: { ...source, host: "x".repeat(201) } }, ["input.source.host"]],
    ["a negative count", { ...good, taken: -1 }, ["input.taken"]],
    ["a range that ends before it begins", dropped([2, 1]), ["input.dropped.0.sequenceNumbers.0"]],
    ["a range of three", dropped([1, 2, 3]), ["input.dropped.0.sequenceNumbers.0"]],
    ["a negative range", dropped([1, 1], [-1, 2]), ["input.dropped.0.sequenceNumbers.1"]],
    ["a range to the end of 64 bits", dropped([1, "9223372036854775807"]), ["input.dropped.0.sequenceNumbers.0"]],
    ["too many ranges", dropped(...Array.from({ length: 1_001 }, (_, n) => [2 * n, 2 * n])), ["input.dropped"]],
    ["more entries than a body has room for", { ...good, entries: Array(100_001).fill(1) }, ["input.entries"]],
    [
      "a reason without a word",
      { ...good, dropped: [{ reason: "", sequenceNumbers: [] }] },
      ["input.dropped.0.reason"],
    ],
  ])("is refused whole, and takes nothing: %s", async (_, input, fields) => {
    const { data, errors } = await sendReport(client.server, token, input);
    expect([data, errors?.[0]?.extensions.code]).toEqual([{ reportAuditEntries: null }, "BAD_USER_INPUT"]);
    expect(errors?.[0]?.extensions.fields?.map(({ field }) => field)).toEqual(fields);
    expect(await client.sql("select from audit.session where id::text = $1", [input.sessionId])).toEqual([]);
  });

  it("is refused where its body is larger than a reporter's may be, and an admin's larger than anyone's", async () => {
    const body = (bytes: number) => JSON.stringify({ query: "{ __typename }", variables: { x: "x".repeat(bytes) } });
    const statusOf = async (bytes: number, bearer: string) =>
      (await post(client.server, body(bytes), { authorization: `Bearer ${bearer}` })).status;
    expect(await statusOf(3 * 1024 ** 2, token)).toBe(200);
    expect(await statusOf(17 * 1024 ** 2, token)).toBe(413);
    expect(await statusOf(3 * 1024 ** 2, client.token)).toBe(413);
  });

  it("is refused before it is looked at where its lists have more items than anyone's could", async () => {
    const statusOf = async (items: string) => {
      const body = `{"query":"{ __typename }","variables":{"x":[${items}]}}`;
      return (await post(client.server, body, { authorization: `Bearer ${token}` })).status;
    };
    expect(await statusOf(`${"[0],".repeat(524_287)}[0]`)).toBe(200);
    expect(await statusOf(`${"[0],".repeat(524_288)}[0]`)).toBe(413);
  });
});

describe("what a reported URL hides", () => {
  it("stands in no table, answer, line of the server's, or metric", async () => {
    const canary = (what: string) => `cnry${what}${randomBytes(8).toString("hex")}`;
    const hidden = {
      user: canary("u"),
      password: canary("p"),
      query: canary("q"),
      key: canary("k"),
      hash: canary("h"),
    };
    const { user, password, query, key, hash } = hidden;
    const secretUrl = `https://${user}:${password}@api.example.com/v1?${key}=${query}#${hash}`;
    const entry = (number: number, more: object = {}) =>
      reported(number, { fields: { method: "GET", url: secretUrl }, ...more });
    const sessionId = newSessionId();
    const entries = [
      ...[entry(0), entry(1, { outcome: "DENIED" }), entry(2, { outcome: "FAILURE" }), entry(3, { claimedAt: "x" })],
      entry(4, { fields: { method: "GET", url: `${secretUrl}${"x".repeat(70_000)}` } }),
      entry(5, { fields: { method: "GET", url: secretUrl.replace("https", "telnet") } }),
      entry(0, { outcome: "DENIED" }),
    ];
    const { data, errors } = await sendReport(client.server, token, { sessionId, entries });
    const stored = await readLog(client.server, { sessionId: [sessionId] });
    expect(stored.filter(({ sequenceNumber }) => sequenceNumber !== null).length).toBe(3);
    const tables = await client.sql<{ all: string }>(
      `select query_to_xml(format('select * from %s', c.oid::regclass), true, true, '')::text as all
       from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname in ('audit', 'app', 'auditql')`,
    );
    const metrics = await (await client.server.fetch("/metrics")).text();
    const told = [
      JSON.stringify([data, errors, stored]),
      client.server.stderr(),
      metrics,
      ...tables.map((row) => row.all),
    ];
    expect(told.join("\n")).toContain("https://api.example.com/v1");
    for (const [what, text] of Object.entries(hidden))
      expect([what, told.findIndex((place) => place.includes(text))]).toEqual([what, -1]);
  });
});
