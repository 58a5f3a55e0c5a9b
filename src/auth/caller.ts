import { anonymous, type Actor } from "../audit/entry.js";

export const roles = ["MEMBER", "ADMIN", "AUDITOR", "PLATFORM_AUDITOR", "REPORTER"] as const;
export type Role = (typeof roles)[number];

/** Who calls, as their token says. */
export interface Caller {
  readonly actor: Actor;
  /** The token's `sub`: whose own things are theirs, also where a service acts for them. Null where nobody is known. */
  readonly subject: string | null;
  readonly tenantId: string | null;
  readonly roles: ReadonlySet<Role>;
}

/** Who calls without a token that verifies: nobody, with no right to anything. */
export const anonymousCaller: Caller = { actor: anonymous, subject: null, tenantId: null, roles: new Set() };
