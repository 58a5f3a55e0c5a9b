import type { Attempt, Told } from "../attempt.js";
import type { LoggedEntry } from "../log.js";
import type { Evidence } from "../reconcile.js";
import { canonical, groupBy, isSame } from "../values.js";

/**
 * Whether the log has what clients were told: each success with the entries that the answer named and the values that it
 * gave, each error with a FAILURE or DENIED of its code and no SUCCESS. Also of unanswered ones, that they came to one
 * end.
 */
export function judgeAnswers({ entries, attempts }: Evidence): string[] {
  const byPlace = groupBy(entries, ({ sessionId, sequenceNumber }) => `${sessionId ?? ""} ${sequenceNumber ?? ""}`);
  const byRequest = groupBy(entries, ({ clientRequestId }) => clientRequestId ?? "");
  const folded = foldedPlaces(entries);
  return attempts.flatMap((attempt) => {
    const its = byRequest.get(attempt.requestId) ?? [];
    const problems = attempt.told ? judgeAnswer(attempt, attempt.told, byPlace, its, folded) : judgeEnd(its);
    return problems.map((problem) => `${attempt.operation} ${attempt.requestId}: ${problem}`);
  });
}

/** What one operation left has one end, and each ordinal once. */
function judgeEnd(its: readonly LoggedEntry[]): string[] {
  const problems: string[] = [];
  const ends = new Set(its.map(({ outcome }) => outcome === "SUCCESS"));
  if (ends.size > 1) problems.push("it has entries of success and of failure");
  const ordinals = its.map(({ ordinal }) => ordinal);
  if (new Set(ordinals).size < ordinals.length) problems.push(`it has an ordinal twice: ${ordinals.join(", ")}`);
  return problems;
}

function judgeAnswer(
  attempt: Attempt,
  told: Told,
  byPlace: ReadonlyMap<string, readonly LoggedEntry[]>,
  its: readonly LoggedEntry[],
  folded: (sessionId: string, sequenceNumber: string) => boolean,
): string[] {
  const [report, ...more] = told.extensions.audit;
  if (!report || more.length > 0)
    return [`the answer reports ${String(told.extensions.audit.length)} operations, not one`];
  const { sessionId, sequenceNumber, entryIds } = report;
  const left = byPlace.get(`${sessionId} ${sequenceNumber}`) ?? [];
  const code = told.errors[0]?.extensions?.code ?? null;
  const place = `(session ${sessionId}, number ${sequenceNumber})`;
  if (left.length === 0) {
    if (code !== null && folded(sessionId, sequenceNumber)) return [];
    return [`it was answered ${code ?? "with success"}, and has no entry ${place}`];
  }
  const problems = judgeEnd(left);
  if (left.length !== its.length) problems.push(`${place} has entries of another request`);
  const missing = entryIds.filter((id) => !left.some((entry) => entry.id === id));
  if (missing.length > 0) problems.push(`the answer names entries that aren't there: ${missing.join(", ")}`);
  if (told.errors.length === 0) return [...problems, ...judgeSuccess(attempt, told, left, entryIds)];
  return [...problems, ...judgeError(told, code, left)];
}

function judgeSuccess(
  { operation, input }: Attempt,
  told: Told,
  left: readonly LoggedEntry[],
  entryIds: readonly string[],
): string[] {
  const problems: string[] = [];
  if (left.some(({ outcome }) => outcome !== "SUCCESS"))
    problems.push("it was answered with success, and has a failure");
  if (left.length !== entryIds.length)
    problems.push(`the answer names ${String(entryIds.length)} entries, and the log has ${String(left.length)}`);
  const result = told.data?.[operation];
  for (const row of Array.isArray(result) ? (result as unknown[]) : [result]) {
    const values = row as Readonly<Record<string, unknown>>;
    const id = values["id"] ?? values["groupId"];
    const entry = left.find(({ resourceId }) => resourceId === id);
    if (!entry) {
      problems.push(`the answer gives ${String(id)}, of which it has no entry`);
      continue;
    }
    for (const { field, secret, old, new: now } of entry.changes) {
      const [known, logged] = [values[field], entry.action === "DELETE" ? old : now];
      if (!secret && field in values && !isSame(known, logged))
        problems.push(`${field} was answered as ${canonical(known)}, and entry ${entry.id} says ${canonical(logged)}`);
    }
    if (input["provisioningSecret"] !== undefined && !entry.changes.some(({ secret }) => secret))
      problems.push(`entry ${entry.id} doesn't say that the secret changed`);
  }
  return problems;
}

/** Where the connection to the database broke on COMMIT, the client was told that it can't be known. */
function judgeError(told: Told, code: string | null, left: readonly LoggedEntry[]): string[] {
  const succeeded = left.some(({ outcome }) => outcome === "SUCCESS");
  if (succeeded && code === "UNAVAILABLE" && saysUnknown(told)) return [];
  if (succeeded) return [`it was answered ${code ?? "with an error"}, and the log says that it succeeded`];
  const codes = left.map(({ errorCode }) => errorCode);
  if (codes.includes(code)) return [];
  return [`it was answered ${code ?? "with an error"}, and the log says ${codes.join(", ")}`];
}

const saysUnknown = ({ errors }: Told): boolean =>
  errors.some(({ message }) => /can't be known|isn't known|not known yet/i.test(message));

/** Places that an entry of equal refusals stands for. */
function foldedPlaces(entries: readonly LoggedEntry[]): (sessionId: string, sequenceNumber: string) => boolean {
  const summaries = entries.filter(({ repeats }) => repeats.length > 0);
  return (sessionId, sequenceNumber) =>
    summaries.some(
      (summary) =>
        summary.sessionId === sessionId &&
        summary.repeats.some(
          ([first, last]) => BigInt(first) <= BigInt(sequenceNumber) && BigInt(sequenceNumber) <= BigInt(last),
        ),
    );
}
