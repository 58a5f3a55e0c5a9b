import { randomUUID } from "node:crypto";
import type { Request } from "express";
import { normaliseAddress } from "./audit/address.js";
import type { RequestOrigin } from "./audit/entry.js";
import { truncated, withoutControls } from "./audit/text.js";

const longestClientRequestId = 128;
const longestReason = 500;
const longestUserAgent = 512;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What was sent in a header: Node reads its bytes as Latin-1, clients write UTF-8. Bytes that aren't stay Latin-1. */
export function decodeHeader(value: string): string {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.toString("latin1") !== value) return value;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return value;
  }
}

/**
 * A text that PostgreSQL holds and a terminal shows: control characters and lone surrogates are U+FFFD, and no more
 * code points stand than the limit. Null where nothing but white space was sent.
 */
export function cleanText(value: string | undefined, limit: number): string | null {
  return truncated(withoutControls((value ?? "").trim()), limit) || null;
}

const zeros = /^0+$/;

/** The trace id of a W3C `traceparent` (level 1, 3.2; later versions may add fields), or null for one that is invalid. */
export function traceIdOf(traceparent: string | undefined): string | null {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(traceparent ?? "");
  if (!match) return null;
  const [, version, traceId = "", parentId = "", more] = match;
  if (version === "ff" || (version === "00" && more !== undefined)) return null;
  return zeros.test(traceId) || zeros.test(parentId) ? null : traceId;
}

/**
 * Where a request came from, every text clean and bounded. The request id is always our own: a client's is only kept
 * beside it. The address is Express's, which believes `X-Forwarded-For` of the proxies in its `trust proxy` alone.
 */
export function originOf(request: Request): RequestOrigin & { readonly requestId: string } {
  const text = (header: string, limit: number) => cleanText(decodeHeader(request.get(header) ?? ""), limit);
  return {
    requestId: randomUUID(),
    clientRequestId: text("x-request-id", longestClientRequestId),
    traceId: traceIdOf(request.get("traceparent")),
    reason: text("x-audit-reason", longestReason),
    ip: normaliseAddress(request.ip),
    userAgent: text("user-agent", longestUserAgent),
  };
}
