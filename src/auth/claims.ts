import { z } from "zod";
import { tenantPattern, type Actor } from "../audit/entry.js";
import { roles, type Role } from "../audit/roles.js";
import { isStorable } from "../audit/text.js";
import { NIL_UUID } from "../audit/uuid.js";
import type { Caller } from "./caller.js";

/** A verified token's claim says nothing that can be used; the message names it and holds nothing of its value. */
export class ClaimError extends Error {
  override readonly name = "ClaimError";

  constructor(readonly claim: string) {
    super(`The token's claim ${claim} is missing or of the wrong form.`);
  }
}

const longestText = 255;

/** What PostgreSQL counts are code points. */
const isShort = (value: string): boolean => Array.from(value).length <= longestText;

const name = z.string().refine((value) => isStorable(value) && isShort(value));
const id = name.min(1).refine((value) => value !== NIL_UUID);

const claims = z.object({
  iss: z.string(),
  sub: id,
  name: name.optional(),
  tenant: z.string().regex(tenantPattern).optional(),
  roles: z.array(z.string()).default([]),
  jti: id.optional(),
  client_id: id.optional(),
  // RFC 8693, 4.1: the outermost is who acts now; those nested in it acted before and decide nothing.
  act: z.object({ sub: id, name: name.optional() }).optional(),
});
type Claims = z.output<typeof claims>;

/** A role as tokens write it. */
export const roleClaim = (role: Role): string => role.toLowerCase();

function actorOf(token: Claims): Actor {
  const { act } = token;
  return {
    type: act || token.client_id === token.sub ? "SERVICE" : "USER",
    id: act ? act.sub : token.sub,
    name: (act ? act.name : token.name) || null,
    onBehalfOf: act ? token.sub : null,
    subsystem: null,
    issuer: token.iss,
    tokenId: token.jti ?? null,
    clientId: token.client_id ?? null,
  };
}

/**
 * Who calls, from the claims of a token whose signature, issuer, audience and times hold. Roles that aren't ours are
 * left out.
 * @throws ClaimError where a claim that we read has the wrong form.
 */
export function callerOf(payload: unknown): Caller {
  const result = claims.safeParse(payload);
  if (!result.success) throw new ClaimError(String(result.error.issues[0]?.path[0] ?? "set"));
  const token = result.data;
  return {
    actor: actorOf(token),
    subject: token.sub,
    tenantId: token.tenant ?? null,
    roles: new Set(roles.filter((role) => token.roles.includes(roleClaim(role)))),
  };
}
