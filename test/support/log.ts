import type { TestServer } from "./server.js";

/** An entry as `auditLogs` gives it, whole. */
export interface ReadEntry {
  readonly id: string;
  readonly occurredAt: string;
  readonly tenantId: string | null;
  readonly actor: Readonly<Record<string, string | null>>;
  readonly action: string | null;
  readonly eventType: string;
  readonly outcome: string;
  readonly error: { readonly code: string; readonly message: string | null } | null;
  readonly resource: {
    readonly type: string;
    readonly id: string | null;
    readonly label: string | null;
    readonly link: string | null;
    readonly isDeleted: boolean | null;
  } | null;
  readonly changes: readonly ReadChange[];
  readonly attempted: readonly Readonly<Record<string, unknown>>[];
  readonly description: string;
  readonly reason: string | null;
  readonly operation: string | null;
  readonly requestId: string | null;
  readonly clientRequestId: string | null;
  readonly sessionId: string | null;
  readonly sequenceNumber: string | null;
  readonly ordinal: number;
  readonly traceId: string | null;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly causeId: string | null;
  readonly claimedAt: string | null;
  readonly repeatCount: number | null;
  readonly repeatedSequenceNumbers: readonly { readonly first: string; readonly last: string }[] | null;
  readonly repeatCountIsLeast: boolean | null;
  readonly access: { readonly filter: Readonly<Record<string, unknown>>; readonly rows: number } | null;
  readonly reportedBy: Readonly<Record<"id" | "program" | "version" | "host", string | null>> | null;
  readonly correlation: { readonly sessionId: string; readonly sequenceNumber: string } | null;
}

export interface ReadChange {
  readonly field: string;
  readonly op: string;
  readonly old: unknown;
  readonly new: unknown;
  readonly oldOmitted: { readonly bytes: number; readonly digest: string } | null;
  readonly newOmitted: { readonly bytes: number; readonly digest: string } | null;
  readonly secret: boolean;
}

const wholeEntry = `
  id occurredAt tenantId
  actor { type id name onBehalfOf subsystem issuer tokenId clientId }
  action eventType outcome error { code message }
  resource { type id label link isDeleted }
  changes { field op old new oldOmitted { bytes digest } newOmitted { bytes digest } secret }
  attempted { field value secret omitted { bytes digest } }
  description reason operation requestId clientRequestId sessionId sequenceNumber ordinal traceId ip userAgent causeId
  claimedAt repeatCount repeatedSequenceNumbers { first last } repeatCountIsLeast access { filter rows }
  reportedBy { id program version host } correlation { sessionId sequenceNumber }`;

const query = `query ($filter: AuditLogFilter, $after: String) {
  auditLogs(filter: $filter, first: 200, after: $after, order: OLDEST_FIRST) {
    nodes { ${wholeEntry} }
    pageInfo { hasNextPage endCursor }
  }
}`;

interface Answer {
  readonly auditLogs: {
    readonly nodes: readonly ReadEntry[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

/** Every entry that the filter finds, oldest first, as an auditor of the tenant reads it over HTTP. */
export async function readLog(
  server: TestServer,
  filter: Readonly<Record<string, unknown>>,
  tenant: string | null = "acme",
): Promise<ReadEntry[]> {
  const token = await server.token(
    tenant === null
      ? { subject: "site-auditor", roles: ["platform_auditor"] }
      : { subject: "auditor", tenant, roles: ["auditor"] },
  );
  const entries: ReadEntry[] = [];
  for (let after: string | null = null; ;) {
    const { data, errors }: { data: Answer | null | undefined; errors: unknown } = await server.request<Answer>(query, {
      variables: { filter, after },
      token,
    });
    if (!data?.auditLogs) throw new Error(`The log could not be read: ${JSON.stringify(errors)}`);
    entries.push(...data.auditLogs.nodes);
    if (!data.auditLogs.pageInfo.hasNextPage) return entries;
    after = data.auditLogs.pageInfo.endCursor;
  }
}

/** `field: [old, new]` of every change, which reads well in a test; a secret's is "secret". */
export function changesOf(entry: ReadEntry | undefined): Record<string, unknown> {
  return Object.fromEntries(
    (entry?.changes ?? []).map((change) => [
      change.field,
      change.secret ? [change.op, "secret"] : [change.op, change.old, change.new],
    ]),
  );
}
