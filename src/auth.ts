import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions } from "jose";
import { anonymousCaller, type Caller } from "./auth/caller.js";
import { callerOf, ClaimError } from "./auth/claims.js";
import { developmentTokenSettings, ensureDevelopmentKey } from "./auth/development-key.js";
import { keyResolver, KeysUnavailableError } from "./auth/key-resolver.js";
import type { Config } from "./config.js";

export { anonymousCaller, type Caller } from "./auth/caller.js";

/** Why a caller is anonymous: a closed set, for logs and metrics, that holds nothing of the token. */
export type Refusal =
  | "none-sent"
  | "too-long"
  | "malformed"
  | "expired"
  | "not-yet-valid"
  | "wrong-issuer"
  | "wrong-audience"
  | "wrong-algorithm"
  | "unknown-key"
  | "wrong-signature"
  | "wrong-claim"
  | "keys-unavailable";

/** Who calls, and why they are nobody if so. */
export interface Verification {
  /** Anonymous unless a token verified. */
  readonly caller: Caller;
  /** Null where a token verified. */
  readonly refusal: Refusal | null;
  /** The claim that the refusal is about, where it is about one. */
  readonly claim: string | null;
  /** Whether it can't be known who calls since the issuer's keys can't be had: UNAVAILABLE, not UNAUTHENTICATED. */
  readonly unavailable: boolean;
  /** What went wrong where `unavailable`: about the issuer's server alone. */
  readonly cause: Error | null;
}

export interface Verifier {
  /** Says who calls, from the `Authorization` header. Never rejects: a token that fails makes the caller anonymous. */
  verify(authorization: string | undefined): Promise<Verification>;
}

const longestHeader = 8 * 1024;
const clockToleranceSeconds = 5;
/** How many keys are tried for a token that doesn't name its own. */
const mostKeysTried = 8;

/** RFC 6750, 2.1, the scheme in any case as RFC 9110, 11.1 has it. */
const bearer = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i;

function refused(refusal: Refusal, claim: string | null = null): Verification {
  return { caller: anonymousCaller, refusal, claim, unavailable: false, cause: null };
}

const refusalByClaim: Readonly<Record<string, Refusal>> = {
  iss: "wrong-issuer",
  aud: "wrong-audience",
  nbf: "not-yet-valid",
};

/** The errors' messages and payloads quote the token, so only their kind is kept. */
function refusalOf(error: unknown): Verification {
  if (error instanceof KeysUnavailableError) return { ...refused("keys-unavailable"), unavailable: true, cause: error };
  if (error instanceof ClaimError) return refused("wrong-claim", error.claim);
  if (error instanceof errors.JWTExpired) return refused("expired", "exp");
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused(refusalByClaim[error.claim] ?? "wrong-claim", error.claim);
  if (error instanceof errors.JOSEAlgNotAllowed) return refused("wrong-algorithm");
  if (error instanceof errors.JWSSignatureVerificationFailed) return refused("wrong-signature");
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return refused("unknown-key");
  return refused("malformed");
}

/** Tries the keys that fit a token which names none, as issuers in the midst of a rotation send them. */
async function verifyWithAny(token: string, keys: errors.JWKSMultipleMatchingKeys, options: JWTVerifyOptions) {
  let tried = 0;
  for await (const key of keys) {
    if (tried++ === mostKeysTried) break;
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}

async function payloadOf(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, key, options)).payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return await verifyWithAny(token, error, options);
    throw error;
  }
}

/**
 * Makes what verifies tokens: by the issuer that is set, or in development by the key in `dataDir`, which is made if
 * it isn't there. Fetches nothing before the first token comes.
 * @throws DevelopmentKeyError where that key can't be made or read.
 */
export async function createVerifier(config: Pick<Config, "tokens" | "dataDir">): Promise<Verifier> {
  const settings = config.tokens ?? developmentTokenSettings(await ensureDevelopmentKey(config.dataDir));
  const key = keyResolver(settings.keys);
  const options: JWTVerifyOptions = {
    issuer: settings.issuer,
    audience: settings.audience,
    algorithms: [...settings.algorithms],
    requiredClaims: ["exp", "sub"],
    clockTolerance: clockToleranceSeconds,
  };
  return {
    async verify(authorization) {
      if (authorization === undefined) return refused("none-sent");
      if (authorization.length > longestHeader) return refused("too-long");
      const token = bearer.exec(authorization)?.[1];
      if (token === undefined) return refused("malformed");
      try {
        const caller = callerOf(await payloadOf(token, key, options));
        return { caller, refusal: null, claim: null, unavailable: false, cause: null };
      } catch (error) {
        return refusalOf(error);
      }
    },
  };
}
