import { setTimeout as delay } from "node:timers/promises";
import { createReporter, type ReportEntry } from "../../src/reporter/index.js";
import { Random } from "../random.js";
import type { ReporterOutcome, ReporterSettings } from "./reporters.js";

/** How many entries may wait in the reporter before this program goes slower; one that never does loses some. */
const ENOUGH_WAITING = 5_000;
const CLOSE_DEADLINE = 300_000;
/** One of so many names a kind of resource that nobody declared: the API refuses it for good. */
const POISONED = 20_000;

const settings = JSON.parse(process.argv[2] ?? "{}") as ReporterSettings;
const random = new Random(settings.seed);
const reporter = await createReporter({
  socketPath: settings.socketPath,
  source: { program: "drilled-gateway", version: "1.0.0" },
  maxQueued: 2 * ENOUGH_WAITING,
  batchSize: 500,
  maxDelay: 250,
  handleExit: false,
  // What breaks is broken on purpose.
  onNotice: () => undefined,
});
const enough = new AbortController();
process.once("message", () => enough.abort());
let taken = 0;
// Asked for more than its part, it goes on slowly: what is broken is to be broken under load, to the last.
while (taken < settings.entries || !enough.signal.aborted) {
  reporter.report(entryOf(taken++));
  if (taken >= settings.entries) await delay(2);
  else if (taken % 100 === 0) await delay(0);
  while (settings.isPatient && reporter.stats().waiting > ENOUGH_WAITING) await delay(5);
}
const { sent, setAside, lost, isClosed } = await reporter.close({ deadline: CLOSE_DEADLINE });
const { sessionId } = reporter;
const outcome: ReporterOutcome = { sessionId, taken, sent, setAside, lost, isClosed };
process.send?.(outcome);
process.disconnect();

function entryOf(number: number): ReportEntry {
  const isPoisoned = settings.isFaulted && random.between(1, POISONED) === 1;
  const isAllowed = random.next() < 0.9;
  return {
    resourceType: isPoisoned ? "nonsense" : "http_request",
    action: "REQUEST",
    outcome: isAllowed ? "SUCCESS" : "DENIED",
    fields: {
      method: "GET",
      url: `https://host-${String(number % 97)}.example.com/things/${String(number)}?token=canary-${String(number)}`,
      rule: isAllowed ? "allow-example" : "deny-rest",
    },
  };
}
