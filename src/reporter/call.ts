import { outcomeOf, type Outcome } from "./answer.js";
import type { ReadyEntry } from "./backlog.js";
import { CallError, type Connection } from "./connection.js";
import { droppedByReason } from "./dropped-by-reason.js";
import type { Loss } from "./losses.js";
import type { ReporterSettings } from "./options.js";
import { TokenError } from "./token.js";

/** What one call says, beside whose session it is. */
export interface CallContent {
  readonly entries?: readonly ReadyEntry[];
  /** Read together with `taken`: more may come while the token is waited for. */
  readonly losses?: () => readonly Loss[];
  /** Whether the session ends with it. */
  readonly close?: boolean;
}

/** Whose session, and how many numbers it has taken so far. */
export interface CallSession {
  readonly sessionId: string;
  readonly source: ReporterSettings["source"];
  taken(): bigint;
}

const QUERY = `mutation ReportAuditEntries($input: ReportAuditEntriesInput!) {
  reportAuditEntries(input: $input) { sessionId accepted repeated refused { index sequenceNumber code message } }
}`;

/** Makes one call, and says what became of it; it never throws. */
export async function makeCall(
  connection: Connection,
  token: ReporterSettings["token"],
  session: CallSession,
  content: CallContent,
  signal: AbortSignal,
): Promise<Outcome> {
  const { entries = [] } = content;
  try {
    const given = await inTime(Promise.resolve(token()), connection.timeout, signal);
    const answer = await connection.post(bodyOf(session, content), given, signal);
    return outcomeOf(answer, entries.length);
  } catch (cause) {
    const why = cause instanceof CallError ? cause.message : "the token can't be had";
    return { kind: "delayed", why, isTooMuch: cause instanceof CallError && cause.isTimeout, cause };
  }
}

/** Whoever gives tokens may never do so. @throws TokenError past the time, or once the signal is given */
async function inTime<Given>(work: Promise<Given>, milliseconds: number, signal: AbortSignal): Promise<Given> {
  let end: () => void = () => undefined;
  const late = new Promise<never>((_, reject) => {
    end = () => reject(new TokenError("The token didn't come in time."));
  });
  const timer = setTimeout(end, milliseconds).unref();
  signal.addEventListener("abort", end, { once: true });
  try {
    if (signal.aborted) end();
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

/** The entries are JSON already. */
function bodyOf(session: CallSession, { entries = [], losses = () => [], close }: CallContent): string {
  const dropped = losses();
  const input = JSON.stringify({
    sessionId: session.sessionId,
    source: session.source,
    taken: String(session.taken()),
    ...(close === true && { close }),
    ...(dropped.length > 0 && { dropped: droppedByReason(dropped) }),
  });
  const texts = entries.map(({ text }) => text).join(",");
  return `{"query":${JSON.stringify(QUERY)},"variables":{"input":${input.slice(0, -1)},"entries":[${texts}]}}}`;
}
