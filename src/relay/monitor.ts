import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { RelayMetrics } from "./metrics.js";

/** What `/healthz` says. */
export interface RelayHealth {
  /** `degraded`: the API doesn't take what is sent; the relay takes and keeps all the same. */
  readonly status: "ok" | "degraded";
  readonly detail: string | null;
}

/**
 * Serves `/metrics` and `/healthz` on 127.0.0.1; a port of 0 lets the system choose.
 *
 * @returns the server, and where it serves. Rejects with what the system says, such as EADDRINUSE.
 */
export async function startMonitor(
  port: number,
  metrics: RelayMetrics,
  health: () => RelayHealth,
): Promise<{ readonly server: Server; readonly origin: string }> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 });
  server.maxConnections = 32;
  server.timeout = 10_000;
  server.on("request", (request, response) => {
    response.setHeader("cache-control", "no-store");
    if (request.url === "/healthz") {
      response.setHeader("content-type", "application/json; charset=utf-8");
      response.end(`${JSON.stringify(health())}\n`);
    } else if (request.url === "/metrics") {
      response.setHeader("content-type", metrics.contentType);
      metrics.print().then(
        (text) => response.end(text),
        () => response.writeHead(500).end(),
      );
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const { port: taken } = server.address() as AddressInfo;
  return { server, origin: `http://127.0.0.1:${String(taken)}` };
}
