import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createReporter,
  ReporterConfigurationError,
  type Notice,
  type ReportEntry,
  type Reporter,
  type ReporterOptions,
} from "../../src/reporter/index.js";
import { missingOf, startReportApi, type ReportApi } from "../support/report-api.js";
import { until } from "../support/until.js";

let api: ReportApi;
let open: Reporter[];
let notices: Notice[];
let folder: string;
beforeEach(async () => {
  api = await startReportApi();
  [open, notices] = [[], []];
  folder = mkdtempSync(join(tmpdir(), "auditql-reporter-"));
  // Waits between tries are random: these are short ones.
  vi.spyOn(Math, "random").mockReturnValue(0.1);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const reporter of open) await reporter.close({ deadline: 0 });
  await api.close();
  rmSync(folder, { recursive: true });
});

async function make(options: Partial<ReporterOptions> = {}): Promise<Reporter> {
  const reporter = await createReporter({
    ...(options.socketPath === undefined && { url: api.url }),
    ...(options.tokenFile === undefined && { token: "t-1" }),
    source: { program: "gateway", version: "1.4.0" },
    handleExit: false,
    onNotice: (notice) => void notices.push(notice),
    ...options,
  });
  open.push(reporter);
  return reporter;
}

const entry = (place = 0, more: Partial<ReportEntry> = {}): ReportEntry => ({
  resourceType: "http_request",
  action: "REQUEST",
  outcome: "SUCCESS",
  fields: { method: "GET", url: `https://example.com/${String(place)}` },
  ...more,
});
const report = (reporter: Reporter, count: number): void => {
  for (let place = 0; place < count; place++) reporter.report(entry(place));
};
const numbersOf = (call = api.calls[0]): string[] => (call?.entries ?? []).map(({ sequenceNumber }) => sequenceNumber);
const range = (count: number, first = 0): string[] => Array.from({ length: count }, (_, at) => String(first + at));
const kinds = (): string[] => notices.map(({ kind }) => kind);

