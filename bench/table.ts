import type { Spread } from "./statistics.js";

/** Lines of columns, the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const print = (line: readonly string[]) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)));
  const [first = [], ...rest] = lines.map(print);
  const rule = widths.map((width) => "-".repeat(width));
  return [first, rule, ...rest].map((line) => `  ${line.join("  ").trimEnd()}`).join("\n");
}

/** `0.912 (0.880 to 0.934)` */
export const spreadText = ({ median, min, max }: Spread, digits = 3): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
