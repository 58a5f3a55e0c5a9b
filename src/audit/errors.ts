import { GraphQLError } from "graphql";
import { truncated, withoutControls } from "./text.js";
import type { TransactionMark } from "./transaction-mark.js";

/**
 * Every code that a client may see, with what it means. docs/errors.md has a section for each; a test compares the two.
 *
 * @example
 * errorCodes.FORBIDDEN; // "The caller is known and may not do this."
 */
export const errorCodes = {
  UNAUTHENTICATED: "No token was sent, or one that doesn't verify.",
  FORBIDDEN: "The caller is known and may not do this.",
  BAD_USER_INPUT: "The request asks for something that can't be; `extensions.fields` names each field.",
  NOT_FOUND: "What is named doesn't exist, or not for this caller.",
  CONFLICT: "It doesn't agree with what stands, such as a serial number that is taken.",
  ROLLED_BACK: "It was undone because another part of the same call failed.",
  LIMIT_EXCEEDED: "It would go beyond a documented limit.",
  TIMEOUT: "It took longer than it may; nothing was changed.",
  AUDIT_UNAVAILABLE: "The log can't be written, so nothing was changed.",
  UNAVAILABLE: "Something that is needed can't be reached just now.",
  INTERNAL: "No one foresaw this; the id finds it in the server's log.",
} as const;
/** One of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** In entries alone: the code of a failure that another process reports without saying why. */
export const UNSPECIFIED = "UNSPECIFIED";

/** One field of the input and what is wrong with it. */
export interface FieldProblem {
  /** A path in the arguments, such as `input.name`. */
  readonly field: string;
  readonly message: string;
}

interface AuditErrorOptions {
  readonly cause?: unknown;
  readonly fields?: readonly FieldProblem[];
  /** The id that it is about, so that a call with several ids can tell which one failed. */
  readonly resourceId?: string;
  /** Whether the connection broke while COMMIT was under way, so that an entry of a failure might be untrue. */
  readonly outcomeUnknown?: boolean;
  /** The transaction whose end isn't known, where it can be asked for. */
  readonly undecided?: TransactionMark;
}

/**
 * What a client is told: a code from the table and a message that says what happened and what to do.
 * The message is stored in the log too, so it must never hold a secret or a value of another tenant's.
 *
 * @example
 * const error = new AuditError("CONFLICT", "A door with this code stands already: choose another.");
 * error.extensions; // { code: "CONFLICT" }
 */
export class AuditError extends GraphQLError {
  readonly code: ErrorCode;
  readonly resourceId: string | null;
  readonly outcomeUnknown: boolean;
  readonly undecided: TransactionMark | null;

  constructor(code: ErrorCode, message: string, options: AuditErrorOptions = {}) {
    super(message, {
      extensions: { code, ...(options.fields && { fields: options.fields }) },
      originalError: options.cause instanceof Error ? options.cause : null,
    });
    this.name = "AuditError";
    this.code = code;
    this.resourceId = options.resourceId ?? null;
    this.outcomeUnknown = options.outcomeUnknown ?? false;
    this.undecided = options.undecided ?? null;
  }
}

/**
 * The arguments are wrong, in these fields: each by its path, which `extensions.fields` tells the client.
 *
 * @example
 * badUserInput([{ field: "input.code", message: "must have 4 digits" }]).message; // "The input isn't valid: input.code must have 4 digits."
 */
export function badUserInput(fields: readonly FieldProblem[], cause?: unknown): AuditError {
  const message = fields.map(({ field, message }) => `${field} ${message}`).join("; ");
  return new AuditError("BAD_USER_INPUT", `The input isn't valid: ${message}.`, { fields, cause });
}

/**
 * What was named doesn't exist for this caller: a foreign tenant's id is a missing one. Naming the id tells the log which
 * of several failed.
 *
 * @example
 * const error = notFound("door", "d-7");
 * [error.code, error.message, error.resourceId]; // ["NOT_FOUND", "There is no door d-7.", "d-7"]
 */
export function notFound(resourceType: string, resourceId: string, cause?: unknown): AuditError {
  return new AuditError("NOT_FOUND", `There is no ${resourceType} ${printable(resourceId)}.`, { resourceId, cause });
}

/** A value from a client, as short and harmless as a message may carry it. */
export const printable = (text: string): string => truncated(withoutControls(text), 64);
