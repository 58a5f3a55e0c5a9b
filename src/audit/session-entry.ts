import { changesTelling } from "./changes.js";
import type { StatedEntry } from "./entry.js";
import { kept, MAX_LABEL } from "./entry-template.js";
import type { SessionField } from "./own-resources.js";

/** What runs, as its sessions name it; each text has 1 to 200 characters. */
export interface ProgramFacts {
  readonly program: string;
  readonly version: string;
  readonly host: string;
}

/** Whose session it is. */
export interface SessionName {
  readonly id: string;
  readonly tenantId: string;
}

/** What the session's entry says besides: who opened or closed it, and what it was told. */
export interface SessionStatement extends Pick<StatedEntry, "actor" | "origin" | "operation"> {
  /** Such as the program when it opens, the numbers taken when it closes. */
  readonly told: Readonly<Partial<Record<SessionField, string>>>;
}

const eventTypes = { START: "audit_session.started", STOP: "audit_session.stopped" } as const;

/**
 * The entry that opens or closes a session: in the session, but without a number of it, which operations alone have.
 * Who writes it sees to it that it is written once: with the change of the session's own row.
 */
export function sessionEntry(
  action: "START" | "STOP",
  { id, tenantId }: SessionName,
  { program, version, host }: ProgramFacts,
  { actor, origin, operation, told }: SessionStatement,
): StatedEntry {
  return {
    tenantId,
    actor,
    action,
    eventType: eventTypes[action],
    outcome: "SUCCESS",
    error: null,
    resource: { type: "audit_session", id, label: kept(`${program} ${version} on ${host}`, MAX_LABEL) },
    changes: changesTelling(told),
    attempted: [],
    operation,
    origin,
    sessionId: id,
    sequenceNumber: null,
    ordinal: 0,
    causeId: null,
  };
}
