import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LineSpool, LineSpoolFullError, LineSpoolInUseError } from "../../src/disk/line-spool.js";
import { until } from "../support/until.js";

let folder: string;
let told: string[];
let open: LineSpool[];
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "auditql-lines-")), "spool");
  [told, open] = [[], []];
});
afterEach(async () => {
  for (const spool of open) await spool.close();
  rmSync(join(folder, ".."), { recursive: true });
});

async function openSpool(maxBytes = 1024 ** 2, at = folder): Promise<LineSpool> {
  const spool = await LineSpool.open(at, {
    maxBytes,
    onSetAside: (lines) => void told.push(`${String(lines)} set aside`),
    onTrouble: (error) => void told.push(`troubled: ${String(error)}`),
  });
  open.push(spool);
  return spool;
}

const line = (place: number, filling = ""): string => JSON.stringify({ place, filling });
const lines = (from: number, to: number, filling = ""): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => line(from + at, filling));
const files = (): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith("lines-"))
    .sort();
const path = (name = files().at(-1) ?? ""): string => join(folder, name);
const setAside = (): string[] =>
  readFileSync(join(folder, "set-aside.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((text) => (JSON.parse(text) as { text: string }).text);

async function pending(spool: LineSpool): Promise<string[]> {
  const found: string[] = [];
  for await (const { text } of spool.pending()) found.push(text);
  return found;
}

/** As `kill -9` leaves it: what the files hold now, for another spool. */
async function afterKill(maxBytes?: number): Promise<LineSpool> {
  const copy = `${folder}-after`;
  rmSync(copy, { recursive: true, force: true });
  const { cpSync } = await import("node:fs");
  cpSync(folder, copy, { recursive: true });
  rmSync(join(copy, "lock"));
  return openSpool(maxBytes, copy);
}

describe("a spool of lines", () => {
  it("gives back what it was given, in its order, also to the next process", async () => {
    const spool = await openSpool();
    const numbers = await Promise.all([spool.append(lines(1, 3)), spool.append([line(4)]), spool.append([])]);
    expect(numbers).toEqual([[1, 2, 3], [4], []]);
    expect(await pending(spool)).toEqual(lines(1, 4));
    await spool.close();
    const next = await openSpool();
    expect(await next.append([line(5)])).toEqual([5]);
    expect(await pending(next)).toEqual(lines(1, 5));
    expect(told).toEqual([]);
  });

  it("is for its owner's eyes alone", async () => {
    const spool = await openSpool();
    await spool.append([line(1)]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  it("doesn't bring done lines back after a kill", async () => {
    const spool = await openSpool();
    await spool.append(lines(1, 6));
    spool.done([1, 2, 5, 5]);
    await spool.append([line(7)]);
    await until(() => !/"place":[125]\b/.test(readFileSync(path(), "utf8")), { what: "they are blanked" });
    expect(await pending(spool)).toEqual([line(3), line(4), line(6), line(7)]);
    expect(await pending(await afterKill())).toEqual([line(3), line(4), line(6), line(7)]);
    expect(told).toEqual([]);
  });

  it("doesn't bring back what was done while others were on their way", async () => {
    const spool = await openSpool();
    await spool.append([line(1)]);
    const underway = spool.append([line(2)]);
    spool.done([1]);
    await underway;
    await spool.freed();
    expect(await pending(await afterKill())).toEqual([line(2)]);
  });

  it("frees the room of whole files", async () => {
    const spool = await openSpool(256 * 1024);
    for (let at = 1; at <= 40; at += 10) await spool.append(lines(at, at + 9, "x".repeat(1_500)));
    expect(files()).toHaveLength(4);
    spool.done(Array.from({ length: 10 }, (_, at) => at + 11));
    await until(() => files().length === 3, { what: "a file of done lines is gone" });
    expect(await pending(await afterKill())).toEqual([
      ...lines(1, 10, "x".repeat(1_500)),
      ...lines(21, 40, "x".repeat(1_500)),
    ]);
    spool.done([...spool.waiting()]);
    await until(() => files().length === 1, { what: "the last file alone is left" });
    await until(() => statSync(path()).size < 300, { what: "it is cut behind its header" });
    expect(spool.state.lines).toBe(0);
  });

  it("keeps the order of files that were begun by different runs", async () => {
    const first = await openSpool(256 * 1024);
    await first.append(lines(1, 20, "x".repeat(1_500)));
    first.done([...first.waiting()]);
    await first.append([line(21)]);
    first.done([21]);
    await first.close();
    const second = await openSpool(256 * 1024);
    for (let at = 1; at <= 30; at += 10) await second.append(lines(at, at + 9, "x".repeat(1_500)));
    await second.close();
    expect(await pending(await openSpool(256 * 1024))).toEqual(lines(1, 30, "x".repeat(1_500)));
  });

  it("takes nothing beyond its bound, and all or none of what is appended together", async () => {
    const spool = await openSpool(64 * 1024);
    await spool.append(lines(1, 50, "x".repeat(900)));
    await expect(spool.append(lines(51, 70, "x".repeat(900)))).rejects.toThrow(LineSpoolFullError);
    expect(spool.hasRoom(20 * 1024)).toBe(false);
    expect(await pending(spool)).toEqual(lines(1, 50, "x".repeat(900)));
    spool.done([...spool.waiting()]);
    await until(() => spool.hasRoom(20 * 1024), { what: "there is room again" });
    await spool.append(lines(51, 70, "x".repeat(900)));
    expect(spool.state.lines).toBe(20);
  });

  it("keeps a torn last line and an edited one aside, and goes on with the others", async () => {
    const spool = await openSpool();
    await spool.append(lines(1, 4));
    await spool.close();
    const text = readFileSync(path(), "utf8");
    const edited = text.replace('"place":2', '"place":9').slice(0, -5);
    writeFileSync(path(), edited);
    const next = await openSpool();
    expect(told).toEqual(["2 set aside"]);
    expect(setAside()).toEqual([expect.stringContaining('"place":9'), expect.stringMatching(/"place":4.*[^}]$/)]);
    await next.append([line(5)]);
    expect(await pending(next)).toEqual([line(1), line(3), line(5)]);
    await next.close();
    told = [];
    expect(await pending(await openSpool())).toEqual([line(1), line(3), line(5)]);
    expect(told).toEqual([]);
  });

  it("keeps a line aside that is altered while it waits", async () => {
    const spool = await openSpool();
    await spool.append(lines(1, 3));
    writeFileSync(path(), readFileSync(path(), "utf8").replace('"place":2', '"place":8'));
    expect(await pending(spool)).toEqual([line(1), line(3)]);
    expect(told).toEqual(["1 set aside"]);
    expect(spool.state.lines).toBe(2);
  });

  it("takes a file out of the way whose header is another's", async () => {
    const spool = await openSpool();
    await spool.append(lines(1, 2));
    await spool.close();
    const [name = ""] = files();
    writeFileSync(path(), readFileSync(path(), "utf8").replace("auditql-lines/1", "auditql-lines/2"));
    expect(await pending(await openSpool())).toEqual([]);
    expect(told).toEqual(["1 set aside"]);
    expect(readdirSync(folder)).toContain(`${name}.set-aside`);
  });

  it("takes a second file of that name out of the way beside the first", async () => {
    for (const place of [1, 2]) {
      const spool = await openSpool();
      await spool.append([line(place)]);
      await spool.close();
      rmSync(join(folder, "key"));
    }
    expect(await pending(await openSpool())).toEqual([]);
    const kept = readdirSync(folder).filter((name) => name.endsWith(".set-aside"));
    const places = kept.map((name) => /"place":(\d)/.exec(readFileSync(path(name), "utf8"))?.[1]);
    expect(places.sort()).toEqual(["1", "2"]);
  });

  it("is one process's at a time", async () => {
    await openSpool();
    await expect(openSpool()).rejects.toThrow(LineSpoolInUseError);
    await expect(openSpool()).rejects.toThrow(`is in use by process ${process.pid}`);
  });

  it("writes what waits at once where the process exits", async () => {
    const spool = await openSpool();
    await spool.append([line(1)]);
    const underway = spool.append(lines(2, 3));
    spool.appendNow([line(4)]);
    const found = new Set(await pending(await afterKill()));
    expect([...found]).toEqual(lines(1, 4));
    await underway;
  });

  it("doesn't cut what was written at once, though nothing waited before", async () => {
    const spool = await openSpool();
    await spool.append([line(1)]);
    spool.done([1]);
    spool.appendNow([line(2)]);
    await spool.close();
    expect(await pending(await openSpool())).toEqual([line(2)]);
  });
});
