import type { TestServer } from "./server.js";

/** Numbers as the list of sessions gives them, each range as `first-last` or the one number that it is. */
export interface ReadNumbers {
  readonly count: string;
  readonly ranges: readonly string[];
  readonly isCapped: boolean;
}

/** A session as `auditSessions` gives it, whole. */
export interface ReadSession {
  readonly id: string;
  readonly kind: string;
  readonly program: string;
  readonly version: string;
  readonly host: string;
  readonly tenantId: string | null;
  readonly reporter: string | null;
  readonly openedAt: string;
  readonly lastHeardAt: string;
  readonly closedAt: string | null;
  readonly state: string;
  readonly expected: string;
  readonly received: string;
  readonly countedTo: string;
  readonly missing: ReadNumbers;
  readonly lost: ReadNumbers;
  readonly inFlight: ReadNumbers;
  readonly cutOff: ReadNumbers;
  readonly duplicates: string;
  readonly dropped: readonly (ReadNumbers & { readonly reason: string })[];
}

const numbers = "{ count ranges { first last } isCapped }";
const wholeSession = `id kind program version host tenantId reporter openedAt lastHeardAt closedAt state expected received
  countedTo missing ${numbers} lost ${numbers} inFlight ${numbers} cutOff ${numbers} duplicates
  dropped { reason count ranges { first last } isCapped }`;

const query = `query ($filter: AuditSessionFilter) {
  auditSessions(filter: $filter, first: 50) { nodes { ${wholeSession} } }
}`;

/** The sessions that the filter finds, newest first, as an auditor of the tenant reads them over HTTP. */
export async function readSessions(
  server: TestServer,
  filter: Readonly<Record<string, unknown>>,
  tenant: string | null = "acme",
): Promise<ReadSession[]> {
  const token = await server.token(
    tenant === null
      ? { subject: "site-auditor", roles: ["platform_auditor"] }
      : { subject: "auditor", tenant, roles: ["auditor"] },
  );
  const { data, errors } = await server.request<{ auditSessions: { nodes: object[] } }>(query, {
    variables: { filter },
    token,
  });
  if (!data?.auditSessions) throw new Error(`The sessions could not be read: ${JSON.stringify(errors)}`);
  return data.auditSessions.nodes.map((node) => JSON.parse(JSON.stringify(node), spelt) as ReadSession);
}

function spelt(key: string, value: unknown): unknown {
  if (key !== "ranges") return value;
  return (value as { first: string; last: string }[]).map(({ first, last }) =>
    first === last ? first : `${first}-${last}`,
  );
}

/** No number at all. */
export const none: ReadNumbers = { count: "0", ranges: [], isCapped: false };
