export interface TableOptions {
  /** How many columns, from the left, are text and begin at the same place; figures end there. */
  readonly texts?: number;
}

/** Lines of columns, the first to the left, the others to the right unless more of them are text. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { texts = 1 }: TableOptions = {},
): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const print = (line: readonly string[]) =>
    line.map((cell, column) =>
      column < texts ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
  const [first = [], ...rest] = lines.map(print);
  const rule = widths.map((width) => "-".repeat(width));
  return [first, rule, ...rest].map((line) => `  ${line.join("  ").trimEnd()}`).join("\n");
}
