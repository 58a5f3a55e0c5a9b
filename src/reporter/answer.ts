import type { HttpAnswer } from "./connection.js";

/** An entry that wasn't taken, by its place in the call. */
export interface RefusedEntry {
  readonly index: number;
  readonly code: string;
  readonly message: string;
  /** Whether it may be taken another time. */
  readonly isTemporary: boolean;
}

/** What became of a call. */
export type Outcome =
  /** All entries but the refused ones stand in the log. */
  | { readonly kind: "taken"; readonly refused: readonly RefusedEntry[] }
  /** Nothing was taken, and it never will be as it is. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** Nothing was taken of this token or session. */
  | { readonly kind: "unwelcome"; readonly code: string }
  /** Nothing is known to be taken: the call is made again. */
  | { readonly kind: "delayed"; readonly why: string; readonly isTooMuch: boolean; readonly cause?: unknown };

const temporary = new Set(["LIMIT_EXCEEDED", "UNAVAILABLE", "AUDIT_UNAVAILABLE", "TIMEOUT", "INTERNAL"]);
const refusing = new Set([
  "BAD_USER_INPUT",
  "BAD_REQUEST",
  "CONFLICT",
  "PAYLOAD_TOO_LARGE",
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
]);
const refusingStatus = new Set([400, 413, 415, 422]);
const MAX_MESSAGE = 200;

/** Reads the answer to a call with so many entries; what can't be read is a call to be made again. */
export function outcomeOf({ status, text }: HttpAnswer, entries: number): Outcome {
  const body = parse(text);
  const report = member(member(body, "data"), "reportAuditEntries");
  if (isRecord(report)) return takenOf(report, entries);
  const errors = member(body, "errors");
  const error: unknown = Array.isArray(errors) ? errors[0] : null;
  const code = codeOf(member(member(error, "extensions"), "code"));
  const message = messageOf(member(error, "message"));
  if (code === "UNAUTHENTICATED" || code === "FORBIDDEN") return { kind: "unwelcome", code };
  if (status === 413 || refusing.has(code))
    return { kind: "refused", code: status === 413 ? "TOO_LARGE" : code, message };
  if (code !== UNKNOWN) {
    return {
      kind: "delayed",
      why: `the answer was ${code}`,
      isTooMuch: code === "LIMIT_EXCEEDED" || code === "TIMEOUT",
    };
  }
  if (status === 401 || status === 403) return { kind: "unwelcome", code: `HTTP ${status}` };
  if (refusingStatus.has(status)) return { kind: "refused", code: `HTTP_${status}`, message };
  return { kind: "delayed", why: `the answer can't be read (HTTP ${status})`, isTooMuch: status === 429 };
}

function takenOf(report: Readonly<Record<string, unknown>>, entries: number): Outcome {
  const refused = Array.isArray(report["refused"]) ? report["refused"].map(refusedOf) : [];
  const indexes = new Set(refused.map(({ index }) => index));
  const isWhole =
    Number(report["accepted"]) + Number(report["repeated"]) + refused.length === entries &&
    indexes.size === refused.length &&
    refused.every(({ index }) => Number.isInteger(index) && index >= 0 && index < entries);
  if (isWhole) return { kind: "taken", refused };
  return { kind: "delayed", why: "the answer doesn't say what became of each entry", isTooMuch: false };
}

function refusedOf(given: unknown): RefusedEntry {
  const code = codeOf(member(given, "code"));
  const index = Number(member(given, "index") ?? NaN);
  return { index, code, message: messageOf(member(given, "message")), isTemporary: temporary.has(code) };
}

/** Null for what is no JSON, which is no answer of the API's. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const member = (value: unknown, key: string): unknown => (isRecord(value) ? value[key] : undefined);

const UNKNOWN = "UNKNOWN";

/** The other side's words reach a log: bounded, and in the form that codes have. */
const codeOf = (given: unknown): string =>
  typeof given === "string" && /^[A-Z][A-Z0-9_]{0,49}$/.test(given) ? given : UNKNOWN;

const messageOf = (given: unknown): string =>
  typeof given === "string" ? given.slice(0, MAX_MESSAGE).replace(/\p{Cc}/gu, " ") : "";
