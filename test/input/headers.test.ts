import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLog, type ReadEntry } from "../support/log.js";
import { startServer, type TestServer } from "../support/server.js";
import { expectTyped, internalErrors, post, replyOf, sendBytes, useWatchedClient } from "./attempt.js";

const client = useWatchedClient();
let behindProxy: TestServer;
beforeAll(async () => {
  behindProxy = await startServer({ database: client.database, env: { TRUSTED_PROXIES: "loopback,10.0.0.0/8" } });
});
afterAll(async () => {
  expect(await internalErrors(behindProxy)).toBe(0);
  await behindProxy.stop();
});

const query = `mutation { createGroup(input: { name: "group" }) { id } }`;
const mutation = JSON.stringify({ query });
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A mutation with these headers, byte by byte as the texts' UTF-8: the entry that it leaves. */
async function entryWith(headers: readonly string[], server: TestServer = client.server): Promise<ReadEntry> {
  const head = [
    "POST /graphql HTTP/1.1",
    "host: x",
    "connection: close",
    "content-type: application/json",
    `authorization: Bearer ${client.token}`,
    `content-length: ${String(Buffer.byteLength(mutation))}`,
    ...headers,
  ];
  const { status, text } = await sendBytes(server, Buffer.from(`${head.join("\r\n")}\r\n\r\n${mutation}`));
  const [sent = "", body = ""] = text.split("\r\n\r\n");
  const reply = replyOf(status, /^x-request-id: (.*)$/im.exec(sent)?.[1] ?? "", body.replace(/^[^{]*|[^}]*$/g, ""));
  expectTyped(reply);
  expect(reply.errors).toEqual([]);
  const [entry, ...more] = await readLog(server, { requestId: [reply.requestId] });
  expect(more).toEqual([]);
  if (!entry) throw new Error(`The call left no entry: ${text}`);
  return entry;
}

