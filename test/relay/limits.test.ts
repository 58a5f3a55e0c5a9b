import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { createServer as createNetServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LineSpool } from "../../src/disk/line-spool.js";
import { TokenFile } from "../../src/relay/token-file.js";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { startReceiver, type Receiver } from "../support/receiver.js";
import {
  auditctl,
  callOf,
  entriesFrom,
  makePlace,
  numbersTo,
  post,
  source,
  startRelay,
  talkTo,
  told,
  type RelayPlace,
  type RunningCommand,
  type SocketAnswer,
  type Talk,
} from "../support/relay.js";
import { until } from "../support/until.js";

let place: RelayPlace;
let receiver: Receiver;
let relay: RunningCommand;

beforeAll(async () => {
  place = makePlace();
  receiver = await startReceiver();
  relay = await startRelay(place, receiver.url);
});

afterAll(async () => {
  await relay.end("SIGKILL");
  await receiver.stop();
  place.remove();
});

const talk = (): Promise<Talk> => talkTo(place.socket);

describe("the relay's socket", () => {
  const id = uuidV7();
  const input = { sessionId: id, source, entries: entriesFrom(0, 1) };
  const bodyOf = (changed: Readonly<Record<string, unknown>>): string =>
    JSON.stringify({ variables: { input: { ...input, ...changed } } });

  const levels = (count: number): unknown => (count === 0 ? 7 : [levels(count - 1)]);

  it.each<[what: string, body: string | Buffer, status: number, code: string]>([
    ["no JSON", "{", 400, "BAD_USER_INPUT"],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), 400, "BAD_USER_INPUT"],
    ["null", "null", 400, "BAD_USER_INPUT"],
    ["no input", "{}", 400, "BAD_USER_INPUT"],
    ["a session that is no UUID", bodyOf({ sessionId: "1" }), 400, "BAD_USER_INPUT"],
    ["a session of chance", bodyOf({ sessionId: "6c0ae8a4-1e5b-4d3e-9a1f-0123456789ab" }), 400, "BAD_USER_INPUT"],
    ["no source", bodyOf({ source: null }), 400, "BAD_USER_INPUT"],
    ["a program of 201 characters", bodyOf({ source: { ...source, program: "x".repeat(201) } }), 400, "BAD_USER_INPUT"],
    ["entries that are no list", bodyOf({ entries: {} }), 400, "BAD_USER_INPUT"],
    ["1,001 entries", bodyOf({ entries: Array(1_001).fill(null) }), 400, "LIMIT_EXCEEDED"],
    ["dropped without ranges", bodyOf({ dropped: [{ reason: "x" }] }), 400, "BAD_USER_INPUT"],
    ["a negative range", bodyOf({ dropped: [{ reason: "x", sequenceNumbers: [[-1, 2]] }] }), 400, "BAD_USER_INPUT"],
    [
      "a range that ends first",
      bodyOf({ dropped: [{ reason: "x", sequenceNumbers: [["2", "1"]] }] }),
      400,
      "BAD_USER_INPUT",
    ],
    ["taken beyond 2^63", bodyOf({ taken: "9223372036854775808" }), 400, "BAD_USER_INPUT"],
    ["taken as a fraction", bodyOf({ taken: 1.5 }), 400, "BAD_USER_INPUT"],
    ["a number beyond 2^53", bodyOf({}).replace(/}}}$/, ',"taken":9007199254740993}}}'), 400, "BAD_USER_INPUT"],
    ["taken with a zero before it", bodyOf({ taken: "01" }), 400, "BAD_USER_INPUT"],
    ["a program with NUL", bodyOf({ source: { ...source, program: "a\0" } }), 400, "BAD_USER_INPUT"],
    ["a host with half a character", bodyOf({ source: { ...source, host: "\ud800" } }), 400, "BAD_USER_INPUT"],
    ["a field more in source", bodyOf({ source: { ...source, later: 1 } }), 400, "BAD_USER_INPUT"],
    ...(
      [
        ["an empty reason", { reason: "" }],
        ["a reason of 201 characters", { reason: "x".repeat(201) }],
        ["a reason with NUL", { reason: "\0" }],
        ["a reason with half a character", { reason: "\ud800" }],
        ["a field more in dropped", { later: 1 }],
        ["a range of 2^63-1", { sequenceNumbers: [["0", "9223372036854775807"]] }],
        ["a range with zeros before it", { sequenceNumbers: [["00", "01"]] }],
      ] as const
    ).map(([what, wrong]): [string, string, number, string] => [
      what,
      bodyOf({ dropped: [{ reason: "x", sequenceNumbers: [[0, 0]], ...wrong }] }),
      400,
      "BAD_USER_INPUT",
    ]),
    ["close as text", bodyOf({ close: "yes" }), 400, "BAD_USER_INPUT"],
    ["a field of a later version", bodyOf({ later: 1 }), 400, "BAD_USER_INPUT"],
    ["an entry of 101 levels", bodyOf({ entries: [null, levels(101)] }), 400, "BAD_USER_INPUT"],
    [
      "an entry of 100,000 levels",
      bodyOf({ entries: ["deep"] }).replace('"deep"', "[".repeat(1e5) + "]".repeat(1e5)),
      400,
      "BAD_USER_INPUT",
    ],
    ["more than 1 MiB", bodyOf({ entries: ["x".repeat(1024 * 1024)] }), 413, "LIMIT_EXCEEDED"],
    ["nothing", "", 400, "BAD_USER_INPUT"],
  ])("refuses %s, and keeps nothing", async (_, body, status, code) => {
    expect(told(await post(place.socket, body))).toEqual([status, code]);
    expect(receiver.calls.filter((call) => call.input.sessionId === id)).toEqual([]);
  });

  it("takes the longest texts and the largest numbers that the API takes", async () => {
    const sessionId = uuidV7();
    const longest = "\u{1f9fe}".repeat(200);
    const whole = {
      source: { program: longest, version: longest, host: longest },
      dropped: [{ reason: longest, sequenceNumbers: [["0", "9223372036854775806"]] }],
      taken: "9223372036854775807",
    };
    expect((await post(place.socket, bodyOf({ sessionId, ...whole }))).status).toBe(200);
    const call = await until(() => receiver.calls.find((it) => it.input.sessionId === sessionId), { what: "it came" });
    expect(call.input).toMatchObject(whole);
  });

  it("hands on as it is whatever an entry holds: the API judges it", async () => {
    const sessionId = uuidV7();
    const strange = [
      null,
      7,
      "text",
      [],
      { sequenceNumber: "-1" },
      { __proto__: null, "\u0000": "\ud800" },
      levels(100),
    ];
    await post(place.socket, callOf(sessionId, strange));
    const call = await until(() => receiver.calls.find((it) => it.input.sessionId === sessionId), { what: "it came" });
    expect(call.input.entries).toEqual(strange);
  });

  it("serves nothing but POST /graphql", async () => {
    expect(told(await post(place.socket, "{}", undefined, "/other"))).toEqual([404, "NOT_FOUND"]);
    const { socket, closed, said } = await talk();
    socket.write("GET /graphql HTTP/1.1\r\nhost: x\r\n\r\n");
    await closed;
    expect(said()).toMatch(/^HTTP\/1\.1 405 /);
  });

  it("serves its metrics there too", async () => {
    const { socket, closed, said } = await talk();
    socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    await closed;
    expect(said()).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: text\/plain; version=0\.0\.4/);
    expect(said()).toMatch(/^audit_relay_received_total \d+$/m);
  });

  it("answers more requests at once on one connection than are allowed with UNAVAILABLE, and closes it", async () => {
    const { socket, closed, said } = await talk();
    const body = callOf(uuidV7(), entriesFrom(0, 1));
    const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n`;
    socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`.repeat(20));
    await closed;
    expect(said().match(/HTTP\/1\.1 200 /g)?.length).toBe(8);
    expect(said().match(/HTTP\/1\.1 429 /g)?.length).toBe(1);
    expect(said()).toContain('"code":"UNAVAILABLE"');
  });

  it("cuts off a peer that never sends, one that stops amid a body, and one that never reads", async () => {
    const [silent, halting, deaf] = await Promise.all([talk(), talk(), talk()]);
    halting.socket.write("POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-");
    deaf.socket.pause();
    const write = (): void => {
      if (!deaf.socket.destroyed)
        deaf.socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", () => setImmediate(write));
    };
    write();
    await Promise.all([silent.closed, halting.closed, until(() => deaf.socket.destroyed, { what: "it is cut off" })]);
    expect(silent.said()).toMatch(/^HTTP\/1\.1 408 /);
    const sessionId = uuidV7();
    expect((await post(place.socket, callOf(sessionId, entriesFrom(0, 1)))).status).toBe(200);
  });
});

