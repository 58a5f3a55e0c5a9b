import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { open as openFile, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { anonymous, type PendingEntry } from "../../src/audit/entry.js";
import type { SpooledAttempt } from "../../src/audit/spool/attempt-line.js";
import { Spool, type SpoolObserver } from "../../src/audit/spool/spool.js";

const megabyte = 1024 ** 2;

let folder: string;
let told: string[];
let open: Spool[];
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "auditql-spool-")), "spool");
  [told, open] = [[], []];
});
afterEach(async () => {
  for (const spool of open) await spool.close();
  rmSync(join(folder, ".."), { recursive: true });
});

const observer: SpoolObserver = {
  waiting: (entries, since) => void told.push(`${String(entries)} wait since ${String(since)}`),
  setAside: (lines, why) => void told.push(`${String(lines)} set aside: ${why}`),
  replayed: () => undefined,
  replayFailed: () => undefined,
  refused: () => void told.push("refused"),
  troubled: (error) => void told.push(`troubled: ${String((error as { code?: string }).code ?? error)}`),
};

async function openSpool(at = folder, maxBytes = 8 * megabyte): Promise<Spool> {
  const spool = await Spool.open(at, maxBytes, observer);
  open.push(spool);
  return spool;
}

const attempts = (at = folder) => join(at, "attempts.jsonl");
const content = (at = folder): string => readFileSync(attempts(at), "utf8");
const linesOf = (at = folder): string[] => content(at).trimEnd().split("\n").slice(1);

function attempt(place: number, tenantId = "acme", value = "asked"): SpooledAttempt {
  const entry: PendingEntry = {
    tenantId,
    actor: { ...anonymous, type: "USER", id: "u-1" },
    action: "UPDATE",
    eventType: "thing.update_failed",
    outcome: "FAILURE",
    error: { code: "NOT_FOUND", message: "There is none." },
    resource: { type: "thing", id: "t-1", label: null },
    changes: [],
    attempted: [{ field: "name", value: JSON.stringify(value), secret: false }],
    operation: "updateThing",
    origin: {
      requestId: "r-1",
      clientRequestId: null,
      traceId: null,
      reason: "büro\u0001\n",
      ip: null,
      userAgent: null,
    },
    sessionId: "0f589237-b381-4e5b-a0ef-04aed1ce27d8",
    sequenceNumber: 9_007_199_254_740_993n + BigInt(place),
    ordinal: 0,
    causeId: null,
    repeats: { count: 2, sequenceNumbers: [[9_007_199_254_740_993n, 9_007_199_254_740_994n]] },
  };
  const claimedAt = new Date(Date.UTC(2026, 0, 1, 0, 0, place)).toISOString();
  const second = { ...entry, ordinal: 1, resource: { type: "thing", id: "t-2", label: "two" } };
  return {
    claimedAt,
    undecided: null,
    staged: [
      { entry, causedBy: null },
      { entry: second, causedBy: 0 },
    ],
  };
}

async function read(spool: Spool): Promise<SpooledAttempt[]> {
  const found: SpooledAttempt[] = [];
  for (const line of spool.lines()) {
    const it = await spool.read(line);
    if (it) found.push(it);
  }
  return found;
}

/** Fills a spool with so many attempts and closes it, as an end without warning leaves it. */
async function leave(count: number, at = folder, tenantId = "acme"): Promise<void> {
  const spool = await openSpool(at);
  for (let place = 0; place < count; place++) await spool.append(attempt(place, tenantId));
  await spool.close();
  told = [];
}

const placesOf = (found: readonly SpooledAttempt[]) => found.map(({ claimedAt }) => new Date(claimedAt).getSeconds());

