import type { ReportedResource } from "../reported-resource.js";
import { judgeEntry, type ReportedContent } from "./judge-entry.js";
import { readNumber } from "./sequence-numbers.js";
import type { RefusedEntry, UnjudgedEntry } from "./types.js";

/** How many entries one call brings; the rest is to be sent again. */
export const MOST_ENTRIES = 1_000;

/** An entry with its place in the call. */
export interface JudgedEntry {
  readonly index: number;
  readonly content: ReportedContent;
}

/** What became of a call's entries before the database was asked. */
export interface JudgedEntries {
  /** No two of them with one number. */
  readonly entries: readonly JudgedEntry[];
  /** Those with the number of one of them: what the log has by that number says what they are. */
  readonly again: readonly JudgedEntry[];
  readonly refused: readonly RefusedEntry[];
}

/** Judges each entry alone: what is wrong with one is no other's fault. */
export function judgeEntries(
  entries: readonly (UnjudgedEntry | null)[],
  resources: ReadonlyMap<string, ReportedResource>,
  sessionId: string,
  now: number,
): JudgedEntries {
  const refused: RefusedEntry[] = [];
  const again: JudgedEntry[] = [];
  const kept = new Map<bigint, JudgedEntry>();
  entries.forEach((entry, index) => {
    const value = entry === null ? null : entry.value;
    if (index >= MOST_ENTRIES) {
      refused.push({ index, sequenceNumber: numberIn(value), code: "LIMIT_EXCEEDED", message: tooMany });
      return;
    }
    const content = judged(value, resources, sessionId, now);
    if (typeof content === "string") {
      refused.push({ index, sequenceNumber: numberIn(value), code: "BAD_USER_INPUT", message: content });
      return;
    }
    if (kept.has(content.sequenceNumber)) again.push({ index, content });
    else kept.set(content.sequenceNumber, { index, content });
  });
  return { entries: [...kept.values()], again, refused };
}

const tooMany = `A call brings ${String(MOST_ENTRIES)} entries: send this one again.`;

/** What is wrong with it, where something is. */
function judged(...[value, ...rest]: Parameters<typeof judgeEntry>): ReportedContent | string {
  try {
    return judgeEntry(value, ...rest);
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
}

/** The number of an entry that is refused, so that who sent it knows which. */
function numberIn(value: unknown): string | null {
  if (typeof value !== "object" || value === null || !("sequenceNumber" in value)) return null;
  try {
    return String(readNumber(value.sequenceNumber));
  } catch {
    return null;
  }
}