describe("a reporter", () => {
  it("sends a batch of ten at once, with all that was said", async () => {
    const reporter = await make();
    const number = reporter.report({
      resourceType: "http_request",
      action: "REQUEST",
      outcome: "DENIED",
      claimedAt: new Date("2026-11-22T06:00:00.123Z"),
      resourceId: "r-1",
      errorCode: "FORBIDDEN",
      onBehalfOf: "u-7",
      requestId: "018f0000-0000-7000-8000-000000000000",
      fields: {
        method: "GET",
        url: "https://example.com/",
        rule: null,
        size: 9_007_199_254_740_993n,
        tags: ["a", 1, true],
      },
    });
    report(reporter, 9);
    await until(() => api.calls.length === 1, { what: "the batch is there", deadline: 2_000 });
    expect(number).toBe(0n);
    expect(api.calls[0]).toEqual({
      sessionId: reporter.sessionId,
      source: { program: "gateway", version: "1.4.0", host: hostname() },
      taken: "10",
      entries: [
        {
          sequenceNumber: "0",
          claimedAt: "2026-11-22T06:00:00.123Z",
          resourceType: "http_request",
          action: "REQUEST",
          outcome: "DENIED",
          resourceId: "r-1",
          errorCode: "FORBIDDEN",
          onBehalfOf: "u-7",
          requestId: "018f0000-0000-7000-8000-000000000000",
          fields: {
            method: "GET",
            url: "https://example.com/",
            rule: null,
            size: "9007199254740993",
            tags: ["a", 1, true],
          },
        },
        ...range(9, 1).map((sequenceNumber, at) => ({
          sequenceNumber,
          claimedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          resourceType: "http_request",
          action: "REQUEST",
          outcome: "SUCCESS",
          fields: { method: "GET", url: `https://example.com/${String(at)}` },
        })),
      ],
    });
    expect(reporter.sessionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(api.headers[0]).toMatchObject({ authorization: "Bearer t-1", "content-type": "application/json" });
  });

  it("sends fewer once the first has waited long enough", async () => {
    const reporter = await make({ maxDelay: 50 });
    report(reporter, 3);
    expect(api.calls).toEqual([]);
    await until(() => api.calls.length === 2, { what: "the entries are there" });
    expect(numbersOf(api.calls[1])).toEqual(["0", "1", "2"]);
  });

  it("sends over a Unix socket", async () => {
    const socketPath = join(folder, "api.sock");
    const local = await startReportApi(socketPath);
    const reporter = await make({ socketPath, batchSize: 2 });
    report(reporter, 2);
    expect(await reporter.close()).toEqual({ sent: 2, setAside: 0, lost: 0, kept: 0, isClosed: true });
    expect([...local.session().entries.keys()]).toEqual(["0", "1"]);
    await local.close();
  });

  it("keeps what an entry said when it was reported, whatever becomes of the object", async () => {
    const reporter = await make();
    const fields = { method: "GET", url: "https://example.com/", tags: ["a"] };
    reporter.report(entry(0, { fields }));
    fields.url = "https://evil.example/";
    fields.tags.push("b");
    await reporter.close();
    expect(api.session().entries.get("0")?.fields).toEqual({ method: "GET", url: "https://example.com/", tags: ["a"] });
  });

  it("takes under two microseconds at the median for a report", async () => {
    const reporter = await make({ maxQueued: 20_000, batchSize: 1_000, maxDelay: 60_000 });
    const costs: number[] = [];
    api.answer = () => "stall";
    for (let place = 0; place < 20_000; place++) {
      const begun = process.hrtime.bigint();
      reporter.report(entry(place));
      costs.push(Number(process.hrtime.bigint() - begun));
    }
    costs.sort((left, right) => left - right);
    expect(costs[10_000]).toBeLessThan(2_000);
  });
});

describe("a session", () => {
  it("is opened at the first report or header, before any batch", async () => {
    const reporter = await make({ maxDelay: 60_000, correlation: { targets: [{ host: "*" }] } });
    const headers = reporter.correlationHeaders("https://example.com/");
    await until(() => api.calls.length === 1, { what: "it is opened" });
    expect(headers["X-Audit-Session-Id"]).toBe(api.calls[0]?.sessionId);
    expect(api.calls[0]).toMatchObject({ taken: "1", entries: [] });
    const other = await make({ maxDelay: 60_000 });
    report(other, 1);
    await until(() => api.calls.length === 2, { what: "it is opened" });
    expect(api.calls[1]).toMatchObject({ sessionId: other.sessionId, taken: "1", entries: [] });
    report(other, 1);
    expect(await other.close()).toMatchObject({ sent: 2, isClosed: true });
    expect(api.calls.filter(({ sessionId }) => sessionId === other.sessionId)).toHaveLength(3);
  });

  it("is opened as soon as the API is there", async () => {
    const reporter = await make({ maxDelay: 60_000, correlation: { targets: [{ host: "*" }] } });
    api.answer = (_call, count) => (count === 1 ? { status: 503, code: "UNAVAILABLE" } : null);
    reporter.correlationHeaders("https://example.com/");
    await until(() => api.sessions.size === 1, { what: "it is opened" });
    await until(() => kinds().length === 2, { what: "it is told" });
    expect(kinds()).toEqual(["delayed", "recovered"]);
  });

  it("is heard of while nothing is reported, until it ends", async () => {
    const reporter = await make({ heartbeat: 20, maxDelay: 60_000 });
    expect(api.calls).toEqual([]);
    report(reporter, 1);
    await until(() => api.calls.length === 4, { what: "it is heard of" });
    expect(api.calls.every(({ taken, entries }) => taken === "1" && entries.length === 0)).toBe(true);
    expect(await reporter.close()).toMatchObject({ sent: 1, isClosed: true });
    const calls = api.calls.length;
    const later = await make({ heartbeat: 20, maxDelay: 60_000 });
    report(later, 1);
    await until(() => api.calls.filter(({ sessionId }) => sessionId === later.sessionId).length === 3, {
      what: "another is heard of twice since",
    });
    expect(api.calls.slice(calls).filter(({ sessionId }) => sessionId === reporter.sessionId)).toEqual([]);
  });

  it("has no second call made while one is under way", async () => {
    const reporter = await make({ heartbeat: 10, batchSize: 1 });
    api.answer = ({ entries }) => (entries.length > 0 ? "stall" : null);
    report(reporter, 1);
    expect(await reporter.flush({ deadline: 100 })).toBe(false);
    expect(api.calls).toHaveLength(1);
  });
});

describe("a clock that jumps", () => {
  afterEach(() => void vi.useRealTimers());

  it("changes what entries claim, and neither numbers nor waits", async () => {
    const reporter = await make({ maxDelay: 50 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2031, 0, 1) });
    reporter.report(entry());
    vi.setSystemTime(Date.UTC(2001, 0, 1));
    reporter.report(entry());
    await until(() => reporter.stats().sent === 2, { what: "the entries are taken" });
    expect(api.calls[1]?.entries.map(({ sequenceNumber, claimedAt }) => [sequenceNumber, claimedAt])).toEqual([
      ["0", "2031-01-01T00:00:00.000Z"],
      ["1", "2001-01-01T00:00:00.000Z"],
    ]);
  });
});