/** What stands in the file of lines that are no entries. */
const asideTexts = (): string[] =>
  readFileSync(join(folder, "set-aside.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { text: string }).text);

describe("what is kept", () => {
  it("is on the disk before append resolves, and comes back whole and in order", async () => {
    const spool = await openSpool();
    await Promise.all([0, 1, 2].map((place) => spool.append(attempt(place))));
    // Another looks at the file while this one is still open, as the next start does after a kill.
    const again = await openSpool();
    expect(await read(again)).toEqual([0, 1, 2].map((place) => attempt(place)));
    expect(again.state).toEqual({ entries: 6, since: attempt(0).claimedAt });
    expect(again.isEmpty).toBe(false);
  });

  it("is for nobody else's eyes", async () => {
    await leave(1);
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect([folder, attempts(), join(folder, "key")].map(mode)).toEqual(["700", "600", "600"]);
    chmodSync(attempts(), 0o644);
    chmodSync(folder, 0o755);
    await openSpool();
    expect([mode(folder), mode(attempts())]).toEqual(["700", "600"]);
  });

  it("goes once it is done, and the file starts anew", async () => {
    const spool = await openSpool();
    await spool.append(attempt(0));
    await spool.append(attempt(1));
    const [first, second] = [...spool.lines()];
    if (!first || !second) throw new Error("There are none.");
    await spool.done([first]);
    expect(linesOf()).toHaveLength(2);
    await spool.done([second]);
    expect(linesOf()).toEqual([]);
    expect([spool.isEmpty, statSync(attempts()).size]).toEqual([true, megabyte]);
    await spool.append(attempt(2));
    expect(placesOf(await read(await openSpool()))).toEqual([2]);
  });
});

describe("what a crash or a hand left in the file", () => {
  it("keeps a torn last line aside, and goes on behind it", async () => {
    await leave(3);
    const torn = linesOf()[2]?.slice(0, -40) ?? "";
    writeFileSync(attempts(), content().trimEnd().slice(0, -40));
    const spool = await openSpool();
    expect(placesOf(await read(spool))).toEqual([0, 1]);
    expect(told).toContain("1 set aside: doesn't verify");
    expect(asideTexts()).toEqual([torn]);
    expect(statSync(join(folder, "set-aside.jsonl")).mode & 0o777).toBe(0o600);
    expect(await spool.attention()).toBe(join(folder, "set-aside.jsonl"));
    await spool.append(attempt(3));
    expect(placesOf(await read(await openSpool()))).toEqual([0, 1, 3]);
    // It was taken out of the way: nobody is told twice.
    expect(told.filter((each) => each.includes("set aside"))).toHaveLength(1);
  });

  it.each([
    ["its tenant", (text: string) => text.replaceAll('"acme"', '"globex"')],
    ["its number", (text: string) => text.replace('"line":2', '"line":7')],
    [
      "its checksum",
      (text: string) => text.replace(/"checksum":"."/, '"checksum":"0"').replace(/"checksum":"../, '"checksum":"zz'),
    ],
    ["a letter", (text: string) => text.replace("asked", "Asked")],
  ])("keeps a line aside that was edited: %s", async (_, edit) => {
    await leave(3);
    const [first = "", second = "", third = ""] = linesOf();
    const edited = edit(second);
    expect(edited).not.toBe(second);
    writeFileSync(attempts(), content().replace(second, edited));
    expect(placesOf(await read(await openSpool()))).toEqual([0, 2]);
    expect(asideTexts()).toEqual([edited]);
    expect(linesOf().filter((line) => line !== "")).toEqual([first, third]);
  });

  it("keeps another spool's lines aside, of whichever tenant", async () => {
    const other = join(folder, "..", "other");
    await leave(2, other, "globex");
    await leave(2);
    writeFileSync(attempts(), [content().trimEnd(), ...linesOf(other), ""].join("\n"));
    expect((await read(await openSpool())).map(({ staged }) => staged[0]?.entry.tenantId)).toEqual(["acme", "acme"]);
    expect(asideTexts()).toEqual(linesOf(other));
  });

  it("keeps another spool's whole file aside", async () => {
    const other = join(folder, "..", "other");
    await leave(2, other);
    await leave(1);
    writeFileSync(attempts(), content(other));
    const spool = await openSpool();
    expect(await read(spool)).toEqual([]);
    expect(asideTexts()).toEqual(content(other).trimEnd().split("\n"));
    await spool.append(attempt(4));
    expect(placesOf(await read(await openSpool()))).toEqual([4]);
  });

  it("puts moved lines back into their places, and takes one that was copied once", async () => {
    await leave(3);
    const [first = "", second = "", third = ""] = linesOf();
    const [header = ""] = content().split("\n");
    writeFileSync(attempts(), [header, third, first, second, first, ""].join("\n"));
    expect(placesOf(await read(await openSpool()))).toEqual([0, 1, 2]);
    expect(told).toContain("1 set aside: repeated");
    expect(asideTexts()).toEqual([first]);
  });

  it.each([0, 1, 40, 200])("takes a file that was cut to %i bytes for what it is", async (bytes) => {
    await leave(2);
    truncateSync(attempts(), bytes);
    const spool = await openSpool();
    expect(await read(spool)).toEqual([]);
    await spool.append(attempt(5));
    expect(placesOf(await read(await openSpool()))).toEqual([5]);
  });

  it("takes what isn't text at all for no line, however long", async () => {
    await leave(1);
    writeFileSync(
      attempts(),
      Buffer.concat([Buffer.from(`${content().trimEnd()}\n`), Buffer.alloc(20 * megabyte, 0xff)]),
    );
    const spool = await openSpool(folder, 256 * megabyte);
    expect(placesOf(await read(spool))).toEqual([0]);
    await spool.append(attempt(1));
    expect(placesOf(await read(await openSpool(folder, 256 * megabyte)))).toEqual([0, 1]);
  });

  it("leaves what can't be kept aside where it is, and says so", async () => {
    await leave(2);
    const text = `${content().trimEnd()}\n${"x".repeat(9 * megabyte)}\n`;
    writeFileSync(attempts(), text);
    const spool = await openSpool();
    expect(told[0]).toBe("1 set aside: doesn't verify");
    expect(told[1]).toMatch(/^troubled: SetAsideFullError: .*set-aside\.jsonl is as large as the spool may be/);
    expect(placesOf(await read(spool))).toEqual([0, 1]);
    await spool.done([...spool.lines()]);
    expect(content()).toBe(text);
  });

  it("sets aside a line that is altered while it waits", async () => {
    const spool = await openSpool();
    await spool.append(attempt(0));
    await spool.append(attempt(1));
    writeFileSync(attempts(), content().replace("asked", "Asked"), { flag: "r+" });
    expect(placesOf(await read(spool))).toEqual([1]);
    expect(told).toContain("1 set aside: doesn't verify");
    expect(asideTexts()).toHaveLength(1);
  });
});

describe("the bound", () => {
  it("refuses an attempt before it begins, and gives room back once one has ended", async () => {
    const spool = await openSpool();
    const releases = [await spool.reserve(4 * megabyte), await spool.reserve(3 * megabyte)];
    expect(releases.map((release) => release !== null)).toEqual([true, true]);
    expect(await spool.reserve(megabyte)).toBeNull();
    expect(told).toContain("refused");
    releases[0]?.();
    // Given back once, however often it is said.
    releases[0]?.();
    expect(await spool.reserve(4 * megabyte)).not.toBeNull();
    expect(await spool.reserve(megabyte)).toBeNull();
  });

  it("is the file's: beyond it nothing is kept, and what was kept stays", async () => {
    const spool = await openSpool();
    const large = attempt(0, "acme", "x".repeat(3 * megabyte));
    await spool.append(large);
    await spool.append(large);
    await expect(spool.append(large)).rejects.toThrow("The spool is full.");
    await spool.append(attempt(1));
    expect(statSync(attempts()).size).toBeLessThanOrEqual(8 * megabyte);
    expect(placesOf(await read(await openSpool()))).toEqual([0, 0, 1]);
    await spool.done([...spool.lines()]);
    await spool.append(large);
    expect(statSync(attempts()).size).toBeLessThan(4 * megabyte);
  });

  it("has no place for a line longer than any that can be read again", async () => {
    const spool = await openSpool(folder, 64 * megabyte);
    await expect(spool.append(attempt(0, "acme", "x".repeat(17 * megabyte)))).rejects.toThrow("too long");
  });
});

describe("a file that couldn't start anew", () => {
  const large = attempt(0, "acme", "x".repeat(5 * megabyte));

  /** Has the next call of a method fail, whichever file it is for. @param meanwhile done before it fails */
  async function failOnce(method: "datasync" | "sync" | "truncate", meanwhile?: () => Promise<void>): Promise<void> {
    const handle = await openFile(join(folder, ".."), "r");
    await handle.close();
    const methods = Object.getPrototypeOf(handle) as FileHandle;
    vi.spyOn(methods, method).mockImplementationOnce(async () => {
      await meanwhile?.();
      throw Object.assign(new Error("as planned"), { code: "EIO" });
    });
  }
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("does so once an attempt has failed that was under way as the last was done", async () => {
    const spool = await openSpool();
    await spool.append(large);
    await failOnce("datasync", () => spool.done([...spool.lines()]));
    await expect(spool.append(attempt(1))).rejects.toThrow("as planned");
    expect([linesOf(), statSync(attempts()).size]).toEqual([[], megabyte]);
    expect(await spool.reserve(4 * megabyte)).not.toBeNull();
  });

  it("does so before an attempt is refused, where it couldn't be cut before", async () => {
    const spool = await openSpool();
    await spool.append(large);
    await failOnce("truncate");
    await spool.done([...spool.lines()]);
    expect(told).toContain("troubled: EIO");
    expect(await spool.reserve(4 * megabyte)).not.toBeNull();
    expect(told).not.toContain("refused");
  });

  it("gives the room that is just coming back to an attempt that needs it", async () => {
    const spool = await openSpool();
    await spool.append(large);
    const isDone = spool.done([...spool.lines()]);
    expect(await spool.reserve(4 * megabyte)).not.toBeNull();
    await isDone;
  });

  it("goes on behind its header, not behind a hole, where the cut couldn't be forced to the disk", async () => {
    const spool = await openSpool();
    await spool.append(large);
    await failOnce("sync");
    await spool.done([...spool.lines()]);
    expect(told).toContain("troubled: EIO");
    await spool.append(attempt(1));
    expect(content()).not.toContain("\0");
    expect(placesOf(await read(await openSpool()))).toEqual([1]);
  });

  it.each(["before the start", "while it waits"])("does so once what was altered %s can be set aside", async (when) => {
    await leave(2);
    const [first = ""] = linesOf();
    const altered = Buffer.from(first.replace("asked", "~sked"));
    altered[altered.indexOf("~")] = 0xff;
    const alter = () => {
      const all = readFileSync(attempts());
      altered.copy(all, all.indexOf(first));
      writeFileSync(attempts(), all, { flag: "r+" });
    };
    writeFileSync(join(folder, "set-aside.jsonl"), "x".repeat(8 * megabyte));
    if (when === "before the start") alter();
    const spool = await openSpool();
    if (when !== "before the start") alter();
    expect(placesOf(await read(spool))).toEqual([1]);
    await spool.append(large);
    await spool.done([...spool.lines()]);
    expect(await spool.reserve(4 * megabyte)).toBeNull();
    expect(linesOf()).toHaveLength(3);

    rmSync(join(folder, "set-aside.jsonl"));
    expect(await Promise.all([spool.reserve(2 * megabyte), spool.reserve(2 * megabyte)])).not.toContain(null);
    expect(linesOf()).toEqual([]);
    expect(asideTexts()).toEqual([`base64:${altered.toString("base64")}`]);
    expect(told.filter((each) => each.includes("set aside:"))).toEqual(["1 set aside: doesn't verify"]);
  });
});

/** Whether this machine lets the test mount a file system of its own. */
function mounts(): boolean {
  const place = mkdtempSync(join(tmpdir(), "auditql-mount-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", place], { stdio: "ignore" });
    execFileSync("umount", [place], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(place, { recursive: true });
  }
}

describe.skipIf(!mounts())("a full disk (skipped where no file system may be mounted)", () => {
  let disk: string;
  beforeEach(() => {
    disk = mkdtempSync(join(tmpdir(), "auditql-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", disk]);
  });
  afterEach(async () => {
    for (const spool of open.splice(0)) await spool.close();
    execFileSync("umount", [disk]);
    rmSync(disk, { recursive: true });
  });
  /** Takes all room but so many bytes. */
  const fill = (left: number): void => {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, "filler"), Buffer.alloc(bavail * bsize - left));
  };

  it("refuses what there is no room for before it begins; what was reserved can be kept", async () => {
    const at = join(disk, "spool");
    const spool = await openSpool(at, 64 * megabyte);
    const release = await spool.reserve(megabyte / 2);
    fill(0);
    expect(await spool.reserve(megabyte)).toBeNull();
    expect(told).toEqual(expect.arrayContaining(["troubled: ENOSPC", "refused"]));
    await spool.append(attempt(0, "acme", "x".repeat(megabyte / 4)));
    release?.();
    await expect(spool.append(attempt(1, "acme", "x".repeat(2 * megabyte)))).rejects.toThrow(/ENOSPC/);
    await spool.append(attempt(2));
    expect(placesOf(await read(await openSpool(at, 64 * megabyte)))).toEqual([0, 2]);
    // A file that starts anew needs no more room than it has.
    await spool.done([...spool.lines()]);
    expect(spool.isEmpty).toBe(true);
    expect(await spool.reserve(megabyte / 2)).not.toBeNull();
  });

  it("is told at the start, where not even the file can be made", async () => {
    fill(0);
    await expect(openSpool(join(disk, "spool"))).rejects.toThrow(/ENOSPC/);
    rmSync(join(disk, "filler"));
    expect((await openSpool(join(disk, "spool"))).isEmpty).toBe(true);
  });
});
