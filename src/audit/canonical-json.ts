import type { JsonText } from "./entry.js";
import { storable } from "./text.js";

/**
 * A value as canonical JSON, as RFC 8785 has it, its keys in order: a digest of it tells what was asked, not how it was
 * written. U+FFFD stands for what can't be stored.
 */
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

/** Whether a value says itself what it is as JSON. */
export const hasToJson = (value: unknown): value is { toJSON(): unknown } =>
  typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function";

/** Compares UTF-16 units, as RFC 8785 does. */
const byKey = ([left]: readonly [string, string], [right]: readonly [string, string]): number =>
  left < right ? -1 : left > right ? 1 : 0;
