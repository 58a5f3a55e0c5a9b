/**
 * The terms of the log. Nothing here does anything; everything else speaks in these words.
 */

/**
 * What a call can do to a resource: all that `@audited` may declare.
 *
 * @example
 * changeActions; // ["CREATE", "UPDATE", "DELETE"]
 */
export const changeActions = ["CREATE", "UPDATE", "DELETE"] as const;
export type ChangeAction = (typeof changeActions)[number];

/**
 * What an entry can tell of: a change, a look at the log, a process's start or its stop, a request that another process
 * let through or refused.
 *
 * @example
 * auditActions; // ["CREATE", "UPDATE", "DELETE", "READ", "START", "STOP", "REQUEST"]
 */
export const auditActions = [...changeActions, "READ", "START", "STOP", "REQUEST"] as const;
export type AuditAction = (typeof auditActions)[number];

/**
 * What another process can report that was done to a resource.
 *
 * @example
 * reportedActions; // ["CREATE", "UPDATE", "DELETE", "REQUEST"]
 */
export const reportedActions = [...changeActions, "REQUEST"] as const;
export type ReportedAction = (typeof reportedActions)[number];

/**
 * How an attempt ended, as the transaction says, never as HTTP does.
 *
 * @example
 * auditOutcomes; // ["SUCCESS", "FAILURE", "DENIED"]
 */
export const auditOutcomes = ["SUCCESS", "FAILURE", "DENIED"] as const;
export type AuditOutcome = (typeof auditOutcomes)[number];

/**
 * What an actor can be. The last three have no id.
 *
 * @example
 * actorTypes; // ["USER", "SERVICE", "SYSTEM", "DATABASE", "ANONYMOUS"]
 */
export const actorTypes = ["USER", "SERVICE", "SYSTEM", "DATABASE", "ANONYMOUS"] as const;
export type ActorType = (typeof actorTypes)[number];

/**
 * The tenant, in the database alone, of what belongs to no tenant. No token can name it.
 *
 * @example
 * tenantPattern.test(PLATFORM_TENANT); // false
 */
export const PLATFORM_TENANT = "$platform";

/**
 * What a tenant may be called.
 *
 * @example
 * ["acme", "north-2", "Acme", ""].filter((name) => tenantPattern.test(name)); // ["acme", "north-2"]
 */
export const tenantPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Who acted, as known when it was done. */
export interface Actor {
  readonly type: ActorType;
  readonly id: string | null;
  readonly name: string | null;
  /** Whom a service acted for. */
  readonly onBehalfOf: string | null;
  /** Which part of the system acted, where no one asked it to. */
  readonly subsystem: string | null;
  /** Who issued the credential, its id, and the client that holds it. */
  readonly issuer: string | null;
  readonly tokenId: string | null;
  readonly clientId: string | null;
}

/**
 * Who acts where nobody could be verified: an entry names nothing that the credential claimed.
 *
 * @example
 * [anonymous.type, anonymous.id, anonymous.issuer]; // ["ANONYMOUS", null, null]
 */
export const anonymous: Actor = {
  type: "ANONYMOUS",
  id: null,
  name: null,
  onBehalfOf: null,
  subsystem: null,
  issuer: null,
  tokenId: null,
  clientId: null,
};

/** A value as canonical JSON text, so that no 64-bit integer or decimal passes through a JavaScript number. */
export type JsonText = string;

/** What a change does to one field: it comes with its resource, goes with it, or stands in both states. */
export const changeOps = ["ADD", "REPLACE", "REMOVE"] as const;
export type ChangeOp = (typeof changeOps)[number];

/** One field's old and new value; a secret's are null. */
export interface Change {
  readonly field: string;
  readonly op: ChangeOp;
  readonly old: JsonText | null;
  readonly new: JsonText | null;
  readonly secret: boolean;
}

/** What the arguments of an attempt asked of one field. */
export interface AttemptedField {
  readonly field: string;
  readonly value: JsonText | null;
  readonly secret: boolean;
}

/** What was acted on. */
export interface Resource {
  readonly type: string;
  readonly id: string | null;
  readonly label: string | null;
}

/** The request that an operation came with. Every text is bounded in length by whoever fills it. */
export interface RequestOrigin {
  /** Null where no request asked for it. */
  readonly requestId: string | null;
  readonly clientRequestId: string | null;
  readonly traceId: string | null;
  readonly reason: string | null;
  /** In the form that PostgreSQL's `inet` prints, without a mask. */
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/**
 * Of what no request asked for.
 *
 * @example
 * nowhere.requestId; // null
 */
export const nowhere: RequestOrigin = {
  requestId: null,
  clientRequestId: null,
  traceId: null,
  reason: null,
  ip: null,
  userAgent: null,
};

/** The entry of another process that tells of the same request: its place in that process's session. */
export interface Correlation {
  readonly sessionId: string;
  /** A decimal, since 64 bits don't pass through a JavaScript number. */
  readonly sequenceNumber: string;
}

/** An entry as its writer states it: what the database stamps (id, time, transaction, login) isn't the writer's to say. */
export interface StatedEntry {
  readonly tenantId: string;
  readonly actor: Actor;
  readonly action: AuditAction | null;
  readonly eventType: string;
  readonly outcome: AuditOutcome;
  readonly error: { readonly code: string; readonly message: string | null } | null;
  readonly resource: Resource | null;
  readonly changes: readonly Change[];
  readonly attempted: readonly AttemptedField[];
  readonly operation: string | null;
  readonly origin: RequestOrigin;
  readonly sessionId: string;
  /** Null where it tells of no operation of the session's, such as of the session itself. */
  readonly sequenceNumber: bigint | null;
  readonly ordinal: number;
  readonly causeId: string | null;
  /** When it was, by the process's clock, where it was written later: an instant in ISO 8601. */
  readonly claimedAt?: string | null;
  /** Equal attempts that this entry alone stands for. */
  readonly repeats?: Repeats | null;
  /** What a reader of the log asked for and was given. */
  readonly access?: Access | null;
  /** The subject of the token that another process reported it with; null in all that this program saw itself. */
  readonly reportedBy?: string | null;
  /** As a request says that it came with it, where it is believed. */
  readonly correlation?: Correlation | null;
}

/** An entry as it is staged: of an operation that has its number in its session. */
export interface PendingEntry extends StatedEntry {
  readonly sequenceNumber: bigint;
}

/** Attempts that left no entry of their own: how many, and the ranges of their sequence numbers, both ends included. */
export interface Repeats {
  readonly count: number;
  readonly sequenceNumbers: readonly (readonly [first: bigint, last: bigint])[];
  /** Whether there may have been more: the process ended before it had counted all. */
  readonly isLeast?: boolean;
}

/** A look at the log. */
export interface Access {
  /**
   * The filter as a JSON object. Where the log isn't the reader's own nor the platform's, its values are null, and
   * `tenantId` names that log's tenant alone.
   */
  readonly filter: JsonText;
  /** How many entries of this tenant's log the answer held. */
  readonly rows: number;
}
