/**
 * A small boundary, as a program of its own: a forward proxy for plain HTTP that lets requests through or refuses them by
 * rule, reports each to the audit log, and marks those to the API with the number of their entry.
 *
 * node forward-proxy.js --relay SOCKET --allow HOST:PORT [--mark HOST:PORT/PATH]
 */
import { createServer, request as sendOn, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { createReporter, type CorrelationHeaders } from "../../src/reporter/index.js";

const { values } = parseArgs({
  options: { relay: { type: "string" }, allow: { type: "string" }, mark: { type: "string" } },
});
const { relay = "", allow = "", mark = allow } = values;
const [, markedHost = "", markedPath = "/"] = /^([^/]+)(\/.*)?$/.exec(mark) ?? [];

const reporter = await createReporter({
  socketPath: relay,
  source: { program: "forward-proxy", version: "1.0.0", host: "boundary-1" },
  maxDelay: 100,
  handleExit: false,
  correlation: { targets: [{ host: markedHost, path: markedPath }] },
});

/** They concern one connection alone, or would be taken for the boundary's own. */
const notHandedOn = new Set(["proxy-connection", "connection", "x-audit-session-id", "x-audit-sequence-number"]);

function report(request: IncomingMessage, url: URL, isAllowed: boolean): CorrelationHeaders {
  const headers = isAllowed ? reporter.correlationHeaders(url) : {};
  reporter.report({
    resourceType: "http_request",
    action: "REQUEST",
    outcome: isAllowed ? "SUCCESS" : "DENIED",
    onBehalfOf: "sandbox-7",
    fields: { method: request.method ?? "", url: url.href, rule: isAllowed ? `allow ${allow}` : "deny *" },
    ...(headers["X-Audit-Sequence-Number"] !== undefined && { sequenceNumber: headers["X-Audit-Sequence-Number"] }),
  });
  return headers;
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const url = URL.canParse(request.url ?? "") ? new URL(request.url ?? "") : null;
  if (url?.protocol !== "http:") return void response.writeHead(400).end();
  const isAllowed = url.host === allow;
  const marks = report(request, url, isAllowed);
  if (!isAllowed) return void response.writeHead(403).end("refused by rule\n");
  const own = Object.entries(request.headers).filter(([name]) => !notHandedOn.has(name));
  const onward = sendOn(url, { method: request.method, headers: { ...Object.fromEntries(own), ...marks } });
  onward.on("response", (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 502, answer.headers)));
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

const server = createServer(handle).listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`ready http://127.0.0.1:${String(port)} session ${reporter.sessionId}\n`);
});

process.once("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
  void reporter.close({ deadline: 5_000 }).then((result) => {
    process.stdout.write(`closed ${JSON.stringify(result)}\n`);
    process.exit(0);
  });
});
