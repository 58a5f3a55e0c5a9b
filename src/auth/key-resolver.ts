import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from "jose";
import type { KeySource } from "../config.js";

/** The issuer's keys can't be had, which is no fault of the caller's. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";

  constructor(cause: unknown) {
    super("The issuer's keys can't be fetched; check that JWKS_URL answers.", { cause });
  }
}

const fetchTimeoutMs = 3_000;
/** How long after a failed fetch none is tried: tokens come as often as anyone likes to send them. */
const pauseAfterFailureMs = 1_000;

/** `fetch`, which after a failure fails at once for a while. */
function pausingFetch(): typeof fetch {
  let failure: { readonly error: unknown; readonly until: number } | null = null;
  return async (input, init) => {
    if (failure && performance.now() < failure.until) throw failure.error;
    failure = null;
    try {
      const response = await fetch(input, init);
      if (response.ok) return response;
      await response.body?.cancel();
      throw new Error(`JWKS_URL answered with HTTP status ${response.status}.`);
    } catch (error) {
      failure = { error, until: performance.now() + pauseAfterFailureMs };
      throw error;
    }
  };
}

/** Whether no key of the set fits the token, rather than there being no set. */
const isTokensFault = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys ||
  error instanceof errors.JOSENotSupported;

/**
 * Finds the key for a token's header. A remote set is fetched within 3 seconds, kept for 10 minutes, and asked again
 * for an unknown key at most every 30 seconds.
 * @throws KeysUnavailableError, from the function returned, where the set can't be had.
 */
export function keyResolver(keys: KeySource): JWTVerifyGetKey {
  if (keys.kind === "file") return () => Promise.resolve(keys.key);
  const remote = createRemoteJWKSet(keys.url, { timeoutDuration: fetchTimeoutMs, [customFetch]: pausingFetch() });
  return async (header, token) => {
    try {
      return await remote(header, token);
    } catch (error) {
      throw isTokensFault(error) ? error : new KeysUnavailableError(error);
    }
  };
}
