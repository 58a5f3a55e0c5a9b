import "reflect-metadata";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { startCluster } from "./cluster.js";
import { progress } from "./progress.js";
import { compareReads } from "./read/compare.js";
import { readTables, readVerdicts } from "./read/report.js";
import { compareReports } from "./report/compare.js";
import { reportTables, reportVerdicts } from "./report/report.js";
import type { Verdict } from "./verdict.js";
import { compareWrites } from "./write/compare.js";
import { comparisons, writeTables, writeVerdicts } from "./write/report.js";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string", default: ".data/bench.json" },
  },
});
const parts = ["write", "read", "report"] as const;
if (![undefined, ...parts].includes(options.only as (typeof parts)[number]))
  throw new Error(`--only takes one of ${parts.join(", ")}.`);
const isAsked = (part: (typeof parts)[number]): boolean => options.only === undefined || options.only === part;

const writeOptions = options.quick
  ? { alternations: 3, stretches: 2, requests: 100, warmUp: 500, entries: 50_000 }
  : { alternations: 11, stretches: 8, requests: 150, warmUp: 4_000, entries: 5_000_000 };
const readOptions = options.quick
  ? { alternations: 3, repeats: 2, sizes: [10_000, 50_000] as const }
  : { alternations: 11, repeats: 5, sizes: [10_000, 1_000_000] as const };
const reportOptions = options.quick ? { alternations: 3, calls: 8 } : { alternations: 11, calls: 20 };

const cluster = await startCluster();
// A signal ends the bench, and with it the server and the folder that it made.
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      reject(new Error(`ended by ${signal}`));
    });
});

try {
  const verdicts = await Promise.race([measure(), interrupted]);
  // So few alternations say nothing for certain.
  if (!options.quick && verdicts.some(({ holds }) => !holds)) process.exitCode = 1;
} finally {
  await cluster.remove();
}

async function measure(): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const machine = { node: process.version, postgresql: cluster.version, cpus: cpus().length };
  const result: Record<string, unknown> = { at: new Date().toISOString(), quick: options.quick, ...machine };
  if (isAsked("write")) {
    const results = await compareWrites(cluster, writeOptions);
    console.log(writeTables(results));
    verdicts.push(...writeVerdicts(results));
    result["writes"] = { ...writeOptions, results, comparisons: comparisons(results) };
  }
  if (isAsked("read")) {
    const results = await compareReads(cluster, readOptions);
    console.log(readTables(results, readOptions.sizes));
    verdicts.push(...readVerdicts(results));
    result["reads"] = { ...readOptions, results };
  }
  if (isAsked("report")) {
    const results = await compareReports(cluster, reportOptions);
    console.log(reportTables(results));
    verdicts.push(...reportVerdicts(results));
    result["reports"] = { ...reportOptions, results };
  }
  for (const { text, holds } of verdicts) console.log(`${holds ? "holds " : "FAILS "} ${text}`);
  await mkdir(dirname(options.out), { recursive: true });
  await writeFile(options.out, `${JSON.stringify({ ...result, verdicts }, null, 2)}\n`);
  progress(`written to ${options.out}`);
  return verdicts;
}
