/**
 * A process that reports requests, as a program of its own: so many, each at its time, and says what became of them.
 *
 * node report-many.js --relay SOCKET --entries COUNT [--every MILLISECONDS]
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createReporter } from "../../src/reporter/index.js";

const { values } = parseArgs({
  options: {
    relay: { type: "string", default: "" },
    entries: { type: "string", default: "0" },
    every: { type: "string", default: "0" },
  },
});
const entries = Number(values.entries);
/** So many come together. */
const BURST = 20;
const MOST_WAITING = 5_000;

const reporter = await createReporter({
  socketPath: values.relay,
  source: { program: "report-many", version: "1.0.0", host: "host-1" },
  callTimeout: 3_000,
  maxDelay: 200,
  onNotice: () => undefined,
});
process.stdout.write(`session ${reporter.sessionId}\n`);
for (let count = 0; count < entries; count++) {
  const url = `https://example.com/things/${String(count)}`;
  const fields = { method: "GET", url, rule: "default" };
  reporter.report({ resourceType: "http_request", action: "REQUEST", outcome: "SUCCESS", fields });
  if (count % BURST === BURST - 1) await delay(Number(values.every));
  // Whoever can wait needn't lose anything.
  while (reporter.stats().waiting > MOST_WAITING) await delay(10);
}
process.stdout.write(`closed ${JSON.stringify(await reporter.close({ deadline: 60_000 }))}\n`);
