import type { EntryRow } from "./entry-row.js";
import type { RunStatement } from "../reading.js";
import type { AuditReporter } from "./audit-entry-parts.js";

/** What runs where an entry was reported, by its session. */
export type Reporters = ReadonlyMap<string, Omit<AuditReporter, "id">>;

interface SessionRow {
  readonly id: string;
  readonly program: string;
  readonly version: string;
  readonly host: string;
}

/** Which programs reported a page's entries: one statement, and none where nobody did. */
export async function selectReporters(run: RunStatement, rows: readonly EntryRow[]): Promise<Reporters> {
  const reported = rows.flatMap(({ reported_by: by, session_id: session }) => (by && session ? [session] : []));
  if (reported.length === 0) return new Map();
  const sessions = await run<SessionRow>({
    name: "audit-read-reporters",
    text: "select s.id, s.program, s.version, s.host from audit.session s where s.id = any ($1::uuid[])",
    values: [[...new Set(reported)]],
  });
  return new Map(sessions.map(({ id, program, version, host }) => [id, { program, version, host }]));
}

/** Who reported an entry; null for what the API saw itself. */
export function reporterOf(
  { reported_by: id, session_id: session }: EntryRow,
  reporters: Reporters,
): AuditReporter | null {
  if (id === null) return null;
  const unknown = { program: null, version: null, host: null };
  return { id, ...((session !== null && reporters.get(session)) || unknown) };
}
