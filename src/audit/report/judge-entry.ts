import { createHash } from "node:crypto";
import { canonical } from "../canonical-json.js";
import { auditOutcomes, type AttemptedField, type AuditOutcome, type ReportedAction } from "../entry.js";
import { kept, MAX_LABEL } from "../entry-template.js";
import { UNSPECIFIED } from "../errors.js";
import { requireText, type ReportedResource } from "../reported-resource.js";
import { Json, readInstant } from "../scalars.js";
import { isStorable, unstorablePaths } from "../text.js";
import { isUuid, NIL_UUID } from "../uuid.js";
import { readNumber } from "./sequence-numbers.js";

/** One entry as another process reports it, once it is known that the log can hold it. */
export interface ReportedContent {
  readonly sequenceNumber: bigint;
  readonly claimedAt: string;
  readonly action: ReportedAction;
  readonly outcome: AuditOutcome;
  readonly errorCode: string | null;
  readonly resource: { readonly type: string; readonly id: string | null; readonly label: string | null };
  readonly onBehalfOf: string | null;
  readonly requestId: string | null;
  /** Tracked and secret fields, in the order of the declaration; a secret's value is left out. */
  readonly fields: readonly AttemptedField[];
  /** SHA-256 of all that the log keeps of it: of a secret, that it is there. */
  readonly digest: Buffer;
}

/** What a reporter may claim of the time: as long as its spool may have waited, and as wrong as a clock may be. */
const OLDEST = 30 * 24 * 60 * 60_000;
const NEWEST = 10 * 60_000;
const LONGEST_ID = 128;
const LONGEST_NAME = 255;
const LARGEST_VALUE = 64 * 1024;
const errorCodeForm = /^[A-Z][A-Z0-9_]{0,62}$/;

const members: ReadonlySet<string> = new Set([
  ...["sequenceNumber", "claimedAt", "resourceType", "action", "outcome", "resourceId", "errorCode", "onBehalfOf"],
  ...["requestId", "fields"],
]);

/**
 * Says what a reported entry is, as far as the log has room for it.
 *
 * @param now milliseconds since 1970, by this process's clock
 * @throws TypeError with a sentence on what is wrong, which holds nothing of a value
 */
export function judgeEntry(
  value: unknown,
  resources: ReadonlyMap<string, ReportedResource>,
  sessionId: string,
  now: number,
): ReportedContent {
  const entry = objectOf(value, "The entry");
  if (Object.keys(entry).some((name) => !members.has(name)))
    throw new TypeError(`The entry has a member that isn't known; there are ${[...members].join(", ")}.`);
  const sequenceNumber = saying("sequenceNumber", () => readNumber(entry["sequenceNumber"]));
  const claimedAt = saying("claimedAt", () => readClaim(entry["claimedAt"], now));
  const resource = saying("resourceType", () => named(entry["resourceType"], resources));
  const action = saying("action", () => oneOf(entry["action"], resource.actions));
  const outcome = saying("outcome", () => oneOf(entry["outcome"], auditOutcomes));
  const id = saying("resourceId", () => optional(entry["resourceId"], (text) => idText(text, LONGEST_ID)));
  const errorCode = saying("errorCode", () => readErrorCode(entry["errorCode"], outcome));
  const onBehalfOf = saying("onBehalfOf", () => optional(entry["onBehalfOf"], (text) => idText(text, LONGEST_NAME)));
  const requestId = saying("requestId", () => optional(entry["requestId"], uuidText));
  const stated = readFields(resource, entry["fields"]);
  const label = kept(resource.label(trackedOf(resource, stated)), MAX_LABEL);
  const fields = fieldsOf(resource, stated);
  const content = [sessionId, String(sequenceNumber), claimedAt, resource.type, action, outcome, id, errorCode];
  const text = JSON.stringify([...content, onBehalfOf, requestId, fields]);
  return {
    ...{ sequenceNumber, claimedAt, action, outcome, errorCode, onBehalfOf, requestId, fields },
    resource: { type: resource.type, id, label },
    digest: createHash("sha256").update(text).digest(),
  };
}

/** What is wrong, with where it is. */
function saying<Value>(member: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof TypeError) throw new TypeError(`${member} ${error.message}.`, { cause: error });
    throw error;
  }
}

function objectOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError(`${what} isn't an object.`);
  return value as Readonly<Record<string, unknown>>;
}

