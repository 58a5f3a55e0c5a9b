import { In } from "typeorm";
import { Audited, notFound, Requires, type AuditContext, type MutationContext } from "../audit/index.js";
import { Arg, Ctx, Field, ID, Int, Mutation, ObjectType, Query, Resolver } from "../graphql.js";
import { keysetPage, PageInfo, type Page } from "../page.js";
import { ownTenant } from "../tenant.js";
import { given, uuidArgument } from "../validation.js";
import { archiveRows } from "./archive-rows.js";
import { ownSubject, requireOwn, visibleChats } from "./chat-access.js";
import { chat } from "./chat.audit.js";
import { Chat } from "./chat.entity.js";
import { ArchiveChatsInput, CreateChatInput, DeleteChatInput, UpdateChatInput } from "./chat.inputs.js";
import { touchDescendants } from "./touch-descendants.js";

@ObjectType()
class ChatConnection implements Page<Chat> {
  @Field(() => [Chat])
  nodes!: Chat[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

@Resolver(() => Chat)
export class ChatResolver {
  @Requires("MEMBER", "ADMIN", "AUDITOR")
  @Query(() => Chat, { nullable: true })
  chat(@Arg("id", () => ID) id: string, @Ctx() context: AuditContext): Promise<Chat | null> {
    return context.manager.findOneBy(Chat, { ...visibleChats(context), id: uuidArgument(id, "id") });
  }

  @Requires("MEMBER", "ADMIN", "AUDITOR")
  @Query(() => ChatConnection)
  chats(
    @Arg("first", () => Int, { defaultValue: 50 }) first: number,
    @Arg("after", () => String, { nullable: true }) after: string | null | undefined,
    @Arg("archived", () => Boolean, { nullable: true }) archived: boolean | null | undefined,
    @Ctx() context: AuditContext,
  ): Promise<ChatConnection> {
    const asked = typeof archived === "boolean" ? { archived } : {};
    return keysetPage(context.manager, Chat, { ...visibleChats(context), ...asked }, { first, after });
  }

  @Audited({ resource: "chat", action: "CREATE", id: "result.id" })
  @Requires("MEMBER", "ADMIN")
  @Mutation(() => Chat, { nullable: true })
  async createChat(
    @Arg("input", () => CreateChatInput) input: CreateChatInput,
    @Ctx() context: MutationContext,
  ): Promise<unknown> {
    const { manager } = context;
    if (typeof input.parentChatId === "string") await holdParent(context, input.parentChatId);
    const values = { tenantId: ownTenant(context), ownerId: ownSubject(context), ...written(input) };
    const { identifiers } = await manager.insert(Chat, values);
    return identifiers[0];
  }

  @Audited({ resource: "chat", action: "UPDATE", id: "input.id" })
  @Requires("MEMBER", "ADMIN")
  @Mutation(() => Chat, { nullable: true })
  async updateChat(
    @Arg("input", () => UpdateChatInput) { id: _, ...input }: UpdateChatInput,
    @Ctx() context: MutationContext<Chat>,
  ): Promise<unknown> {
    const { manager, prior } = context;
    requireOwn(context, [prior]);
    const changes = written(input);
    const { tenantId, id } = prior;
    const below = changes.archived === true ? await touchDescendants(context, [prior]) : [];
    if (Object.keys(changes).length > 0) await manager.update(Chat, { tenantId, id }, changes);
    if (below.length > 0) await archiveRows(manager, tenantId, below);
    return prior;
  }

  @Audited({ resource: "chat", action: "UPDATE", id: "input.ids" })
  @Requires("MEMBER", "ADMIN")
  @Mutation(() => [Chat], { nullable: true })
  async archiveChats(
    @Arg("input", () => ArchiveChatsInput) _input: ArchiveChatsInput,
    @Ctx() context: MutationContext<readonly Chat[]>,
  ): Promise<unknown> {
    const { manager, prior } = context;
    requireOwn(context, prior);
    const below = await touchDescendants(context, prior);
    await archiveRows(manager, ownTenant(context), [...prior.map(({ id }) => id), ...below]);
    return prior;
  }

  @Audited({ resource: "chat", action: "DELETE", id: "input.id" })
  @Requires("MEMBER", "ADMIN")
  @Mutation(() => Chat, { nullable: true })
  async deleteChat(
    @Arg("input", () => DeleteChatInput) _input: DeleteChatInput,
    @Ctx() context: MutationContext<Chat>,
  ): Promise<unknown> {
    const { manager, prior } = context;
    requireOwn(context, [prior]);
    const { tenantId, id } = prior;
    const below = await touchDescendants(context, [prior]);
    // One statement for the whole tree: that no child is left is checked at its end.
    await manager.delete(Chat, { tenantId, id: In([id, ...below]) });
    return prior;
  }
}

/** Keeps a chat from being deleted until the child that is about to be born has been. */
async function holdParent(context: MutationContext, id: string): Promise<void> {
  const where = { ...visibleChats(context), id };
  const parent = await context.manager.findOne(Chat, {
    select: { id: true, ownerId: true },
    where,
    lock: { mode: "for_key_share" },
  });
  if (!parent) throw notFound(chat.type, id);
  requireOwn(context, [parent]);
}

/** What the input gives, as the table holds it: the set without doubles, sorted by code point as the log has it. */
function written<Input extends { mcpServerIds?: string[] }>(input: Input): Partial<Input> {
  const values = given(input);
  if (!values.mcpServerIds) return values;
  const sorted = [...new Set(values.mcpServerIds)].sort((left, right) =>
    Buffer.compare(Buffer.from(left), Buffer.from(right)),
  );
  return { ...values, mcpServerIds: sorted };
}
