import { goesInTheClear } from "./in-the-clear.js";
import { settingsOf, type ReporterOptions } from "./options.js";
import { Reporter } from "./reporter.js";
import { openStoredSession } from "./stored-session.js";
import { tokenOf } from "./token.js";
import { uuidV7 } from "./uuid-v7.js";

export type { FieldScalar, FieldValue, ReportEntry } from "./report-entry.js";
export type { ReportedRequest } from "./correlated-fetch.js";
export { ReporterConfigurationError, type Notice, type ReporterOptions, type ReportSource } from "./options.js";
export type { CorrelationHeaders, Deadline, Reporter } from "./reporter.js";
export type { CloseResult, ReporterStats } from "./tally.js";
export { ReporterSpoolError } from "./stored-session.js";
export type { TargetRule } from "./targets.js";

/**
 * Makes a reporter, with a session of its own; with a spool, where an earlier run's session wasn't closed, that is continued
 * and its entries are sent first.
 *
 * @throws ReporterConfigurationError with all problems of the options at once
 * @throws ReporterSpoolError where the spool's folder can't be used
 *
 * @example
 * const reporter = await createReporter({
 *   url: "https://api.example.com/graphql",
 *   tokenFile: "/run/secrets/reporter-token",
 *   source: { program: "gateway", version: "1.4.0" },
 * });
 * reporter.report({
 *   resourceType: "http_request",
 *   action: "REQUEST",
 *   outcome: "DENIED",
 *   fields: { method: "GET", url: "https://example.net/", rule: "no-egress" },
 * });
 * await reporter.close({ deadline: 10_000 });
 */
export async function createReporter(options: ReporterOptions): Promise<Reporter> {
  const settings = settingsOf(options, tokenOf(options));
  if ("url" in settings.target && goesInTheClear(settings.target.url))
    settings.notify({
      kind: "in_the_clear",
      message: "Token and entries go over the network in the clear: use https.",
    });
  const stored = settings.spool ? await openStoredSession(settings, settings.spool.folder) : null;
  return new Reporter(settings, stored?.sessionId ?? uuidV7(), stored);
}
