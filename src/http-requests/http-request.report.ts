import { defineReportedResource, reportedText } from "../audit/index.js";
import { webAddress } from "./web-address.js";

/** A request over HTTP that a network boundary, a proxy or a gateway let through, refused, or saw fail. */
export const httpRequest = defineReportedResource({
  type: "http_request",
  actions: ["REQUEST"],
  fields: { method: reportedText(32), url: webAddress, rule: reportedText(500) },
  required: ["method", "url"],
  label: ({ method, url }) => `${String(method)} ${String(url)}`,
});
