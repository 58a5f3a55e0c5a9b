import type { AttemptedField, JsonText } from "./entry.js";
import type { AuditedResource } from "./resource.js";
import { storable } from "./text.js";

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

/** Canonical as RFC 8785 has it, its keys in order: a digest of it tells what was asked, not how it was written. */
export function canonical(value: unknown): JsonText {
  if (typeof value === "string") return JSON.stringify(storable(value));
  if (typeof value === "bigint") return JSON.stringify(value.toString());
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  if (hasToJson(value)) return canonical(value.toJSON());
  const members = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const texts = members.map(([key, inner]) => [storable(key), canonical(inner)] as const).sort(byKey);
  return `{${texts.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
}

const hasToJson = (value: object): value is { toJSON(): unknown } =>
  "toJSON" in value && typeof value.toJSON === "function";

/** Compares UTF-16 units, as RFC 8785 does. */
const byKey = ([left]: readonly [string, string], [right]: readonly [string, string]): number =>
  left < right ? -1 : left > right ? 1 : 0;
