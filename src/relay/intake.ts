import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { batchFromBody, BatchError, type Batch } from "./batch.js";
import { RefusedRequest, withBody } from "./body.js";
import type { RelayLog } from "./log.js";
import type { RelayMetrics } from "./metrics.js";
import { HeldBytes, limits, Peers } from "./peer.js";

/** What the intake needs. */
export interface IntakeParts {
  /** Resolves once the batch is on the disk. @throws RefusedRequest where it can't be taken */
  readonly keep: (batch: Batch) => Promise<void>;
  readonly metrics: RelayMetrics;
  readonly log: RelayLog;
}

const deadlines = {
  headersTimeout: 4_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
};
/** A connection with a request under way on which nothing moves for so long is cut off. */
const IDLE_MILLISECONDS = 30_000;
const LARGEST_HEADERS = 16 * 1024;

/** The server that reporters write to: it answers `accepted` for what `keep` has taken, and for nothing else. */
export function createIntake({ keep, metrics, log }: IntakeParts): Server {
  const peers = new Peers();
  const held = new HeldBytes();
  metrics.held = () => held.bytes;
  const server = createServer({ ...deadlines, maxHeaderSize: LARGEST_HEADERS, requireHostHeader: false });
  server.maxConnections = limits.connections;
  server.timeout = IDLE_MILLISECONDS;
  server.on("connection", () => metrics.connections.inc());
  server.on("drop", () => metrics.refused.inc({ code: "CONNECTIONS" }));
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    // Whoever sends and never reads would have its answers kept here.
    if (socket.writableLength > limits.unreadBytes) {
      metrics.refused.inc({ code: "UNREAD" });
      socket.destroy();
      return;
    }
    // It stops: the next request has to go elsewhere, or come later.
    if (!server.listening) response.setHeader("connection", "close");
    const peer = peers.of(socket);
    if (!peer.begin()) {
      metrics.refused.inc({ code: "RATE" });
      // What comes behind it on this connection isn't read any more.
      refuse(response, new RefusedRequest(429, "UNAVAILABLE", "Too many requests on one connection: send it again."));
      return;
    }
    response.once("close", () => peer.end());
    handle(request, response).catch((error: unknown) => {
      const refusal = response.destroyed ? gone : asRefusal(error);
      metrics.refused.inc({ code: refusal.code });
      if (refusal.status === 500) log.error({ error }, "a request could not be handled");
      refuse(response, refusal);
    });
  });
  return server;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/healthz") {
      answer(response, 200, { status: "ok", pid: process.pid });
      return;
    }
    if (request.url === "/metrics") {
      const text = await metrics.print();
      response.writeHead(200, { "content-type": metrics.contentType, "cache-control": "no-store" }).end(text);
      return;
    }
    if (request.url !== "/graphql") throw new RefusedRequest(404, "NOT_FOUND", "There is nothing here but /graphql.");
    if (request.method !== "POST") throw new RefusedRequest(405, "BAD_REQUEST", "/graphql takes POST alone.");
    requireJson(request);
    await withBody(request, held, async (body, bytes) => {
      const batch = batchFromBody(body);
      await keep(batch);
      metrics.received.inc(batch.entries.length);
      metrics.receivedBytes.inc(bytes);
      const { sessionId, entries } = batch;
      const accepted = { sessionId, accepted: entries.length, repeated: 0, refused: [] };
      answer(response, 200, { data: { reportAuditEntries: accepted } });
    });
  }
}

function requireJson({ headers }: IncomingMessage): void {
  if (!/^application\/json\s*(;|$)/i.test(headers["content-type"] ?? ""))
    throw new RefusedRequest(415, "BAD_REQUEST", "The content-type has to be application/json.");
  if (headers["content-encoding"] !== undefined)
    throw new RefusedRequest(415, "BAD_REQUEST", "The body must not be compressed.");
}

function asRefusal(error: unknown): RefusedRequest {
  if (error instanceof RefusedRequest) return error;
  if (error instanceof BatchError) return new RefusedRequest(400, error.code, error.message);
  return new RefusedRequest(500, "INTERNAL", "The relay could not take it: send it again.");
}

/** Whoever sent it isn't there any more; nothing is answered. */
const gone = new RefusedRequest(400, "ABORTED", "The request ended before its body did.");

/** The connection goes too: what is left of the request is read by nobody. */
function refuse(response: ServerResponse, { status, code, message }: RefusedRequest): void {
  if (response.headersSent || response.destroyed) return;
  response.setHeader("connection", "close");
  if (code === "UNAVAILABLE") response.setHeader("retry-after", "1");
  answer(response, status, { errors: [{ message, extensions: { code } }] });
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}