describe("a spool that is full", () => {
  it("answers UNAVAILABLE, keeps what was answered, and takes again once there is room", async () => {
    const small = makePlace();
    const api = await startReceiver();
    api.mode = "stall";
    const full = await startRelay(small, api.url, ["--spool-max-bytes", String(4 * 1024 * 1024), "--timeout", "300"]);
    const sessionId = uuidV7();
    const large = (number: number): string =>
      callOf(sessionId, [{ sequenceNumber: String(number), fields: "x".repeat(900_000) }]);
    let taken = 0;
    let last: SocketAnswer;
    while ((last = await post(small.socket, large(taken))).status === 200) taken += 1;
    expect(told(last)).toEqual([503, "UNAVAILABLE"]);
    expect(taken).toBe(4);
    expect(await full.metric('audit_relay_refused_requests_total{code="UNAVAILABLE"}')).toBe(1);
    api.mode = "take";
    await until(async () => (await post(small.socket, large(taken))).status === 200, { what: "there is room again" });
    await until(() => api.numbers(sessionId).length === taken + 1, { what: "all came" });
    expect(api.numbers(sessionId)).toEqual(numbersTo(taken + 1));
    await full.end("SIGKILL");
    await api.stop();
    small.remove();
  });
});

describe("the start of a relay", () => {
  const run = async (args: readonly string[]): Promise<unknown> => {
    const command = auditctl(["relay", ...args]);
    const { code } = await command.exited;
    return [code, command.stderr().trim().split("\n").at(-1)];
  };
  const paths = (at: RelayPlace): string[] => [
    "--socket",
    at.socket,
    "--to",
    receiver.url,
    "--token-file",
    at.tokenFile,
  ];

  it("names the process that serves on its socket, and leaves it alone", async () => {
    const other = join(place.folder, "other-spool");
    expect(await run([...paths(place), "--spool", other])).toEqual([
      78,
      `${place.socket} can't be used: it is process ${relay.pid}'s. End what uses it, or name another path.`,
    ]);
    expect((await post(place.socket, callOf(uuidV7(), []))).status).toBe(200);
  });

  it("names the process that uses its spool", async () => {
    const socket = join(place.folder, "other.sock");
    expect(await run([...paths({ ...place, socket }), "--spool", place.spool])).toEqual([
      78,
      `${place.spool} is in use by process ${relay.pid}: give each process a folder of its own.`,
    ]);
  });

  it("says what to do where its spool holds what is no relay's, and can't set that aside", async () => {
    const at = makePlace();
    const spool = await LineSpool.open(at.spool, { maxBytes: 1024 ** 2 });
    await spool.append(["{}"]);
    await spool.close();
    const aside = join(at.spool, "set-aside.jsonl");
    writeFileSync(aside, "");
    truncateSync(aside, 256 * 1024 ** 2);
    expect(await run([...paths(at), "--spool", at.spool])).toEqual([
      78,
      `${aside} is as large as the spool may be: look at it and move it away.`,
    ]);
    at.remove();
  });

  it("leaves alone what serves there and isn't a relay, and what is no socket", async () => {
    const at = makePlace();
    const server = createNetServer((socket) => socket.on("error", () => undefined)).listen(at.socket);
    await once(server, "listening");
    expect(await run(paths(at))).toEqual([
      78,
      `${at.socket} can't be used: another program listens there. End what uses it, or name another path.`,
    ]);
    server.close();
    const folder = join(at.folder, "folder");
    mkdirSync(folder);
    expect(await run(paths({ ...at, socket: folder }))).toEqual([
      78,
      `${folder} can't be used: something else than a socket is there. End what uses it, or name another path.`,
    ]);
    at.remove();
  });

  it("wants a folder for its socket that somebody has made, and makes none", async () => {
    const folder = join(place.folder, "missing");
    const remedy = `Make it for those that may connect, such as by: install -d -o USER -g GROUP -m 2750 ${folder}`;
    const socket = join(folder, "relay.sock");
    expect(await run(paths({ ...place, socket }))).toEqual([
      78,
      `${socket} can't be used: its folder isn't there. ${remedy}`,
    ]);
    expect(existsSync(folder)).toBe(false);
  });

  it("wants a path that every system takes whole, and makes nothing of a longer one", async () => {
    const at = makePlace();
    const folder = join(at.folder, "x".repeat(100 - at.folder.length - "//s".length));
    mkdirSync(folder);
    const socket = join(folder, "ss");
    expect(Buffer.byteLength(socket)).toBe(101);
    expect(await run(paths({ ...at, socket }))).toEqual([
      78,
      `${socket} can't be used: it isn't of 1 to 100 octets. Name another path.`,
    ]);
    expect(readdirSync(folder)).toEqual([]);
    const longest = await startRelay({ ...at, socket: join(folder, "s") }, receiver.url);
    expect((await post(join(folder, "s"), callOf(uuidV7(), []))).status).toBe(200);
    await longest.end("SIGTERM");
    at.remove();
  });

  it("wants a token file that holds a token", async () => {
    const at = makePlace();
    const missing = join(at.folder, "missing");
    expect(await run(paths({ ...at, tokenFile: missing }))).toEqual([78, `The token can't be read from ${missing}.`]);
    writeFileSync(at.tokenFile, "two tokens\n");
    expect(await run(paths(at))).toEqual([78, `${at.tokenFile} has to hold one token and nothing else.`]);
    at.remove();
  });

  it("waits for the token no longer than it is told to", async () => {
    const file = new TokenFile(place.tokenFile);
    await expect(file.read(AbortSignal.abort())).rejects.toThrow(`in time from ${place.tokenFile}`);
  });

  it.each([
    [["--socket", "s"], "--to <url>"],
    [["--metrics-port", "70000"], "0 to 65535"],
    [["--spool-max-bytes", "1"], "4194304"],
    [["--timeout", "soon"], "milliseconds"],
  ])("answers %j with what to write, and 64", async (args, hint) => {
    const command = auditctl(["relay", ...args]);
    expect((await command.exited).code).toBe(64);
    expect(command.stderr()).toContain(hint);
  });

  it.each([
    ["ftp://example.com?key=9f2c", "It has to be an http or https URL, such as https://audit.example.com/graphql."],
    ["no URL of 9f2c", "It has to be an http or https URL, such as https://audit.example.com/graphql."],
    ["https://user:9f2c@example.com/graphql", "Credentials belong into --token-file."],
    ["https://9f2c@example.com/graphql", "Credentials belong into --token-file."],
  ])("refuses --to %s without printing it", async (to, hint) => {
    const command = auditctl(["relay", ...paths(place), "--to", to]);
    expect((await command.exited).code).toBe(64);
    expect(command.stderr()).toBe(`error: --to: ${hint}\n`);
    expect(command.stdout()).toBe("");
  });

  it("keeps the query of --to from its log", async () => {
    const at = makePlace();
    const started = await startRelay(at, "http://example.invalid/graphql?key=9f2c", ["--timeout", "200"]);
    const failures = (): string =>
      started
        .stderr()
        .split("\n")
        .filter((line) => line.includes("takes nothing"))
        .join();
    await post(at.socket, callOf(uuidV7(), entriesFrom(0, 1)));
    await until(() => failures() !== "", { what: "a call has failed" });
    await started.end("SIGTERM");
    expect(started.stderr() + started.stdout()).not.toContain("9f2c");
    at.remove();
  });
});
