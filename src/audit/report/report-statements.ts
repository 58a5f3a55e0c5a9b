import type { ClientBase } from "pg";
import type { ProgramFacts } from "../session-entry.js";
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
  /** Numbers that were reported before with this content. */
  readonly repeated: ReadonlySet<bigint>;
  /** Those that were with another, and its digest where it is known. */
  readonly conflicting: ReadonlyMap<bigint, Buffer | null>;
}

interface BegunRow {
  readonly own: boolean;
  readonly opened: boolean;
  readonly repeated: readonly string[] | null;
  readonly conflicting: readonly string[] | null;
  readonly kept: readonly (Buffer | null)[] | null;
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
  const { rows } = await client.query<BegunRow>({
    name: "audit:begin-report",
    text: `
      select is_own as own, is_opened as opened, repeated, conflicting, kept_digests as kept
      from audit_guard.begin_report($1, $2, $3, $4, $5, $6, $7::bigint[], $8::bytea)`,
    values: [
      ...[sessionId, tenantId, subject, source.program, source.version, source.host],
      `{${contents.map(({ sequenceNumber }) => String(sequenceNumber)).join()}}`,
      Buffer.concat(contents.map(({ digest }) => digest)),
    ],
  });
  const [row] = rows;
  if (!row) throw new Error("begin_report answered nothing.");
  return {
    isOwn: row.own,
    isOpened: row.opened,
    repeated: new Set((row.repeated ?? []).map((text) => BigInt(text))),
    conflicting: new Map((row.conflicting ?? []).map((text, place) => [BigInt(text), row.kept?.[place] ?? null])),
  };
}

/** What a call brought, as its session's row keeps it. */
export interface ReportBrought {
  /** Of its entries that are in the log now, and weren't before: each number once in all calls. */
  readonly fresh: Iterable<bigint>;
  readonly repeats: number;
  readonly taken: bigint;
}

/** What a session came to. */
export interface EndedReport {
  /** Whether this call closed it. */
  readonly isClosed: boolean;
  /** How many numbers it has taken, as a decimal. */
  readonly taken: string;
  /** Which program opened it, whatever later calls say. */
  readonly source: ProgramFacts;
}

interface EndedRow extends ProgramFacts {
  readonly closed: boolean;
  readonly taken: string;
}

/** Notes what a call brought in the client's transaction. */
export async function endReport(
  client: ClientBase,
  { sessionId, dropped, isLast }: ReportCall,
  { fresh, repeats, taken }: ReportBrought,
): Promise<EndedReport> {
  const { rows } = await client.query<EndedRow>({
    name: "audit:end-report",
    text: `
      select is_closed as closed, taken_count as taken, of_program as program, of_version as version, of_host as host
      from audit_guard.end_report($1, $2::int8multirange, $3, $4, $5::jsonb, $6)`,
    values: [
      sessionId,
      multirangeText(rangesOf(fresh)),
      String(repeats),
      String(taken),
      JSON.stringify(dropped),
      isLast,
    ],
  });
  const [row] = rows;
  if (!row) throw new Error("end_report answered nothing.");
  const { closed, taken: total, program, version, host } = row;
  return { isClosed: closed, taken: total, source: { program, version, host } };
}
