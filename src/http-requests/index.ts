import type { Feature } from "../feature.js";
import { httpRequest } from "./http-request.report.js";

/** Requests over HTTP, as processes at a boundary report them. */
export const httpRequests: Feature = { entities: [], resources: [], reported: [httpRequest], resolvers: [] };
