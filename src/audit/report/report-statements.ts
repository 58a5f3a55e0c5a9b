import type { ClientBase } from "pg";
import type { ReportCall } from "./report-call.js";
import type { ReportedContent } from "./judge-entry.js";
import { multirangeText, rangesOf } from "./sequence-numbers.js";

/** Whose session it is. */
export interface Reporter {
  readonly tenantId: string;
  /** The token's subject. */
  readonly subject: string;
}

/** What stood when a call began. */
export interface BegunReport {
  /** False where another tenant or subject used the session first, or the API itself: then nothing was done. */
  readonly isOwn: boolean;
  readonly isOpened: boolean;
  /** Numbers that were reported before: with this content, or with another. */
  readonly repeated: ReadonlySet<bigint>;
  readonly conflicting: ReadonlySet<bigint>;
}

/**
 * Opens the session where it is new, waits for other calls of it, and takes the numbers of entries, in the client's
 * transaction.
 *
 * @param contents of numbers that differ
 */
export async function beginReport(
  client: ClientBase,
  { sessionId, source }: ReportCall,
  { tenantId, subject }: Reporter,
  contents: readonly ReportedContent[],
): Promise<BegunReport> {
  const { rows } = await client.query<{ own: boolean; opened: boolean; repeated: string[]; conflicting: string[] }>({
    name: "audit:begin-report",
    text: `
      select is_own as own, is_opened as opened, repeated, conflicting
      from audit_guard.begin_report($1, $2, $3, $4, $5, $6, $7::bigint[], $8::bytea)`,
    values: [
      ...[sessionId, tenantId, subject, source.program, source.version, source.host],
      `{${contents.map(({ sequenceNumber }) => String(sequenceNumber)).join()}}`,
      Buffer.concat(contents.map(({ digest }) => digest)),
    ],
  });
  const [row] = rows;
  if (!row) throw new Error("begin_report answered nothing.");
  const numbers = (texts: readonly string[] | null) => new Set((texts ?? []).map((text) => BigInt(text)));
  return {
    isOwn: row.own,
    isOpened: row.opened,
    repeated: numbers(row.repeated),
    conflicting: numbers(row.conflicting),
  };
}

/** What a call brought, as its session's row keeps it. */
export interface ReportBrought {
  /** Of all its entries that stand in the log. */
  readonly numbers: Iterable<bigint>;
  readonly repeats: number;
  readonly taken: bigint;
}

/** What a session came to. */
export interface EndedReport {
  /** Whether this call closed it. */
  readonly isClosed: boolean;
  /** How many numbers it has taken, as a decimal. */
  readonly taken: string;
  /** How many ranges its numbers make. */
  readonly ranges: number;
}

/** Notes what a call brought in the client's transaction. */
export async function endReport(
  client: ClientBase,
  { sessionId, dropped, isLast }: ReportCall,
  { numbers, repeats, taken }: ReportBrought,
): Promise<EndedReport> {
  const { rows } = await client.query<{ closed: boolean; taken: string; ranges: string }>({
    name: "audit:end-report",
    text: `
      select is_closed as closed, taken_count as taken, range_count as ranges
      from audit_guard.end_report($1, $2::int8multirange, $3, $4, $5::jsonb, $6)`,
    values: [
      sessionId,
      multirangeText(rangesOf(numbers)),
      String(repeats),
      String(taken),
      JSON.stringify(dropped),
      isLast,
    ],
  });
  const [row] = rows;
  if (!row) throw new Error("end_report answered nothing.");
  return { isClosed: row.closed, taken: row.taken, ranges: Number(row.ranges) };
}