describe("X-Audit-Reason", () => {
  it.each<[string, string, string | null]>([
    ["as it is", "the contract ended", "the contract ended"],
    ["in any script", "Vertrag beendet: 契約終了 👋🏽 שלום e\u0301", "Vertrag beendet: 契約終了 👋🏽 שלום e\u0301"],
    ["with U+FFFD for tabs and other controls", "a\tb\u0085c", "a\uFFFDb\uFFFDc"],
    ["cut at 500 characters, none of them split", "👋".repeat(3_000), "👋".repeat(500)],
    ["as nothing, where it is white space", "  \t ", null],
    [
      "as text, whatever it looks like",
      `{"$ne":null} '; drop table x; -- <script>`,
      `{"$ne":null} '; drop table x; -- <script>`,
    ],
  ])("is kept %s", async (_, sent, kept) => {
    expect((await entryWith([`x-audit-reason: ${sent}`])).reason).toBe(kept);
  });

  it("that isn't UTF-8 is kept as the Latin-1 that it then is", async () => {
    const reply = await client.server.request(query, {
      token: client.token,
      headers: { "x-audit-reason": "caf\xe9" },
    });
    const [entry] = await readLog(client.server, { requestId: [reply.requestId] });
    expect(entry?.reason).toBe("café");
  });

  it.each(["a\0b", "a\rb", "a\u0001b"])("with %j is no HTTP, and nothing is done", async (reason) => {
    const before = await client.sql(
      "select count(*) from audit.entry where resource_type is distinct from 'audit_session'",
    );
    const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ${client.token}\r\nx-audit-reason: ${reason}\r\ncontent-length: ${String(mutation.length)}\r\n\r\n`;
    expect((await sendBytes(client.server, head + mutation)).status).toBe(400);
    expect(
      await client.sql("select count(*) from audit.entry where resource_type is distinct from 'audit_session'"),
    ).toEqual(before);
  });

  it("is in the entry of a refused and of a failed call too", async () => {
    const token = await client.server.token({ subject: "m-1", tenant: "acme", roles: ["member"] });
    for (const [bearer, name] of [
      [token, "x"],
      [client.token, ""],
    ] as const) {
      const answer = await client.server.request(query.replace('"group"', `"${name}"`), {
        token: bearer,
        headers: { "x-audit-reason": "because" },
      });
      const [entry] = await readLog(client.server, { requestId: [answer.requestId] });
      expect([entry?.reason, entry?.outcome]).toEqual(["because", name === "" ? "FAILURE" : "DENIED"]);
    }
  });
});

describe("a request's id", () => {
  it.each<[string, string | null]>([
    ["5f0c2a54-0000-4000-8000-000000000001", "5f0c2a54-0000-4000-8000-000000000001"],
    ["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"],
    ["x".repeat(5_000), "x".repeat(128)],
    ["'; drop table audit.entry; --", "'; drop table audit.entry; --"],
    ["ид 👋", "ид 👋"],
    ["", null],
  ])("is the server's own, and a client's %.40j only stands beside it", async (sent, kept) => {
    const entry = await entryWith([`x-request-id: ${sent}`]);
    expect(entry.requestId).toMatch(uuid);
    expect(entry.requestId).not.toBe(sent);
    expect(entry.clientRequestId).toBe(kept);
  });

  it("is another for each request, also where clients send the same, and through a trusted proxy", async () => {
    const sent = "x-request-id: 5f0c2a54-0000-4000-8000-000000000001";
    const entries = [await entryWith([sent]), await entryWith([sent]), await entryWith([sent], behindProxy)];
    expect(new Set(entries.map(({ requestId }) => requestId)).size).toBe(3);
  });
});

describe("traceparent", () => {
  const id = "0af7651916cd43dd8448eb211c80319c";
  it.each<[string, string | null]>([
    [`00-${id}-b7ad6b7169203331-01`, id],
    [`cc-${id}-b7ad6b7169203331-01-more`, id],
    [`00-${id.toUpperCase()}-b7ad6b7169203331-01`, null],
    [`00-${"0".repeat(32)}-b7ad6b7169203331-01`, null],
    [`00-${id}-${"0".repeat(16)}-01`, null],
    [`00-${id}-b7ad6b7169203331-01-more`, null],
    [`ff-${id}-b7ad6b7169203331-01`, null],
    [`00-${id}-b7ad6b7169203331`, null],
    ["0".repeat(10_000), null],
    ["👋", null],
    [id, null],
  ])("%.70j gives the trace %j", async (sent, traceId) => {
    expect((await entryWith([`traceparent: ${sent}`])).traceId).toBe(traceId);
  });

  it("sent twice gives none", async () => {
    const header = `traceparent: 00-${id}-b7ad6b7169203331-01`;
    expect((await entryWith([header, header])).traceId).toBeNull();
  });
});

describe("User-Agent", () => {
  it.each<[string, string | null]>([
    ["curl/8.0", "curl/8.0"],
    ["a".repeat(10_000), "a".repeat(512)],
    ["👋".repeat(3_000), "👋".repeat(512)],
    ["a\tb", "a\uFFFDb"],
    ["", null],
  ])("%.20j is kept as it may be", async (sent, kept) => {
    expect((await entryWith([`user-agent: ${sent}`])).userAgent).toBe(kept);
  });

  it("may be missing", async () => {
    expect((await entryWith([])).userAgent).toBeNull();
  });
});

describe("the client's address", () => {
  const forwarded = async (value: string | readonly string[], server?: TestServer) =>
    (
      await entryWith(
        [value].flat().map((one) => `x-forwarded-for: ${one}`),
        server,
      )
    ).ip;

  it.each(["6.6.6.6", "6.6.6.6, 127.0.0.1", "::1", "unknown", "👋", "x".repeat(8_000)])(
    "is the connection's where no proxy is trusted, whatever X-Forwarded-For says: %.30j",
    async (sent) => {
      expect(await forwarded(sent)).toBe("127.0.0.1");
    },
  );

  it.each<[string | readonly string[], string | null]>([
    ["6.6.6.6", "6.6.6.6"],
    ["6.6.6.6, 1.2.3.4", "1.2.3.4"],
    ["6.6.6.6, 1.2.3.4, 10.1.2.3", "1.2.3.4"],
    ["6.6.6.6, 1.2.3.4, 10.1.2.3, 127.0.0.1, 10.0.0.1", "1.2.3.4"],
    [["6.6.6.6", "1.2.3.4, 10.1.2.3"], "1.2.3.4"],
    ["10.1.2.3, 10.0.0.1", "10.1.2.3"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["fe80::1%eth0", "fe80::1"],
    ["6.6.6.6, unknown", null],
    ["1.2.3.4/8", null],
    ["999.1.1.1", null],
    ["👋", null],
    ["x".repeat(8_000), null],
    [",,,", "127.0.0.1"],
  ])("is the last that no trusted proxy has, where the chain is %.60j", async (sent, ip) => {
    expect(await forwarded(sent, behindProxy)).toBe(ip);
  });

  it("is the proxy's own where it sends none, and of thousands the last", async () => {
    expect((await entryWith([], behindProxy)).ip).toBe("127.0.0.1");
    expect(await forwarded(`${"6.6.6.6, ".repeat(1_500)}1.2.3.4`, behindProxy)).toBe("1.2.3.4");
  });

  it.each(["x-real-ip: 6.6.6.6", "forwarded: for=6.6.6.6", "cf-connecting-ip: 6.6.6.6", "true-client-ip: 6.6.6.6"])(
    "is not what any other header says: %s",
    async (header) => {
      expect((await entryWith([header])).ip).toBe("127.0.0.1");
      expect((await entryWith([header], behindProxy)).ip).toBe("127.0.0.1");
    },
  );
});

describe("headers that claim to be someone", () => {
  it("are ignored: only the token says who calls", async () => {
    const entry = await entryWith([
      "x-user-id: root",
      "x-tenant: globex",
      "x-tenant-id: globex",
      "x-actor: root",
      "x-on-behalf-of: root",
      "x-session-id: 5f0c2a54-0000-4000-8000-000000000001",
      "x-forwarded-user: root",
      "cookie: session=root",
    ]);
    expect(entry).toMatchObject({ tenantId: "acme", actor: { type: "USER", id: "u-1", onBehalfOf: null } });
    expect(entry.sessionId).not.toBe("5f0c2a54-0000-4000-8000-000000000001");
  });

  it("in great number, or enormous, are refused with a type", async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`x-h${String(at)}`, "v"]));
    const reply = await post(client.server, mutation, { authorization: `Bearer ${client.token}`, ...many });
    expectTyped(reply);
    const huge = `POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${"a".repeat(20_000)}\r\n\r\n`;
    expect((await sendBytes(client.server, huge)).status).toBe(431);
  });
});
