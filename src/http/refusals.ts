import { randomUUID } from "node:crypto";
import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { Telemetry } from "../telemetry.js";
import type { RefusalNotes } from "./refusal-notes.js";
import { requestOrigin } from "./request-origin.js";

/** One error in the form of a GraphQL response that was never executed. */
function errorBody(code: string, message: string): string {
  return `${JSON.stringify({ errors: [{ message, extensions: { code } }] })}\n`;
}

/** Answers with one error, in the form of a GraphQL response that was never executed. */
export function refuse(response: Response, status: number, code: string, message: string): void {
  response.status(status).type("application/json").send(errorBody(code, message));
}

/** For what no one serves. */
export const notFound: RequestHandler = (_request, response) => {
  refuse(response, 404, "NOT_FOUND", "There is nothing here; GraphQL is at /graphql.");
};

/** A body that can't be used, told as body-parser's types name it. */
const bodies: Readonly<Record<string, readonly [code: string, message: string]>> = {
  "entity.parse.failed": ["BAD_REQUEST", "The body isn't JSON."],
  "entity.too.large": ["LIMIT_EXCEEDED", "The body is larger than 2 MB, or as a reporter's than 16 MB."],
  "entity.verify.failed": ["BAD_REQUEST", "The body isn't UTF-8."],
  "encoding.unsupported": ["BAD_REQUEST", "The body's content-encoding isn't supported; gzip, deflate and br are."],
  "charset.unsupported": ["BAD_REQUEST", "The body's charset isn't UTF-8."],
  "request.aborted": ["BAD_REQUEST", "The request ended before its body did."],
  "request.size.invalid": ["BAD_REQUEST", "The body hasn't the length that content-length says."],
};

/** Answers what the middleware refuses or throws, always typed; what no one foresaw is logged and counted. */
export function answerErrors(notes: RefusalNotes, telemetry: Telemetry): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    const origin = requestOrigin(request);
    const status = clientStatus(error);
    if (response.headersSent) {
      next(error);
    } else if (status !== null) {
      // Its message and its body are the client's, and so never logged.
      const [code, message] = bodies[textAt(error, "type")] ?? ["BAD_REQUEST", "The request can't be understood."];
      notes.note(origin, [code]);
      refuse(response, status, code, message);
    } else {
      const id = telemetry.unforeseen(error, `${request.method} ${request.path}, request ${origin.requestId}`);
      notes.note(origin, ["INTERNAL"]);
      refuse(response, 500, "INTERNAL", `Something unforeseen happened. Its id in the server's log is ${id}.`);
    }
  };
}

/** The status of what is the client's doing; null for what isn't. */
function clientStatus(error: unknown): number | null {
  if (!(error instanceof Error) || !("status" in error)) return null;
  const { status } = error;
  return typeof status === "number" && status >= 400 && status < 500 ? status : null;
}

function textAt(error: unknown, key: string): string {
  const value = error instanceof Error ? (error as Error & Readonly<Record<string, unknown>>)[key] : undefined;
  return typeof value === "string" ? value : "";
}

/** Answers what isn't HTTP, or takes too long to become a request, before Express sees anything of it. */
export function answerNonsense(log: Logger, metrics: Metrics): (error: Error, socket: Duplex) => void {
  return (error, socket) => {
    const cause = textAt(error, "code");
    if (cause === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[cause] ?? 400;
    endWith(socket, status, "This is no HTTP request that can be understood.", (requestId) => {
      metrics.refused.inc({ code: "BAD_REQUEST" });
      log.info({ requestId, status, cause }, "refused before it was a request");
    });
  };
}

/** Answers CONNECT, which Node otherwise ends without a word. */
export function answerTunnel(_request: IncomingMessage, socket: Duplex): void {
  endWith(socket, 405, "This is no proxy; GraphQL is at /graphql.", () => undefined);
}

function endWith(socket: Duplex, status: number, message: string, note: (requestId: string) => void): void {
  const requestId = randomUUID();
  const body = errorBody("BAD_REQUEST", message);
  note(requestId);
  const head = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? ""}`,
    "content-type: application/json",
    `content-length: ${String(Buffer.byteLength(body))}`,
    `x-request-id: ${requestId}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/** Refuses what Node would without a body: HTTP/1.1 without a host, and expectations that no one meets. */
export const refuseImproper: RequestHandler = ({ headers, httpVersionMinor }, response, next) => {
  if (headers.host === undefined && httpVersionMinor > 0)
    refuse(response, 400, "BAD_REQUEST", "The request has no host header.");
  else if (headers.expect !== undefined && headers.expect.toLowerCase() !== "100-continue")
    refuse(response, 417, "BAD_REQUEST", "No expectation but 100-continue is met.");
  else next();
};
