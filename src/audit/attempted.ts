import type { AttemptedField } from "./entry.js";
import type { AuditedResource } from "./resource.js";
import { storable } from "./text.js";

/**
 * What the arguments asked of tracked and secret fields, by the same names: members of an input object, or an argument
 * itself. U+FFFD stands for what can't be stored; a secret's value stays out.
 */
export function attemptedFields(resource: AuditedResource, args: Readonly<Record<string, unknown>>): AttemptedField[] {
  const asked = Object.entries(args).flatMap(([name, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value)
      : [[name, value] as const],
  );
  return asked.flatMap(([field, value]): AttemptedField[] => {
    const policy = Object.hasOwn(resource.fields, field) ? resource.fields[field] : undefined;
    if (!policy || policy.kind === "ignore" || value === undefined) return [];
    if (policy.kind === "secret") return [{ field, value: null, secret: true }];
    return [{ field, value: JSON.stringify(value, storableMember), secret: false }];
  });
}

function storableMember(_key: string, value: unknown): unknown {
  if (typeof value === "string") return storable(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storable(key), inner as unknown]));
}
