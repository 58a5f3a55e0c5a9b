import { once } from "node:events";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { callOf, entriesFrom, post, talkTo, told, type RunningCommand, type Talk } from "../support/relay.js";
import { it as relayTest } from "../support/relay-test.js";
import { until } from "../support/until.js";

const it = relayTest.extend<{ readonly talks: Talk[]; readonly talk: () => Promise<Talk> }>({
  talks: async ({}, use) => {
    const talks: Talk[] = [];
    await use(talks);
    for (const { socket } of talks) socket.destroy();
  },
  talk: async ({ place, talks }, use) => {
    await use(async () => {
      const begun = await talkTo(place.socket);
      talks.push(begun);
      return begun;
    });
  },
});

const LOOK = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const SERVED = "HTTP/1.1 200 ";
const refused = (relay: RunningCommand, code: string): Promise<number> =>
  relay.metric(`audit_relay_refused_requests_total{code="${code}"}`);

/** Asks eight times at once, again and again, until it is refused or the time is over; how often it was served, and how long that took. */
async function hurry({ socket, closed }: Talk, milliseconds: number): Promise<{ served: number; took: number }> {
  const begun = performance.now();
  const took = (): number => performance.now() - begun;
  let [served, rest] = [0, ""];
  socket.on("data", (text: string) => {
    served += (rest + text).split(SERVED).length - 1;
    rest = (rest + text).slice(1 - SERVED.length);
  });
  const isOpen = (): boolean => !socket.destroyed;
  while (isOpen() && took() < milliseconds) {
    const goal = served + 8;
    socket.write(LOOK.repeat(8));
    while (served < goal && isOpen()) await Promise.race([once(socket, "data"), closed]);
  }
  return { served, took: took() };
}

describe("a connection that asks more often than 1,000 times a second", () => {
  it("is answered UNAVAILABLE once it has used up 2,000 beside, and closed, while others are served", async ({
    place,
    start,
    talk,
  }) => {
    const relay = await start();
    const hasty = await talk();
    const hurried = hurry(hasty, 2_000);
    expect((await post(place.socket, callOf(uuidV7(), entriesFrom(0, 1)))).status).toBe(200);
    const { served, took } = await hurried;
    expect((await post(place.socket, callOf(uuidV7(), entriesFrom(0, 1)))).status).toBe(200);
    // However slow the machine is, and whether or not it could ask so often.
    expect(served).toBeLessThanOrEqual(2_000 + Math.ceil(took));
    const wasRefused = hasty.socket.destroyed;
    expect(served >= 2_000 || !wasRefused).toBe(true);
    const refusals = hasty.said().split("HTTP/1.1 429 ").slice(1);
    expect(refusals).toEqual(wasRefused ? [expect.stringContaining('"code":"UNAVAILABLE"')] : []);
    expect((await refused(relay, "RATE")) > 0).toBe(wasRefused);
  });
});

