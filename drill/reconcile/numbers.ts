import type { Attempt } from "../attempt.js";
import type { LoggedEntry } from "../log.js";
import type { Evidence } from "../reconcile.js";
import { groupBy } from "../values.js";

interface Findings {
  readonly sessions: number;
  readonly missing: number;
  readonly problems: string[];
}

/**
 * Whether every number that a session lacks, below its greatest, can have belonged to an operation that no one was told
 * of: no answer names it, and no more are missing than operations of that run and tenant went unanswered and unlogged.
 */
export function judgeNumbers({ entries, attempts }: Evidence): Findings {
  const logged = groupBy(entries, ({ sessionId }) => sessionId ?? "");
  logged.delete("");
  const requests = new Map(attempts.map((attempt) => [attempt.requestId, attempt]));
  const known = new Set(entries.map(({ clientRequestId }) => clientRequestId));
  const silent = groupBy(
    attempts.filter(({ told, requestId }) => told === null && !known.has(requestId)),
    ({ run, tenantId }) => `${String(run)} ${tenantId}`,
  );
  const answered = groupBy(
    attempts.flatMap(({ told }) => told?.extensions.audit ?? []),
    ({ sessionId }) => sessionId,
  );
  const problems: string[] = [];
  let missing = 0;
  for (const sessionId of new Set([...logged.keys(), ...answered.keys()])) {
    const its = logged.get(sessionId) ?? [];
    const toldOf = new Set((answered.get(sessionId) ?? []).map(({ sequenceNumber }) => Number(sequenceNumber)));
    const lacking = lackingNumbers(its, toldOf);
    missing += lacking.length;
    const toldAndLacking = lacking.filter((number) => toldOf.has(number));
    if (toldAndLacking.length > 0)
      problems.push(`session ${sessionId} lacks ${rangesOf(toldAndLacking)}, of which clients were told`);
    const possible = silent.get(runOf(its, requests) ?? "")?.length ?? 0;
    if (lacking.length > possible)
      problems.push(
        `session ${sessionId} lacks ${String(lacking.length)} numbers, and ${String(possible)} operations went unanswered`,
      );
  }
  return { sessions: new Set([...logged.keys(), ...answered.keys()]).size, missing, problems };
}

function lackingNumbers(entries: readonly LoggedEntry[], toldOf: ReadonlySet<number>): number[] {
  const ranges = entries.flatMap(({ repeats }) =>
    repeats.map(([first, last]) => [Number(first), Number(last)] as const),
  );
  const there = new Set(entries.map(({ sequenceNumber }) => Number(sequenceNumber ?? -1)));
  const greatest = Math.max(-1, ...there, ...toldOf, ...ranges.map(([, last]) => last));
  return Array.from({ length: greatest + 1 }, (_, number) => number).filter(
    (number) => !there.has(number) && !ranges.some(([first, last]) => first <= number && number <= last),
  );
}

/** Which run of the API, and whose session it was: by the requests that its entries name. */
function runOf(entries: readonly LoggedEntry[], requests: ReadonlyMap<string, Attempt>): string | null {
  for (const { clientRequestId } of entries) {
    const attempt = requests.get(clientRequestId ?? "");
    if (attempt) return `${String(attempt.run)} ${attempt.tenantId}`;
  }
  return null;
}

/** `3, 5 to 9, 12` */
function rangesOf(numbers: readonly number[]): string {
  const starts = numbers.filter((number, index) => numbers[index - 1] !== number - 1);
  const ends = numbers.filter((number, index) => numbers[index + 1] !== number + 1);
  return starts.map((start, index) => (start === ends[index] ? start : `${start} to ${ends[index] ?? ""}`)).join(", ");
}
