import { decodeJwt } from "jose";
import { ensureDevelopmentKey, mintDevelopmentToken, type DevelopmentClaims } from "../src/auth/development-key.js";
import { DemoFailure } from "./failure.js";

/** Someone with a token. */
export interface Caller {
  readonly token: string;
  /** The token's `sub`. */
  readonly subject: string;
}

/** Who takes part. */
export interface Callers {
  readonly admin: Caller;
  readonly auditor: Caller;
  /** Who tries what only an admin may. */
  readonly intruder: Caller;
}

const lifetimeSeconds = 600;
const common = { tenantId: "demo", clientId: null, act: null, lifetimeSeconds } as const;

/** Callers of the tenant `demo`, with tokens signed by the development key in the folder, as a server on it believes. */
export async function developmentCallers(dataDir: string): Promise<Callers> {
  const key = await ensureDevelopmentKey(dataDir);
  const mint = async (claims: Pick<DevelopmentClaims, "subject" | "name" | "roles">): Promise<Caller> =>
    callerOf(await mintDevelopmentToken(key, { ...common, ...claims }));
  return {
    admin: await mint({ subject: "ada", name: "Ada Admin", roles: ["ADMIN"] }),
    auditor: await mint({ subject: "olga", name: "Olga Auditor", roles: ["AUDITOR"] }),
    intruder: await mint({ subject: "max", name: "Max Member", roles: ["MEMBER"] }),
  };
}

/** Callers with tokens of the server's own issuer, both of one tenant. An auditor may change nothing, and tries. */
export function givenCallers(adminToken: string, auditorToken: string): Callers {
  const auditor = callerOf(auditorToken);
  return { admin: callerOf(adminToken), auditor, intruder: auditor };
}

function callerOf(token: string): Caller {
  const subject = subjectOf(token);
  if (subject === null) throw new DemoFailure("A token that was given isn't a JWT with a `sub`.");
  return { token, subject };
}

function subjectOf(token: string): string | null {
  try {
    return decodeJwt(token).sub ?? null;
  } catch {
    return null;
  }
}