describe("a call that comes to nothing", () => {
  it.each([
    ["503", { status: 503, code: "UNAVAILABLE" }, 3],
    ["INTERNAL", { code: "INTERNAL" }, 3],
    ["what isn't JSON", { body: "<html>" }, 3],
    [
      "an answer about other entries",
      { body: '{"data":{"reportAuditEntries":{"accepted":1,"repeated":0,"refused":[]}}}' },
      3,
    ],
    ["an answer that never comes", "stall", 5],
    ["a cut behind the commit", "cut", 3],
  ] as const)("is made again after %s, and nothing is lost or twice", async (_, answer, calls) => {
    const reporter = await make({ callTimeout: answer === "stall" ? 300 : 10_000 });
    api.answer = (_call, count) => (count <= 2 ? answer : null);
    report(reporter, 10);
    await until(() => reporter.stats().sent === 10, { what: "the entries are taken" });
    expect([...api.session().entries.keys()]).toEqual(range(10));
    // Behind a time that was too short, there are fewer entries a call.
    expect(api.calls).toHaveLength(calls);
    expect(kinds()).toEqual(["delayed", "recovered"]);
    expect(reporter.stats()).toMatchObject({ waiting: 0, setAside: 0, lost: {}, lastFailure: null });
  });

  it("is given up where the other side accepts and never reads", async () => {
    const held: { destroy(): void }[] = [];
    const mute = createServer({ pauseOnConnect: true }, (socket) => void held.push(socket)).listen(0, "127.0.0.1");
    await once(mute, "listening");
    const { port } = mute.address() as { port: number };
    const reporter = await make({ url: `http://127.0.0.1:${String(port)}/graphql`, callTimeout: 100, maxQueued: 20 });
    for (let place = 0; place < 20; place++) reporter.report(entry(place, { onBehalfOf: "x".repeat(50_000) }));
    await until(() => kinds().includes("delayed"), { what: "the call is given up" });
    expect(notices[0]?.message).toBe(
      "Entries for the audit log wait, and are sent again: there was no answer within 100 ms.",
    );
    const begun = performance.now();
    expect(await reporter.close({ deadline: 150 })).toEqual({
      sent: 0,
      setAside: 0,
      lost: 20,
      kept: 0,
      isClosed: false,
    });
    expect(performance.now() - begun).toBeLessThan(1_500);
    for (const socket of held) socket.destroy();
    mute.close();
  });

  it("is given up where the other side changes the protocol", async () => {
    const held: { destroy(): void }[] = [];
    const other = createServer((socket) => {
      held.push(socket);
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n");
    }).listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const reporter = await make({ url: `http://127.0.0.1:${String(port)}/graphql`, callTimeout: 100 });
    report(reporter, 10);
    await until(() => held.length >= 3, { what: "it is tried again", deadline: 5_000 });
    expect(reporter.stats()).toMatchObject({ waiting: 10, lastFailure: "there was no answer within 100 ms" });
    for (const socket of held) socket.destroy();
    other.close();
  });

  it.each([
    ["too many", { code: "LIMIT_EXCEEDED" }],
    ["too many for the time", { code: "TIMEOUT" }],
    ["too many for any answer", "stall"],
  ] as const)("has fewer entries where there were %s", async (_, answer) => {
    const reporter = await make({ callTimeout: 100 });
    api.answer = ({ entries }) => (entries.length > 3 ? answer : null);
    report(reporter, 10);
    await until(() => reporter.stats().sent === 10, { what: "the entries are taken" });
    expect(reporter.stats().setAside).toBe(0);
    expect(missingOf(api.session())).toEqual([]);
  });

  it("reads the token anew for the next one", async () => {
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, "old\n");
    const reporter = await make({ tokenFile });
    api.answer = () => {
      if (api.headers.at(-1)?.authorization === "Bearer new") return null;
      writeFileSync(tokenFile, "new\n");
      return { status: 401, code: "UNAUTHENTICATED" };
    };
    report(reporter, 10);
    await until(() => reporter.stats().sent === 10, { what: "the entries are taken" });
    expect(notices.map(({ message }) => message)).toEqual([
      "Entries for the audit log wait, and are sent again: the call is refused with UNAUTHENTICATED.",
      "Entries are taken again.",
    ]);
  });

  it("keeps the entries of a session that is refused, and says so once", async () => {
    const reporter = await make();
    api.answer = () => ({ code: "FORBIDDEN" });
    report(reporter, 10);
    await until(() => api.calls.length >= 3, { what: "it is tried again" });
    expect(kinds()).toEqual(["refused"]);
    expect(reporter.stats()).toMatchObject({ waiting: 10, setAside: 0, lost: {} });
  });
});

