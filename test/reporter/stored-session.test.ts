import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LineSpool } from "../../src/disk/line-spool.js";
import { Segment } from "../../src/disk/segment.js";
import {
  createReporter,
  ReporterSpoolError,
  type Notice,
  type ReportEntry,
  type Reporter,
} from "../../src/reporter/index.js";
import { readBootId, SessionFile, type SessionState } from "../../src/reporter/session-file.js";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { startReportApi, type ReportApi } from "../support/report-api.js";
import { until } from "../support/until.js";

const large = 9_007_199_254_740_993n;
const source = { program: "gateway", version: "1", host: "edge-1" };
const entry = { resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" } as const;

let api: ReportApi;
let folder: string;
let notices: Notice[];
beforeEach(async () => {
  api = await startReportApi();
  folder = join(mkdtempSync(join(tmpdir(), "auditql-session-")), "spool");
  notices = [];
  await mkdir(folder);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await api.close();
  rmSync(join(folder, ".."), { recursive: true });
});

const open = (): Promise<Reporter> =>
  createReporter({
    url: api.url,
    source,
    spool: { folder },
    handleExit: false,
    onNotice: (notice) => void notices.push(notice),
  });

/** Leaves what a killed process has left. */
async function leave(state: Partial<SessionState>): Promise<SessionState> {
  const numbers = { taken: large, reserved: large + 4_096n, written: large };
  const left = { sessionId: uuidV7(), source, bootId: await readBootId(), ...numbers, ...state };
  const file = await SessionFile.open(folder);
  file.write(left);
  await file.close();
  return left;
}

describe("a session that a killed process has left", () => {
  it("goes on with numbers of 64 bits, to the last digit", async () => {
    const { sessionId } = await leave({});
    const reporter = await open();
    expect(reporter.sessionId).toBe(sessionId);
    expect([reporter.report(entry), reporter.report(entry)]).toEqual([large, large + 1n]);
    expect(await reporter.close()).toMatchObject({ sent: 2, isClosed: true });
    expect(api.calls.flatMap(({ entries }) => entries.map(({ sequenceNumber }) => sequenceNumber))).toEqual([
      "9007199254740993",
      "9007199254740994",
    ]);
    expect(api.calls.at(-1)?.taken).toBe("9007199254740995");
  });

  it("has the numbers listed as lost of which no line tells", async () => {
    await leave({ written: large - 3n });
    const reporter = await open();
    expect(await reporter.close()).toEqual({ sent: 0, setAside: 0, lost: 3, kept: 0, isClosed: true });
    expect(api.calls.flatMap(({ dropped }) => dropped ?? [])).toEqual([
      { reason: "crash", sequenceNumbers: [["9007199254740990", "9007199254740992"]] },
    ]);
  });

  it("passes over all that was kept free where the machine has been started since", async () => {
    await leave({ bootId: "another" });
    const reporter = await open();
    expect(reporter.report(entry)).toBe(large + 4_096n);
    expect(await reporter.close()).toMatchObject({ sent: 1, lost: 4_096, isClosed: true });
  });

  it("goes on behind every number that a line knows, whatever the file says", async () => {
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const first = await open();
    for (let place = 0; place < 20; place++) first.report(entry);
    expect(await first.close({ deadline: 0 })).toMatchObject({ kept: 20 });
    const { sessionId } = first;
    await leave({ sessionId, bootId: "another", taken: 5n, reserved: 8n, written: 0n });
    api.answer = () => null;
    const second = await open();
    expect(second.report(entry)).toBe(20n);
    expect(await second.close()).toEqual({ sent: 21, setAside: 0, lost: 0, kept: 0, isClosed: true });
  });

  it("is told of no number that a power cut could have taken again", async () => {
    const reporter = await open();
    const sync = vi.spyOn(SessionFile.prototype, "sync");
    let release: () => void = () => undefined;
    sync.mockImplementation(() => new Promise<void>((resolve) => (release = resolve)));
    const report = (count: number): void => {
      for (let place = 0; place < count; place++) reporter.report(entry);
    };
    report(3_000);
    await until(() => reporter.stats().sent === 3_000, { what: "those within what the disk has kept free are sent" });
    // More than is kept free: the file's state changes while the disk is asked for the one before.
    report(3_000);
    expect(await reporter.flush({ deadline: 100 })).toBe(false);
    expect(api.session().entries.size).toBe(3_000);
    sync.mockRestore();
    const again = vi.spyOn(SessionFile.prototype, "sync");
    release();
    expect(await reporter.flush()).toBe(true);
    expect(api.session().entries.size).toBe(6_000);
    expect(again).toHaveBeenCalledTimes(1);
    again.mockRestore();
    expect(await reporter.close()).toMatchObject({ sent: 6_000, isClosed: true });
  });

  it("is known by the state before where the last one was torn", async () => {
    const { sessionId } = await leave({});
    const file = await SessionFile.open(folder);
    file.write({ ...(file.found ?? (await leave({}))), taken: large + 16n });
    await file.close();
    const path = join(folder, "session");
    const octets = readFileSync(path);
    // The second slot comes first.
    octets.fill(0, 100, 4_096);
    writeFileSync(path, octets);
    const reporter = await open();
    expect(reporter.sessionId).toBe(sessionId);
    expect(reporter.report(entry)).toBe(large);
    await reporter.close();
  });

  it("that can't be read any more has its lines set aside, and another begins", async () => {
    const first = await open();
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    first.report(entry);
    await first.close({ deadline: 0 });
    writeFileSync(join(folder, "session"), "nothing");
    api.answer = () => null;
    const second = await open();
    expect(second.sessionId).not.toBe(first.sessionId);
    expect(second.report(entry)).toBe(0n);
    expect(await second.close()).toMatchObject({ sent: 1, isClosed: true });
    expect(readFileSync(join(folder, "set-aside.jsonl"), "utf8")).toContain('"why":"belongs to no session"');
    expect(notices.map(({ kind, message }) => [kind, message]).at(-1)).toEqual([
      "spool",
      `Entries of an earlier run whose session can't be read lie in ${join(folder, "set-aside.jsonl")}: look at them.`,
    ]);
  });

  it("that can't be read any more holds up the start while its lines can't be set aside, which says what to do", async () => {
    const first = await open();
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    first.report(entry);
    await first.close({ deadline: 0 });
    writeFileSync(join(folder, "session"), "nothing");
    api.answer = () => null;
    const aside = join(folder, "set-aside.jsonl");
    writeFileSync(aside, "");
    truncateSync(aside, 64 * 1024 ** 2);
    await expect(open()).rejects.toThrow(
      new ReporterSpoolError(`${aside} is as large as the spool may be: look at it and move it away.`),
    );
    rmSync(aside);
    await (await open()).close();
    expect(readFileSync(aside, "utf8")).toContain('"why":"belongs to no session"');
  });
});

describe("a spool", () => {
  const quiet = { source, handleExit: false, onNotice: () => undefined };

  it("keeps what comes behind an end that the API doesn't hear of", async () => {
    api.answer = () => "stall";
    const first = await createReporter({ ...quiet, url: api.url, spool: { folder } });
    first.report(entry);
    const closed = first.close({ deadline: 50 });
    first.report(entry);
    first.report(entry);
    expect(await closed).toMatchObject({ kept: 1, lost: 2, isClosed: false });
    api.answer = () => null;
    const second = await createReporter({ ...quiet, url: api.url, spool: { folder } });
    expect(await second.close()).toMatchObject({ sent: 1, isClosed: true });
    expect([...api.session().dropped]).toEqual([
      ["1", "closed"],
      ["2", "closed"],
    ]);
  });

  it("holds up a flush no longer than it takes to write the numbers of headers", async () => {
    const correlation = { targets: [{ host: "*" }] };
    const reporter = await createReporter({ ...quiet, url: api.url, spool: { folder }, correlation });
    reporter.report(entry);
    await reporter.flush();
    reporter.correlationHeaders("https://example.com/");
    const begun = performance.now();
    expect(await reporter.flush({ deadline: 5_000 })).toBe(true);
    expect(performance.now() - begun).toBeLessThan(2_500);
    expect(await reporter.close()).toMatchObject({ sent: 1, lost: 1, isClosed: true });
  });

  it("tells of a line that was altered while it waited, although nothing else comes", async () => {
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const reporter = await createReporter({ ...quiet, url: api.url, spool: { folder } });
    for (let place = 0; place < 10; place++) reporter.report(entry);
    await until(() => reporter.stats().lastFailure !== null, { what: "they wait on the disk" });
    const [name = ""] = readdirSync(folder).filter((it) => it.startsWith("lines-"));
    const lines = readFileSync(join(folder, name));
    lines.write("ALTERED", lines.indexOf("REQUEST"));
    writeFileSync(join(folder, name), lines);
    api.answer = () => null;
    expect(await reporter.close()).toMatchObject({ sent: 9, lost: 1, isClosed: true });
    expect([...api.session().dropped]).toEqual([["0", "damaged"]]);
  });

  it("counts an entry that is refused for good once, though the disk can't take note of it at first", async () => {
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const reporter = await createReporter({ ...quiet, url: api.url, spool: { folder }, maxDelay: 0 });
    reporter.report(entry);
    const sends = (): number => api.calls.filter(({ entries }) => entries.length > 0).length;
    await until(() => sends() > 0, { what: "it is on the disk" });
    const append = vi.spyOn(LineSpool.prototype, "append").mockRejectedValue(new Error("No room."));
    api.answer = ({ entries }) => (entries.length > 0 ? { refused: { 0: "BAD_USER_INPUT" } } : null);
    const before = sends();
    await until(() => sends() > before + 1, { what: "it is sent again" });
    append.mockRestore();
    expect(await reporter.close()).toEqual({ sent: 0, setAside: 1, lost: 0, kept: 0, isClosed: true });
    expect(reporter.stats().lost).toEqual({ "set_aside: BAD_USER_INPUT": 1 });
  });

  it("that the numbers can't be written to is told of once, and nobody waits for who is told", async () => {
    const reporter = await open();
    const write = vi.spyOn(SessionFile.prototype, "write").mockImplementation(() => {
      throw new Error("No room.");
    });
    for (let place = 0; place < 100; place++) reporter.report(entry);
    expect(notices).toEqual([]);
    await until(() => notices.length > 0, { what: "it is told" });
    write.mockRestore();
    expect(await reporter.close()).toMatchObject({ sent: 100, isClosed: true });
    expect(notices.map(({ kind }) => kind)).toEqual(["spool"]);
  });

  it("that the numbers can't be forced to the disk is told of once", async () => {
    const reporter = await open();
    const sync = vi.spyOn(SessionFile.prototype, "sync").mockRejectedValue(new Error("No disk."));
    for (let place = 0; place < 5_000; place++) {
      reporter.report(entry);
      if (place % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => notices.length > 1, { what: "it is told of the numbers, and of the entries that wait for them" });
    sync.mockRestore();
    expect(await reporter.close()).toMatchObject({ sent: 5_000, isClosed: true });
    expect(notices.map(({ kind }) => kind)).toEqual(["spool", "spool"]);
  });

  it("gives back what it holds of a folder that is gone", async () => {
    const first = await createReporter({ ...quiet, url: api.url, spool: { folder } });
    first.report(entry);
    await first.flush();
    rmSync(join(folder, "session"));
    expect(await first.close()).toMatchObject({ sent: 1, isClosed: true });
    const second = await createReporter({ ...quiet, url: api.url, spool: { folder } });
    expect(await second.close()).toMatchObject({ isClosed: true });
  });

  it("tells once of a number that is lost before it is written", async () => {
    const correlation = { targets: [{ host: "*" }] };
    const options = { ...quiet, url: api.url, spool: { folder }, correlation, maxDelay: 0 };
    const first = await createReporter(options);
    const sequenceNumber = first.correlationHeaders("https://example.com/")["X-Audit-Sequence-Number"];
    first.report({ ...entry, sequenceNumber, claimedAt: NaN });
    await until(() => api.sessions.size > 0 && api.session().dropped.size === 1, { what: "it is told" });
    expect(sequenceNumber).toBe("0");
    api.answer = () => "stall";
    await first.close({ deadline: 0 });
    api.answer = () => null;
    const before = api.calls.length;
    const second = await createReporter(options);
    expect(await second.close()).toMatchObject({ lost: 0, isClosed: true });
    expect(api.calls.slice(before).flatMap(({ dropped }) => dropped ?? [])).toEqual([]);
  });
});

describe("a spool that can't be written to", () => {
  it("has those counted as lost at the end that no disk has taken", async () => {
    const reporter = await open();
    const refusal = new Error("No room.");
    vi.spyOn(LineSpool.prototype, "append").mockRejectedValue(refusal);
    vi.spyOn(LineSpool.prototype, "appendNow").mockImplementation(() => {
      throw refusal;
    });
    for (let place = 0; place < 3; place++) reporter.report(entry);
    expect(await reporter.close({ deadline: 0 })).toEqual({ sent: 0, setAside: 0, lost: 3, kept: 0, isClosed: false });
    expect(reporter.stats()).toMatchObject({ waiting: 0, lost: { unsent: 3 } });
    expect(notices.map(({ message }) => message)).toEqual([
      "Entries can't be written to the spool, and wait in memory.",
      "The last entries can't be written to the spool.",
    ]);
  });
});

describe("a spool that is full", () => {
  const large = { ...entry, fields: { url: `https://example.com/${"x".repeat(10_000)}` } };
  const small = { source, handleExit: false, onNotice: () => undefined };

  it("is taken up by the next run, though the end of the one before wrote more than it holds, and lost some", async () => {
    const options = { ...small, url: api.url, spool: { folder, maxBytes: 256 * 1024 } };
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const first = await createReporter(options);
    for (let place = 0; place < 60; place++) first.report(large);
    expect(await first.close({ deadline: 0 })).toMatchObject({ kept: 60, isClosed: false });
    // As if it had been killed while four more were on their way to the disk.
    const file = await SessionFile.open(folder);
    if (!file.found) throw new Error("It has left no session.");
    file.write({ ...file.found, taken: 64n });
    await file.close();
    api.answer = () => null;
    const second = await createReporter(options);
    expect(second.report(entry)).toBe(64n);
    expect(await second.close()).toMatchObject({ sent: 61, lost: 4, isClosed: true });
    expect([...api.session().dropped]).toEqual(["60", "61", "62", "63"].map((number) => [number, "crash"]));
  });

  it("grows beyond its bound at one end, and not at each", async () => {
    const options = { ...small, url: api.url, spool: { folder, maxBytes: 256 * 1024 } };
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const kept: number[] = [];
    for (let run = 0; run < 3; run++) {
      const reporter = await createReporter(options);
      for (let place = 0; place < 40; place++) reporter.report(large);
      kept.push((await reporter.close({ deadline: 0 })).kept);
    }
    expect(kept).toEqual([40, 40, 40]);
    api.answer = () => null;
    const last = await createReporter(options);
    expect(await last.close()).toMatchObject({ isClosed: true });
    const { entries, dropped } = api.session();
    expect([entries.size, dropped.size, new Set(dropped.values())]).toEqual([40, 80, new Set(["overflow"])]);
  });

  it("takes what is more than it holds bit by bit, and tells of it once", async () => {
    const onNotice = (notice: Notice): void => void notices.push(notice);
    const reporter = await createReporter({
      ...small,
      url: api.url,
      spool: { folder, maxBytes: 256 * 1024 },
      onNotice,
    });
    for (let place = 0; place < 60; place++) reporter.report(large);
    expect(await reporter.close()).toMatchObject({ sent: 60, lost: 0, isClosed: true });
    expect(notices.map(({ kind }) => kind)).toEqual(["spool"]);
  });

  it("has sent at once what it holds, though that makes no batch", async () => {
    const spool = { folder, maxBytes: 256 * 1024 };
    const reporter = await createReporter({ ...small, url: api.url, spool, maxDelay: 60_000 });
    const huge = { ...entry, fields: { url: "x".repeat(60_000) } };
    for (let place = 0; place < 30; place++) reporter.report(huge);
    await until(() => reporter.stats().sent === 30, { what: "all are sent" });
    expect(await reporter.close()).toMatchObject({ sent: 30, lost: 0, isClosed: true });
  });

  it("takes an entry that is larger than it, one at a time", async () => {
    const reporter = await createReporter({ ...small, url: api.url, spool: { folder, maxBytes: 256 * 1024 } });
    // Each of these takes six octets.
    const huge = { ...entry, fields: { url: "\u0001".repeat(60_000) } };
    for (let place = 0; place < 3; place++) reporter.report(huge);
    expect(await reporter.close()).toMatchObject({ sent: 3, lost: 0, isClosed: true });
  });

  it("keeps, and doesn't list as lost, an entry larger than it that is being written at the end", async () => {
    const options = { ...small, url: api.url, spool: { folder, maxBytes: 256 * 1024 } };
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const append = vi.spyOn(Segment.prototype, "append").mockImplementation(async () => {
      await held;
      throw new Error("No disk.");
    });
    const first = await createReporter(options);
    const number = first.report({ ...entry, fields: { url: "\u0001".repeat(60_000) } });
    await until(() => append.mock.calls.length > 0, { what: "it is being written" });
    first.report(entry);
    expect(await first.close({ deadline: 0 })).toMatchObject({ kept: 1, lost: 1, isClosed: false });
    append.mockRestore();
    release();
    await until(() => !existsSync(join(folder, "lock")), { what: "the spool is given back" });
    const second = await createReporter(options);
    expect(await second.close()).toMatchObject({ sent: 1, isClosed: true });
    expect([...api.session().entries.keys()]).toEqual([String(number)]);
    expect([...api.session().dropped]).toEqual([["1", "overflow"]]);
  });

  it("has room for entries though lines of numbers have filled it", async () => {
    const options = { ...small, url: api.url, maxQueued: 3_000, correlation: { targets: [{ host: "*" }] } };
    const reporter = await createReporter({ ...options, spool: { folder, maxBytes: 256 * 1024 } });
    const take = () => reporter.correlationHeaders("https://example.com/")["X-Audit-Sequence-Number"];
    const numbers = Array.from({ length: 2_500 }, take).slice(0, 20);
    expect(await reporter.flush()).toBe(true);
    reporter.report("nothing" as unknown as ReportEntry);
    for (const sequenceNumber of numbers) reporter.report({ ...entry, sequenceNumber });
    expect(await reporter.flush()).toBe(true);
    expect(await reporter.close()).toMatchObject({ sent: 20, lost: 2_481, isClosed: true });
  });

  describe("of which numbers of headers keep the room", () => {
    const options = { ...small, maxDelay: 60_000, correlation: { targets: [{ host: "*" }] } };
    const some = { ...entry, fields: { url: `https://example.com/${"x".repeat(200)}` } };
    let headers: (string | undefined)[];
    let reporter: Reporter;
    beforeEach(async () => {
      const onNotice = (notice: Notice): void => void notices.push(notice);
      const spool = { folder, maxBytes: 256 * 1024 };
      reporter = await createReporter({ ...options, url: api.url, spool, onNotice });
      headers = [];
      for (let time = 0; time < 16; time++) {
        headers.push(reporter.correlationHeaders("https://example.com/")["X-Audit-Sequence-Number"]);
        for (let place = 0; place < 60; place++) reporter.report(some);
        await reporter.flush();
      }
    });
    const reportMore = async (): Promise<void> => {
      const { sent } = reporter.stats();
      for (let place = 0; place < 50; place++) reporter.report(some);
      await until(() => reporter.stats().sent === sent + 50, { what: "all are sent" });
    };

    it("has room for more than one entry at a time", async () => {
      const before = api.calls.length;
      await reportMore();
      expect(api.calls.length - before).toBeLessThan(10);
      expect(notices).toEqual([]);
      reporter.report({ ...entry, sequenceNumber: headers[0] });
      expect(await reporter.close()).toMatchObject({ lost: 15, isClosed: true });
      expect([...api.session().dropped.keys()]).toEqual(headers.slice(1));
    });

    it("has each lost once where it was killed before the lines that it has written again were done", async () => {
      const done = vi.spyOn(LineSpool.prototype, "done").mockReturnValue();
      await reportMore();
      const copy = `${folder}-after`;
      cpSync(folder, copy, { recursive: true });
      done.mockRestore();
      rmSync(join(copy, "lock"));
      const next = await createReporter({ ...options, url: api.url, spool: { folder: copy } });
      const { taken } = reporter.stats();
      const unused = Number(next.stats().taken - taken);
      expect(await next.close()).toMatchObject({ lost: 16 + unused, isClosed: true });
      expect(unused).toBeLessThan(16);
      const lost = [...api.session().dropped].filter(([number]) => BigInt(number) < taken);
      expect(lost).toEqual(headers.map((number) => [number, "crash"]));
      await reporter.close();
    });
  });

  it("sets aside what is refused, though what waits beside it takes more than there is room for", async () => {
    const options = { ...small, url: api.url, spool: { folder, maxBytes: 256 * 1024 } };
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const first = await createReporter(options);
    for (let place = 0; place < 60; place++) first.report(large);
    expect(await first.close({ deadline: 0 })).toMatchObject({ kept: 60, isClosed: false });
    api.answer = ({ entries }) => {
      const at = entries.findIndex(({ sequenceNumber }) => sequenceNumber === "50");
      return at < 0 ? null : { refused: { [at]: "BAD_USER_INPUT" } };
    };
    const second = await createReporter(options);
    expect(await second.close()).toMatchObject({ sent: 59, setAside: 1, isClosed: true });
    expect([...api.session().dropped]).toEqual([["50", "set_aside: BAD_USER_INPUT"]]);
  });

  it("has the numbers of headers accounted for, also those that a killed process found no room for", async () => {
    const options = { ...small, url: api.url, maxQueued: 5, correlation: { targets: [{ host: "*" }] } };
    const first = await createReporter({ ...options, spool: { folder } });
    for (let place = 0; place < 5; place++) first.report(entry);
    const headers = [0, 1, 2].map(() => first.correlationHeaders("https://example.com/")["X-Audit-Sequence-Number"]);
    expect(headers).toEqual(["5", "6", "7"]);
    expect(await first.flush()).toBe(true);
    expect([...api.session().dropped]).toEqual(headers.map((number) => [number, "overflow"]));
    first.report(entry);
    expect(await first.close()).toMatchObject({ sent: 6, lost: 3, isClosed: true });
  });

  it("leaves entries in memory, drops what comes beyond, and tells of it once there is room", async () => {
    const reporter = await createReporter({
      url: api.url,
      source,
      spool: { folder, maxBytes: 256 * 1024 },
      maxQueued: 20,
      handleExit: false,
      onNotice: (notice) => void notices.push(notice),
    });
    let isUp = false;
    api.answer = () => (isUp ? null : { status: 503, code: "UNAVAILABLE" });
    const reportSome = (): void => {
      for (let place = 0; place < 10; place++) {
        reporter.report({ ...entry, fields: { url: `https://example.com/${"x".repeat(1_000)}` } });
      }
    };
    await until(
      () => {
        reportSome();
        return notices.some(({ kind }) => kind === "spool");
      },
      { what: "the spool is full", interval: 5 },
    );
    for (let time = 0; time < 4; time++) reportSome();
    const { taken } = reporter.stats();
    isUp = true;
    const { sent, lost, isClosed } = await reporter.close();
    expect([BigInt(sent + lost), isClosed]).toEqual([taken, true]);
    expect(sent).toBeGreaterThan(100);
    expect(lost).toBeGreaterThan(10);
    const { entries, dropped } = api.session();
    expect(entries.size).toBe(sent);
    expect(new Set([...entries.keys(), ...dropped.keys()]).size).toBe(Number(taken));
    expect(new Set(dropped.values())).toEqual(new Set(["overflow"]));
  });
});
