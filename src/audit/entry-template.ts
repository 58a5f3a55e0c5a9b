import type { AuditContext } from "./context.js";
import { PLATFORM_TENANT, type AttemptedField, type Change, type ChangeAction, type PendingEntry } from "./entry.js";
import type { AuditError } from "./errors.js";
import { eventType } from "./event-type.js";
import type { AuditedResource } from "./resource.js";
import type { SequencePlace } from "./session.js";
import type { Snapshot } from "./snapshot.js";
import { storable, truncated } from "./text.js";

interface Success {
  readonly id: string;
  readonly before: Snapshot | null;
  readonly after: Snapshot | null;
  readonly action: ChangeAction;
  readonly changes: readonly Change[];
  readonly ordinal: number;
}

interface Refusal {
  readonly id: string | null;
  readonly prior: Snapshot | null;
  readonly action: ChangeAction | null;
  readonly error: AuditError;
  readonly attempted: readonly AttemptedField[];
  readonly ordinal: number;
}

/** What every entry of one operation has in common; filled once. */
export class EntryTemplate {
  readonly tenantId: string;

  constructor(
    private readonly context: AuditContext,
    private readonly operation: string,
    private readonly place: SequencePlace,
  ) {
    this.tenantId = tenantOf(context);
  }

  /** The label is the one that the resource has now, or had when it was deleted. */
  success(resource: AuditedResource, { id, before, after, action, changes, ordinal }: Success): PendingEntry {
    return {
      ...this.#common(ordinal),
      action,
      eventType: eventType(resource.type, action, "SUCCESS"),
      outcome: "SUCCESS",
      error: null,
      resource: { type: resource.type, id, label: kept((after ?? before)?.label ?? null, MAX_LABEL) },
      changes,
      attempted: [],
    };
  }

  refusal(resource: AuditedResource, { id, prior, action, error, attempted, ordinal }: Refusal): PendingEntry {
    const denied = error.code === "UNAUTHENTICATED" || error.code === "FORBIDDEN";
    const outcome = denied ? "DENIED" : "FAILURE";
    return {
      ...this.#common(ordinal),
      action,
      eventType: eventType(resource.type, action, outcome),
      outcome,
      error: { code: error.code, message: kept(error.message, MAX_MESSAGE) },
      resource: { type: resource.type, id, label: kept(prior?.label ?? null, MAX_LABEL) },
      changes: [],
      attempted,
    };
  }

  #common(ordinal: number) {
    const { caller, origin } = this.context;
    const { sessionId, sequenceNumber } = this.place;
    const { tenantId, operation } = this;
    return { tenantId, actor: caller.actor, operation, origin, sessionId, sequenceNumber, ordinal, causeId: null };
  }
}

/** In code points; the table refuses more than four octets for each. */
const MAX_LABEL = 300;
const MAX_MESSAGE = 1_000;

const kept = (text: string | null, codePoints: number): string | null =>
  text === null ? null : truncated(storable(text), codePoints);

/** Whose log it belongs to: what has no tenant stands in the platform's. */
export const tenantOf = ({ caller }: AuditContext): string => caller.tenantId ?? PLATFORM_TENANT;