describe("bodies that are sent at the same time", () => {
  const MIB = 1024 * 1024;
  const LEFT = 1024;
  const filled = (sessionId: string, bytes: number): Buffer => {
    const empty = callOf(sessionId, [{ sequenceNumber: "0", fields: "" }]);
    const fields = "x".repeat(bytes - Buffer.byteLength(empty));
    return Buffer.from(callOf(sessionId, [{ sequenceNumber: "0", fields }]));
  };
  const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${String(MIB)}\r\n\r\n`;
  const untilHeld = async (relay: RunningCommand, bytes: number): Promise<void> => {
    await until(async () => (await relay.metric("audit_relay_held_bytes")) === bytes, {
      what: `${String(bytes)} octets are held`,
    });
  };

  it("take 32 MiB together: who passes them is answered UNAVAILABLE, and holds nothing; with their end there is room again", async ({
    place,
    receiver,
    start,
    talk,
    talks,
  }) => {
    const relay = await start();
    const sessions = Array.from({ length: 32 }, () => uuidV7());
    for (const sessionId of sessions) {
      const { socket } = await talk();
      socket.write(head);
      socket.write(filled(sessionId, MIB).subarray(0, -LEFT));
    }
    const all = 32 * (MIB - LEFT);
    await untilHeld(relay, all);

    const late = await talk();
    const body = filled(uuidV7(), MIB);
    late.socket.write(head);
    late.socket.write(body.subarray(0, LEFT));
    await untilHeld(relay, all + LEFT);
    late.socket.write(body.subarray(LEFT, 64 * LEFT));
    await untilHeld(relay, all);
    const unavailable = await refused(relay, "UNAVAILABLE");
    late.socket.write(body.subarray(64 * LEFT));
    await late.closed;
    expect(late.said()).toMatch(/^HTTP\/1\.1 503 [^]*"code":"UNAVAILABLE"/);
    expect(await refused(relay, "UNAVAILABLE")).toBe(unavailable + 1);
    const [small, medium] = [filled(uuidV7(), 8 * LEFT), filled(uuidV7(), 40 * LEFT)];
    expect((await post(place.socket, small)).status).toBe(200);
    expect(told(await post(place.socket, medium))).toEqual([503, "UNAVAILABLE"]);

    const [first] = talks;
    first?.socket.write(filled(sessions[0] ?? "", MIB).subarray(-LEFT));
    await until(() => first?.said().startsWith(SERVED), { what: "who comes to the end is served" });
    await untilHeld(relay, all - (MIB - LEFT));
    expect((await post(place.socket, medium)).status).toBe(200);
    for (const { socket } of talks) socket.destroy();
    await untilHeld(relay, 0);
    expect(await refused(relay, "ABORTED")).toBe(31);
    expect((await post(place.socket, filled(uuidV7(), MIB))).status).toBe(200);
    await until(() => receiver.numbers(sessions[0] ?? "").length === 1, { what: "what was answered comes" });
    expect(sessions.slice(1).flatMap((sessionId) => receiver.numbers(sessionId))).toEqual([]);
  });
});

describe("connections at a time", () => {
  it("are 256: a further one is closed at once, until one ends", async ({ place, start, talk, talks }) => {
    const relay = await start();
    const looked = async (): Promise<void> => {
      const { socket, said } = await talk();
      socket.write(LOOK);
      await until(() => said().startsWith(SERVED), { what: "it is served" });
    };
    await Promise.all(Array.from({ length: 256 }, looked));
    expect(await refused(relay, "CONNECTIONS")).toBe(0);
    const further = await talk();
    await further.closed;
    expect(further.said()).toBe("");
    expect(await refused(relay, "CONNECTIONS")).toBe(1);
    const [first, second] = talks;
    first?.socket.write(LOOK);
    await until(() => first?.said().split(SERVED).length === 3, { what: "those that were there are served" });
    second?.socket.destroy();
    await until(async () => (await post(place.socket, callOf(uuidV7(), []))).status === 200, { what: "there is room" });
  });
});

describe("a set-aside file that is as large as the spool may be", () => {
  it("takes nothing more and holds up nothing: what is refused is reported with its reason, and what follows arrives", async ({
    place,
    receiver,
    start,
  }) => {
    const bytes = 4 * 1024 * 1024;
    const file = join(place.spool, "set-aside.jsonl");
    mkdirSync(place.spool, { mode: 0o700 });
    writeFileSync(file, `${"x".repeat(bytes - 1)}\n`);
    receiver.mode = ({ input }) =>
      input.entries.flatMap(({ sequenceNumber }, index) =>
        ["1", "7"].includes(String(sequenceNumber)) ? [{ index, sequenceNumber, code: "CONFLICT", message: "" }] : [],
      );
    const relay = await start(["--spool-max-bytes", String(bytes)]);
    const sessionId = uuidV7();
    const saidOf = (number: string): unknown => ({
      dropped: [{ reason: "set_aside: CONFLICT", sequenceNumbers: [[number, number]] }],
      taken: null,
      close: false,
    });
    await post(place.socket, callOf(sessionId, entriesFrom(0, 3)));
    await post(place.socket, callOf(sessionId, entriesFrom(3, 2)));
    await until(() => receiver.numbers(sessionId).length === 4, { what: "all others came" });
    expect(receiver.numbers(sessionId)).toEqual(["0", "2", "3", "4"]);
    await until(() => receiver.said(sessionId).length > 0, { what: "it is dropped" });
    expect(receiver.said(sessionId)).toEqual([saidOf("1")]);
    expect(statSync(file).size).toBe(bytes);
    expect(await relay.metric('audit_relay_set_aside_total{code="CONFLICT"}')).toBe(1);
    const said = relay.stderr().split("\n");
    const complaints = said.filter((text) => text.includes("move the file away"));
    expect(complaints.map((text) => JSON.parse(text) as unknown)).toMatchObject([{ level: "error", file, entries: 1 }]);

    renameSync(file, `${file}.seen`);
    await post(place.socket, callOf(sessionId, entriesFrom(5, 4)));
    await until(() => receiver.said(sessionId).length > 1, { what: "the next one is dropped" });
    expect(receiver.said(sessionId)).toEqual([saidOf("1"), saidOf("7")]);
    const [line = "", ...more] = readFileSync(file, "utf8").trim().split("\n");
    expect(more).toEqual([]);
    const { text } = JSON.parse(line) as { text: string };
    expect(JSON.parse(text)).toMatchObject({ sessionId, code: "CONFLICT", entry: { sequenceNumber: "7" } });
  });
});
