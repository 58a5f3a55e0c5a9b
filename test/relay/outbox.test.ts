import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Batch } from "../../src/relay/batch.js";
import { Outbox, type Consignment } from "../../src/relay/outbox.js";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { entriesFrom, numbersTo, source } from "../support/relay.js";

const MIB = 1024 * 1024;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "auditql-outbox-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (): Promise<Outbox> => Outbox.open(join(folder, "spool"), { maxBytes: 64 * MIB }, () => undefined);
const batchOf = (sessionId: string, entries: readonly unknown[]): Batch => ({
  ...{ sessionId, source, entries, dropped: [], taken: null, close: false },
});
const large = (number: number): unknown => ({ sequenceNumber: String(number), fields: "x".repeat(1_000_000) });
const numbersOf = ({ batch }: Consignment): string[] =>
  batch.entries.map((entry) => (entry as { readonly sequenceNumber: string }).sequenceNumber);
const sizeOf = ({ batch }: Consignment): number => JSON.stringify(batch).length;

describe("a session with 20 MiB on the disk", () => {
  it("holds up no other one's few entries, whether an earlier run has left them or they have just come", async () => {
    const [much, little, later] = [uuidV7(), uuidV7(), uuidV7()];
    const left = await open();
    await Promise.all(Array.from({ length: 21 }, (_, number) => left.append(batchOf(much, [large(number)]))));
    await left.append(batchOf(little, entriesFrom(0, 3)));
    await left.close();
    const outbox = await open();
    await outbox.append(batchOf(later, entriesFrom(0, 3)));
    // Nothing of the first is done meanwhile.
    const given = [await outbox.next(), await outbox.next(), await outbox.next()].flatMap((it) => it ?? []);
    expect(given.map(({ batch }) => batch.sessionId)).toEqual([much, little, later]);
    expect(given.map(numbersOf)).toEqual([["0"], numbersTo(3), numbersTo(3)]);
    for (const consignment of given) outbox.finish(consignment);

    const rest: string[] = [];
    while (rest.length < 20) {
      const consignment = await outbox.next();
      if (!consignment) break;
      rest.push(...numbersOf(consignment));
      expect(sizeOf(consignment)).toBeLessThan(2 * MIB);
      outbox.finish(consignment);
    }
    expect(rest).toEqual(numbersTo(21).slice(1));
    expect(outbox.state.entries).toBe(0);
    await outbox.close();
  });
});
