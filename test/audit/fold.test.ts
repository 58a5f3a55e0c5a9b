import { describe, expect, it } from "vitest";
import { anonymous, type AuditOutcome, type PendingEntry } from "../../src/audit/entry.js";
import { Folds, type FoldOptions } from "../../src/audit/fold.js";
import { until } from "../support/until.js";

const origin = { requestId: null, clientRequestId: null, traceId: null, reason: null, ip: null, userAgent: null };

/** An attempt of one of many actors, at the same thing unless said. */
function attempt(
  sequenceNumber: number,
  actor = "u-1",
  outcome: AuditOutcome = "DENIED",
  { id = "cheap", ip = null }: { readonly id?: string; readonly ip?: string | null } = {},
): PendingEntry {
  return {
    tenantId: "acme",
    actor: { ...anonymous, type: "USER", id: actor },
    action: "UPDATE",
    eventType: "device.update_denied",
    outcome,
    error: outcome === "SUCCESS" ? null : { code: "FORBIDDEN", message: "no" },
    resource: { type: "device", id, label: "kiosk" },
    changes: [],
    attempted: [{ field: "name", value: '"x"', secret: false }],
    operation: "updateDevice",
    origin: { ...origin, ip },
    sessionId: "0b7c1f6e-93a5-4c2d-8f10-6f2d9b1c7a33",
    sequenceNumber: BigInt(sequenceNumber),
    ordinal: 0,
    causeId: null,
  };
}

function foldsWith(options: Partial<FoldOptions> = {}) {
  const written: PendingEntry[] = [];
  const write = (summary: PendingEntry): Promise<void> => {
    written.push(summary);
    return Promise.resolve();
  };
  const onError = (error: unknown): void => {
    throw error;
  };
  return { written, folds: new Folds({ deniedPerMinute: 1, write, onError, ...options }) };
}

const countsOf = (written: readonly PendingEntry[]) => written.map(({ repeats }) => repeats?.count);

describe("folding", () => {
  it("writes the summary at the window's end, and begins anew with the next", async () => {
    const { written, folds } = foldsWith({ window: 30 });
    expect([0, 1, 2].map((number) => folds.foldDenied([attempt(number)]))).toEqual([false, true, true]);
    expect(written).toEqual([]);
    await until(() => written.length === 1, { what: "the summary is written" });
    expect(written[0]?.repeats).toEqual({ count: 2, sequenceNumbers: [[1n, 2n]] });
    expect(folds.foldDenied([attempt(3)])).toBe(false);
    await folds.close();
    expect(countsOf(written)).toEqual([2]);
  });

  it("counts a call with several ids as one attempt, and none of which a part failed or succeeded", async () => {
    const { written, folds } = foldsWith();
    const [denied, failed, done] = [attempt(0), attempt(0, "u-1", "FAILURE"), attempt(0, "u-1", "SUCCESS")];
    expect(folds.foldDenied([denied, denied])).toBe(false);
    expect(folds.foldDenied([denied, denied])).toBe(true);
    for (const entries of [[], [failed], [done], [denied, failed]]) expect(folds.foldDenied(entries)).toBe(false);
    await folds.close();
    expect(countsOf(written)).toEqual([1]);
  });

  describe("beyond the rate", () => {
    const at = (number: number, id: string, ip?: string) => attempt(number, "u-1", "DENIED", { id, ...(ip && { ip }) });

    it("lets the first attempt at each target have its entry, and the first from each address", async () => {
      const { written, folds } = foldsWith({ deniedPerMinute: 2 });
      const attempts = [
        at(0, "cheap"),
        at(1, "cheap"),
        at(2, "cheap"),
        at(3, "jewel"),
        at(4, "jewel"),
        at(5, "cheap", "192.0.2.1"),
        at(6, "cheap", "192.0.2.1"),
        at(7, "jewel", "192.0.2.1"),
        at(8, "cheap"),
      ];
      const isFolded = attempts.map((one) => folds.foldDenied([one]));
      expect(isFolded).toEqual([false, false, true, false, true, false, true, false, true]);
      await folds.close();
      expect(written.map(({ resource, repeats }) => [resource?.id, repeats])).toEqual([
        [
          null,
          {
            count: 4,
            sequenceNumbers: [
              [2n, 2n],
              [4n, 4n],
              [6n, 6n],
              [8n, 8n],
            ],
          },
        ],
      ]);
    });

    it("lets a call with several ids be written where one of them is new", async () => {
      const { folds } = foldsWith();
      const call = (number: number, ...ids: string[]) => folds.foldDenied(ids.map((id) => at(number, id)));
      const answers = [call(0, "a", "b"), call(1, "b", "a"), call(2, "a", "c"), call(3, "c"), call(4, "c", "c")];
      expect(answers).toEqual([false, true, false, true, true]);
      await folds.close();
    });

    it("does so for fifty targets a window, and knows those that came within the rate", async () => {
      const { written, folds } = foldsWith({ deniedPerMinute: 60 });
      const ids = Array.from({ length: 111 }, (_, index) => String(index));
      const answers = [...ids, ...ids].map((id, number) => folds.foldDenied([at(number, id)]));
      // Sixty within the rate, and fifty beyond it.
      expect(answers.slice(0, 111)).toEqual(ids.map((_, index) => index >= 110));
      expect(answers.slice(111)).toEqual(ids.map(() => true));
      await folds.close();
      expect(countsOf(written)).toEqual([112]);
    });

    it("folds looks whatever they are aimed at", async () => {
      const { folds } = foldsWith();
      const looks = [at(0, "a"), at(1, "b"), at(2, "c", "192.0.2.1")];
      expect(looks.map((look) => folds.fold(look, 1, ""))).toEqual([false, true, true]);
      await folds.close();
    });
  });

  it("begins another summary where the numbers have too many gaps", async () => {
    const { written, folds } = foldsWith();
    for (let number = 0; number <= 404; number += 2) folds.foldDenied([attempt(number)]);
    await folds.close();
    expect(countsOf(written)).toEqual([200, 2]);
    expect(written.map(({ sequenceNumber }) => sequenceNumber)).toEqual([2n, 402n]);
  });

  it("folds nothing more once ten thousand are being counted", async () => {
    const { folds } = foldsWith();
    for (let actor = 0; actor < 10_000; actor++) folds.foldDenied([attempt(actor, `u-${String(actor)}`)]);
    expect([1, 2, 3].map((number) => folds.foldDenied([attempt(number, "one more")]))).toEqual([false, false, false]);
    expect(folds.foldDenied([attempt(4, "u-0")])).toBe(true);
    await folds.close();
  });

  it("keeps a summary that can't be written, and writes it at the stop", async () => {
    const told: unknown[] = [];
    const written: PendingEntry[] = [];
    let isAway = true;
    const { folds } = foldsWith({
      window: 10,
      write: (summary) => {
        if (isAway) return Promise.reject(new Error("away"));
        written.push(summary);
        return Promise.resolve();
      },
      onError: (error) => told.push(error),
    });
    for (const number of [0, 1, 2]) folds.foldDenied([attempt(number)]);
    await until(() => told.length === 1, { what: "the write has failed" });
    isAway = false;
    await folds.close();
    expect(countsOf(written)).toEqual([2]);
  });

  it("ends with the stop: what is refused then is written by itself", async () => {
    const { folds } = foldsWith();
    folds.foldDenied([attempt(0)]);
    await folds.close();
    expect([1, 2].map((number) => folds.foldDenied([attempt(number)]))).toEqual([false, false]);
  });
});