describe("a token that doesn't come", () => {
  const never = (): Promise<string> => new Promise(() => undefined);

  it("is waited for as long as a call, and then asked for again", async () => {
    let asked = 0;
    const reporter = await make({ callTimeout: 50, token: () => (asked++ === 0 ? never() : "t-2") });
    report(reporter, 10);
    await until(() => reporter.stats().sent === 10, { what: "the entries are taken" });
    expect(kinds()).toEqual(["delayed", "recovered"]);
    expect(asked).toBeGreaterThan(1);
  });

  it("doesn't hold up the end beyond its deadline", async () => {
    const reporter = await make({ token: never });
    report(reporter, 10);
    const begun = performance.now();
    expect(await reporter.close({ deadline: 50 })).toMatchObject({ lost: 10, isClosed: false });
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  it("is not waited for where its file is a pipe", async () => {
    const tokenFile = join(folder, "pipe");
    execFileSync("mkfifo", [tokenFile]);
    const reporter = await make({ tokenFile });
    report(reporter, 10);
    await until(() => notices.length > 0, { what: "the call is given up" });
    expect(notices[0]?.cause).toMatchObject({ name: "TokenError", message: "The token's file isn't a regular file." });
  });
});

describe("what is refused for good", () => {
  it("is set aside where the answer names it, and reported", async () => {
    const reporter = await make();
    api.answer = ({ entries }) => (entries.length > 0 ? { refused: { 2: "BAD_USER_INPUT", 5: "CONFLICT" } } : null);
    report(reporter, 10);
    expect(await reporter.close()).toEqual({ sent: 8, setAside: 2, lost: 0, kept: 0, isClosed: true });
    expect(missingOf(api.session())).toEqual([]);
    expect([...api.session().dropped]).toEqual([
      ["2", "set_aside: BAD_USER_INPUT"],
      ["5", "set_aside: CONFLICT"],
    ]);
    expect(notices[0]).toMatchObject({
      kind: "set_aside",
      sequenceNumber: 2n,
      message: "Entry 2 is refused for good and set aside: BAD_USER_INPUT It is BAD_USER_INPUT.",
      entry: expect.stringContaining('"sequenceNumber":"2"'),
    });
  });

  it("is sent again where it is to be tried another time", async () => {
    const reporter = await make();
    api.answer = (_call, count) => (count === 1 ? { refused: { 8: "LIMIT_EXCEEDED", 9: "LIMIT_EXCEEDED" } } : null);
    report(reporter, 10);
    expect(await reporter.close()).toMatchObject({ sent: 10, setAside: 0, lost: 0 });
    expect(numbersOf(api.calls[1])).toEqual(["8", "9"]);
  });

  it.each([
    ["BAD_USER_INPUT", { code: "BAD_USER_INPUT" }, "set_aside: BAD_USER_INPUT"],
    ["413", { status: 413, body: "too large" }, "set_aside: TOO_LARGE"],
  ] as const)("is found by splitting where the whole call is refused with %s", async (_, answer, reason) => {
    const reporter = await make({ batchSize: 100 });
    api.answer = ({ entries }) => (entries.some(({ sequenceNumber }) => sequenceNumber === "37") ? answer : null);
    report(reporter, 100);
    expect(await reporter.close()).toEqual({ sent: 99, setAside: 1, lost: 0, kept: 0, isClosed: true });
    expect([...api.session().dropped]).toEqual([["37", reason]]);
    expect(missingOf(api.session())).toEqual([]);
    expect(api.session().repeated).toBe(0);
  });

  it("is no entry where a call without any is refused too", async () => {
    const reporter = await make();
    let isMended = false;
    api.answer = () => (isMended ? null : { code: "GRAPHQL_VALIDATION_FAILED" });
    report(reporter, 10);
    await until(() => api.calls.filter(({ entries }) => entries.length === 0).length >= 2, {
      what: "it has asked twice",
    });
    expect(reporter.stats()).toMatchObject({ waiting: 10, setAside: 0 });
    isMended = true;
    await until(() => reporter.stats().sent === 10, { what: "the entries are taken", deadline: 10_000 });
  });
});

describe("what there is no room for", () => {
  it("is the newest, and its numbers are reported although nothing else is to be sent", async () => {
    const reporter = await make({ maxQueued: 12, maxDelay: 100 });
    let isUp = false;
    api.answer = () => (isUp ? null : { status: 503, code: "UNAVAILABLE" });
    report(reporter, 15);
    await until(() => kinds().includes("dropped"), { what: "it is told" });
    isUp = true;
    await until(() => api.sessions.size > 0 && api.session().dropped.size === 3, { what: "the loss is reported" });
    expect([...api.session().dropped]).toEqual([
      ["12", "overflow"],
      ["13", "overflow"],
      ["14", "overflow"],
    ]);
    await until(() => reporter.stats().sent === 12, { what: "the others are taken" });
    expect(reporter.stats().lost).toEqual({ overflow: 3 });
    expect(missingOf(api.session())).toEqual([]);
    reporter.report("nothing" as unknown as ReportEntry);
    await until(() => api.session().dropped.size === 4, { what: "a loss alone is reported" });
    expect(api.calls.at(-1)).toMatchObject({
      entries: [],
      dropped: [{ reason: "malformed", sequenceNumbers: [["15", "15"]] }],
    });
  });

  it("is told of at once, and what there is room for sent, though that makes no batch", async () => {
    const reporter = await make({ maxQueued: 5, maxDelay: 60_000 });
    report(reporter, 8);
    await until(() => api.session().entries.size === 5 && api.session().dropped.size === 3, { what: "all is known" });
    expect(missingOf(api.session())).toEqual([]);
  });

  it("is counted with its reason where it is no entry, and never thrown", async () => {
    const reporter = await make();
    const hostile = new Proxy(entry(), {
      get: () => {
        throw new Error("a trap");
      },
    });
    const given: unknown[] = [
      null,
      undefined,
      7,
      {},
      hostile,
      entry(0, { claimedAt: NaN }),
      entry(0, { claimedAt: 9e15 }),
      { ...entry(), outcome: 1 },
      { ...entry(), onBehalfOf: {} },
      { ...entry(), fields: { url: {} } },
      { ...entry(), fields: { url: Symbol("x") } },
      { ...entry(), fields: { size: 2n ** 64n } },
      { ...entry(), fields: { list: [[1]] } },
      { ...entry(), fields: "text" },
      { ...entry(), fields: Buffer.from("octets") },
      { ...entry(), fields: ["a"] },
      { ...entry(), fields: { list: new Array(1_001).fill(1) } },
      { ...entry(), fields: Object.fromEntries(range(65).map((name) => [name, 1])) },
      { ...entry(), fields: { url: "x".repeat(1_000_000) } },
      entry(0, { sequenceNumber: "no number", fields: { kept: NaN } }),
      entry(0, { sequenceNumber: 5n }),
    ];
    const numbers = given.map((it) => reporter.report(it as ReportEntry));
    expect(numbers).toEqual(range(given.length).map(BigInt));
    expect(await reporter.close()).toEqual({ sent: 2, setAside: 0, lost: 19, kept: 0, isClosed: true });
    expect(reporter.stats().lost).toEqual({ malformed: 18, too_large: 1 });
    expect(api.session().entries.get("19")?.fields).toEqual({ kept: "NaN" });
    expect(missingOf(api.session())).toEqual([]);
  });
});

it("sets no entry aside that is refused once, as the API comes back", async () => {
  const reporter = await make({ batchSize: 1 });
  let isRefused = false;
  api.answer = ({ entries }) => {
    if (isRefused || entries.length === 0) return null;
    isRefused = true;
    return { code: "BAD_USER_INPUT" };
  };
  report(reporter, 1);
  await until(() => reporter.stats().sent === 1, { what: "the entry is taken" });
  expect(reporter.stats()).toMatchObject({ setAside: 0, lost: {} });
});

describe("a list of a class of its own", () => {
  class Hostile extends Array<string> {
    static override get [Symbol.species](): never {
      throw new Error("a trap");
    }

    override slice(): this {
      return this;
    }

    toJSON(): never {
      throw new Error("a trap");
    }
  }

  it("is sent as the values that it holds", async () => {
    const reporter = await make();
    reporter.report(entry(0, { fields: { tags: Hostile.of("a", "b") } }));
    report(reporter, 1);
    expect(await reporter.close({ deadline: 500 })).toMatchObject({ sent: 2, lost: 0, isClosed: true });
    expect(api.session().entries.get("0")?.fields).toEqual({ tags: ["a", "b"] });
  });
});

describe("the end of a reporter", () => {
  it("sends what waits, and says what became of all", async () => {
    const reporter = await make();
    report(reporter, 3);
    const result = { sent: 3, setAside: 0, lost: 0, kept: 0, isClosed: true };
    expect(await reporter.close()).toEqual(result);
    expect(await reporter.close()).toEqual(result);
    expect(api.session()).toMatchObject({ isClosed: true, taken: 3n });
    expect(reporter.report(entry())).toBe(3n);
    expect(reporter.stats().lost).toEqual({ closed: 1 });
    expect(reporter.correlationHeaders("https://example.com")).toEqual({});
  });

  it("ends the session of a reporter that had nothing to say", async () => {
    const reporter = await make();
    expect(await reporter.close()).toMatchObject({ sent: 0, isClosed: true });
    expect(api.calls).toEqual([expect.objectContaining({ taken: "0", entries: [], close: true })]);
  });

  it("tries again until the deadline", async () => {
    const reporter = await make();
    api.answer = (_call, count) => (count <= 2 ? { status: 503, code: "UNAVAILABLE" } : null);
    report(reporter, 1);
    expect(await reporter.close()).toMatchObject({ sent: 1, isClosed: true });
  });

  it("counts as lost what its deadline has cut off, in its stats as in its answer", async () => {
    const reporter = await make();
    api.answer = (_call, count) => (count === 1 ? null : { status: 503, code: "UNAVAILABLE" });
    report(reporter, 1);
    await until(() => api.sessions.size === 1, { what: "the session is opened" });
    reporter.report("nothing" as unknown as ReportEntry);
    expect(reporter.stats()).toMatchObject({ waiting: 1, lost: { malformed: 1 } });
    expect(await reporter.close({ deadline: 50 })).toEqual({ sent: 0, setAside: 0, lost: 2, kept: 0, isClosed: false });
    expect(reporter.stats()).toMatchObject({ taken: 2n, waiting: 0, sent: 0, lost: { malformed: 1, unsent: 1 } });
    expect(missingOf(api.session())).toEqual(["0"]);
  });

  it("comes behind the losses that are being told", async () => {
    const reporter = await make({ callTimeout: 100, maxDelay: 0 });
    api.answer = ({ dropped }) => (dropped ? "stall" : null);
    reporter.report("nothing" as unknown as ReportEntry);
    await until(() => api.calls.some(({ dropped }) => dropped), { what: "the loss is being told" });
    let calls = 0;
    api.answer = ({ dropped }) => (dropped && calls++ === 0 ? { status: 503, code: "UNAVAILABLE" } : null);
    expect(await reporter.close()).toMatchObject({ lost: 1, isClosed: true });
    expect([...api.session().dropped]).toEqual([["0", "malformed"]]);
  });

  it("doesn't wait for what comes behind it, and tells of it", async () => {
    const reporter = await make();
    report(reporter, 10);
    let isOver = false;
    const goOn = (): void => {
      report(reporter, 5);
      if (!isOver) setImmediate(goOn);
    };
    goOn();
    expect(await reporter.close({ deadline: 2_000 })).toMatchObject({ isClosed: true });
    isOver = true;
    const { entries, dropped, taken } = api.session();
    expect(BigInt(entries.size + dropped.size)).toBe(taken);
    expect(new Set(dropped.values())).toEqual(new Set(["closed"]));
    expect(dropped.size).toBeGreaterThan(0);
    expect(kinds()).toEqual(["dropped"]);
  });

  it("tells of what comes while its call waits for the token", async () => {
    let isClosing = false;
    const reporter = await make({
      token: () => {
        if (isClosing) reporter.report(entry());
        return Promise.resolve("t-1");
      },
    });
    report(reporter, 1);
    await reporter.flush();
    isClosing = true;
    expect(await reporter.close()).toMatchObject({ sent: 1, lost: 1, isClosed: true });
    expect(api.session().taken).toBe(2n);
    expect([...api.session().dropped]).toEqual([["1", "closed"]]);
  });

  it("is tried again within a second, however long the API wasn't there before", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.9);
    const reporter = await make();
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    report(reporter, 1);
    for (let time = 1; time < 10; time++) {
      const before = api.calls.length;
      await reporter.flush({ deadline: 1 });
      await until(() => api.calls.length > before, { what: "a call has come to nothing" });
    }
    const before = api.calls.length;
    const closed = reporter.close({ deadline: 5_000 });
    await until(() => api.calls.length > before, { what: "another one has" });
    api.answer = () => null;
    expect(await closed).toMatchObject({ sent: 1, isClosed: true });
  });

  it("doesn't hold up a flush by what comes behind it", async () => {
    const reporter = await make({ batchSize: 1_000, maxDelay: 60_000, maxQueued: 20 });
    report(reporter, 25);
    let isOver = false;
    const goOn = (): void => {
      report(reporter, 2);
      if (!isOver) setImmediate(goOn);
    };
    const flushed = reporter.flush({ deadline: 2_000 });
    goOn();
    expect(await flushed).toBe(true);
    isOver = true;
    const { entries, dropped } = api.session();
    expect(range(25).filter((number) => !entries.has(number) && !dropped.has(number))).toEqual([]);
  });

  it("can be flushed and go on", async () => {
    const reporter = await make();
    report(reporter, 1);
    expect(await reporter.flush()).toBe(true);
    expect(numbersOf()).toEqual(["0"]);
    report(reporter, 1);
    api.answer = () => "stall";
    expect(await reporter.flush({ deadline: 50 })).toBe(false);
  });
});

