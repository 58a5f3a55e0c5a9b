import { badUserInput, type FieldProblem } from "../errors.js";
import type { ProgramFacts } from "../session-entry.js";
import { isStorable } from "../text.js";
import { isUuid } from "../uuid.js";
import { LARGEST_NUMBER, multirangeText, type NumberRange } from "./sequence-numbers.js";
import type { DroppedEntriesInput, ReportAuditEntriesInput } from "./types.js";

/** What a call says besides its entries, once it is known to make sense. */
export interface ReportCall {
  readonly sessionId: string;
  readonly source: ProgramFacts;
  readonly dropped: readonly Dropped[];
  /** How many numbers were taken, as far as it is said. */
  readonly taken: bigint;
  readonly isLast: boolean;
}

export interface Dropped {
  readonly reason: string;
  /** As PostgreSQL reads an int8multirange. */
  readonly ranges: string;
}

const LONGEST_TEXT = 200;
const MOST_REASONS = 50;
const MOST_RANGES = 1_000;
/** Beyond so many they aren't entries, which a body has no room for: to answer each would take longer than all calls may. */
const MOST_ANSWERED = 100_000;

/** @throws AuditError BAD_USER_INPUT, with every field that is wrong: then nothing of the call counts */
export function checkedCall(input: ReportAuditEntriesInput): ReportCall {
  const { sessionId, source, entries, dropped, taken, close } = input;
  const problems: FieldProblem[] = [];
  const report: Report = (field, message) => problems.push({ field: `input.${field}`, message });
  if (entries.length > MOST_ANSWERED) report("entries", `may have ${String(MOST_ANSWERED)}`);
  if (!isUuid(sessionId) || sessionId.charAt(14) !== "7") report("sessionId", "must be a UUID of version 7");
  for (const name of ["program", "version", "host"] as const) checkText(`source.${name}`, source[name], report);
  const drops = checkedDrops(dropped ?? [], report);
  if (taken !== undefined && taken !== null && (taken < 0n || taken > LARGEST_NUMBER + 1n))
    report("taken", "must count numbers from 0");
  if (problems.length > 0) throw badUserInput(problems);
  const counts = [taken ?? 0n, ...drops.flatMap(({ ranges }) => ranges.map(([, last]) => last + 1n))];
  return {
    sessionId: sessionId.toLowerCase(),
    source: { program: source.program, version: source.version, host: source.host },
    dropped: drops.map(({ reason, ranges }) => ({ reason, ranges: multirangeText(ranges) })),
    taken: counts.reduce((most, count) => (count > most ? count : most)),
    isLast: close ?? false,
  };
}

type Report = (field: string, message: string) => void;

function checkText(field: string, text: string, report: Report): void {
  if (text === "" || Array.from(text.slice(0, 2 * LONGEST_TEXT + 1)).length > LONGEST_TEXT)
    report(field, `must have 1 to ${String(LONGEST_TEXT)} characters`);
  else if (!isStorable(text)) report(field, "holds NUL or a lone surrogate");
}

interface CheckedDrops {
  readonly reason: string;
  readonly ranges: readonly NumberRange[];
}

function checkedDrops(dropped: readonly DroppedEntriesInput[], report: Report): CheckedDrops[] {
  const count = dropped.reduce((sum, { sequenceNumbers }) => sum + sequenceNumbers.length, 0);
  if (dropped.length > MOST_REASONS || count > MOST_RANGES) {
    report("dropped", `may have ${String(MOST_REASONS)} reasons and ${String(MOST_RANGES)} ranges`);
    return [];
  }
  return dropped.map(({ reason, sequenceNumbers }, index) => {
    checkText(`dropped.${String(index)}.reason`, reason, report);
    const ranges = sequenceNumbers.flatMap((range, place) => {
      const checked = checkedRange(range);
      if (!checked) report(`dropped.${String(index)}.sequenceNumbers.${String(place)}`, "must be [first, last]");
      return checked ? [checked] : [];
    });
    return { reason, ranges };
  });
}

function checkedRange(range: readonly bigint[]): NumberRange | null {
  const [first, last] = range;
  if (first === undefined || last === undefined || range.length !== 2) return null;
  return first >= 0n && first <= last && last <= LARGEST_NUMBER ? [first, last] : null;
}
