import "reflect-metadata";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { startCluster } from "./cluster.js";
import { progress } from "./progress.js";
import { compareWrites } from "./write/compare.js";
import { comparisons, writeTables, writeVerdicts, type Verdict } from "./write/report.js";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string", default: ".data/bench.json" },
  },
});

const sizes = options.quick
  ? { alternations: 3, requests: 200, warmUp: 300 }
  : { alternations: 11, requests: 800, warmUp: 2_000 };

const cluster = await startCluster();
// A signal ends the bench, and with it the server and the folder that it made.
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      reject(new Error(`ended by ${signal}`));
    });
});

try {
  const verdicts: Verdict[] = [];
  const result: Record<string, unknown> = {
    at: new Date().toISOString(),
    node: process.version,
    postgresql: cluster.version,
    cpus: cpus().length,
    quick: options.quick,
  };
  if (options.only !== "read") {
    const writes = await Promise.race([compareWrites(cluster, sizes), interrupted]);
    console.log(writeTables(writes));
    verdicts.push(...writeVerdicts(writes));
    result["writes"] = { ...sizes, results: writes, comparisons: comparisons(writes) };
  }
  for (const { text, holds } of verdicts) console.log(`${holds ? "holds " : "FAILS "} ${text}`);
  result["verdicts"] = verdicts;
  await mkdir(dirname(options.out), { recursive: true });
  await writeFile(options.out, `${JSON.stringify(result, null, 2)}\n`);
  progress(`written to ${options.out}`);
  // So few alternations say nothing for certain.
  if (!options.quick && verdicts.some(({ holds }) => !holds)) process.exitCode = 1;
} finally {
  await cluster.remove();
}
