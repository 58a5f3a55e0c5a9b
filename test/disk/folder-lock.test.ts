import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runWithoutRoom } from "../support/without-room.js";

it("leaves nothing behind of a lock that finds no room on the disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "auditql-lock-"));
  const program = `
    const { takeFolderLock } = await import(dist + "/disk/folder-lock.js");
    console.log(await takeFolderLock("lock", () => null).catch(({ code }) => code));`;
  expect(runWithoutRoom(folder, 0, program)).toBe("EFBIG");
  expect(readdirSync(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
});
