import { Router } from "express";
import type { Metrics } from "../metrics.js";
import type { Readiness } from "../readiness.js";

/**
 * `/healthz`: the process answers. `/readyz`: what can be served, 503 only where nothing can. `/metrics`: for Prometheus.
 * None of them needs a token, and none names a value of anyone's.
 */
export function health(readiness: Readiness, metrics: Metrics): Router {
  const router = Router();
  router.use((_request, response, next) => {
    response.setHeader("cache-control", "no-store");
    next();
  });
  router.get("/healthz", (_request, response) => {
    response.json({ status: "ok" });
  });
  router.get("/readyz", async (_request, response) => {
    const report = await readiness.report();
    response.status(report.status === "unavailable" ? 503 : 200).json(report);
  });
  router.get("/metrics", async (_request, response) => {
    response.setHeader("content-type", metrics.contentType);
    response.end(await metrics.print());
  });
  return router;
}
