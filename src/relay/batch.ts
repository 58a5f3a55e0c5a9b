/** Which program runs the session that entries come from. */
export interface Source {
  readonly program: string;
  readonly version: string;
  readonly host: string;
}

/** Numbers that will never come: each range with its first and its last. */
export interface DroppedNumbers {
  readonly reason: string;
  readonly sequenceNumbers: readonly (readonly [first: string | number, last: string | number])[];
}

/** What one call of a reporter brings; `ReportAuditEntriesInput` as JSON. What stands in an entry is the API's to judge. */
export interface Batch {
  readonly sessionId: string;
  readonly source: Source;
  readonly entries: readonly unknown[];
  readonly dropped: readonly DroppedNumbers[];
  /** 64 bits: as the reporter wrote it, text or a number. Null where it doesn't say. */
  readonly taken: string | number | null;
  readonly close: boolean;
}

/** A batch can't be taken as it stands; the message says what is wrong with it and holds nothing of it. */
export class BatchError extends Error {
  override readonly name = "BatchError";

  constructor(
    message: string,
    readonly code: "BAD_USER_INPUT" | "LIMIT_EXCEEDED" = "BAD_USER_INPUT",
  ) {
    super(message);
  }
}

/** A call's most entries, to the relay and from it. */
export const MOST_ENTRIES = 1_000;
const MOST_REASONS = 50;
const MOST_RANGES = 1_000;
const LONGEST_TEXT = 200;
/** What nests some thousand levels can be read, and not be written again. No entry that the API takes has more than three. */
const DEEPEST_ENTRY = 100;
const known = new Set(["sessionId", "source", "entries", "dropped", "taken", "close"]);

/**
 * Checks the form of a GraphQL request's body, its `variables.input` alone: what isn't in it decides nothing.
 *
 * @throws BatchError
 */
export function batchFromBody(body: unknown): Batch {
  const input = member(member(body, "variables"), "input");
  if (!isObject(input))
    throw new BatchError("The body has no variables.input: send reportAuditEntries with a variable.");
  const strange = Object.keys(input).find((key) => !known.has(key));
  // Dropping what a newer reporter says would be a silent loss.
  if (strange !== undefined)
    throw new BatchError("The input has a field that this relay doesn't know: update the relay.");
  const { sessionId, source, entries, dropped, taken, close } = input;
  if (typeof sessionId !== "string" || !uuid.test(sessionId))
    throw new BatchError("sessionId has to be a UUID of version 7.");
  if (!Array.isArray(entries)) throw new BatchError("entries has to be a list.");
  if (entries.length > MOST_ENTRIES)
    throw new BatchError(`A call takes ${MOST_ENTRIES} entries at most: send them in several.`, "LIMIT_EXCEEDED");
  if (entries.some((entry) => isDeeper(entry, DEEPEST_ENTRY)))
    throw new BatchError(`An entry nests deeper than ${DEEPEST_ENTRY} levels.`);
  return {
    sessionId: sessionId.toLowerCase(),
    source: sourceOf(source),
    entries: entries as readonly unknown[],
    dropped: droppedOf(dropped),
    taken: takenOf(taken),
    close: closeOf(close),
  };
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1)));

const SOURCE_FIELDS = ["program", "version", "host"] as const;
const DROPPED_FIELDS = ["reason", "sequenceNumbers"] as const;

function sourceOf(value: unknown): Source {
  const [program, version, host] = SOURCE_FIELDS.map((name) => {
    const text = member(value, name);
    if (isText(text)) return text;
    throw new BatchError(`source.${name} has to be text of 1 to ${LONGEST_TEXT} characters, without NUL.`);
  });
  if (!hasNoneBut(value, SOURCE_FIELDS)) throw new BatchError("source has program, version and host alone.");
  return { program: program ?? "", version: version ?? "", host: host ?? "" };
}

/** What the API takes: counted in code points, and nothing that PostgreSQL can't hold. */
const isText = (value: unknown): value is string =>
  typeof value === "string" &&
  value !== "" &&
  Array.from(value.slice(0, 2 * LONGEST_TEXT + 1)).length <= LONGEST_TEXT &&
  value.isWellFormed() &&
  !value.includes("\0");

const hasNoneBut = (value: unknown, names: readonly string[]): boolean =>
  isObject(value) && Object.keys(value).every((name) => names.includes(name));

function droppedOf(value: unknown): readonly DroppedNumbers[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every(isDropped))
    throw new BatchError(
      `dropped has to be a list of { reason, sequenceNumbers: [[first, last]] }, each reason 1 to ${LONGEST_TEXT} characters.`,
    );
  const ranges = value.reduce((sum, { sequenceNumbers }) => sum + sequenceNumbers.length, 0);
  if (value.length > MOST_REASONS || ranges > MOST_RANGES)
    throw new BatchError(
      `dropped takes ${MOST_REASONS} reasons and ${MOST_RANGES} ranges: send them in several calls.`,
    );
  return value;
}

function isDropped(value: unknown): value is DroppedNumbers {
  const ranges = member(value, "sequenceNumbers");
  const isSound = isText(member(value, "reason")) && Array.isArray(ranges) && ranges.every(isRange);
  return isSound && hasNoneBut(value, DROPPED_FIELDS);
}

function isRange(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [first, last] = value as readonly unknown[];
  return isNumber(first) && isNumber(last) && BigInt(first) <= BigInt(last);
}

function takenOf(value: unknown): string | number | null {
  if (value === undefined || value === null) return null;
  if (isNumber(value) || value === String(LARGEST_NUMBER + 1n)) return value;
  throw new BatchError("taken has to be a whole number from 0 on, as text where it is beyond 2^53.");
}

function closeOf(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  throw new BatchError("close has to be true or false.");
}

/** The largest of 64 bits is none: how many there are has to be one more. */
const LARGEST_NUMBER = 2n ** 63n - 2n;

/** A sequence number as the API reads it: as text, or as one that JSON's numbers hold exactly. */
export const isNumber = (value: unknown): value is string | number =>
  typeof value === "string"
    ? /^(?:0|[1-9]\d{0,18})$/.test(value) && BigInt(value) <= LARGEST_NUMBER
    : Number.isSafeInteger(value) && Number(value) >= 0;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object's own member; undefined where the value is no object or has none of that name. */
export const member = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
