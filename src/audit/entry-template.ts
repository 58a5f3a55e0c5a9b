import type { AuditContext } from "./context.js";
import {
  PLATFORM_TENANT,
  type AttemptedField,
  type ChangeAction,
  type AuditOutcome,
  type Change,
  type PendingEntry,
  type Resource,
} from "./entry.js";
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
  #isUsed = false;

  constructor(
    private readonly context: AuditContext,
    private readonly operation: string | null,
    readonly place: SequencePlace,
  ) {
    this.tenantId = tenantOf(context);
  }

  /** Whether entries were made of it, and so its number was taken. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** The label is the one that the resource has now, or had when it was deleted. */
  success(resource: AuditedResource, { id, before, after, action, changes, ordinal }: Success): PendingEntry {
    const label = kept((after ?? before)?.label ?? null, MAX_LABEL);
    return this.#entry(action, "SUCCESS", null, { type: resource.type, id, label }, changes, [], ordinal);
  }

  refusal(resource: AuditedResource, { id, prior, action, error, attempted, ordinal }: Refusal): PendingEntry {
    const told = { code: error.code, message: kept(error.message, MAX_MESSAGE) };
    const label = kept(prior?.label ?? null, MAX_LABEL);
    const outcome = outcomeOf(error);
    return this.#entry(action, outcome, told, { type: resource.type, id, label }, [], attempted, ordinal);
  }

  /** All members in one literal: where they are spread from another object, making it costs ten times as much. */
  #entry(
    action: ChangeAction | null,
    outcome: AuditOutcome,
    error: PendingEntry["error"],
    resource: Resource,
    changes: readonly Change[],
    attempted: readonly AttemptedField[],
    ordinal: number,
  ): PendingEntry {
    this.#isUsed = true;
    return {
      tenantId: this.tenantId,
      actor: this.context.caller.actor,
      action,
      eventType: eventType(resource.type, action, outcome),
      outcome,
      error,
      resource,
      changes,
      attempted,
      operation: this.operation,
      origin: this.context.origin,
      sessionId: this.place.sessionId,
      sequenceNumber: this.place.sequenceNumber,
      ordinal,
      causeId: null,
      correlation: this.context.correlation ?? null,
    };
  }
}

/** In code points; the table refuses more than four octets for each. */
export const MAX_LABEL = 300;
export const MAX_MESSAGE = 1_000;

/** Who may not do it was denied; everything else failed. */
export const outcomeOf = ({ code }: AuditError): "DENIED" | "FAILURE" =>
  code === "UNAUTHENTICATED" || code === "FORBIDDEN" ? "DENIED" : "FAILURE";

/** As much of a text as the log keeps. */
export function kept(text: string, codePoints: number): string;
export function kept(text: string | null, codePoints: number): string | null;
export function kept(text: string | null, codePoints: number): string | null {
  return text === null ? null : truncated(storable(text), codePoints);
}

/** Whose log it belongs to: what has no tenant stands in the platform's. */
export const tenantOf = ({ caller }: AuditContext): string => caller.tenantId ?? PLATFORM_TENANT;
