import type { Change, Entry } from "./entry.js";

const heads = ["time (UTC)", "outcome", "actor", "what", "field", "old → new"];
const rule = "─";

/** The entries as an aligned table: a line for each, and one more for each further field. */
export function table(entries: readonly Entry[]): string {
  const rows = entries.flatMap(rowsOf);
  const widths = heads.map((head, column) =>
    Math.max(...[head, ...rows.map((row) => row[column] ?? "")].map(lengthOf)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - lengthOf(cell)))
      .join("  ")
      .trimEnd();
  return [line(heads), line(widths.map((width) => rule.repeat(width))), ...rows.map(line)].join("\n");
}

function rowsOf(entry: Entry): string[][] {
  const time = /T(.{12})/.exec(entry.occurredAt)?.[1] ?? entry.occurredAt;
  const head = [time, entry.outcome, entry.actor.name ?? entry.actor.id ?? "", entry.description];
  const values = [
    ...entry.changes.map((change) => [change.field, valuesOf(change)]),
    ...entry.attempted.map(({ field, value, secret }) => [field, secret ? "(secret)" : `asked for ${shown(value)}`]),
  ];
  const [first = ["", ""], ...more] = values;
  return [[...head, ...first], ...more.map((cells) => ["", "", "", "", ...cells])];
}

function valuesOf({ op, old, new: value, secret }: Change): string {
  const cell = (side: unknown, absent: boolean) => (absent ? "" : secret ? "(secret)" : shown(side));
  return `${cell(old, op === "ADD")} → ${cell(value, op === "REMOVE")}`.trim();
}

/** Text bare where it reads as it is, all else as JSON. */
function shown(value: unknown): string {
  return typeof value === "string" && value.trim() !== "" ? value : JSON.stringify(value);
}

const lengthOf = (text: string): number => Array.from(text).length;
