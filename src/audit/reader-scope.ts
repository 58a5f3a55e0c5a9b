import type { Caller } from "./context.js";
import { tenantPattern } from "./entry.js";
import { AuditError } from "./errors.js";

/** Whose logs one reading may see: every tenant's and the platform's, or those of these. */
export type ReaderScope = "*" | readonly string[];

/**
 * What this caller may read of what it asks for. A platform auditor reads every tenant's log and `$platform`'s, an
 * auditor its own tenant's; who is both is the former.
 *
 * @param asked the tenants that the filter names, null for all that the caller may read
 * @throws AuditError FORBIDDEN, in the same words whether a tenant exists or not; UNAUTHENTICATED where nobody is known
 */
export function readerScope(caller: Caller, asked: readonly string[] | null): ReaderScope {
  if (caller.actor.type === "ANONYMOUS") {
    throw new AuditError("UNAUTHENTICATED", "Reading the log needs a valid token: send one as a bearer token.");
  }
  if (caller.roles.has("PLATFORM_AUDITOR")) return asked ?? "*";
  const own = caller.tenantId;
  // The setting that opens the wall is a list of tenants: nothing but a tenant's name may get into it.
  if (!caller.roles.has("AUDITOR") || own === null || !tenantPattern.test(own)) {
    throw new AuditError("FORBIDDEN", "Reading the log needs the role AUDITOR within a tenant, or PLATFORM_AUDITOR.");
  }
  if (asked?.some((tenant) => tenant !== own)) {
    throw new AuditError("FORBIDDEN", "An auditor reads the log of its own tenant alone.");
  }
  return [own];
}
