import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SetAside } from "../../src/disk/set-aside.js";
import { runWithoutRoom } from "../support/without-room.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "auditql-aside-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const file = (): string => join(folder, "set-aside.jsonl");
const texts = (): string[] =>
  readFileSync(file(), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { text: string }).text);

describe("what is set aside", () => {
  it("begins a line of its own behind half a line, as a killed process leaves it", async () => {
    const aside = new SetAside(folder, 1024);
    await aside.keep(["one"], "why");
    writeFileSync(file(), '{"setAsideAt":"20', { flag: "a" });
    await aside.keep(["two", "three"], "why");
    const [first, torn, ...more] = readFileSync(file(), "utf8").trimEnd().split("\n");
    expect(torn).toBe('{"setAsideAt":"20');
    writeFileSync(file(), [first, ...more].join("\n"));
    expect(texts()).toEqual(["one", "two", "three"]);
  });

  it("leaves nothing of what finds no room, so that it takes none with each try", () => {
    const program = `
      const { SetAside } = await import(dist + "/disk/set-aside.js");
      const aside = new SetAside(".", 1_000_000);
      const keep = (text) => aside.keep([text], "why").then(() => "kept", ({ code }) => code);
      const large = "x".repeat(65_536);
      console.log(...(await Promise.all(["one", large, "two", large, "three"].map(keep))));`;
    expect(runWithoutRoom(folder, 16_384, program)).toBe("kept EFBIG kept EFBIG kept");
    expect(texts()).toEqual(["one", "two", "three"]);
  });
});
