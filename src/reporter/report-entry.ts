export type FieldScalar = string | number | bigint | boolean | null;
export type FieldValue = FieldScalar | readonly FieldScalar[];

/** What a process did or refused, as it tells the log. A member that is undefined is as good as absent. */
export interface ReportEntry {
  /** One that the API declares for reports, such as `http_request`. */
  readonly resourceType: string;
  /** One that the type declares, such as `REQUEST`. */
  readonly action: string;
  readonly outcome: "SUCCESS" | "FAILURE" | "DENIED";
  /** When it was, by this process's clock; now where it isn't given. In milliseconds since 1970. */
  readonly claimedAt?: number | Date | undefined;
  /** 1 to 128 characters. */
  readonly resourceId?: string | undefined;
  /** Why it wasn't a success, such as `ETIMEDOUT`. Where it isn't given, a DENIED is FORBIDDEN and a FAILURE UNSPECIFIED. */
  readonly errorCode?: string | undefined;
  /** On whose behalf: 1 to 255 characters. */
  readonly onBehalfOf?: string | undefined;
  /** A UUID of the request that caused it. */
  readonly requestId?: string | undefined;
  /** What the resource type declares, such as `method`, `url` and `rule`. */
  readonly fields?: Readonly<Record<string, FieldValue | undefined>> | undefined;
  /** A number that `correlationHeaders` has taken for this entry; the next one where there is none. */
  readonly sequenceNumber?: bigint | string | undefined;
}

/** A copy that nobody else can change, with how much memory it may take. */
export interface CopiedEntry {
  readonly claimedAt: number;
  readonly content: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** About, in characters. */
  readonly size: number;
}

/** Why an entry can't be taken. */
export type Unfit = "malformed" | "too_large";

const MAX_FIELDS = 64;
const MAX_ITEMS = 1_000;
/** A message to the API or to a relay holds a megabyte, and a character may take six octets there. */
const MAX_CHARACTERS = 64 * 1024;
const LATEST_TIME = 8.64e15;
const FIXED_SIZE = 128;

const required = ["resourceType", "action", "outcome"] as const;
const optional = ["resourceId", "errorCode", "onBehalfOf", "requestId"] as const;

/**
 * Copies what the caller may change later, as far as that has bounds: 64 fields, lists of a thousand values, 64 Ki
 * characters. Text is shared, since nobody can change it, and nothing is serialised yet.
 */
export function copyEntry(entry: ReportEntry): CopiedEntry | Unfit {
  const content: Record<string, string> = {};
  let size = FIXED_SIZE;
  for (const key of required) {
    const text = entry[key];
    if (typeof text !== "string") return "malformed";
    content[key] = text;
    size += text.length;
  }
  for (const key of optional) {
    const text = entry[key];
    if (text === undefined) continue;
    if (typeof text !== "string") return "malformed";
    content[key] = text;
    size += text.length;
  }
  const claimedAt = entry.claimedAt === undefined ? Date.now() : Number(entry.claimedAt);
  if (!(Math.abs(claimedAt) <= LATEST_TIME)) return "malformed";
  const fields = copyFields(entry.fields ?? {});
  if (typeof fields === "string") return fields;
  size += fields.size;
  return size > MAX_CHARACTERS ? "too_large" : { claimedAt, content, fields: fields.copy, size };
}

/** The entry as the API reads it, as JSON without line breaks. */
export function entryToText(sequenceNumber: bigint, { claimedAt, content, fields }: CopiedEntry): string {
  const entry = { sequenceNumber: String(sequenceNumber), claimedAt: new Date(claimedAt), ...content, fields };
  return JSON.stringify(entry, (_, value: unknown) => (isUntold(value) ? String(value) : value));
}

/** What JSON has no number for: as text, so that it stays what it was. */
const isUntold = (value: unknown): boolean =>
  typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value));

interface CopiedFields {
  readonly copy: Record<string, FieldValue>;
  readonly size: number;
}

/** Of a text, a list or a buffer, each character, value or octet would be a name. */
export const areFields = (value: unknown): boolean =>
  typeof value === "object" && !Array.isArray(value) && !ArrayBuffer.isView(value);

function copyFields(fields: Readonly<Record<string, FieldValue | undefined>>): CopiedFields | Unfit {
  if (!areFields(fields)) return "malformed";
  const copy: Record<string, FieldValue> = {};
  let size = 0;
  let count = 0;
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    if (++count > MAX_FIELDS || key === "__proto__") return "malformed";
    const copied = isList(value) ? copyList(value) : value;
    const length = copied === null || typeof copied !== "object" ? scalarSize(copied) : listSize(copied);
    if (Number.isNaN(length)) return "malformed";
    copy[key] = copied;
    size += key.length + length;
  }
  return { copy, size };
}

const isList = (value: FieldValue): value is readonly FieldScalar[] => Array.isArray(value);

/** A list of no class but its own; one value too many is kept, so that it is seen to be too long. */
function copyList(list: readonly FieldScalar[]): readonly FieldScalar[] {
  const copy: FieldScalar[] = [];
  for (let at = 0; at < list.length && at <= MAX_ITEMS; at++) copy.push(list[at] as FieldScalar);
  return copy;
}

function listSize(list: readonly FieldScalar[]): number {
  if (!Array.isArray(list) || list.length > MAX_ITEMS) return NaN;
  return list.reduce<number>((sum, value) => sum + scalarSize(value), 0);
}

/** NaN for what is no scalar. */
function scalarSize(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value === "bigint") return value >= -MOST && value <= MOST ? 20 : NaN;
  return typeof value === "number" || typeof value === "boolean" || value === null ? 16 : NaN;
}

/** Text of a larger one would cost without a bound. */
const MOST = 2n ** 63n;
