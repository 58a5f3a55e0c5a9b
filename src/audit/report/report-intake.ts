import type { PoolClient } from "pg";
import type { MutationContext } from "../context.js";
import { nowhere, type PendingEntry, type StatedEntry } from "../entry.js";
import { kept, MAX_MESSAGE, outcomeOf } from "../entry-template.js";
import { AuditError } from "../errors.js";
import { eventType } from "../event-type.js";
import type { Folds } from "../fold.js";
import { insertMany } from "../insert-many.js";
import type { AuditObserver } from "../observer.js";
import { reportMutation } from "../own-resources.js";
import type { RefusalLog } from "../refusal-log.js";
import type { ReportedResource } from "../reported-resource.js";
import { sessionEntry, type ProgramFacts } from "../session-entry.js";
import type { Sessions } from "../session.js";
import { insertEntries } from "../write-apart.js";
import type { ReportedContent } from "./judge-entry.js";
import { judgeEntries, type JudgedEntries, type JudgedEntry } from "./judge-entries.js";
import { checkedCall, type ReportCall } from "./report-call.js";
import { beginReport, endReport, type BegunReport, type ReportBrought, type Reporter } from "./report-statements.js";
import { rangesOf } from "./sequence-numbers.js";
import type { RefusedEntry, ReportAuditEntriesInput, ReportedEntries } from "./types.js";

/** What reports are taken with. */
export interface IntakeGround {
  readonly resources: readonly ReportedResource[];
  readonly sessions: Sessions;
  readonly refusals: RefusalLog;
  /** Without it each refusal leaves an entry of its own. */
  readonly folds?: Folds;
  readonly observer: AuditObserver;
}

/** What a call left in its transaction. */
interface Written extends Settled {
  readonly accepted: number;
  readonly written: readonly StatedEntry[];
}

/** What the entries are that aren't new. */
interface Settled {
  /** How many say what the log has by their number. */
  readonly repeated: number;
  /** Those that say something else. */
  readonly conflicts: readonly JudgedEntry[];
}

/** Takes what other processes report into the log: each entry is judged alone, and stands there once. */
export class ReportIntake {
  readonly #resources: ReadonlyMap<string, ReportedResource>;

  constructor(private readonly ground: IntakeGround) {
    this.#resources = new Map(ground.resources.map((resource) => [resource.type, resource]));
  }

  /**
   * Writes them in the mutation's own transaction: what is answered as accepted is committed with it.
   *
   * @throws AuditError BAD_USER_INPUT, FORBIDDEN where the session is someone else's: nothing was taken
   */
  async take(context: MutationContext, input: ReportAuditEntriesInput): Promise<ReportedEntries> {
    const call = checkedCall(input);
    const judged = judgeEntries(input.entries, this.#resources, call.sessionId, Date.now());
    const { accepted, repeated, conflicts, written } = await this.#write(context, call, judged);
    context.afterCommit(() => {
      this.ground.observer.written(written);
    });
    return { sessionId: call.sessionId, accepted, repeated, refused: refusals(judged, conflicts) };
  }

  async #write(context: MutationContext, call: ReportCall, judged: JudgedEntries): Promise<Written> {
    const reporter = reporterOf(context);
    // Of the transaction that TypeORM began, whose statements may stay prepared so.
    const client = (await context.scope.runner.connect()) as PoolClient;
    const contents = judged.entries.map(({ content }) => content);
    const begun = await beginReport(client, call, reporter, contents);
    if (!begun.isOwn) throw await this.#refuse(context, call);
    const { repeated, conflicts } = settled(judged, begun);
    if (conflicts.length > 0) await this.#enterConflicts(context, call, conflicts);
    const since = performance.now();
    const opening = begun.isOpened ? [openedOrClosed("START", context, call.sessionId, call.source)] : [];
    if (opening.length > 0) await insertEntries(client, opening);
    const fresh = contents.filter(({ sequenceNumber: it }) => !begun.repeated.has(it) && !begun.conflicting.has(it));
    const entries = fresh.map((content) => entryOf(context, reporter, call, content));
    await insertMany(client, entries);
    this.ground.observer.wrote((performance.now() - since) / 1000);
    const taken = takenOf(call, numbersOf(contents));
    const brought = { fresh: numbersOf(fresh), repeats: repeated, taken };
    const closing = await this.#noteBrought(client, context, call, brought);
    return { accepted: entries.length, repeated, conflicts, written: [...opening, ...entries, ...closing] };
  }

