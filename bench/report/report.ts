import { ratios, spread } from "../statistics.js";
import { spreadText, table } from "../table.js";
import type { Verdict } from "../verdict.js";
import type { ReportResult, ReportSample } from "./compare.js";

/** What is promised of reporting, against COPY; and of one `report()`, in microseconds. */
const TARGET = 0.4;
const AIM = 0.6;
const LONGEST_REPORT = 2;

const valuesOf = (samples: readonly ReportSample[], measure: keyof ReportSample): number[] =>
  samples.map((sample) => sample[measure]);

const speed = ({ reported, copied }: ReportResult) =>
  ratios(valuesOf(reported, "entriesPerSecond"), valuesOf(copied, "entriesPerSecond"));

export function reportTables(result: ReportResult): string {
  const medians = (samples: readonly ReportSample[]) =>
    (["entriesPerSecond", "apiCpu", "databaseCpu"] as const).map((measure) =>
      spread(valuesOf(samples, measure)).median.toFixed(0),
    );
  return [
    `reported entries: medians of ${String(result.reported.length)} alternations; times are of one entry`,
    table(
      ["", "entries/s", "API CPU µs", "database CPU µs"],
      [
        ["reportAuditEntries, through one API process", ...medians(result.reported)],
        ["COPY of the same rows, from a file of the server's", ...medians(result.copied)],
      ],
    ),
    "",
    table(
      ["", "median (least to most)"],
      [
        ["reported / copied, entries a second", spreadText(speed(result), 2)],
        ["report(), µs", spreadText(spread(result.report), 2)],
      ],
    ),
    "",
  ].join("\n");
}

export function reportVerdicts(result: ReportResult): Verdict[] {
  const ratio = speed(result).median;
  const call = spread(result.report).median;
  return [
    {
      text: `reported entries: ${ratio.toFixed(2)} of COPY's entries a second, at least ${String(TARGET)} (aim ${String(AIM)})`,
      holds: ratio >= TARGET,
    },
    {
      text: `report(): ${call.toFixed(2)} µs at the median, less than ${String(LONGEST_REPORT)}`,
      holds: call < LONGEST_REPORT,
    },
  ];
}
