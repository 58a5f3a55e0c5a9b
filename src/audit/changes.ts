import type { ChangeAction, Change, ChangeOp } from "./entry.js";
import type { AuditedResource } from "./resource.js";
import type { Snapshot } from "./snapshot.js";

/**
 * Compares two states by the declared field policies, in the order of the declaration. Equal exact values are no change;
 * in a creation or a deletion a field that is null is none. A secret's values stay out.
 */
export function changesBetween(resource: AuditedResource, before: Snapshot | null, after: Snapshot | null): Change[] {
  const op: ChangeOp = before === null ? "ADD" : after === null ? "REMOVE" : "REPLACE";
  const changes: Change[] = [];
  for (const { field, isSecret } of resource.recorded) {
    const oldValue = before?.values.get(field) ?? null;
    const newValue = after?.values.get(field) ?? null;
    if (oldValue === newValue) continue;
    if (isSecret) changes.push({ field, op, old: null, new: null, secret: true });
    else changes.push({ field, op, old: oldValue, new: newValue, secret: false });
  }
  return changes;
}

/** What an entry that the log makes of itself tells, such as a start's of its settings: each value as one that was added. */
export const changesTelling = (told: Readonly<Record<string, string | number>>): Change[] =>
  Object.entries(told).map(([field, value]) => ({
    field,
    op: "ADD",
    old: null,
    new: JSON.stringify(value),
    secret: false,
  }));

/** Which action the two states show, and null where nothing stood before or after. */
export function actionBetween(before: Snapshot | null, after: Snapshot | null): ChangeAction | null {
  if (before === null) return after === null ? null : "CREATE";
  return after === null ? "DELETE" : "UPDATE";
}

/**
 * The action of a call that changed nothing, or that failed: the only one declared; of several, the only one that the
 * prior state allows, and null where it wasn't read.
 *
 * @param prior the state before; null where nothing stood, undefined where it wasn't read
 */
export function actionAllowed(
  declared: readonly ChangeAction[],
  prior: Snapshot | null | undefined,
): ChangeAction | null {
  const allowed = declared.filter(
    (action) => declared.length === 1 || (prior !== undefined && (action === "CREATE") === (prior === null)),
  );
  return allowed.length === 1 ? (allowed[0] ?? null) : null;
}