  /** Notes in the session's row what the call brought; the entry of the session's end, where it ends with it. */
  async #noteBrought(
    client: PoolClient,
    context: MutationContext,
    call: ReportCall,
    brought: ReportBrought,
  ): Promise<StatedEntry[]> {
    const end = await endReport(client, call, brought);
    if (!end.isClosed) return [];
    const closing = openedOrClosed("STOP", context, call.sessionId, end.source, end.taken);
    await insertEntries(client, [closing]);
    return [closing];
  }

  async #refuse(context: MutationContext, { sessionId }: ReportCall): Promise<AuditError> {
    const message = "The session is someone else's: make an id of your own, a UUID of version 7.";
    const error = new AuditError("FORBIDDEN", message);
    const entry = this.#entryOfCall(context, sessionId, "audit_session.report_denied", error, []);
    if (!this.ground.folds?.foldDenied([entry])) await this.ground.refusals.write([{ entry, causedBy: null }]);
    return error;
  }

  /**
   * Before anything of the call is committed, on a connection of its own: no crash comes in between, and the number that it
   * takes has its entry whatever becomes of the call. A call that comes to nothing is sent again, and leaves another.
   */
  async #enterConflicts(context: MutationContext, { sessionId }: ReportCall, conflicts: readonly JudgedEntry[]) {
    const ranges = rangesOf(conflicts.map(({ content }) => content.sequenceNumber));
    const value = JSON.stringify(ranges.map(([first, last]) => [String(first), String(last)]));
    const error = new AuditError("CONFLICT", "Numbers were reported again with another content.");
    const attempted = [{ field: "sequenceNumbers", value, secret: false }];
    const entry = this.#entryOfCall(context, sessionId, "audit_session.report_failed", error, attempted);
    await this.ground.refusals.write([{ entry, causedBy: null }]);
  }

  #entryOfCall(
    context: MutationContext,
    sessionId: string,
    type: string,
    error: AuditError,
    attempted: PendingEntry["attempted"],
  ): PendingEntry {
    const { tenantId } = reporterOf(context);
    return {
      tenantId,
      actor: context.caller.actor,
      action: null,
      eventType: type,
      outcome: outcomeOf(error),
      error: { code: error.code, message: kept(error.message, MAX_MESSAGE) },
      resource: { type: "audit_session", id: sessionId, label: null },
      changes: [],
      attempted,
      operation: reportMutation,
      origin: context.origin,
      ...this.ground.sessions.next(tenantId),
      ordinal: 0,
      causeId: null,
    };
  }
}

/** Whom the wrapper has let through has a token of the role, and a tenant. */
function reporterOf({ caller }: MutationContext): Reporter {
  const { tenantId, subject } = caller;
  if (tenantId === null || subject === null) throw new AuditError("FORBIDDEN", "The token names no tenant.");
  return { tenantId, subject };
}

const numbersOf = (contents: readonly ReportedContent[]): bigint[] =>
  contents.map(({ sequenceNumber }) => sequenceNumber);

/** As many as were said to be taken, or are seen to be. */
const takenOf = ({ taken }: ReportCall, numbers: readonly bigint[]): bigint =>
  numbers.reduce((most, number) => (number >= most ? number + 1n : most), taken);

/** What entries are, by what the log has by their number once the call has begun. */
function settled({ entries, again }: JudgedEntries, { repeated, conflicting }: BegunReport): Settled {
  const firsts = new Map(entries.map(({ content }) => [content.sequenceNumber, content.digest]));
  const stands = ({ content: { sequenceNumber: number, digest } }: JudgedEntry): boolean => {
    const kept = conflicting.has(number) ? conflicting.get(number) : firsts.get(number);
    return kept?.equals(digest) ?? false;
  };
  return {
    repeated: repeated.size + again.filter(stands).length,
    conflicts: [...entries, ...again].filter((entry) => !stands(entry)),
  };
}

/** It tells what the reporter says of itself: so it is marked as all that it reports. */
function openedOrClosed(
  action: "START" | "STOP",
  context: MutationContext,
  sessionId: string,
  source: ProgramFacts,
  taken = "",
): StatedEntry {
  const { tenantId, subject } = reporterOf(context);
  const { caller, origin } = context;
  const told = action === "START" ? { kind: "REPORTER", ...source } : { taken };
  const statement = { actor: caller.actor, origin, operation: reportMutation, told };
  return { ...sessionEntry(action, { id: sessionId, tenantId }, source, statement), reportedBy: subject };
}

function entryOf(
  { caller, origin }: MutationContext,
  { tenantId, subject }: Reporter,
  { sessionId }: ReportCall,
  content: ReportedContent,
): StatedEntry {
  const { action, outcome, errorCode, resource, fields } = content;
  const isDone = outcome === "SUCCESS";
  return {
    tenantId,
    actor: content.onBehalfOf === null ? caller.actor : { ...caller.actor, onBehalfOf: content.onBehalfOf },
    action,
    eventType: eventType(resource.type, action, outcome),
    outcome,
    error: errorCode === null ? null : { code: errorCode, message: null },
    resource,
    changes: isDone
      ? fields.map(({ field, value, secret }) => ({ field, op: "ADD" as const, old: null, new: value, secret }))
      : [],
    attempted: isDone ? [] : fields,
    operation: reportMutation,
    // Where the report came from; the request is the one that it tells of.
    origin: { ...nowhere, requestId: content.requestId, ip: origin.ip, userAgent: origin.userAgent },
    sessionId,
    sequenceNumber: content.sequenceNumber,
    ordinal: 0,
    causeId: null,
    claimedAt: content.claimedAt,
    reportedBy: subject,
  };
}

function refusals({ refused }: JudgedEntries, conflicts: readonly JudgedEntry[]): RefusedEntry[] {
  const conflicting = conflicts.map(({ index, content }): RefusedEntry => ({
    index,
    sequenceNumber: String(content.sequenceNumber),
    code: "CONFLICT",
    message: "The session has another entry with this number.",
  }));
  return [...refused, ...conflicting].sort((left, right) => left.index - right.index);
}
