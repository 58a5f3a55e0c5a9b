import { spreadText, table } from "../table.js";
import type { Verdict } from "../verdict.js";
import type { ReadResult, Timing } from "./compare.js";

/** What is promised of the greater log: to the lesser one's time, and in milliseconds. */
const MAX_RATIO = 1.5;
const MAX_P95 = 50;

export function readTables(results: readonly ReadResult[], [lesser, greater]: readonly [number, number]): string {
  const head = [
    "",
    "rows",
    `p50 ms, ${String(lesser)}`,
    `p50 ms, ${String(greater)}`,
    "p95 ms",
    "ratio (least to most)",
    "counted: p50 ms",
    "p50 ms",
    "ratio",
    "plain pg ms",
    "to plain pg",
    "indexes",
  ];
  return (["tenant", "platform"] as const)
    .flatMap((reader) => [
      `auditLogs, ${reader === "tenant" ? "the greatest tenant's auditor" : "a platform auditor"}`,
      table(
        head,
        results.filter((result) => result.case.reader === reader).map((result) => row(result)),
      ),
      "",
    ])
    .join("\n");
}

function row(result: ReadResult): string[] {
  const { lesser, greater } = result;
  return [
    result.case.name,
    `${String(lesser.rows)}, ${String(greater.rows)}`,
    milliseconds(lesser.p50),
    milliseconds(greater.p50),
    milliseconds(greater.p95),
    spreadText(result.ratio, 2),
    milliseconds(lesser.countedP50),
    milliseconds(greater.countedP50),
    result.countedRatio.median.toFixed(2),
    plain(greater),
    result.toPlain?.median.toFixed(2) ?? "",
    [...result.indexes, ...result.scanned.map((name) => `SEQ SCAN ${name}`)].join(" "),
  ];
}

const milliseconds = (value: number): string => value.toFixed(2);
const plain = ({ plainP50 }: Timing): string => (plainP50 === null ? "" : milliseconds(plainP50));

/** What is promised, a line each, with what came nearest to breaking it. */
export function readVerdicts(results: readonly ReadResult[]): Verdict[] {
  const promised = results.filter((result) => result.case.promised);
  const slower = promised.filter(({ ratio }) => ratio.median > MAX_RATIO);
  const slow = results.filter(({ greater }) => greater.p95 >= MAX_P95);
  const scanning = results.filter(({ scanned }) => scanned.length > 0);
  const name = (result: ReadResult) => `${result.case.reader}: ${result.case.name}`;
  const worst = promised.reduce((most, each) => (each.ratio.median > most.ratio.median ? each : most));
  return [
    {
      text: `first page and filters: at most ${worst.ratio.median.toFixed(2)} times (${name(worst)}), promised ${String(MAX_RATIO)}${list(slower, name)}`,
      holds: slower.length === 0,
    },
    {
      text: `p95 below ${String(MAX_P95)} ms, at most ${Math.max(...results.map(({ greater }) => greater.p95)).toFixed(1)}${list(slow, name)}`,
      holds: slow.length === 0,
    },
    { text: `no sequential scan in a plan${list(scanning, name)}`, holds: scanning.length === 0 },
  ];
}

const list = (broken: readonly ReadResult[], name: (result: ReadResult) => string): string =>
  broken.length === 0 ? "" : `; broken by ${broken.map(name).join("; ")}`;
