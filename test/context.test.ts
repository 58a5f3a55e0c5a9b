import { once } from "node:events";
import { createServer, request, type OutgoingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RequestOrigin } from "../src/audit/entry.js";
import { cleanText, decodeHeader, originOf, traceIdOf } from "../src/context.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parentId = "00f067aa0ba902b7";

describe("originOf", () => {
  const servers: Server[] = [];
  let direct: number;
  let proxied: number;

  async function serve(trustedProxies: readonly string[]): Promise<number> {
    const app = express().set("trust proxy", trustedProxies);
    const seen = (req: express.Request, res: express.Response) => void res.json(originOf(req));
    const server = createServer(app.get("/", seen)).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  beforeAll(async () => {
    direct = await serve([]);
    proxied = await serve(["loopback", "10.0.0.0/8"]);
  });
  afterAll(() => {
    servers.forEach((server) => server.close());
  });

  async function origin(port: number, headers: OutgoingHttpHeaders): Promise<RequestOrigin> {
    const sent = request({ host: "127.0.0.1", port, headers, agent: false }).end();
    const [response] = (await once(sent, "response")) as [AsyncIterable<Buffer>];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString()) as RequestOrigin;
  }

  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  it("says nothing of what wasn't sent", async () => {
    expect(await origin(direct, {})).toEqual({
      requestId: expect.stringMatching(uuid) as string,
      clientRequestId: null,
      traceId: null,
      reason: null,
      ip: "127.0.0.1",
      userAgent: null,
    });
  });

  it("keeps what was sent, and makes a request id of its own for each request", async () => {
    const headers = {
      "X-Request-Id": "00000000-0000-4000-8000-000000000001",
      "X-Audit-Reason": Buffer.from("Ticket 4711: Grüße, שלום 🎉").toString("latin1"),
      "User-Agent": "curl/8.5.0",
      traceparent: `00-${traceId}-${parentId}-01`,
    };
    const [first, second] = await Promise.all([origin(direct, headers), origin(proxied, headers)]);
    expect(first).toEqual({
      requestId: expect.stringMatching(uuid) as string,
      clientRequestId: "00000000-0000-4000-8000-000000000001",
      traceId,
      reason: "Ticket 4711: Grüße, שלום 🎉",
      ip: "127.0.0.1",
      userAgent: "curl/8.5.0",
    });
    expect(first.requestId).not.toBe(first.clientRequestId);
    expect(second.requestId).not.toBe(first.requestId);
  });

  it("bounds every text", async () => {
    const long = "x".repeat(2_000);
    const seen = await origin(direct, { "X-Request-Id": long, "X-Audit-Reason": long, "User-Agent": long });
    expect(seen.clientRequestId).toBe("x".repeat(128));
    expect(seen.reason).toBe("x".repeat(500));
    expect(seen.userAgent).toBe("x".repeat(512));
  });

  it("believes forwarded addresses of trusted proxies alone", async () => {
    const headers = { "X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.1.2.3", Forwarded: "for=192.0.2.60" };
    expect((await origin(direct, headers)).ip).toBe("127.0.0.1");
    expect((await origin(proxied, headers)).ip).toBe("203.0.113.9");
    expect((await origin(proxied, { "X-Forwarded-For": "2001:DB8:0::1" })).ip).toBe("2001:db8::1");
    expect((await origin(proxied, { "X-Forwarded-For": "unknown" })).ip).toBeNull();
    expect((await origin(proxied, { "X-Forwarded-For": "'; DROP TABLE--" })).ip).toBeNull();
  });
});

describe("decodeHeader", () => {
  it.each([
    ["plain", "plain"],
    [Buffer.from("é🎉").toString("latin1"), "é🎉"],
    ["caf\xe9", "café"],
    ["\u{1F389}", "\u{1F389}"],
  ])("reads UTF-8 where it is valid, and Latin-1 where it isn't: %j", (sent, read) => {
    expect(decodeHeader(sent)).toBe(read);
  });
});

describe("cleanText", () => {
  it.each([
    [undefined, 9, null],
    ["", 9, null],
    [" \t ", 9, null],
    [" a ", 9, "a"],
    ["a\0b\x1b[31m\x85", 9, "a\uFFFDb\uFFFD[31m\uFFFD"],
    ["a\ud800b\udc00", 9, "a\uFFFDb\uFFFD"],
    ["🎉🎉🎉", 2, "🎉🎉"],
    ["ab🎉", 2, "ab"],
    ["e\u0301e\u0301", 3, "e\u0301e"],
    ["שלום", 9, "שלום"],
  ])("%j within %i code points", (text, limit, cleaned) => {
    expect(cleanText(text, limit)).toBe(cleaned);
  });
});

describe("traceIdOf", () => {
  it("takes the trace id of a valid header", () => {
    expect(traceIdOf(`00-${traceId}-${parentId}-00`)).toBe(traceId);
    expect(traceIdOf(`01-${traceId}-${parentId}-01-later`)).toBe(traceId);
  });

  it.each([
    undefined,
    "",
    traceId,
    `ff-${traceId}-${parentId}-01`,
    `00-${traceId}-${parentId}-01-later`,
    `00-${traceId}-${parentId}-01 `,
    `01-${traceId}-${parentId}-01.later`,
    `00-${traceId.toUpperCase()}-${parentId}-01`,
    `00-${"0".repeat(32)}-${parentId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId}0-${parentId}-01`,
  ])("takes none of an invalid one: %j", (header) => {
    expect(traceIdOf(header)).toBeNull();
  });
});
