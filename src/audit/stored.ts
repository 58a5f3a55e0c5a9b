import { createHash } from "node:crypto";
import type { Access, AttemptedField, Change, JsonText, StatedEntry } from "./entry.js";
import { randomOctets } from "./random-octets.js";

/** The columns whose values a person may ask to erase, each with its slot in `salts`; then the filter's, and a free one. */
const FIXED_SLOTS = 10;
const FILTER_SLOT = 8;
const MAX_FILTER_BYTES = 8 * 1024;
const SALT_BYTES = 16;
const MAX_VALUE_BYTES = 64 * 1024;
const MAX_ENTRY_BYTES = 1024 * 1024;

/** The parts of an entry that hold values, as the table has them. */
export interface StoredValues {
  /** JSON arrays, as text. */
  readonly changes: string;
  readonly attempted: string;
  /** A JSON object, as text. */
  readonly access: string | null;
  /** Sixteen random bytes a slot: the fixed columns, then each change's old and new, then each attempted value. */
  readonly salts: Buffer;
}

/**
 * Lays an entry's values out for the table. A value over 64 KiB, or beyond 1 MiB in one entry, becomes its length and
 * its salted SHA-256; a secret keeps neither value nor digest.
 */
export function storedValues(entry: StatedEntry): StoredValues {
  const slots = FIXED_SLOTS + 2 * entry.changes.length + entry.attempted.length;
  const salts = randomOctets(slots * SALT_BYTES);
  const keeper = new Keeper(salts);
  const changes = entry.changes.map((change) => storedChange(change, keeper));
  const attempted = entry.attempted.map((field) => storedAttempt(field, keeper));
  const access = entry.access ? storedAccess(entry.access, salts) : null;
  return { changes: `[${changes.join(",")}]`, attempted: `[${attempted.join(",")}]`, access, salts };
}

/** A filter too large to keep becomes its length and its digest, as any value does. */
function storedAccess({ filter, rows }: Access, salts: Buffer): string {
  const bytes = Buffer.byteLength(filter);
  const salt = salts.subarray(FILTER_SLOT * SALT_BYTES, (FILTER_SLOT + 1) * SALT_BYTES);
  const stored = bytes <= MAX_FILTER_BYTES ? filter : `{"omitted":${omitted(filter, bytes, salt)}}`;
  return `{"filter":${stored},"rows":${String(rows)}}`;
}

function omitted(value: JsonText, bytes: number, salt: Buffer): string {
  const digest = createHash("sha256").update(salt).update(value).digest("hex");
  return `{"bytes":${String(bytes)},"digest":"${digest}"}`;
}

/** Hands each value its slot in turn, and keeps the entry's total in bounds. */
class Keeper {
  readonly #salts: Buffer;
  #slot = FIXED_SLOTS;
  #bytesLeft = MAX_ENTRY_BYTES;

  constructor(salts: Buffer) {
    this.#salts = salts;
  }

  /** Members of a JSON object for one value: itself, or what stands for it; none where it is null. */
  members(name: string, omittedName: string, value: JsonText | null): string[] {
    const slot = this.#slot++;
    if (value === null) return [];
    const bytes = Buffer.byteLength(value);
    if (bytes <= MAX_VALUE_BYTES && bytes <= this.#bytesLeft) {
      this.#bytesLeft -= bytes;
      return [`"${name}":${value}`];
    }
    const salt = this.#salts.subarray(slot * SALT_BYTES, (slot + 1) * SALT_BYTES);
    return [`"${omittedName}":${omitted(value, bytes, salt)}`];
  }
}

function storedChange(change: Change, keeper: Keeper): string {
  const oldMembers = keeper.members("old", "oldOmitted", change.old);
  const newMembers = keeper.members("new", "newOmitted", change.new);
  const head = [`"field":${JSON.stringify(change.field)}`, `"op":"${change.op}"`];
  return `{${[...head, ...(change.secret ? ['"secret":true'] : []), ...oldMembers, ...newMembers].join(",")}}`;
}

function storedAttempt(attempt: AttemptedField, keeper: Keeper): string {
  const members = keeper.members("value", "omitted", attempt.value);
  const head = [`"field":${JSON.stringify(attempt.field)}`];
  return `{${[...head, ...(attempt.secret ? ['"secret":true'] : []), ...members].join(",")}}`;
}