describe("who is told", () => {
  it("may fail, then or later", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", note);
    const fail = (() => Promise.reject(new Error("a trap"))) as () => void;
    const reporter = await make({ onNotice: fail });
    reporter.report("nothing" as unknown as ReportEntry);
    expect(await reporter.close()).toMatchObject({ lost: 1, isClosed: true });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });
});

describe("the options", () => {
  it.each([
    ["http://api.example:4000/graphql", ["in_the_clear"]],
    ["http://[2001:db8::1]/graphql", ["in_the_clear"]],
    ["http://localhost.example/graphql", ["in_the_clear"]],
    ["https://api.example/graphql", []],
    ["http://localhost:4000/graphql", []],
    ["http://127.0.0.2/graphql", []],
    ["http://[::1]:4000/graphql", []],
  ])("tell of a token that %s would show to who listens", async (url, told) => {
    await make({ url });
    expect(notices.map(({ kind }) => kind)).toEqual(told);
  });

  it("are refused with all their problems at once", async () => {
    const options = {
      url: "ftp://example.com",
      token: "a",
      tokenFile: "b",
      source: { program: "", version: "1\0" },
      batchSize: 0,
      maxDelay: -1,
      spool: { folder: "here", maxBytes: 1 },
      correlation: {
        targets: [
          { path: "/x" },
          { host: "a b" },
          { host: "example.com", path: "x" },
          { host: "e.com:99999" },
          { host: "e.com", path: "/?x" },
        ],
      },
    } as unknown as ReporterOptions;
    const error: unknown = await createReporter(options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ReporterConfigurationError);
    expect((error as ReporterConfigurationError).problems).toEqual([
      "batchSize isn't a whole number from 1 to 1000.",
      "maxDelay isn't a whole number from 0 to 2147483647.",
      "url isn't one of http or https.",
      "token and tokenFile are both given.",
      "source.program isn't a text of 1 to 200 characters.",
      "source.version isn't a text of 1 to 200 characters.",
      "spool.folder isn't an absolute path.",
      "spool.maxBytes isn't a whole number from 262144.",
      "correlation.targets[0] has no host.",
      "correlation.targets[1].host is neither a host, nor *.host, nor *.",
      "correlation.targets[2].path doesn't begin with a slash.",
      "correlation.targets[3].host is neither a host, nor *.host, nor *.",
      "correlation.targets[4].path holds more than a path: leave out what begins with ? or #.",
    ]);
  });

  it("have one target, without credentials", async () => {
    await expect(make({ url: "https://u:p@example.com/graphql" })).rejects.toThrow("url holds credentials");
    await expect(make({ url: api.url, socketPath: "/x" })).rejects.toThrow(
      "One of url and socketPath has to be given.",
    );
    await expect(make({ correlation: { targets: [] } })).rejects.toThrow("correlation.targets is empty");
  });
});
