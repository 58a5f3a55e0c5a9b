import type { AuditLogFilter } from "./audit-log-filter.js";
import type { AuditOrder } from "./enums.js";

/** The arguments of `auditLogs`, as they were given. */
export interface PageArguments {
  readonly filter?: AuditLogFilter | null;
  readonly first?: number | null;
  readonly after?: string | null;
  readonly last?: number | null;
  readonly before?: string | null;
  readonly order?: AuditOrder;
}