function readClaim(value: unknown, now: number): string {
  let instant: string;
  try {
    instant = readInstant(value);
  } catch (cause) {
    throw new TypeError("isn't an instant in ISO 8601 with its offset", { cause });
  }
  const claimed = Date.parse(instant);
  if (claimed < now - OLDEST) throw new TypeError("lies more than 30 days back");
  if (claimed > now + NEWEST) throw new TypeError("lies more than 10 minutes ahead");
  return instant;
}

function named(value: unknown, resources: ReadonlyMap<string, ReportedResource>): ReportedResource {
  const resource = typeof value === "string" ? resources.get(value) : undefined;
  if (resource) return resource;
  throw new TypeError(`names nothing that may be reported; there is ${[...resources.keys()].join(", ")}`);
}

function oneOf<const Name extends string>(value: unknown, names: readonly Name[]): Name {
  const found = names.find((name) => name === value);
  if (found === undefined) throw new TypeError(`isn't one of ${names.join(", ")}`);
  return found;
}

/** Null is as good as absent. */
function optional<Value>(value: unknown, read: (value: unknown) => Value): Value | null {
  return value === undefined || value === null ? null : read(value);
}

function idText(value: unknown, longest: number): string {
  const text = requireText(value, longest);
  if (text === NIL_UUID) throw new TypeError("is the UUID of nobody");
  return text;
}

function uuidText(value: unknown): string {
  const text = idText(value, LONGEST_ID);
  if (!isUuid(text)) throw new TypeError("isn't a UUID");
  return text.toLowerCase();
}

/** What was refused is FORBIDDEN unless it is said; of what failed nobody knows why, and it is no fault of this API's. */
function readErrorCode(value: unknown, outcome: AuditOutcome): string | null {
  const said = optional(value, (code) => requireText(code, LONGEST_ID));
  if (outcome === "SUCCESS") {
    if (said !== null) throw new TypeError("stands beside a SUCCESS");
    return null;
  }
  if (said !== null && !errorCodeForm.test(said)) throw new TypeError("isn't a code such as NOT_FOUND");
  return said ?? (outcome === "DENIED" ? "FORBIDDEN" : UNSPECIFIED);
}

/** The fields of the entry, with their values; null is none. */
function readFields(resource: ReportedResource, value: unknown): ReadonlyMap<string, unknown> {
  const stated = objectOf(value ?? {}, "fields");
  const known = Object.keys(resource.members);
  if (Object.keys(stated).some((name) => !known.includes(name)))
    throw new TypeError(`fields has a member that isn't known; there are ${known.join(", ")}.`);
  const missing = resource.required.find((name) => (stated[name] ?? null) === null);
  if (missing !== undefined) throw new TypeError(`fields.${missing} is missing.`);
  const read = new Map<string, unknown>();
  for (const [name, member] of Object.entries(resource.members)) {
    const given = stated[name] ?? null;
    if (given === null) continue;
    const values = saying(`fields.${name}`, () => member.read(given, name));
    for (const [field, fieldValue] of Object.entries(values)) if (fieldValue !== null) read.set(field, fieldValue);
  }
  return read;
}

const trackedOf = ({ fields }: ReportedResource, stated: ReadonlyMap<string, unknown>): Record<string, unknown> =>
  Object.fromEntries([...stated].filter(([field]) => fields[field]?.kind === "track"));

function fieldsOf({ fields }: ReportedResource, stated: ReadonlyMap<string, unknown>): AttemptedField[] {
  return Object.entries(fields).flatMap(([field, policy]): AttemptedField[] => {
    if (policy.kind === "ignore" || !stated.has(field)) return [];
    if (policy.kind === "secret") return [{ field, value: null, secret: true }];
    const value = saying(`fields.${field}`, () => jsonText(stated.get(field), policy.as));
    return [{ field, value, secret: false }];
  });
}

function jsonText(value: unknown, as: "value" | "set"): string {
  // Nearly all are texts, which have been looked at.
  if (typeof value === "string" && isStorable(value)) return bounded(JSON.stringify(value));
  const json: unknown = Json.parseValue(value);
  if (unstorablePaths(json, "").length > 0) throw new TypeError("holds NUL or a lone surrogate");
  if (as === "value" || !Array.isArray(json)) return bounded(canonical(json));
  const texts = [...new Set(json.map(canonical))].map((text) => Buffer.from(text));
  return bounded(`[${texts.sort((left, right) => Buffer.compare(left, right)).join(",")}]`);
}

function bounded(text: string): string {
  if (Buffer.byteLength(text) > LARGEST_VALUE) throw new TypeError("is larger than 64 KiB");
  return text;
}
