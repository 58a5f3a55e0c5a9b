import { auditOutcomes, changeActions, type AuditOutcome, type ReportedAction } from "./entry.js";

const words: Record<ReportedAction | "ATTEMPT", Record<AuditOutcome, string>> = {
  CREATE: { SUCCESS: "created", FAILURE: "creation_failed", DENIED: "creation_denied" },
  UPDATE: { SUCCESS: "updated", FAILURE: "update_failed", DENIED: "update_denied" },
  DELETE: { SUCCESS: "deleted", FAILURE: "deletion_failed", DENIED: "deletion_denied" },
  REQUEST: { SUCCESS: "requested", FAILURE: "request_failed", DENIED: "request_denied" },
  ATTEMPT: { SUCCESS: "attempted", FAILURE: "attempt_failed", DENIED: "attempt_denied" },
};

/** Such as `device.created`, or `group_budget.attempt_denied` where it wasn't clear which action it would have been. */
export function eventType(resourceType: string, action: ReportedAction | null, outcome: AuditOutcome): string {
  return `${resourceType}.${words[action ?? "ATTEMPT"][outcome]}`;
}

/** Every event type that operations on this type of resource can leave. */
export function eventTypesOf(resourceType: string): string[] {
  return [...changeActions, null].flatMap((action) =>
    auditOutcomes
      .filter((outcome) => action !== null || outcome !== "SUCCESS")
      .map((outcome) => eventType(resourceType, action, outcome)),
  );
}

/** Every event type that reports on this type of resource can leave. */
export function reportedEventTypesOf(resourceType: string, actions: readonly ReportedAction[]): string[] {
  return actions.flatMap((action) => auditOutcomes.map((outcome) => eventType(resourceType, action, outcome)));
}
