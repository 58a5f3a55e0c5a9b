import { valueAt } from "../audited-field.js";

/** For an entry's actor, origin, error and label, and a line's own. */
const ATTEMPT_BYTES = 16 * 1024;
/** For what each further entry of the same attempt has of its own. */
const ENTRY_BYTES = 2 * 1024;
const VALUE_BYTES = 32;

/** How many octets the entries of an attempt with these arguments may take in the spool, about and mostly more. */
export function roomFor(args: Readonly<Record<string, unknown>>, idPath: readonly string[]): number {
  const ids = valueAt(args, idPath);
  const entries = Array.isArray(ids) ? Math.min(ids.length, 100) : 1;
  return ATTEMPT_BYTES + ENTRY_BYTES * (entries - 1) + bytesOf(args);
}

/** A text may be escaped twice. Depth is bounded by the request's. */
function bytesOf(value: unknown): number {
  if (typeof value === "string") return VALUE_BYTES + 2 * Buffer.byteLength(value);
  if (typeof value !== "object" || value === null) return VALUE_BYTES;
  return Object.entries(value).reduce((sum, [key, inner]) => sum + key.length + bytesOf(inner), VALUE_BYTES);
}
