import { AuditError, type AuditContext } from "./audit/index.js";

/** The caller's tenant. @throws AuditError FORBIDDEN where the token names none */
export function ownTenant({ caller }: AuditContext): string {
  if (caller.tenantId === null)
    throw new AuditError("FORBIDDEN", "The token names no tenant, and so sees nothing of one.");
  return caller.tenantId;
}
