import { canonical } from "./canonical-json.js";
import type { AttemptedField } from "./entry.js";
import type { AuditedResource } from "./resource.js";

/**
 * What the arguments asked of tracked and secret fields, by the same names: members of an input object, or an argument
 * itself, in the order of the declaration. U+FFFD stands for what can't be stored; a secret's value stays out.
 */
export function attemptedFields(resource: AuditedResource, args: Readonly<Record<string, unknown>>): AttemptedField[] {
  const asked = Object.entries(args).flatMap(([name, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value)
      : [[name, value] as const],
  );
  return Object.entries(resource.fields).flatMap(([field, policy]): AttemptedField[] => {
    const values = asked.flatMap(([name, value]) => (name === field && value !== undefined ? [value] : []));
    if (policy.kind === "ignore") return [];
    if (policy.kind === "secret") return values.map(() => ({ field, value: null, secret: true }));
    return values.map((value) => ({ field, value: canonical(value), secret: false }));
  });
}
