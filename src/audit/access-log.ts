import type { Pool } from "pg";
import { canonical } from "./canonical-json.js";
import type { AuditContext } from "./context.js";
import { PLATFORM_TENANT, type AuditOutcome, type JsonText, type PendingEntry } from "./entry.js";
import { kept, MAX_MESSAGE, outcomeOf, tenantOf } from "./entry-template.js";
import { AuditError } from "./errors.js";
import type { Folds } from "./fold.js";
import type { AuditObserver } from "./observer.js";
import type { LogQuery } from "./own-resources.js";
import type { RefusalLog } from "./refusal-log.js";
import type { Sessions } from "./session.js";
import { isUuid, NIL_UUID } from "./uuid.js";
import { insertEntries, inTransactionApart, OutcomeUnknownError } from "./write-apart.js";

/** What looks at the log are recorded with. */
export interface AccessGround {
  /** Of the API's login, apart from the operations'. */
  readonly pool: Pool;
  readonly sessions: Sessions;
  readonly refusals: RefusalLog;
  readonly folds: Folds;
  readonly observer: AuditObserver;
}

/** One query of the log, as it was sent. */
export interface Look {
  readonly query: LogQuery;
  readonly context: AuditContext;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What the log's queries answer, as far as it says whose entries the answer holds. */
export type LogAnswer = { readonly nodes: readonly Shown[] } | Shown | null;
interface Shown {
  readonly tenantId: string | null;
}

/** Equal looks beyond this in a minute are folded. */
const LOOKS_PER_MINUTE = 1;

/**
 * Leaves an entry of each look at the log, before the reader is given anything: in the log of each tenant whose entries
 * the answer holds, and in the platform's where a platform auditor looked; of an answer without entries, and of a look
 * that was refused or failed, in the log of the reader's own tenant, else the platform's.
 */
export class AccessLog {
  /** Whether the last write of a look worked. */
  #isWritable = true;

  constructor(private readonly ground: AccessGround) {}

  /** @throws AuditError AUDIT_UNAVAILABLE where the entry can't be written: then nothing may be shown */
  async answered(look: Look, answer: LogAnswer): Promise<void> {
    const { folds, refusals } = this.ground;
    const likeness = filterOf(look);
    const entries = rowsByTenant(look.context, answer).map(([tenantId, rows]) =>
      this.#entry(look, tenantId, "SUCCESS", { filter: filterIn(tenantId, look), rows }),
    );
    // Whoever is only counted is shown the log without a write: not while it is known that none would work.
    const mayFold = this.#isWritable && !refusals.isBehind;
    // All before the write: a window that ended during it would need a second one, which might fail beside the first.
    const due = entries.filter((entry) => !mayFold || !folds.fold(entry, LOOKS_PER_MINUTE, likeness));
    try {
      await this.#write(due);
    } catch (cause) {
      this.#isWritable = false;
      if (mayFold) for (const entry of due) folds.giveBack(entry, likeness);
      throw await this.#unavailable(due, cause);
    }
  }

  /** A look that the caller may not take, or that came to nothing. */
  async refused(look: Look, error: AuditError): Promise<void> {
    const { folds, refusals } = this.ground;
    const filter = filterOf(look);
    const outcome = outcomeOf(error);
    const entry: PendingEntry = {
      ...this.#entry(look, tenantOf(look.context), outcome, { filter, rows: 0 }),
      error: { code: error.code, message: kept(error.message, MAX_MESSAGE) },
    };
    // Who may not read at all may ask for another thing each time.
    const isFolded = outcome === "DENIED" ? folds.foldDenied([entry]) : folds.fold(entry, LOOKS_PER_MINUTE, filter);
    if (!isFolded) await refusals.write([{ entry, causedBy: null }]);
  }

  #entry(
    { query, context, args }: Look,
    tenantId: string,
    outcome: AuditOutcome,
    access: NonNullable<PendingEntry["access"]>,
  ): PendingEntry {
    return {
      tenantId,
      actor: context.caller.actor,
      action: "READ",
      eventType: eventTypes[outcome],
      outcome,
      error: null,
      resource: { type: "audit_log", id: query === "auditEntry" ? idOf(args["id"]) : null, label: null },
      changes: [],
      attempted: [],
      operation: query,
      origin: context.origin,
      ...this.ground.sessions.next(tenantId),
      ordinal: 0,
      causeId: null,
      access,
      correlation: context.correlation ?? null,
    };
  }

  async #write(entries: readonly PendingEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const { pool, observer } = this.ground;
    const begun = performance.now();
    await inTransactionApart(pool, (client) => insertEntries(client, entries)).finally(() =>
      observer.wrote((performance.now() - begun) / 1000),
    );
    this.#isWritable = true;
    observer.written(entries);
  }

  async #unavailable(entries: readonly PendingEntry[], cause: unknown): Promise<AuditError> {
    const { observer, refusals } = this.ground;
    const message = "The log can't be written, so it isn't shown either. Try again later.";
    const error = new AuditError("AUDIT_UNAVAILABLE", message, { cause });
    observer.writeFailed(cause, entries);
    // They may have been committed: a failure beside them would be untrue.
    if (cause instanceof OutcomeUnknownError) {
      observer.ended?.(entries);
      return error;
    }
    const failed = entries.map((entry): PendingEntry => {
      const access = entry.access && { ...entry.access, rows: 0 };
      return {
        ...entry,
        outcome: "FAILURE",
        eventType: eventTypes.FAILURE,
        error: { code: error.code, message },
        access,
      };
    });
    for (const entry of failed) await refusals.write([{ entry, causedBy: null }]);
    return error;
  }
}

const eventTypes: Readonly<Record<AuditOutcome, string>> = {
  SUCCESS: "audit_log.read",
  FAILURE: "audit_log.read_failed",
  DENIED: "audit_log.read_denied",
};

/** How many entries of each tenant's log the answer holds, with those in whose log it is told that it holds none. */
function rowsByTenant(context: AuditContext, answer: LogAnswer): [tenantId: string, rows: number][] {
  const shown = answer === null ? [] : "nodes" in answer ? answer.nodes : [answer];
  const rows = new Map<string, number>();
  if (shown.length === 0) rows.set(tenantOf(context), 0);
  if (context.caller.roles.has("PLATFORM_AUDITOR")) rows.set(PLATFORM_TENANT, 0);
  for (const { tenantId } of shown) {
    const tenant = tenantId ?? PLATFORM_TENANT;
    rows.set(tenant, (rows.get(tenant) ?? 0) + 1);
  }
  return [...rows];
}

const filterOf = ({ query, args }: Look): JsonText =>
  canonical(query === "auditEntry" ? { id: args["id"] } : (args["filter"] ?? {}));

/** Whole only where its reader belongs or all is seen: it may name what other tenants' logs hold. */
function filterIn(tenantId: string, look: Look): JsonText {
  const filter = look.args["filter"];
  const isWhole = tenantId === PLATFORM_TENANT || tenantId === tenantOf(look.context);
  // The id of an entry that was found is this tenant's own.
  if (isWhole || look.query === "auditEntry" || typeof filter !== "object" || filter === null) return filterOf(look);
  const asked = Object.entries(filter).filter(([, value]) => value !== undefined && value !== null);
  return canonical(Object.fromEntries(asked.map(([field]) => [field, field === "tenantId" ? [tenantId] : null])));
}

/** Of another form it names no entry, and stands in the filter alone. */
const idOf = (id: unknown): string | null =>
  typeof id === "string" && isUuid(id) && id !== NIL_UUID ? id.toLowerCase() : null;
