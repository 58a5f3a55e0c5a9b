import type { Change, Entry } from "./entry.js";

const rule = "─";
/** Between columns, and before what stands below a sentence. */
const gap = "  ";
const narrowest = 20;

/** An entry's time and outcome, and what is said of it: the sentence, then a line for each field. */
interface Row {
  readonly head: readonly [time: string, outcome: string];
  readonly lines: readonly string[];
}

/**
 * The entries as an aligned table: the sentence of each, and a line below it for each field.
 *
 * @param width what a line may be long, in characters; null for any length
 */
export function table(entries: readonly Entry[], width: number | null): string {
  const heads: Row = { head: ["time (UTC)", "outcome"], lines: ["what"] };
  const rows = entries.map(rowOf);
  const widths = [0, 1].map((column) => Math.max(...[heads, ...rows].map(({ head }) => lengthOf(head[column] ?? ""))));
  const taken = widths.reduce((sum, each) => sum + each + gap.length, 0);
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(width - taken, narrowest);
  const texts = rows.map(({ head, lines }) => ({ head, lines: lines.flatMap((line) => wrapped(line, room)) }));
  const longest = Math.max(...texts.flatMap(({ lines }) => lines.map(lengthOf)));
  const ruled: Row = {
    head: [rule.repeat(widths[0] ?? 0), rule.repeat(widths[1] ?? 0)],
    lines: [rule.repeat(longest)],
  };
  return [heads, ruled, ...texts].flatMap((row) => linesOf(row, widths)).join("\n");
}

function linesOf({ head, lines }: Row, widths: readonly number[]): string[] {
  const cells = (texts: readonly string[]) =>
    texts.map((text, column) => text + " ".repeat((widths[column] ?? 0) - lengthOf(text)) + gap).join("");
  return lines.map((line, index) => cells(index === 0 ? head : ["", ""]) + line);
}

function rowOf(entry: Entry): Row {
  const time = /T(.{12})/.exec(entry.occurredAt)?.[1] ?? entry.occurredAt;
  const values = [
    ...entry.changes.map((change) => `${change.field}: ${valuesOf(change)}`),
    ...entry.attempted.map(
      ({ field, value, secret }) => `${field}: ${secret ? "(secret)" : `asked for ${shown(value)}`}`,
    ),
  ];
  return { head: [time, entry.outcome], lines: [entry.description, ...values.map((value) => gap + value)] };
}

/** Broken between words where it is too long, and within those that are; what follows is indented further. */
function wrapped(text: string, room: number): string[] {
  const indent = `${/^ */.exec(text)?.[0] ?? ""}${gap}`;
  const lines: string[] = [];
  let rest = Array.from(text);
  while (rest.length > room) {
    const space = rest.lastIndexOf(" ", room);
    const end = space > indent.length ? space : room;
    lines.push(rest.slice(0, end).join(""));
    rest = Array.from(indent + rest.slice(end).join("").trimStart());
  }
  return [...lines, rest.join("")];
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
