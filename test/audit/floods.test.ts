import { randomBytes, randomUUID } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LineSeal } from "../../src/disk/line-seal.js";
import { readLog, type ReadEntry } from "../support/log.js";
import { createDatabase, query, type TestDatabase } from "../support/postgres.js";
import { startServer, type Answer, type TestServer } from "../support/server.js";
import { until } from "../support/until.js";

let database: TestDatabase;
let dataDir: string;
const servers: TestServer[] = [];

beforeEach(async () => {
  database = await createDatabase();
  dataDir = mkdtempSync(join(tmpdir(), "auditql-floods-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop("SIGKILL");
  await database.drop();
  rmSync(dataDir, { recursive: true });
});

async function start(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const server = await startServer({ database, env: { DATA_DIR: dataDir, ...env } });
  servers.push(server);
  return server;
}

const member = { subject: "u-2", name: "Sample Member", tenant: "acme", roles: ["member"] };
const update = `mutation { it: updateDevice(input: { id: "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33", name: "x" }) { id } }`;

type Reply = Answer<Record<string, unknown>>;

/** Sends the same again and again, one after the other. */
async function flood(server: TestServer, times: number, token?: string, source = update): Promise<Reply[]> {
  const answers: Reply[] = [];
  for (let time = 0; time < times; time++) answers.push(await server.request(source, { ...(token && { token }) }));
  return answers;
}

const entryIds = ({ extensions }: Reply) => extensions?.audit?.[0]?.entryIds.length;
const numbers = (answers: readonly Reply[]) =>
  answers.map(({ extensions }) => Number(extensions?.audit?.[0]?.sequenceNumber));
const foldFiles = () => readdirSync(join(dataDir, "folds"));

/** Reads with a server of its own, before and after which none runs: a folder is one process's. */
async function deniedAfterwards(tenant: string | null = "acme"): Promise<ReadEntry[]> {
  const server = await start();
  const entries = await readLog(server, { outcome: ["DENIED"] }, tenant);
  await server.stop();
  return entries;
}

/** Leaves what a killed process had folded: its file, the file's key and run, and the summary in it. */
async function leaveFold(claims = member) {
  const server = await start({ AUDIT_DENIED_PER_MINUTE: "1" });
  await flood(server, 3, await server.token(claims));
  const name = foldFiles().find((it) => it.startsWith(`${String(server.pid)}-`)) ?? "";
  const file = join(dataDir, "folds", name);
  await until(() => readFileSync(file, "utf8").includes('"count":2'), { what: "both are in the file" });
  await server.stop("SIGKILL");
  const payloads = readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { attempt: { run: string; summary: Record<"actor", object> } }).attempt);
  const key = readFileSync(join(dataDir, "spool", "key"));
  const [header, last] = [payloads[0], payloads.at(-1)];
  if (!header || !last) throw new Error("The file is empty.");
  return { file, key, run: header.run, summary: last.summary };
}

/** Every number that entries and summaries tell of, in order. */
function toldNumbers(entries: readonly ReadEntry[]): number[] {
  return entries
    .flatMap(({ sequenceNumber, repeatedSequenceNumbers: ranges }) =>
      ranges === null
        ? [Number(sequenceNumber)]
        : ranges.flatMap(({ first, last }) =>
            Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index),
          ),
    )
    .sort((one, other) => one - other);
}

