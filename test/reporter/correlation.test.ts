import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createReporter, type ReportedRequest, type Reporter, type TargetRule } from "../../src/reporter/index.js";
import { targetsOf } from "../../src/reporter/targets.js";
import { missingOf, startReportApi, type ReportApi } from "../support/report-api.js";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let api: ReportApi;
let reporter: Reporter;
const made: Reporter[] = [];
let servers: Server[];
let seen: Seen[];
beforeEach(async () => {
  api = await startReportApi();
  [servers, seen] = [[], []];
});
afterEach(async () => {
  for (const it of made.splice(0)) await it.close({ deadline: 0 });
  await api.close();
  for (const server of servers) server.close().closeAllConnections();
});

async function make(...targets: TargetRule[]): Promise<Reporter> {
  reporter = await createReporter({
    url: api.url,
    source: { program: "gateway", version: "1" },
    handleExit: false,
    correlation: { targets },
  });
  made.push(reporter);
  return reporter;
}

/** A server that remembers its requests; its origin names it `localhost` or by its address. */
async function serve(answer: RequestListener, host = "127.0.0.1"): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
    request.on("end", () => {
      seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      answer(request, response);
    });
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return `http://${host}:${String((server.address() as AddressInfo).port)}`;
}

type Dispatcher = NonNullable<RequestInit["dispatcher"]>;

/** Node's own way, with the paths that it is asked for. */
function recordingDispatcher(paths: string[]): Dispatcher {
  const own = (globalThis as unknown as Record<symbol, Dispatcher>)[Symbol.for("undici.globalDispatcher.1")];
  if (!own) throw new Error("Node's fetch has no dispatcher yet.");
  const dispatch: Dispatcher["dispatch"] = (options, handler) => {
    paths.push(options.path);
    return own.dispatch(options, handler);
  };
  return new Proxy(own, { get: (target, name) => (name === "dispatch" ? dispatch : Reflect.get(target, name)) });
}

const found = ({ headers }: Seen): unknown[] => [headers["x-audit-session-id"], headers["x-audit-sequence-number"]];

describe("a target's rule", () => {
  const cases: readonly (readonly [rule: TargetRule, matching: readonly string[], others: readonly string[]])[] = [
    [
      { host: "api.example.com" },
      ["https://api.example.com/x", "http://API.example.com.:8080/"],
      [
        "https://example.com/",
        "https://evil-api.example.com/",
        "https://api.example.com.evil.net/",
        "ftp://api.example.com/",
      ],
    ],
    [
      { host: "*.Example.com" },
      ["https://a.example.com/", "https://a.b.example.com/"],
      ["https://example.com/", "https://badexample.com/"],
    ],
    [{ host: "*" }, ["https://a/", "http://[::1]:80/"], ["data:text/plain,x"]],
    [{ host: "example.com:8443" }, ["https://example.com:8443/"], ["https://example.com/"]],
    [{ host: "example.com:443" }, ["https://example.com/"], ["http://example.com/"]],
    [{ host: "[::1]:80" }, ["http://[::1]/"], ["http://[::1]:81/"]],
    [
      { host: "e.com", path: "/v1" },
      ["https://e.com/v1", "https://e.com/v1/x?y", "https://e.com/v0/../v1"],
      ["https://e.com/v10", "https://e.com/", "https://e.com/x/v1", "https://e.com/v1/../v2"],
    ],
    [
      { host: "e.com", path: "/v1/*/chat" },
      ["https://e.com/v1/a/chat", "https://e.com/v1/chats/b/chat/7"],
      ["https://e.com/v1/a/chats", "https://e.com/v1/chat"],
    ],
    [{ host: "e.com", path: "/v1*" }, ["https://e.com/v10"], ["https://e.com/v2"]],
    [
      { host: "e.com", path: "/api" },
      ["https://e.com:8443/api/x", "https://u:p@e.com/api?/../x"],
      ["https://e.com/api%2f..", "https://e.com//api", "https://e.com/API", "https://e.com/api/%2e%2e/x"],
    ],
    [
      { host: "e.com", path: "/größe/./a b" },
      ["https://e.com/gr%C3%B6%C3%9Fe/a%20b", "https://e.com/größe/a b/c"],
      ["https://e.com/gr"],
    ],
    [{ host: "[0:0:0:0:0:0:0:1]" }, ["http://[::1]:81/"], ["http://[::2]/", "http://0.0.0.1/"]],
    [{ host: "127.1:80" }, ["http://127.0.0.1/", "http://2130706433/"], ["http://127.0.0.1:81/"]],
  ];
  it.each(cases)("%j matches what it says", (rule, matching, others) => {
    const matches = targetsOf([rule]);
    expect(matching.filter((url) => !matches(new URL(url)))).toEqual([]);
    expect(others.filter((url) => matches(new URL(url)))).toEqual([]);
  });
});

