import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createReporter, ReporterSpoolError, type ReporterOptions } from "../../src/reporter/index.js";
import { missingOf, startReportApi, type ReportApi } from "../support/report-api.js";
import type { ReportingTask } from "../support/reporting-process.js";
import { asFirstProcess, startReporting, type ReportingChild } from "../support/start-reporting.js";
import { until } from "../support/until.js";

let api: ReportApi;
let folder: string;
let children: ReportingChild[];
beforeEach(async () => {
  api = await startReportApi();
  folder = mkdtempSync(join(tmpdir(), "auditql-reporter-"));
  children = [];
});
afterEach(async () => {
  for (const child of children) child.process.kill("SIGKILL");
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const options = (more: Partial<ReporterOptions> = {}): ReporterOptions => ({
  url: api.url,
  source: { program: "gateway", version: "1" },
  callTimeout: 1_000,
  ...more,
});
const spooled = (more: Partial<ReporterOptions> = {}): ReporterOptions =>
  options({ spool: { folder: join(folder, "spool") }, ...more });

function start(task: ReportingTask, through: readonly string[] = []): ReportingChild {
  const child = startReporting(task, {}, through);
  children.push(child);
  return child;
}

const range = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));
const received = (): string[] => [...api.session().entries.keys()];

describe("a process with a reporter", () => {
  it("sends what waits when nothing else is left to do", async () => {
    const child = start({ options: options(), count: 13 });
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(received()).toEqual(range(13));
    expect(api.session().isClosed).toBe(true);
  });

  it("ends by SIGTERM where it doesn't look after that itself, with all sent", async () => {
    const child = start({ options: options(), count: 13, then: "wait" });
    await until(() => child.said.includes("done"), { what: "it has reported all" });
    child.process.kill("SIGTERM");
    expect(await child.ended).toEqual({ code: null, signal: "SIGTERM" });
    expect(received()).toEqual(range(13));
    expect(api.session().isClosed).toBe(true);
  });

  it("ends by a second SIGTERM at once", async () => {
    api.answer = ({ entries }) => (entries.length > 0 ? "stall" : null);
    const child = start({ options: options({ callTimeout: 60_000 }), count: 3, then: "wait" });
    await until(() => child.said.includes("done"), { what: "it has reported all" });
    child.process.kill("SIGTERM");
    await until(() => api.calls.some(({ entries }) => entries.length > 0), { what: "it tries to send" });
    child.process.kill("SIGTERM");
    const begun = performance.now();
    expect(await child.ended).toEqual({ code: null, signal: "SIGTERM" });
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it("looks after SIGTERM itself where it wants to", async () => {
    const child = start({ options: options(), count: 13, then: "listen" });
    await until(() => child.said.includes("done"), { what: "it has reported all" });
    child.process.kill("SIGTERM");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(child.said).toEqual(["done", "closed 14 true"]);
    expect(received()).toEqual(range(14));
  });

  it("leaves a gap behind where it is killed, and a session that never ended", async () => {
    api.answer = (_, count) => (count === 1 ? null : "stall");
    const child = start({ options: options({ maxBatchSize: 10 }), count: 20, then: "wait" });
    await until(() => api.calls.length === 2, { what: "the second batch is under way" });
    child.process.kill("SIGKILL");
    await child.ended;
    expect(received()).toEqual(range(10));
    expect(api.session()).toMatchObject({ isClosed: false, taken: 20n });
    expect(missingOf(api.session())).toEqual(range(20).slice(10));
  });
});

const [unshare, ...itsArgs] = asFirstProcess;
const isFirstAllowed = spawnSync(unshare, [...itsArgs, "true"]).status === 0;

describe.skipIf(!isFirstAllowed)("a container's first process (skipped where `unshare` isn't allowed)", () => {
  async function startFirst(count: number, more: Partial<ReporterOptions> = {}) {
    const child = start({ options: options(more), count, then: "wait" }, asFirstProcess);
    await until(() => child.said.includes("done"), { what: "it has reported all" });
    const pid = String(child.process.pid);
    const first = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"));
    return { child, terminate: () => process.kill(first, "SIGTERM") };
  }

  it("ends by SIGTERM too, with all sent", async () => {
    const { child, terminate } = await startFirst(13);
    terminate();
    expect(await child.ended).toEqual({ code: 143, signal: null });
    expect(received()).toEqual(range(13));
    expect(api.session().isClosed).toBe(true);
  });

  it("ends by a second SIGTERM at once", async () => {
    api.answer = ({ entries }) => (entries.length > 0 ? "stall" : null);
    const { child, terminate } = await startFirst(3, { callTimeout: 60_000 });
    terminate();
    await until(() => api.calls.some(({ entries }) => entries.length > 0), { what: "it tries to send" });
    terminate();
    const begun = performance.now();
    expect(await child.ended).toEqual({ code: 143, signal: null });
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

describe("a process with a spool", () => {
  it.each(["exit", "throw"] as const)("leaves what waits to the next run at its %s", async (then) => {
    api.answer = () => ({ status: 503, code: "UNAVAILABLE" });
    const first = start({ options: spooled(), count: 33, then });
    expect((await first.ended).code).toBe(then === "exit" ? 3 : 1);
    api.answer = () => null;
    const second = start({ options: spooled(), count: 2 });
    expect(await second.ended).toEqual({ code: 0, signal: null });
    expect(second.numbers).toEqual(["33", "34"]);
    expect(received()).toEqual(range(35));
    expect(api.session()).toMatchObject({ taken: 35n, isClosed: true });
    expect(api.session().dropped.size).toBe(0);
    expect(readdirSync(join(folder, "spool"))).not.toContain("session");
  });

  it("ends a session by its end, so that the next run has one of its own", async () => {
    for (const run of [1, 2]) {
      await start({ options: spooled(), count: 3 }).ended;
      expect(api.sessions.size).toBe(run);
    }
    for (const session of api.sessions.values()) {
      expect([...session.entries.keys()]).toEqual(range(3));
      expect(session.isClosed).toBe(true);
    }
  });

  it("is finished by the next run after each kill, with no number twice and none unaccounted for", async () => {
    api.answer = (_, count) =>
      count % 7 === 0 ? "cut" : count % 11 === 0 ? { status: 503, code: "UNAVAILABLE" } : null;
    const taken: string[] = [];
    const correlated = { maxDelay: 50, correlation: { targets: [{ host: "*" }] } };
    for (let run = 0; run < 6; run++) {
      const child = start({ options: spooled(correlated), every: run % 3 });
      const wanted = 150 + 97 * run;
      await until(() => child.numbers.length >= wanted, { what: "it has reported some", interval: 1 });
      child.process.kill("SIGKILL");
      await child.ended;
      taken.push(...child.numbers);
    }
    const last = start({ options: spooled(), count: 1 });
    expect(await last.ended).toEqual({ code: 0, signal: null });
    taken.push(...last.numbers);
    const session = api.session();
    expect(new Set(taken).size).toBe(taken.length);
    expect(missingOf(session)).toEqual([]);
    expect(taken.filter((number) => !session.entries.has(number) && !session.dropped.has(number))).toEqual([]);
    expect([...session.dropped.keys()].filter((number) => session.entries.has(number))).toEqual([]);
    expect(new Set(session.dropped.values())).toEqual(new Set(session.dropped.size > 0 ? ["crash"] : []));
    // Those on their way to the disk, and what was left of sixteen, six times.
    expect(session.dropped.size).toBeLessThan(taken.length / 2);
    expect(session.isClosed).toBe(true);
  });

  it("keeps its folder for itself, and to itself", async () => {
    const reporter = await createReporter({ ...spooled(), handleExit: false });
    const second = createReporter({ ...spooled(), handleExit: false });
    await expect(second).rejects.toThrow(ReporterSpoolError);
    await expect(createReporter(spooled())).rejects.toThrow(`is in use by process ${String(process.pid)}`);
    const other = start({ options: spooled(), count: 1 });
    expect((await other.ended).code).toBe(1);
    expect(other.stderr).toContain(
      `is in use by process ${String(process.pid)}: give each process a folder of its own.`,
    );
    for (const name of readdirSync(join(folder, "spool")).filter((it) => it !== "lock")) {
      expect(statSync(join(folder, "spool", name)).mode & 0o777, name).toBe(0o600);
    }
    await reporter.close();
  });

  it("sets aside what is refused for good, and tells people where", async () => {
    const oneByOne = spooled({ batchSize: 1, maxBatchSize: 1 });
    const reporter = await createReporter({ ...oneByOne, handleExit: false, onNotice: () => undefined });
    api.answer = ({ entries }) => (entries.length > 0 ? { refused: { 0: "BAD_USER_INPUT" } } : null);
    const entry = { resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" } as const;
    for (let place = 0; place < 3; place++) reporter.report(entry);
    await until(() => reporter.stats().setAside === 3, { what: "each is refused, since each is the first" });
    expect(await reporter.close()).toEqual({ sent: 0, setAside: 3, lost: 0, kept: 0, isClosed: true });
    const aside = readFileSync(join(folder, "spool", "set-aside.jsonl"), "utf8")
      .trimEnd()
      .split("\n");
    expect(aside.map((line) => (JSON.parse(line) as { why: string }).why)).toEqual(
      new Array(3).fill("refused with BAD_USER_INPUT"),
    );
    expect([...api.session().dropped.values()]).toEqual(new Array(3).fill("set_aside: BAD_USER_INPUT"));
  });

  it("says what it keeps where the deadline is over, and the next run sends it", async () => {
    const first = await createReporter({ ...spooled(), handleExit: false, onNotice: () => undefined });
    api.answer = () => "stall";
    const entry = { resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" } as const;
    for (let place = 0; place < 30; place++) first.report(entry);
    expect(await first.close({ deadline: 100 })).toEqual({ sent: 0, setAside: 0, lost: 0, kept: 30, isClosed: false });
    expect(first.stats()).toMatchObject({ waiting: 30, lost: {} });
    api.answer = () => null;
    const second = await createReporter({
      ...spooled(),
      handleExit: false,
      source: { program: "gateway", version: "2" },
    });
    expect(second.sessionId).toBe(first.sessionId);
    expect(await second.close()).toEqual({ sent: 30, setAside: 0, lost: 0, kept: 0, isClosed: true });
    // The session is the first run's, and so is what ran.
    expect(api.calls.at(-1)?.source.version).toBe("1");
    expect(missingOf(api.session())).toEqual([]);
  });

  it("has the numbers of correlation accounted for whose requests a crash has cut off", async () => {
    const correlated = spooled({ correlation: { targets: [{ host: "*" }] } });
    const first = await createReporter({ ...correlated, handleExit: false, onNotice: () => undefined });
    const entry = { resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" } as const;
    first.correlationHeaders("https://example.com/");
    for (let place = 0; place < 20; place++) first.report(entry);
    await until(() => first.stats().sent === 20, { what: "the entries are sent" });
    expect(await first.close({ deadline: 0 })).toMatchObject({ isClosed: false });
    const second = await createReporter({ ...correlated, handleExit: false });
    expect(await second.close()).toMatchObject({ isClosed: true });
    expect([...api.session().dropped]).toEqual([["0", "never_reported"]]);
    expect(missingOf(api.session())).toEqual([]);
  });
});
