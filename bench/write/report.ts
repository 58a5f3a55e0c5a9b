import { arms, type Arm } from "../api/settings.js";
import { ratios, spread, type Spread } from "../statistics.js";
import { spreadText, table } from "../table.js";
import type { Verdict } from "../verdict.js";
import { armNames } from "./arms.js";
import type { ArmResult, MutationResult } from "./compare.js";
import type { Sample } from "./measure.js";

/** What is promised of the audited mutation against the first comparison. */
const targets = { requestsPerSecond: 0.8, cpu: 1.25, statements: 1 } as const;
const aims = { requestsPerSecond: 0.9, cpu: 1.1 } as const;

type Measure = keyof Sample;

/** The audited mutation, or what it is without the log's indexes, against another. */
export interface Comparison {
  readonly mutation: string;
  readonly arm: Arm;
  readonly against: Arm;
  readonly requestsPerSecond: Spread;
  readonly p50: Spread;
  readonly p95: Spread;
  readonly apiCpu: Spread;
  readonly databaseCpu: Spread;
  readonly cpu: Spread;
  readonly moreStatements: number;
}

const pairs: readonly (readonly [Arm, Arm])[] = [
  ["audited", "bare"],
  ["audited", "trigger"],
  ["audited", "statement"],
  ["audited", "unfenced"],
  ["filled", "filledUnfenced"],
  ["audited", "keyed"],
  ["keyed", "bare"],
];

export function comparisons(results: readonly MutationResult[]): Comparison[] {
  return results.flatMap(({ mutation, arms: measured }) =>
    pairs.map(([arm, against]) => {
      const ratio = (measure: Measure) =>
        ratios(valuesOf(measured[arm], measure), valuesOf(measured[against], measure));
      return {
        mutation,
        arm,
        against,
        requestsPerSecond: ratio("requestsPerSecond"),
        p50: ratio("p50"),
        p95: ratio("p95"),
        apiCpu: ratio("apiCpu"),
        databaseCpu: ratio("databaseCpu"),
        cpu: ratio("cpu"),
        moreStatements: measured[arm].statements - measured[against].statements,
      };
    }),
  );
}

const valuesOf = ({ samples }: ArmResult, measure: Measure): number[] => samples.map((sample) => sample[measure]);

export function writeTables(results: readonly MutationResult[]): string {
  const parts = results.map(({ mutation, arms: measured }) => [
    `${mutation}: medians`,
    table(
      ["", "req/s", "p50 ms", "p95 ms", "API CPU µs", "database CPU µs", "CPU µs", "statements", "WAL octets"],
      arms.map((arm) => [armNames[arm], ...medians(measured[arm])]),
    ),
    "",
    `${mutation}: ratios, each the median of ${String(measured.audited.samples.length)} alternations (least to most)`,
    table(
      ["", "req/s", "p50", "p95", "API CPU", "database CPU", "CPU"],
      comparisons(results)
        .filter((comparison) => comparison.mutation === mutation)
        .map((comparison) => [
          `${armNames[comparison.arm]} / ${armNames[comparison.against]}`,
          ...(["requestsPerSecond", "p50", "p95", "apiCpu", "databaseCpu", "cpu"] as const).map((measure) =>
            spreadText(comparison[measure], 2),
          ),
        ]),
    ),
    "",
  ]);
  return parts.flat().join("\n");
}

function medians(result: ArmResult): string[] {
  const median = (measure: Measure) => spread(valuesOf(result, measure)).median;
  return [
    median("requestsPerSecond").toFixed(0),
    median("p50").toFixed(2),
    median("p95").toFixed(2),
    ...(["apiCpu", "databaseCpu", "cpu"] as const).map((measure) => median(measure).toFixed(0)),
    String(result.statements),
    result.wal.toFixed(0),
  ];
}

/** What is promised, a line each, and whether it holds. */
export function writeVerdicts(results: readonly MutationResult[]): Verdict[] {
  return comparisons(results)
    .filter(({ arm, against }) => arm === "audited" && against === "bare")
    .flatMap(({ mutation, requestsPerSecond, cpu, moreStatements }) => [
      {
        text: `${mutation}: ${requestsPerSecond.median.toFixed(3)} of the wrapper's requests a second, at least ${String(targets.requestsPerSecond)} (aim ${String(aims.requestsPerSecond)})`,
        holds: requestsPerSecond.median >= targets.requestsPerSecond,
      },
      {
        text: `${mutation}: ${cpu.median.toFixed(3)} times the wrapper's CPU time, at most ${String(targets.cpu)} (aim ${String(aims.cpu)})`,
        holds: cpu.median <= targets.cpu,
      },
      {
        text: `${mutation}: ${String(moreStatements)} statements more, at most ${String(targets.statements)}`,
        holds: moreStatements <= targets.statements,
      },
    ]);
}
