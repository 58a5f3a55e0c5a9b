import { createReporter, type ReporterOptions } from "auditql/reporter";

/** What the process is told to do, as JSON in its only argument. */
export interface ReportingTask {
  readonly options: ReporterOptions;
  /** How many entries it reports; without a bound where it isn't given. */
  readonly count?: number;
  /** In milliseconds, between bursts of twenty. */
  readonly every?: number;
  /**
   * What it does behind the last: nothing more, `process.exit`, throw, wait for a signal, look after SIGTERM itself, or give
   * up once a call has come to nothing, and say what became of its entries.
   */
  readonly then?: "end" | "exit" | "throw" | "wait" | "listen" | "give-up";
}

const { options, count = Infinity, every = 1, then = "end" } = JSON.parse(process.argv[2] ?? "") as ReportingTask;
let hasFailed: () => void = () => undefined;
const failed = new Promise<void>((resolve) => (hasFailed = resolve));
const reporter = await createReporter({
  ...options,
  onNotice: ({ kind, message }) => {
    process.stderr.write(`${kind}: ${message}\n`);
    if (kind === "delayed") hasFailed();
  },
});

function reportOne(place: number, sequenceNumber?: string): void {
  const number = reporter.report({
    resourceType: "http_request",
    action: "REQUEST",
    outcome: "SUCCESS",
    fields: { method: "GET", url: `https://example.com/${String(place)}` },
    ...(sequenceNumber !== undefined && { sequenceNumber }),
  });
  if (sequenceNumber === undefined) process.stdout.write(`${String(number)}\n`);
}

/** Takes the number of a request that is reported once others have been. */
function openOne(place: number): void {
  const { "X-Audit-Sequence-Number": number } = reporter.correlationHeaders("https://example.com/");
  if (number === undefined) return;
  process.stdout.write(`${number}\n`);
  setTimeout(() => reportOne(place, number), place % 30);
}

for (let place = 0; place < count; place++) {
  reportOne(place);
  if (place % 7 === 6) openOne(place);
  if (place % 20 === 19) await new Promise((resolve) => setTimeout(resolve, every));
}
process.stdout.write("done\n");
switch (then) {
  case "exit":
    process.exit(3);
  case "throw":
    throw new Error("as planned");
  case "wait":
    setInterval(() => undefined, 1_000);
    break;
  case "listen":
    process.on("SIGTERM", () => {
      reportOne(-1);
      void reporter.close().then(({ sent, isClosed }) => {
        process.stdout.write(`closed ${String(sent)} ${String(isClosed)}\n`);
        process.exit(0);
      });
    });
    setInterval(() => undefined, 1_000);
    break;
  case "give-up": {
    await failed;
    const { lastFailure } = reporter.stats();
    process.stdout.write(`${JSON.stringify({ lastFailure, ...(await reporter.close({ deadline: 0 })) })}\n`);
    break;
  }
  case "end":
}
