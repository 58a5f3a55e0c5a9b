import type { FindOptionsWhere } from "typeorm";
import { AuditError, type AuditContext } from "../audit/index.js";
import { ownTenant } from "../tenant.js";
import { chat } from "./chat.audit.js";
import type { Chat } from "./chat.entity.js";

/** Whose the caller's own chats are. @throws AuditError FORBIDDEN where nobody is known */
export function ownSubject({ caller }: AuditContext): string {
  if (caller.subject === null) throw new AuditError("FORBIDDEN", "The token names nobody who could own a chat.");
  return caller.subject;
}

/** The chats of the caller's tenant that it sees, as the audited resource declares. */
export function visibleChats(context: AuditContext): FindOptionsWhere<Chat> {
  const tenantId = ownTenant(context);
  return chat.visible(context.caller) === "all" ? { tenantId } : { tenantId, ownerId: ownSubject(context) };
}

/**
 * Refuses a change of what the caller sees only as an auditor: who is a member besides may change but its own.
 *
 * @throws AuditError FORBIDDEN, naming the first chat that is another's
 */
export function requireOwn(context: AuditContext, chats: readonly Chat[]): void {
  if (context.caller.roles.has("ADMIN")) return;
  const foreign = chats.find(({ ownerId }) => ownerId !== context.caller.subject);
  if (foreign)
    throw new AuditError("FORBIDDEN", `The chat ${foreign.id} is another's: only an admin may change it.`, {
      resourceId: foreign.id,
    });
}
