import { randomBytes } from "node:crypto";
import type { Answer, TestServer } from "./server.js";

/** A new UUID of version 7, as reporters make them. */
export function newSessionId(): string {
  const time = Date.now().toString(16).padStart(12, "0");
  const chance = randomBytes(9).toString("hex");
  return `${time}7${chance.slice(0, 3)}8${chance.slice(3)}`.replace(
    /^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/,
    "$1-$2-$3-$4-$5",
  );
}

export const source = { program: "boundary", version: "1.2.3", host: "edge-1" };

/** A request that was let through, as a boundary reports it. */
export const reported = (sequenceNumber: unknown, more: Readonly<Record<string, unknown>> = {}) => ({
  sequenceNumber,
  claimedAt: "claimedAt" in more ? more["claimedAt"] : new Date().toISOString(),
  resourceType: "http_request",
  action: "REQUEST",
  outcome: "SUCCESS",
  fields: { method: "GET", url: "https://api.example.com/v1/things", rule: "allow *.example.com" },
  ...more,
});

export interface ReportAnswer {
  readonly sessionId: string;
  readonly accepted: number;
  readonly repeated: number;
  readonly refused: readonly {
    readonly index: number;
    readonly sequenceNumber: string | null;
    readonly code: string;
    readonly message: string;
  }[];
}

export const reportMutation = `mutation ReportAuditEntries($input: ReportAuditEntriesInput!) {
  reportAuditEntries(input: $input) { sessionId accepted repeated refused { index sequenceNumber code message } }
}`;

/** Sends one call, whatever it is answered. */
export const sendReport = (
  server: TestServer,
  token: string,
  input: Readonly<Record<string, unknown>>,
): Promise<Answer<{ readonly reportAuditEntries: ReportAnswer | null }>> =>
  server.request(reportMutation, { token, variables: { input: { source, entries: [], ...input } } });

/** Sends one call that has to be answered without an error. */
export async function report(
  server: TestServer,
  token: string,
  input: Readonly<Record<string, unknown>>,
): Promise<ReportAnswer> {
  const { data, errors } = await sendReport(server, token, input);
  if (!data?.reportAuditEntries) throw new Error(`The report was refused: ${JSON.stringify(errors)}`);
  return data.reportAuditEntries;
}
