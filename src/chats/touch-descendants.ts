import type { EntityManager } from "typeorm";
import { AuditError, type BackgroundContext } from "../audit/index.js";
import { chat } from "./chat.audit.js";
import type { Chat } from "./chat.entity.js";

/** How many chats one operation may reach, those that its arguments name among them. */
export const MAX_CHATS = 1_000;
const MAX_LOOKS = 8;

/**
 * Locks everything below the named chats, whoever owns it, and has the scope record what becomes of it, each with the
 * entry of the nearest named chat above it as cause.
 *
 * @param named chats of one tenant that the operation holds locked
 * @returns the ids of what lies below and isn't named itself
 * @throws AuditError LIMIT_EXCEEDED past a thousand chats in all; CONFLICT where others keep adding to them
 */
export async function touchDescendants(
  { manager, scope }: Pick<BackgroundContext<Chat>, "manager" | "scope">,
  named: readonly Chat[],
): Promise<readonly string[]> {
  const ids = named.map(({ id }) => id);
  const tenantId = named[0]?.tenantId ?? "";
  const touched = new Set<string>();
  for (let look = 1; look <= MAX_LOOKS; look++) {
    const found = await descendants(manager, tenantId, ids);
    if (ids.length + found.length > MAX_CHATS)
      throw new AuditError(
        "LIMIT_EXCEEDED",
        `With all that lies below, these are more than ${String(MAX_CHATS)} chats: begin further down.`,
      );
    const fresh = found.filter(({ id }) => !touched.has(id));
    if (fresh.length === 0) return [...touched];
    for (const cause of new Set(fresh.map((row) => row.cause))) {
      const below = fresh.filter((row) => row.cause === cause).map(({ id }) => id);
      await scope.touch(chat, below, cause);
    }
    for (const { id } of fresh) touched.add(id);
    // Until its row was locked, each of these could still be given children: look again.
  }
  throw new AuditError("CONFLICT", "Others keep adding chats below. Try again later.");
}

interface Descendant {
  readonly id: string;
  /** The nearest named chat above it. */
  readonly cause: string;
}

/** Those below the named, as far as the limit and one further; a named one's own children count as its own alone. */
export function descendants(manager: EntityManager, tenantId: string, ids: readonly string[]): Promise<Descendant[]> {
  return manager.query<Descendant[]>(
    `with recursive below (id, cause) as (
       select named.id, named.id from unnest($2::uuid[]) as named (id)
       union
       select chat.id, below.cause
       from below join app.chat on chat.tenant_id = $1 and chat.parent_chat_id = below.id
       where chat.id <> all ($2)
     )
     select id, cause from below where id <> cause limit $3`,
    [tenantId, ids, MAX_CHATS - ids.length + 1],
  );
}
