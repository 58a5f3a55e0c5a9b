import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { LineSpool } from "../../src/disk/line-spool.js";

/** What was done was blanked behind a cut, when another line stood in its place already. */
it("a line that is written where a done one stood is whole when it is read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "auditql-lines-"));
  const bad: number[] = [];
  const spool = await LineSpool.open(join(folder, "spool"), {
    maxBytes: 1024 ** 2,
    onSetAside: (lines) => bad.push(lines),
  });
  const write = async (writer: number): Promise<number> => {
    let found = 0;
    for (let round = 0; round < 400; round++) {
      const numbers = await spool.append([JSON.stringify({ writer, round, filling: "x".repeat(writer * 200) })]);
      // So that the spool is empty at times, and writes, reads and what is done meet in every order.
      if ((round + writer) % 3 === 0) await delay(Math.random() * 3);
      found += (await spool.read(numbers)).length;
      spool.done(numbers);
    }
    return found;
  };
  const found = await Promise.all([1, 2, 3, 4].map(write));
  await spool.close();
  rmSync(folder, { recursive: true });
  expect(found).toEqual([400, 400, 400, 400]);
  expect(bad).toEqual([]);
});