describe("equal refusals beyond the rate", () => {
  it("become one summary, which the stop writes; those before are written at once", async () => {
    const server = await start();
    const answers = await flood(server, 25, await server.token(member));
    expect(answers.map(({ errors }) => errors?.[0]?.extensions.code)).toEqual(Array(25).fill("FORBIDDEN"));
    expect(answers.map(entryIds)).toEqual([...Array<number>(10).fill(1), ...Array<number>(15).fill(0)]);
    expect(numbers(answers)).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(await readLog(server, { outcome: ["DENIED"] })).toHaveLength(10);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    const entries = await deniedAfterwards();
    expect(entries).toHaveLength(11);
    expect(entries.at(-1)).toMatchObject({
      tenantId: "acme",
      action: "UPDATE",
      eventType: "device.update_denied",
      operation: "updateDevice",
      error: { code: "FORBIDDEN", message: null },
      actor: { type: "USER", id: "u-2", name: "Sample Member", tokenId: null, clientId: null },
      resource: { type: "device", id: null, label: null },
      changes: [],
      attempted: [],
      requestId: null,
      ip: null,
      userAgent: null,
      sessionId: answers[10]?.extensions?.audit?.[0]?.sessionId,
      sequenceNumber: "10",
      ordinal: 0,
      repeatCount: 15,
      repeatedSequenceNumbers: [{ first: "10", last: "24" }],
      repeatCountIsLeast: null,
      description: "15 more attempts: Sample Member was not allowed to update a device: FORBIDDEN.",
    });
    expect(Date.parse(entries.at(-1)?.claimedAt ?? "")).toBeLessThan(Date.parse(entries.at(-1)?.occurredAt ?? ""));
    expect(toldNumbers(entries)).toEqual(numbers(answers));
    const [before] = servers;
    expect(foldFiles().filter((name) => name.startsWith(`${String(before?.pid)}-`))).toEqual([]);
  });

  it("hide no attempt at another thing, nor its first from another address", async () => {
    const server = await start({ TRUSTED_PROXIES: "loopback" });
    const token = await server.token(member);
    const jewel = "5d0f3a52-6f7e-4e1b-9d1b-2a4b6c8d0e1f";
    const remove = (id: string) => `mutation { it: deleteDevice(input: { id: "${id}" }) { id } }`;
    const cheap = "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33";
    const answers = await flood(server, 11, token, remove(cheap));
    answers.push(...(await flood(server, 2, token, remove(jewel))));
    for (let time = 0; time < 2; time++)
      answers.push(await server.request(remove(jewel), { token, headers: { "x-forwarded-for": "192.0.2.1" } }));
    expect(answers.map(entryIds)).toEqual([...Array<number>(10).fill(1), 0, 1, 0, 1, 0]);
    const found = await readLog(server, { resourceId: [jewel] });
    expect(found.map(({ operation, outcome, ip, sequenceNumber }) => [operation, outcome, ip, sequenceNumber])).toEqual(
      [
        ["deleteDevice", "DENIED", "127.0.0.1", "11"],
        ["deleteDevice", "DENIED", "192.0.2.1", "13"],
      ],
    );
    await server.stop();
    const entries = await deniedAfterwards();
    expect(toldNumbers(entries)).toEqual(numbers(answers));
    expect(entries.at(-1)).toMatchObject({ repeatCount: 3, resource: { type: "device", id: null } });
  });

  it("are counted across what comes between, number by number", async () => {
    const server = await start({ AUDIT_DENIED_PER_MINUTE: "1" });
    const admin = await server.token({ tenant: "acme", roles: ["admin"] });
    const token = await server.token(member);
    const answers: Reply[] = [];
    for (let round = 0; round < 3; round++) {
      answers.push(...(await flood(server, 2, token)));
      answers.push(...(await flood(server, 1, admin, `mutation { it: createGroup(input: { name: "g" }) { id } }`)));
    }
    await server.stop();
    const [first, summary, ...more] = await deniedAfterwards();
    expect(more).toEqual([]);
    expect([first?.sequenceNumber, first?.repeatCount]).toEqual(["0", null]);
    expect(summary).toMatchObject({
      repeatCount: 5,
      repeatedSequenceNumbers: [
        { first: "1", last: "1" },
        { first: "3", last: "4" },
        { first: "6", last: "7" },
      ],
    });
  });

  it("are not those of another actor, operation, address or code, nor failures", async () => {
    const server = await start({ AUDIT_DENIED_PER_MINUTE: "1", TRUSTED_PROXIES: "loopback" });
    const other = `mutation { it: deleteDevice(input: { id: "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33" }) { id } }`;
    const from = (ip: string) => server.request(update, { headers: { "x-forwarded-for": ip } });
    const admin = await server.token({ tenant: "acme", roles: ["admin"] });
    const answers = [
      ...(await flood(server, 1, await server.token(member))),
      ...(await flood(server, 1, await server.token({ ...member, subject: "u-3" }))),
      ...(await flood(server, 1, await server.token({ ...member, tenant: "globex" }))),
      ...(await flood(server, 1, await server.token(member), other)),
      await from("192.0.2.1"),
      await from("192.0.2.2"),
      ...(await flood(server, 12, admin)),
    ];
    expect(answers.map(entryIds)).toEqual(answers.map(() => 1));
    expect(answers.at(-1)?.errors?.[0]?.extensions.code).toBe("NOT_FOUND");
    expect(entryIds(await from("192.0.2.1"))).toBe(0);
    await server.stop();
    const [, , summary, ...more] = (await deniedAfterwards(null)).filter(({ tenantId }) => tenantId === null);
    expect(more).toEqual([]);
    expect(summary).toMatchObject({ actor: { type: "ANONYMOUS" }, ip: "192.0.2.1", repeatCount: 1 });
  });

  it("are told by the next start after a kill, as at least so many, and once", async () => {
    const server = await start({ AUDIT_DENIED_PER_MINUTE: "1" });
    const token = await server.token(member);
    const answers = await flood(server, 8, token);
    const [name = ""] = foldFiles();
    const file = join(dataDir, "folds", name);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await until(() => readFileSync(file, "utf8").includes('"count":7'), { what: "all seven are in the file" });
    copyFileSync(file, join(dataDir, "again"));
    await server.stop("SIGKILL");
    const entries = await deniedAfterwards();
    expect(entries).toHaveLength(2);
    expect(entries[1]).toMatchObject({
      repeatCount: 7,
      repeatCountIsLeast: true,
      repeatedSequenceNumbers: [{ first: "1", last: "7" }],
      description: "At least 7 more attempts: Sample Member was not allowed to update a device: FORBIDDEN.",
    });
    expect(toldNumbers(entries)).toEqual(numbers(answers));
    expect(foldFiles()).not.toContain(name);
    // A crash between the entry and the note that it is there.
    copyFileSync(join(dataDir, "again"), file);
    expect(await deniedAfterwards()).toEqual(entries);
    expect(foldFiles()).not.toContain(name);
  });

  it("lose nothing to a kill amid a flood but the last second's, and tell no number twice", async () => {
    const server = await start();
    const token = await server.token(member);
    let isOver = false;
    const flooding = Array.from({ length: 16 }, async () => {
      while (!isOver) await server.request(update, { token }).catch(() => undefined);
    });
    const [name = ""] = foldFiles();
    const lines = () => readFileSync(join(dataDir, "folds", name), "utf8").split("\n").length;
    await until(() => lines() > 4, { what: "the file has grown several times", deadline: 10_000 });
    isOver = true;
    await server.stop("SIGKILL");
    await Promise.all(flooding);
    const known = toldNumbers(await deniedAfterwards());
    expect(known.length).toBeGreaterThan(50);
    expect(known).toEqual(known.map((_, index) => index));
  });

  it("keep a file aside whose lines were cut or edited, and write what verifies", async () => {
    const server = await start({ AUDIT_DENIED_PER_MINUTE: "1" });
    await flood(server, 3, await server.token(member));
    const [name = ""] = foldFiles();
    const file = join(dataDir, "folds", name);
    await until(() => readFileSync(file, "utf8").includes('"count":2'), { what: "both are in the file" });
    await server.stop("SIGKILL");
    const text = readFileSync(file, "utf8");
    const lines = text.trimEnd().split("\n");
    const edited = (lines.at(-1) ?? "").replace('"count":2', '"count":9');
    writeFileSync(file, `${text}${edited}\n${edited.slice(0, 40)}`);
    const entries = await deniedAfterwards();
    expect(entries.map(({ repeatCount }) => repeatCount)).toEqual([null, 2]);
    expect(foldFiles()).toContain(`${name}.set-aside`);
    expect(servers.at(-1)?.stderr()).toContain('"badLines":2');
  });

  it("keep lines aside that were sealed with another key or in another file, and those that tell of no summary", async () => {
    const { file, key, run, summary } = await leaveFold();
    const named = (seal: LineSeal, number: number, name: string, outcome = "DENIED") => {
      const told = { ...summary, outcome, sessionId: randomUUID(), actor: { ...summary.actor, name } };
      return seal.write(number, JSON.stringify({ batch: name, summary: told }));
    };
    const own = new LineSeal(key, run);
    appendFileSync(
      file,
      [
        named(new LineSeal(randomBytes(32), run), 1_000, "of another key"),
        named(new LineSeal(key, randomUUID()), 1_000, "of another file"),
        named(own, 1_000, "a success", "SUCCESS"),
        own.write(1_001, JSON.stringify({ batch: "empty", summary: { outcome: "DENIED" } })),
        named(own, 999, "from before"),
        own.write(1_002, JSON.stringify({ batch: "none" })),
      ].join(""),
    );
    const server = await start();
    const names = await query<{ name: string }>(
      database.adminUrl,
      "select actor_name as name from audit.entry where repeat_count is not null",
    );
    expect(names).toEqual([{ name: "Sample Member" }]);
    expect(server.stderr()).toContain('"badLines":6');
    expect(existsSync(`${file}.set-aside`)).toBe(true);
  });

  it("of one file that can't be read or that the database refuses hold up no other file's", async () => {
    const one = await leaveFold();
    const aside = join(dataDir, "aside");
    renameSync(one.file, aside);
    const other = await leaveFold({ ...member, subject: "u-3" });
    const bad = join(dataDir, "folds", "0-bad.jsonl");
    copyFileSync(aside, bad);
    const seal = new LineSeal(one.key, one.run);
    const refused = { ...one.summary, sessionId: randomUUID(), eventType: "x".repeat(100_000) };
    appendFileSync(bad, seal.write(1_000, JSON.stringify({ batch: "malformed", summary: {} })));
    appendFileSync(bad, seal.write(1_001, JSON.stringify({ batch: "refused", summary: refused })));
    renameSync(aside, join(dataDir, "folds", "1-good.jsonl"));
    mkdirSync(join(dataDir, "folds", "0-unreadable.jsonl"));
    const server = await start();
    const actors = await query<{ id: string }>(
      database.adminUrl,
      "select actor_id as id from audit.entry where repeat_count is not null order by 1",
    );
    expect(actors).toEqual([{ id: "u-2" }, { id: "u-3" }]);
    expect(server.stderr()).toContain('"refused":1,"badLines":1');
    expect(foldFiles().filter((name) => !name.startsWith(`${String(server.pid)}-`))).toEqual([
      "0-bad.jsonl.set-aside",
      "0-unreadable.jsonl",
    ]);
    expect(server.stderr()).toMatch(/"code":"EISDIR".*can't be written yet: the next start tries again/);
    expect(existsSync(other.file)).toBe(false);
  });

  it("count in the metrics", async () => {
    const server = await start({ AUDIT_DENIED_PER_MINUTE: "2" });
    await flood(server, 5, await server.token(member));
    expect(await (await server.fetch("/metrics")).text()).toMatch(/^audit_folded_total 3$/m);
    const [row] = await query<{ count: number }>(
      database.adminUrl,
      "select count(*)::int as count from audit.entry where outcome = 'DENIED'",
    );
    expect(row?.count).toBe(2);
  });
});
