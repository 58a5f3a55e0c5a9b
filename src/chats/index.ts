import type { Feature } from "../feature.js";
import { autoArchive } from "./auto-archive.js";
import { chat } from "./chat.audit.js";
import { Chat } from "./chat.entity.js";
import { ChatResolver } from "./chat.resolver.js";

/** Chats, which stand in trees: what is archived or deleted is so with all below it. */
export const chats: Feature = {
  entities: [Chat],
  resources: [chat],
  resolvers: [ChatResolver],
  jobs: ({ chatAutoArchiveAfter: after }) => (after === null ? [] : [autoArchive(after)]),
};
