import { ensureDevelopmentKey, mintDevelopmentToken } from "../src/auth/development-key.js";
import type { Role } from "../src/audit/roles.js";

/** Mints tokens that servers on this folder's key verify, for a day. */
export async function tokenMaker(
  folder: string,
): Promise<(subject: string, tenantId: string | null, role: Role) => Promise<string>> {
  const key = await ensureDevelopmentKey(folder);
  return (subject, tenantId, role) =>
    mintDevelopmentToken(key, {
      subject,
      name: `Sample ${subject}`,
      tenantId,
      roles: [role],
      clientId: null,
      act: null,
      lifetimeSeconds: 86_400,
    });
}