describe("the headers of correlation", () => {
  it("bear the number of the entry that is reported with it", async () => {
    await make({ host: "api.example.com" });
    reporter.report({ resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" });
    const headers = reporter.correlationHeaders("https://api.example.com/graphql");
    expect(headers).toEqual({ "X-Audit-Session-Id": reporter.sessionId, "X-Audit-Sequence-Number": "1" });
    expect(reporter.correlationHeaders("https://other.example.com/")).toEqual({});
    expect(reporter.correlationHeaders("no URL")).toEqual({});
    const sequenceNumber = headers["X-Audit-Sequence-Number"] ?? "";
    const entry = { resourceType: "http_request", action: "REQUEST", outcome: "DENIED", sequenceNumber } as const;
    expect(reporter.report(entry)).toBe(1n);
    // The number is taken: the same once more is another entry.
    expect(reporter.report(entry)).toBe(2n);
    await reporter.close();
    expect([...api.session().entries.values()].map((it) => [it.sequenceNumber, it["outcome"]])).toEqual([
      ["0", "SUCCESS"],
      ["1", "DENIED"],
      ["2", "DENIED"],
    ]);
  });

  it("whose entry never came are given up one by one, however many they are", async () => {
    reporter = await createReporter({
      ...{ url: api.url, source: { program: "gateway", version: "1" }, handleExit: false, onNotice: () => undefined },
      maxQueued: 200_000,
      correlation: { targets: [{ host: "*" }] },
    });
    for (let time = 0; time <= 200_000; time++) reporter.correlationHeaders("https://api.example.com/");
    expect(reporter.stats().lost).toEqual({ never_reported: 1 });
    expect(await reporter.close()).toMatchObject({ lost: 200_001, isClosed: true });
  });

  it.each([
    ["no text", ""],
    ["no number", []],
    ["an object that says one", { valueOf: (): bigint => 0n }],
    ["more digits than a number has", "0".repeat(1_000_000)],
  ])("leave their number to the entry that names it: %s", async (_, given) => {
    await make({ host: "*" });
    const headers = reporter.correlationHeaders("https://api.example.com/");
    const entry = { resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" } as const;
    expect(reporter.report({ ...entry, sequenceNumber: given as string })).toBe(1n);
    expect(reporter.report({ ...entry, sequenceNumber: headers["X-Audit-Sequence-Number"] })).toBe(0n);
  });

  it("whose entry never came are listed as such at the end", async () => {
    await make({ host: "*" });
    reporter.correlationHeaders("https://api.example.com/");
    reporter.report({ resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" });
    expect(await reporter.close()).toMatchObject({ sent: 1, lost: 1, isClosed: true });
    expect([...api.session().dropped]).toEqual([["0", "never_reported"]]);
    expect(missingOf(api.session())).toEqual([]);
  });
});

describe("fetch", () => {
  it("takes number, header and report in one step, over what the caller smuggled in", async () => {
    const origin = await serve((_, response) => response.end("hello"));
    await make({ host: "127.0.0.1" });
    const response = await reporter.fetch(`${origin}/a?secret=1`, {
      method: "POST",
      body: "asked",
      headers: { "x-AUDIT-session-ID": "smuggled", "X-Audit-Sequence-Number": "7", "x-other": "kept" },
      audit: { onBehalfOf: "u-7", fields: { rule: "r-1" } },
    });
    expect(await response.text()).toBe("hello");
    expect(seen.map(found)).toEqual([[reporter.sessionId, "0"]]);
    expect(seen[0]).toMatchObject({
      method: "POST",
      url: "/a?secret=1",
      body: "asked",
      headers: { "x-other": "kept" },
    });
    await reporter.close();
    expect(api.session().entries.get("0")).toMatchObject({
      action: "REQUEST",
      outcome: "SUCCESS",
      onBehalfOf: "u-7",
      fields: { method: "POST", url: `${origin}/a?secret=1`, rule: "r-1" },
    });
  });

  it("takes smuggled headers away from targets that no rule matches", async () => {
    const origin = await serve((_, response) => response.end());
    await make({ host: "elsewhere.example" });
    await reporter.fetch(
      new Request(origin, { headers: { "X-AUDIT-SESSION-ID": "smuggled", "x-audit-sequence-number": "1" } }),
    );
    expect(seen.map(found)).toEqual([[undefined, undefined]]);
    await reporter.close();
    expect([...api.session().entries.keys()]).toEqual(["0"]);
  });

  it("gives each redirect its own number, and another host no header of this one", async () => {
    const other = await serve((_, response) => response.end("there"), "localhost");
    const origin = await serve((request, response) => {
      response.writeHead(302, { location: request.url === "/1" ? "/2" : `${other}/3` }).end();
    });
    await make({ host: "127.0.0.1" });
    const headers = { authorization: "Bearer x", "x-audit-session-id": "smuggled" };
    const response = await reporter.fetch(`${origin}/1`, { method: "POST", body: "asked", headers });
    expect([response.status, await response.text(), response.url]).toEqual([200, "there", `${other}/3`]);
    expect(seen.map((it) => [it.method, it.url, it.body, it.headers.authorization, ...found(it)])).toEqual([
      ["POST", "/1", "asked", "Bearer x", reporter.sessionId, "0"],
      ["GET", "/2", "", "Bearer x", reporter.sessionId, "1"],
      ["GET", "/3", "", undefined, undefined, undefined],
    ]);
    await reporter.close();
    expect([...api.session().entries.values()].map(({ fields }) => fields["url"])).toEqual([
      `${origin}/1`,
      `${origin}/2`,
      `${other}/3`,
    ]);
  });

  it("takes the same way for what follows, through a proxy or with a certificate", async () => {
    const origin = await serve((request, response) => {
      if (request.url === "/1") response.writeHead(302, { location: "/2" });
      response.end();
    });
    await make({ host: "127.0.0.1" });
    const ways: string[] = [];
    // Node makes its dispatcher with the first request.
    await fetch(`${origin}/0`);
    const dispatcher = recordingDispatcher(ways);
    expect((await reporter.fetch(`${origin}/1`, { dispatcher })).status).toBe(200);
    expect(ways).toEqual(["/1", "/2"]);
  });

  it("takes what follows only where it is what the caller expects", async () => {
    const digest = (text: string): string => `sha256-${createHash("sha256").update(text).digest("base64")}`;
    const origin = await serve((request, response) => {
      if (request.url === "/1") response.writeHead(302, { location: "/2" });
      response.end(request.url === "/1" ? "moved" : "there");
    });
    await make({ host: "127.0.0.1" });
    expect(await (await reporter.fetch(`${origin}/2`, { integrity: digest("there") })).text()).toBe("there");
    await expect(reporter.fetch(`${origin}/1`, { integrity: digest("moved") })).rejects.toThrow(TypeError);
  });

  it("states method and URL of each request itself, whatever the caller says of them", async () => {
    const origin = await serve((request, response) => {
      if (request.url === "/1") response.writeHead(302, { location: "/2" });
      response.end();
    });
    await make({ host: "127.0.0.1" });
    await reporter.fetch(`${origin}/1`, {
      audit: { fields: { method: "PUT", url: "https://other.example/", rule: "r" } },
    });
    await reporter.close();
    expect([...api.session().entries.values()].map(({ fields }) => fields)).toEqual([
      { method: "GET", url: `${origin}/1`, rule: "r" },
      { method: "GET", url: `${origin}/2`, rule: "r" },
    ]);
  });

  it.each([["text"], [Buffer.from("octets")], [["a"]]])("makes the request though %o is no fields", async (fields) => {
    const origin = await serve((_, response) => void response.end());
    await make({ host: "127.0.0.1" });
    const audit = { fields } as unknown as ReportedRequest["audit"];
    expect((await reporter.fetch(`${origin}/1`, { audit })).status).toBe(200);
    await reporter.close();
    expect([...api.session().dropped]).toEqual([["0", "malformed"]]);
  });

  it("sends a form again as one that can be read", async () => {
    const origin = await serve((request, response) => {
      if (request.url === "/1") response.writeHead(307, { location: "/2" });
      response.end();
    });
    await make({ host: "127.0.0.1" });
    const body = new FormData();
    body.set("name", "value");
    expect((await reporter.fetch(`${origin}/1`, { method: "POST", body })).status).toBe(200);
    const boundaryOf = ({ headers }: Seen): string => headers["content-type"]?.split("boundary=")[1] ?? "none";
    expect(seen.map((it) => it.body.startsWith(`--${boundaryOf(it)}\r\n`))).toEqual([true, true]);
  });

  it("says nothing more of a body that it leaves out", async () => {
    const origin = await serve((request, response) => {
      if (request.url === "/1") response.writeHead(303, { location: "/2" });
      response.end();
    });
    await make({ host: "127.0.0.1" });
    const headers = { "content-encoding": "x-own", "content-language": "de", "content-location": "/3" };
    await reporter.fetch(`${origin}/1`, { method: "POST", body: "asked", headers });
    const ofBody = (it?: Seen): string[] =>
      Object.keys(it?.headers ?? {}).filter((name) => name.startsWith("content-"));
    expect(ofBody(seen[0])).toHaveLength(5);
    expect(ofBody(seen[1])).toEqual([]);
  });

  it("sends the body again where a redirect asks for it, and only one that can be", async () => {
    const origin = await serve((request, response) => {
      if (request.url === "/1") response.writeHead(307, { location: "/2" });
      response.end();
    });
    await make({ host: "127.0.0.1" });
    expect((await reporter.fetch(`${origin}/1`, { method: "PUT", body: "again" })).status).toBe(200);
    expect(seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ["PUT", "/1", "again"],
      ["PUT", "/2", "again"],
    ]);
    const streamed = new Request(`${origin}/1`, { method: "PUT", body: "once" });
    await expect(reporter.fetch(streamed)).rejects.toThrow("its body is a stream");
    expect((await reporter.fetch(`${origin}/1`, { redirect: "manual" })).status).toBe(307);
    await expect(reporter.fetch(`${origin}/1`, { redirect: "error" })).rejects.toThrow(TypeError);
  });

  it("ends a circle of redirects", async () => {
    const origin = await serve((_, response) => response.writeHead(302, { location: "/" }).end());
    await make({ host: "127.0.0.1" });
    await expect(reporter.fetch(origin)).rejects.toThrow("redirected more than 20 times");
    expect(seen).toHaveLength(21);
  });
});
