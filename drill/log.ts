import { rowsOf } from "../scratch/sql.js";

export interface LoggedChange {
  readonly field: string;
  readonly op: "ADD" | "REPLACE" | "REMOVE";
  readonly secret?: boolean;
  readonly old?: unknown;
  readonly new?: unknown;
}

/** An entry as the log's table holds it. */
export interface LoggedEntry {
  readonly id: string;
  readonly transaction: string;
  readonly tenantId: string;
  readonly actorType: string;
  readonly action: string | null;
  readonly outcome: "SUCCESS" | "FAILURE" | "DENIED";
  readonly errorCode: string | null;
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly changes: readonly LoggedChange[];
  readonly sessionId: string | null;
  /** In decimal. */
  readonly sequenceNumber: string | null;
  readonly ordinal: number;
  readonly clientRequestId: string | null;
  /** Where it was written later than it happened: when that was. */
  readonly claimedAt: string | null;
  /** Further sequence numbers that it stands for, both ends included. */
  readonly repeats: readonly (readonly [string, string])[];
}

/** Every entry, in the order of their ids, as the superuser reads the table. */
export function loggedEntries(adminUrl: string): Promise<LoggedEntry[]> {
  return rowsOf<LoggedEntry & Record<string, unknown>>(
    adminUrl,
    `select id, xact_id::text as transaction, tenant_id as "tenantId", actor_type as "actorType", action, outcome,
       error_code as "errorCode", resource_type as "resourceType", resource_id as "resourceId", changes,
       session_id as "sessionId", sequence_number::text as "sequenceNumber", ordinal,
       client_request_id as "clientRequestId", to_char(claimed_at, 'YYYY-MM-DD"T"HH24:MI:SS.US') as "claimedAt",
       coalesce((
         select jsonb_agg(jsonb_build_array(lower(part)::text, (upper(part) - 1)::text))
         from unnest(repeated_sequence_numbers) as part
       ), '[]') as repeats
     from audit.entry order by id`,
  );
}
