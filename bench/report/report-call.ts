import { createReporter, type ReportEntry } from "../../src/reporter/index.js";
import { ascending, percentile } from "../statistics.js";

const REPORTERS = 50;
/** A call would go at a thousand. */
const ENTRIES = 900;
/** The clock costs as much as a call: so many are timed together. */
const TOGETHER = 10;

/** Microseconds that one `report()` takes at the median, while nothing is sent. */
export async function measureReport(): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < REPORTERS; turn++) {
    const reporter = await createReporter({
      url: "http://127.0.0.1:9/graphql",
      source: { program: "benched", version: "1.0.0" },
      batchSize: 1_000,
      maxDelay: 2 ** 31 - 1,
      handleExit: false,
      onNotice: () => undefined,
    });
    for (let number = 0; number < ENTRIES; number += TOGETHER) {
      const entries = Array.from({ length: TOGETHER }, (_, offset) => entryOf(number + offset));
      const begun = performance.now();
      for (const entry of entries) reporter.report(entry);
      times.push(((performance.now() - begun) * 1_000) / TOGETHER);
    }
    await reporter.close({ deadline: 0 });
  }
  return percentile(ascending(times), 50);
}

const entryOf = (number: number): ReportEntry => ({
  resourceType: "http_request",
  action: "REQUEST",
  outcome: "SUCCESS",
  fields: { method: "GET", url: `https://example.com/things/${String(number)}`, rule: "allow-example" },
});
