import type { Caller as AuditCaller } from "../audit/context.js";
import { anonymous } from "../audit/entry.js";
import type { Role } from "../audit/roles.js";

/** Who calls, as their token says: of its roles, those that are known. */
export interface Caller extends AuditCaller {
  readonly roles: ReadonlySet<Role>;
}

/** Who calls without a token that verifies: nobody, with no right to anything. */
export const anonymousCaller: Caller = { actor: anonymous, subject: null, tenantId: null, roles: new Set() };
