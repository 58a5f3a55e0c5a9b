import type { Request, RequestHandler } from "express";
import type { RequestOrigin } from "../audit/entry.js";
import { originOf } from "../context.js";

const origins = new WeakMap<Request, RequestOrigin>();

/** Names the request and says so in `x-request-id`, before anything can refuse it. */
export const nameRequest: RequestHandler = (request, response, next) => {
  const origin = originOf(request);
  origins.set(request, origin);
  response.setHeader("x-request-id", origin.requestId);
  next();
};

/** Where a request came from, the same each time it is asked. */
export function requestOrigin(request: Request): RequestOrigin {
  const origin = origins.get(request) ?? originOf(request);
  origins.set(request, origin);
  return origin;
}
