import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { createReporter } from "../../src/reporter/index.js";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { refusal, type ReceivedInput, type Receiver } from "../support/receiver.js";
import { callOf, entriesFrom, keepAlive, numbersTo, post, source } from "../support/relay.js";
import { it } from "../support/relay-test.js";
import { until } from "../support/until.js";

const untilReceived = async (receiver: Receiver, sessionId: string, count: number): Promise<void> => {
  await until(() => receiver.numbers(sessionId).length === count, { what: `${count} entries came`, deadline: 10_000 });
};

/** The relay's own session: the one of its program. */
const ownSession = (receiver: Receiver): string =>
  receiver.calls.find(({ input }) => input.source.program === "auditql-relay")?.input.sessionId ?? "";

describe("the relay", () => {
  it("hands on each call without entries, by which a session is opened and heard of", async ({
    place,
    receiver,
    start,
  }) => {
    await start();
    const sessionId = uuidV7();
    for (const calls of [1, 2]) {
      const { status, body } = await post(place.socket, callOf(sessionId, [], { taken: "1" }));
      expect([status, body?.data?.reportAuditEntries.accepted]).toEqual([200, 0]);
      await until(() => receiver.said(sessionId).length === calls, { what: "it is handed on" });
    }
    expect(receiver.said(sessionId)).toEqual(Array(2).fill({ dropped: [], taken: "1", close: false }));
  });

  it("gives the API every entry of eight processes once, each session's in order, and ends with 0", async ({
    place,
    receiver,
    start,
  }) => {
    const relay = await start();
    expect(statSync(place.socket).mode & 0o777).toBe(0o660);
    const sessions = Array.from({ length: 8 }, () => uuidV7());
    await Promise.all(
      sessions.map(async (sessionId) => {
        const agent = keepAlive();
        for (let first = 0; first < 500; first += 10) {
          const { status, body } = await post(place.socket, callOf(sessionId, entriesFrom(first, 10)), agent);
          expect([status, body?.data?.reportAuditEntries.accepted]).toEqual([200, 10]);
        }
        await post(place.socket, callOf(sessionId, [], { taken: "500", close: true }), agent);
        agent.destroy();
      }),
    );
    await until(() => sessions.every((id) => receiver.said(id).some(({ close }) => close)), { what: "all are closed" });

    for (const sessionId of sessions) {
      expect(receiver.numbers(sessionId)).toEqual(numbersTo(500));
      expect(receiver.said(sessionId).at(-1)).toEqual({ dropped: [], taken: "500", close: true });
    }
    expect(receiver.repeated()).toBe(0);
    expect(await relay.metric("audit_relay_received_total")).toBe(4_000);
    expect(await relay.metric("audit_relay_sent_total")).toBe(4_000);
    await until(async () => (await relay.metric("audit_relay_spool_entries")) === 0, { what: "nothing waits" });
    expect(new Set(receiver.calls.map(({ token }) => token))).toEqual(new Set(["first-token"]));

    expect(await relay.end("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(existsSync(place.socket)).toBe(false);
    const own = ownSession(receiver);
    expect(receiver.said(own).at(0)).toEqual({ dropped: [], taken: "0", close: false });
    expect(receiver.said(own).at(-1)).toEqual({ dropped: [], taken: "0", close: true });
    expect(relay.stderr()).not.toContain("first-token");
  });

  it("hands on all that it answered before kill -9, once", async ({ place, receiver, start }) => {
    receiver.mode = "stall";
    let relay = await start(["--timeout", "500"]);
    const sessionId = uuidV7();
    for (let first = 0; first < 300; first += 10)
      expect((await post(place.socket, callOf(sessionId, entriesFrom(first, 10)))).status).toBe(200);
    await relay.end("SIGKILL");
    expect(receiver.numbers(sessionId)).toEqual([]);
    expect(existsSync(place.socket)).toBe(true);

    receiver.mode = "take";
    relay = await start();
    await untilReceived(receiver, sessionId, 300);
    expect(receiver.numbers(sessionId)).toEqual(numbersTo(300));
    expect(receiver.repeated()).toBe(0);
    // Thirty batches in one call.
    expect(receiver.calls.filter(({ input }) => input.sessionId === sessionId).length).toBe(1);
    // What is killed before it has read the answer may send it once more.
    await until(async () => (await relay.metric("audit_relay_spool_entries")) === 0, {
      what: "nothing waits any more",
    });
    await relay.end("SIGKILL");

    // What was done isn't sent by a third run.
    const before = receiver.calls.length;
    relay = await start();
    await until(() => receiver.calls.length > before, { what: "the third run has told of itself" });
    expect(receiver.calls.slice(before).flatMap(({ input }) => input.entries)).toEqual([]);
  });

  it("leaves to the next run what the API doesn't take, and that it ended", async ({ place, receiver, start }) => {
    receiver.mode = "stall";
    let relay = await start(["--timeout", "300"]);
    const sessionId = uuidV7();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 10)));
    await until(async () => (await relay.metric('audit_relay_upstream_failures_total{reason="TIMEOUT"}')) > 0, {
      what: "a call has timed out",
    });
    const health = await (await fetch(`${relay.monitor()}/healthz`)).json();
    expect(health).toMatchObject({ status: "degraded" });
    const begun = performance.now();
    expect(await relay.end("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(10_000);

    receiver.mode = "take";
    relay = await start();
    await untilReceived(receiver, sessionId, 10);
    const closed = (): string[] => receiver.calls.flatMap(({ input }) => (input.close ? [input.source.program] : []));
    await until(() => closed().length === 1, { what: "the first run's session is closed" });
    expect(closed()).toEqual(["auditql-relay"]);
    expect((await fetch(`${relay.monitor()}/healthz`)).status).toBe(200);
  });

  it("leaves that it ended to the next run, also where its spool is full", async ({ place, receiver, start }) => {
    receiver.mode = () => refusal("UNAVAILABLE");
    const full = await start(["--spool-max-bytes", String(4 * 1024 * 1024)]);
    const own = await until(() => ownSession(receiver), { what: "it has told of itself" });
    const sessionId = uuidV7();
    const statusOf = async (fields: string): Promise<number> =>
      (await post(place.socket, callOf(sessionId, [{ sequenceNumber: "0", fields }]))).status;
    // The last ones are smaller than what tells of its end.
    for (const size of [900_000, 50_000, 2_000, 0]) {
      let status = 200;
      while (status === 200) status = await statusOf("x".repeat(size));
      expect(status).toBe(503);
    }
    expect(await full.end("SIGTERM")).toEqual({ code: 0, signal: null });

    receiver.mode = "take";
    const before = receiver.calls.length;
    await start();
    const isClosed = (): boolean =>
      receiver.calls.slice(before).some(({ input }) => input.sessionId === own && input.close);
    await until(isClosed, { what: "the first run's session is closed", deadline: 10_000 });
  });

  it("sets aside what the API refuses for good, alone, and reports its number as dropped", async ({
    place,
    receiver,
    start,
  }) => {
    receiver.mode = ({ input }) =>
      input.entries.flatMap(({ sequenceNumber }, index) =>
        sequenceNumber === "7" ? [{ index, sequenceNumber, code: "CONFLICT", message: "another content" }] : [],
      );
    const relay = await start();
    const sessionId = uuidV7();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 20), { taken: "20", close: true }));
    await until(() => receiver.said(sessionId).some(({ close }) => close), { what: "the session is closed" });
    expect(receiver.numbers(sessionId)).toEqual(numbersTo(20).filter((number) => number !== "7"));
    expect(receiver.said(sessionId)).toEqual([
      { dropped: [], taken: "20", close: false },
      { dropped: [{ reason: "set_aside: CONFLICT", sequenceNumbers: [["7", "7"]] }], taken: null, close: false },
      { dropped: [], taken: "20", close: true },
    ]);
    const file = join(place.spool, "set-aside.jsonl");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const [line = "", ...more] = readFileSync(file, "utf8").trim().split("\n");
    expect(more).toEqual([]);
    const { text } = JSON.parse(line) as { text: string };
    expect(JSON.parse(text)).toMatchObject({ sessionId, code: "CONFLICT", entry: { sequenceNumber: "7" } });
    expect(await relay.metric('audit_relay_set_aside_total{code="CONFLICT"}')).toBe(1);
  });

  it("has a reporter know that its entries are on the disk: what the API refuses shows in the session and the file", async ({
    place,
    receiver,
    start,
  }) => {
    receiver.mode = ({ input }) =>
      input.entries.flatMap(({ sequenceNumber }, index) =>
        Number(sequenceNumber) % 2 === 0 ? [] : [{ index, sequenceNumber, code: "BAD_USER_INPUT", message: "no" }],
      );
    await start();
    const reporter = await createReporter({ socketPath: place.socket, source, handleExit: false });
    for (let count = 0; count < 4; count++)
      reporter.report({ resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS" });
    expect(await reporter.close()).toEqual({ sent: 4, setAside: 0, lost: 0, kept: 0, isClosed: true });
    const { sessionId } = reporter;
    await until(() => receiver.said(sessionId).some(({ close }) => close), { what: "the session is closed" });
    expect(receiver.numbers(sessionId)).toEqual(["0", "2"]);
    const dropped = receiver.said(sessionId).flatMap((said) => said.dropped);
    expect(dropped.map(({ reason }) => reason)).toEqual(["set_aside: BAD_USER_INPUT"]);
    expect(dropped[0]?.sequenceNumbers.flat()).toEqual(["1", "1", "3", "3"]);
    expect(readFileSync(join(place.spool, "set-aside.jsonl"), "utf8").trim().split("\n")).toHaveLength(2);
  });

  it("halves a call that is refused as a whole until the poisoned entry is alone", async ({
    place,
    receiver,
    start,
  }) => {
    receiver.mode = ({ input }) =>
      input.entries.some(({ sequenceNumber }) => sequenceNumber === "613") ? refusal("BAD_USER_INPUT") : undefined;
    await start();
    const sessionId = uuidV7();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 1_000), { taken: "1000" }));
    await until(() => receiver.said(sessionId).some(({ dropped }) => dropped.length > 0), { what: "it is dropped" });
    await untilReceived(receiver, sessionId, 999);
    expect(receiver.said(sessionId).flatMap(({ dropped }) => dropped)).toEqual([
      { reason: "set_aside: BAD_USER_INPUT", sequenceNumbers: [["613", "613"]] },
    ]);
    await until(() => receiver.said(sessionId).some(({ taken }) => taken === "1000"), {
      what: "what it has taken came",
    });
  });

  it("sets a forbidden session aside where its own is welcome, and tells of it there", async ({
    place,
    receiver,
    start,
  }) => {
    const [theirs, another] = [uuidV7(), uuidV7()];
    receiver.mode = ({ input }) => (input.sessionId === theirs ? refusal("FORBIDDEN") : undefined);
    const relay = await start();
    await post(place.socket, callOf(theirs, entriesFrom(0, 3)));
    await post(place.socket, callOf(another, entriesFrom(0, 3)));
    await untilReceived(receiver, another, 3);
    const own = ownSession(receiver);
    await until(() => receiver.said(own).some(({ dropped }) => dropped.length > 0), { what: "it is told" });
    expect(receiver.said(own).findLast(({ dropped }) => dropped.length > 0)).toEqual({
      dropped: [{ reason: "set_aside: FORBIDDEN", sequenceNumbers: [["0", "2"]] }],
      taken: "3",
      close: false,
    });
    expect(await relay.metric('audit_relay_dropped_total{reason="set_aside: FORBIDDEN"}')).toBe(3);
  });

  it("forgets an entry without a number only once it has told of it, and tells of it in the next run otherwise", async ({
    place,
    receiver,
    start,
  }) => {
    const isOwn = ({ source: { program } }: ReceivedInput): boolean => program === "auditql-relay";
    const told = (): ReceivedInput[] =>
      receiver.calls.map(({ input }) => input).filter((input) => isOwn(input) && input.dropped.length > 0);
    let isTaken = false;
    receiver.mode = ({ input }) => {
      if (isOwn(input)) return isTaken || input.dropped.length === 0 ? undefined : refusal("UNAVAILABLE");
      return input.entries.map((_, index) => ({ index, code: "BAD_USER_INPUT", message: "no number" }));
    };
    const killed = await start();
    await post(place.socket, callOf(uuidV7(), [{ resourceType: "http_request" }]));
    await until(() => told().length >= 3, { what: "it has told of it in vain" });
    expect(await killed.metric("audit_relay_spool_entries")).toBe(1);
    await killed.end("SIGKILL");

    isTaken = true;
    const before = told().length;
    const relay = await start();
    await until(() => told().length > before, { what: "the next run tells of it" });
    const dropped = [{ reason: "set_aside: BAD_USER_INPUT", sequenceNumbers: [["0", "0"]] }];
    expect(told().at(-1)).toMatchObject({ dropped, taken: "1" });
    await until(async () => (await relay.metric("audit_relay_spool_entries")) === 0, { what: "nothing waits" });
  });

  it("asks a session that is forbidden amid a search once more, where its own is welcome", async ({
    place,
    receiver,
    start,
  }) => {
    const theirs = uuidV7();
    // As the API: the form of a call is judged before whose session it is.
    receiver.mode = ({ input }) => {
      if (input.sessionId !== theirs) return undefined;
      return refusal(input.dropped.length > 0 ? "BAD_USER_INPUT" : "FORBIDDEN");
    };
    const relay = await start();
    const dropped = [{ reason: "x", sequenceNumbers: [["9", "9"]] }];
    await post(place.socket, callOf(theirs, entriesFrom(0, 1), { dropped }));
    await until(async () => (await relay.metric("audit_relay_spool_entries")) === 0, { what: "nothing waits" });
    expect(await relay.metric('audit_relay_set_aside_total{code="FORBIDDEN"}')).toBe(1);
    const asked = receiver.calls.filter(({ input }) => input.sessionId === theirs);
    expect(asked.map(({ input }) => [input.entries.length, input.dropped.length])).toEqual([
      [1, 1],
      [0, 0],
      [1, 1],
      [0, 0],
    ]);
  });

  it("waits before it asks again where its own session is forbidden amid a search too", async ({
    place,
    receiver,
    start,
  }) => {
    receiver.mode = ({ input }) => refusal(input.dropped.length > 0 ? "BAD_USER_INPUT" : "FORBIDDEN");
    const relay = await start();
    const sessionId = uuidV7();
    const dropped = [{ reason: "x", sequenceNumbers: [["9", "9"]] }];
    await post(place.socket, callOf(sessionId, entriesFrom(0, 1), { dropped }));
    const ofSession = (): number => receiver.calls.filter(({ input }) => input.sessionId === sessionId).length;
    const forbidden = 'audit_relay_upstream_failures_total{reason="FORBIDDEN"}';
    await until(async () => (await relay.metric(forbidden)) >= 3, { what: "it has waited", deadline: 10_000 });
    // Two calls a try, and what is under way.
    expect(ofSession()).toBeLessThanOrEqual(2 * ((await relay.metric(forbidden)) + 1));
    receiver.mode = "take";
    await untilReceived(receiver, sessionId, 1);
    expect(existsSync(join(place.spool, "set-aside.jsonl"))).toBe(false);
  });

  it("keeps everything while whatever it sends is refused, its own session too", async ({ place, receiver, start }) => {
    receiver.mode = () => refusal("LIMIT_EXCEEDED");
    const relay = await start();
    const [many, one, told] = [uuidV7(), uuidV7(), uuidV7()];
    const dropped = [{ reason: "overflow", sequenceNumbers: [["3", "4"]] }];
    await post(place.socket, callOf(many, entriesFrom(0, 3), { taken: "3" }));
    await post(place.socket, callOf(one, entriesFrom(0, 1)));
    await post(place.socket, callOf(told, [], { dropped }));
    const tried = (sessionId: string): number =>
      receiver.calls.filter(({ input }) => input.sessionId === sessionId).length;
    await until(() => [many, one, told].every((each) => tried(each) > 3), {
      what: "they were tried again",
      deadline: 10_000,
    });
    receiver.mode = "take";
    await untilReceived(receiver, many, 3);
    await untilReceived(receiver, one, 1);
    await until(() => receiver.said(told).length > tried(told) - 1, { what: "what is dropped came" });
    expect(receiver.said(told).at(-1)).toEqual({ dropped, taken: null, close: false });
    await until(async () => (await relay.metric("audit_relay_spool_entries")) === 0, { what: "nothing waits" });
    expect(existsSync(join(place.spool, "set-aside.jsonl"))).toBe(false);
    expect(await relay.metric('audit_relay_set_aside_total{code="LIMIT_EXCEEDED"}')).toBe(0);
  });

  it.for(["LIMIT_EXCEEDED", "FORBIDDEN"])(
    "sets nothing aside for one %s as the API comes back",
    async (code, { place, receiver, start }) => {
      const sessionId = uuidV7();
      let isRefused = false;
      receiver.mode = ({ input }) => {
        if (isRefused || input.sessionId !== sessionId || input.entries.length === 0) return undefined;
        isRefused = true;
        return refusal(code);
      };
      await start();
      await post(place.socket, callOf(sessionId, entriesFrom(0, 1)));
      await untilReceived(receiver, sessionId, 1);
      expect(existsSync(join(place.spool, "set-aside.jsonl"))).toBe(false);
    },
  );

  it("sets aside what a session says of itself and the API refuses, where its own is welcome", async ({
    place,
    receiver,
    start,
  }) => {
    const sessionId = uuidV7();
    receiver.mode = ({ input }) =>
      input.sessionId === sessionId && input.dropped.length > 0 ? refusal("BAD_USER_INPUT") : undefined;
    await start();
    const dropped = [{ reason: "x", sequenceNumbers: [["9", "9"]] }];
    await post(place.socket, callOf(sessionId, entriesFrom(0, 2), { dropped, taken: "10" }));
    await untilReceived(receiver, sessionId, 2);
    const file = join(place.spool, "set-aside.jsonl");
    await until(() => existsSync(file) && readFileSync(file, "utf8").endsWith("\n"), { what: "it is set aside" });
    const [line = "", ...more] = readFileSync(file, "utf8").trim().split("\n");
    expect(more).toEqual([]);
    expect(JSON.parse((JSON.parse(line) as { text: string }).text)).toEqual({
      sessionId,
      code: "BAD_USER_INPUT",
      message: "refused: BAD_USER_INPUT",
      said: { dropped, taken: null, close: false },
    });
    await until(
      () => receiver.said(sessionId).some(({ taken, dropped: none }) => taken === "10" && none.length === 0),
      {
        what: "what it has taken came",
      },
    );
  });

  it("says in its log that token and entries go over the network in the clear", async ({ receiver, start }) => {
    const { port } = new URL(receiver.url);
    const near = await start();
    await near.end("SIGTERM");
    // Not a form of this machine's own address that it knows.
    const far = await start([], `http://[::ffff:127.0.0.1]:${port}/graphql`);
    const warning = "token and entries go over the network in the clear";
    expect([near, far].map((relay) => relay.stderr().includes(warning))).toEqual([false, true]);
  });

  it("serves on while its log can't be written, such as on a full disk", async ({ place, receiver, start }) => {
    const full = openSync("/dev/full", "w");
    const relay = await start([], receiver.url, {}, full);
    closeSync(full);
    receiver.mode = ({ input }) => (input.entries.length > 0 ? [{ index: 0, code: "CONFLICT" }] : undefined);
    const sessionId = uuidV7();
    expect((await post(place.socket, callOf(sessionId, entriesFrom(0, 2)))).status).toBe(200);
    await untilReceived(receiver, sessionId, 1);
    expect(await relay.end("SIGTERM")).toEqual({ code: 0, signal: null });
  });

  it("doesn't wait for a token file that can't be read, and reads it again", async ({ place, receiver, start }) => {
    const relay = await start(["--timeout", "300"]);
    rmSync(place.tokenFile);
    // Nobody writes into it.
    execFileSync("mkfifo", [place.tokenFile]);
    const sessionId = uuidV7();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 5)));
    await until(async () => (await relay.metric('audit_relay_upstream_failures_total{reason="TOKEN_FILE"}')) > 0, {
      what: "a call has failed",
    });
    rmSync(place.tokenFile);
    writeFileSync(place.tokenFile, "second-token\n");
    await untilReceived(receiver, sessionId, 5);
    expect(await relay.end("SIGTERM")).toEqual({ code: 0, signal: null });
  });

  it("keeps everything while its token isn't taken, and reads the file again", async ({ place, receiver, start }) => {
    receiver.mode = ({ token }) => (token === "second-token" ? undefined : refusal("FORBIDDEN"));
    await start();
    const sessionId = uuidV7();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 5)));
    await until(() => receiver.calls.some(({ input }) => input.sessionId === sessionId), { what: "it was refused" });
    writeFileSync(place.tokenFile, "second-token\n");
    await untilReceived(receiver, sessionId, 5);
    expect(existsSync(join(place.spool, "set-aside.jsonl"))).toBe(false);
  });

  it("sends again what is answered with garbage, UNAVAILABLE, or not for each entry", async ({
    place,
    receiver,
    start,
  }) => {
    const answers: unknown[] = [
      refusal("UNAVAILABLE"),
      // A code that this relay has never heard of.
      refusal("HTTP2_ONLY"),
      { data: { reportAuditEntries: { accepted: 1, repeated: 0, refused: [] } } },
      { data: null },
    ];
    const sessionId = uuidV7();
    receiver.mode = ({ input }) => (input.sessionId === sessionId ? answers.shift() : undefined);
    const relay = await start();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 5)));
    await untilReceived(receiver, sessionId, 5);
    expect(answers).toEqual([]);
    expect(
      receiver.calls.filter(({ input }) => input.sessionId === sessionId).map(({ input }) => input.source),
    ).toEqual(Array(5).fill(source));
    for (const reason of ["UNAVAILABLE", "HTTP2_ONLY", "UNACCOUNTED", "HTTP_200"])
      expect(await relay.metric(`audit_relay_upstream_failures_total{reason="${reason}"}`), reason).toBe(1);
  });

  const failures = [
    { what: "an entry", answer: [{ index: 0, code: "INTERNAL", message: "" }] },
    { what: "a call", answer: "403 Forbidden" },
  ];
  it.for(failures)(
    "goes on with other sessions while $what of each of four fails again and again",
    async ({ answer }, { place, receiver, start }) => {
      const sessions = Array.from({ length: 4 }, () => uuidV7());
      let isFailing = true;
      receiver.mode = ({ input }) =>
        isFailing && input.entries.length > 0 && sessions.includes(input.sessionId) ? answer : undefined;
      const relay = await start();
      const tried = (sessionId: string): number =>
        receiver.calls.filter(({ input }) => input.sessionId === sessionId).length;
      const untilTried = async (times: number): Promise<void> => {
        await until(() => sessions.every((each) => tried(each) >= times), { what: "all are tried", deadline: 20_000 });
      };
      for (const each of sessions) await post(place.socket, callOf(each, entriesFrom(0, 3)));
      await untilTried(1);
      for (const each of sessions) await post(place.socket, callOf(each, entriesFrom(3, 3), { close: true }));
      const another = uuidV7();
      await post(place.socket, callOf(another, entriesFrom(0, 3)));
      await until(() => receiver.numbers(another).length === 3, { what: "another one's entries come" });
      await untilTried(5);
      // No busy loop: the sixth try comes a second behind the first, about.
      expect(Math.max(...sessions.map(tried))).toBeLessThan(30);
      expect(await relay.metric("audit_relay_spool_entries")).toBeGreaterThanOrEqual(4 * 4);

      isFailing = false;
      await until(() => sessions.every((each) => receiver.said(each).some(({ close }) => close)), {
        what: "all are closed",
        deadline: 20_000,
      });
      for (const each of sessions) {
        expect([...receiver.numbers(each)].sort()).toEqual(numbersTo(6));
        expect(receiver.numbers(each).slice(3)).toEqual(["3", "4", "5"]);
      }
      expect(receiver.repeated()).toBe(0);
      expect(existsSync(join(place.spool, "set-aside.jsonl"))).toBe(false);

      isFailing = true;
      for (const each of sessions) await post(place.socket, callOf(each, entriesFrom(6, 1)));
      await untilTried(10);
      expect(await relay.end("SIGTERM")).toEqual({ code: 0, signal: null });
      isFailing = false;
      await start();
      for (const each of sessions) await untilReceived(receiver, each, 7);
    },
  );

  it("sends fewer entries a call where the API hasn't the time for many", async ({ place, receiver, start }) => {
    receiver.mode = ({ input }) => (input.entries.length > 100 ? new Promise(() => undefined) : undefined);
    await start(["--timeout", "200"]);
    const sessionId = uuidV7();
    await post(place.socket, callOf(sessionId, entriesFrom(0, 200), { taken: "200" }));
    await untilReceived(receiver, sessionId, 200);
    expect(receiver.numbers(sessionId)).toEqual(numbersTo(200));
    await until(() => receiver.said(sessionId).at(-1)?.taken === "200", { what: "what it has taken came" });
  });
});
