import { defineAuditedResource, ignore, track, trackSet } from "../audit/index.js";
import { Chat } from "./chat.entity.js";

export const chat = defineAuditedResource({
  type: "chat",
  entity: Chat,
  id: "id",
  tenant: "tenantId",
  // Titles hold what people paste: they are no name to be found by.
  label: ({ id }) => id.slice(0, 8),
  link: (id) => `/chats/${id}`,
  visible: ({ roles, subject }) => (roles.has("ADMIN") || roles.has("AUDITOR") ? "all" : { ownerId: subject }),
  fields: {
    tenantId: ignore("Never changes; the entry itself says whose it is."),
    id: ignore("Never changes; the entry's resource names it."),
    ownerId: track,
    parentChatId: track,
    title: track,
    archived: track,
    pinOrder: track,
    labels: track,
    mode: track,
    planMode: track,
    mcpServerIds: trackSet,
    workspaceId: track,
    createdAt: ignore("Never changes; the entry of the creation tells when."),
    updatedAt: ignore("Follows every change; the entry tells when."),
  },
});
