import { In, type EntityManager } from "typeorm";
import { Chat } from "./chat.entity.js";

/** Archives those that aren't yet, so that nothing changes in the others, not even when they were last changed. */
export async function archiveRows(manager: EntityManager, tenantId: string, ids: readonly string[]): Promise<void> {
  await manager.update(Chat, { tenantId, id: In(ids), archived: false }, { archived: true });
}
