import type { RequestHandler } from "express";
import type { RequestOrigin } from "../audit/entry.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import { requestOrigin } from "./request-origin.js";

/** Counts and logs the requests that were refused before anything was executed: by their ids and codes, nothing else. */
export class RefusalNotes {
  readonly #codes = new WeakMap<RequestOrigin, readonly string[]>();

  constructor(
    private readonly log: Logger,
    private readonly metrics: Metrics,
  ) {}

  note(origin: RequestOrigin, codes: readonly string[]): void {
    this.#codes.set(origin, codes);
  }

  /** Looks at each answer once it is given. What was executed has a status below 400, whatever became of it. */
  get watch(): RequestHandler {
    return (request, response, next) => {
      response.once("close", () => {
        const origin = requestOrigin(request);
        const status = response.statusCode;
        const codes = this.#codes.get(origin) ?? (status >= 400 ? ["BAD_REQUEST"] : []);
        const [code] = codes;
        if (code === undefined) return;
        this.metrics.refused.inc({ code });
        this.log.info({ requestId: origin.requestId, status, codes }, "refused before execution");
      });
      next();
    };
  }
}
