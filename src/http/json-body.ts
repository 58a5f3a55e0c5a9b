import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { json, type Request, type RequestHandler } from "express";
import { refuse } from "./refusals.js";

/** A field of a megabyte has to reach its resolver, which says what becomes of it. */
const largestBody = 2 * 1024 ** 2;
/** A thousand entries, some of them as large as they may be, and others larger, which are to be refused alone. */
const largestReport = 16 * 1024 ** 2;
/** As many as a body of everyone's has room for: each is coerced before anybody asks how many they are. */
const mostItems = 1024 ** 2;

/** What body-parser hands on, status and type included. */
class UnreadableBody extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
  ) {
    super("The body isn't UTF-8.");
  }
}

/** A decoder replaces what isn't UTF-8 by U+FFFD, silently: another text would be stored than was sent. */
function requireUtf8(_request: IncomingMessage, _response: ServerResponse, body: Buffer, encoding: string): void {
  if (encoding !== "utf-8") throw new UnreadableBody(415, "charset.unsupported");
  if (!isUtf8(body)) throw new UnreadableBody(400, "entity.verify.failed");
}

/** Whether a body comes with the request: RFC 9112, 6.3. */
const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/** Refuses a body that isn't JSON: GraphQL over HTTP, 6.2 (Media Types). */
const requireJson: RequestHandler = (request, response, next) => {
  if (request.method !== "POST" || !hasBody(request) || request.is("application/json")) next();
  else refuse(response, 415, "BAD_REQUEST", "The content-type has to be application/json.");
};

const answerTypes = ["application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8"];

/** Apollo looks at `accept` once it has executed: a mutation would be committed and its answer be 406. */
export const requireAcceptable: RequestHandler = (request, response, next) => {
  if (request.accepts(answerTypes)) next();
  else
    refuse(response, 406, "BAD_REQUEST", "The accept header allows neither application/json nor GraphQL's own type.");
};

const readBody = json({ limit: largestBody, verify: requireUtf8 });
const readReport = json({ limit: largestReport, verify: requireUtf8 });

/**
 * Reads a JSON body, compressed or not, of up to 2 MB, of who may report up to 16 MB.
 *
 * @param mayReport asked only where the body may be so large
 */
export function jsonBody(mayReport: (request: Request) => Promise<boolean>): readonly RequestHandler[] {
  const read: RequestHandler = async (request, response, next) => {
    const isReport = mayBeLarge(request) && (await mayReport(request));
    if (!isReport) readBody(request, response, next);
    else
      readReport(request, response, (error?: unknown) => {
        if (error !== undefined || !hasTooManyItems(request.body)) next(error);
        else refuse(response, 413, "LIMIT_EXCEEDED", `The body's lists have more than ${String(mostItems)} items.`);
      });
  };
  return [requireJson, read];
}

/** What is sent in pieces, or compressed, doesn't say how large it is. */
const mayBeLarge = ({ headers }: Request): boolean =>
  headers["transfer-encoding"] !== undefined ||
  headers["content-encoding"] !== undefined ||
  Number(headers["content-length"] ?? 0) > largestBody;

function hasTooManyItems(body: unknown): boolean {
  const waiting = [body];
  let items = 0;
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (Array.isArray(value)) items += value.length;
    if (items > mostItems) return true;
    for (const inner of Object.values(value as object) as unknown[])
      if (typeof inner === "object" && inner !== null) waiting.push(inner);
  }
  return false;
}
