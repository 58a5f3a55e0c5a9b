import { randomUUID } from "node:crypto";
import { query } from "../support/postgres.js";
import type { ResponseError, TestServer } from "../support/server.js";

export interface ReadChat {
  readonly id: string;
  readonly tenantId: string;
  readonly ownerId: string;
  readonly parentChatId: string | null;
  readonly title: string;
  readonly archived: boolean;
  readonly pinOrder: number;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly mode: string;
  readonly planMode: string | null;
  readonly mcpServerIds: readonly string[];
  readonly workspaceId: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export const chatFields = `id tenantId ownerId parentChatId title archived pinOrder labels mode planMode mcpServerIds
  workspaceId createdAt updatedAt`;

export type ChatMutation = "createChat" | "updateChat" | "archiveChats" | "deleteChat";

export interface ChatAnswer {
  /** What the mutation answered: none, one, or those of a list. */
  readonly chats: readonly ReadChat[];
  readonly error: ResponseError | undefined;
  readonly requestId: string;
}

/** Calls one of the mutations that answer chats. */
export async function callChat(
  server: TestServer,
  token: string,
  mutation: ChatMutation,
  input: Readonly<Record<string, unknown>>,
): Promise<ChatAnswer> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { data, errors, requestId } = await server.request<Record<string, ReadChat | ReadChat[] | null>>(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${chatFields} } }`,
    { variables: { input }, token },
  );
  return { chats: [data?.[mutation] ?? []].flat(), error: errors?.[0], requestId };
}

export interface PlantedChat {
  /** The name of the one above it. */
  readonly below?: string;
  readonly owner?: string;
  readonly archived?: boolean;
}

/** Puts chats of the tenant acme into the database, each titled by its name, and answers their ids by name. */
export async function plantChats<Name extends string>(
  adminUrl: string,
  chats: Readonly<Record<Name, PlantedChat>>,
): Promise<Record<Name, string>> {
  const rows = Object.entries<PlantedChat>(chats).map(([name, chat]) => ({ id: randomUUID(), name, ...chat }));
  const ids = new Map(rows.map(({ name, id }) => [name, id]));
  await query(
    adminUrl,
    `insert into app.chat (tenant_id, id, title, owner_id, parent_chat_id, archived)
     select 'acme', * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::boolean[])`,
    [
      rows.map(({ id }) => id),
      rows.map(({ name }) => name),
      rows.map(({ owner }) => owner ?? "u-1"),
      rows.map(({ below }) => (below === undefined ? null : ids.get(below))),
      rows.map(({ archived }) => archived ?? false),
    ],
  );
  return Object.fromEntries(ids) as Record<Name, string>;
}
